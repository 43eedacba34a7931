"""Safetensors headers: what is sound is read, what is broken gives CheckpointError.

FUZZ_CASES=N makes the mutation test try N headers instead of 3,000. The seed is fixed: a longer
run begins with the same cases as a shorter one.
"""

import json
import random
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save_file

from helpers import fuzz_cases
from ortexport.errors import CheckpointError, UnsupportedError
from ortexport.safefile import SafetensorsFile, parse_header


def entry(dtype="F32", shape=(2, 2), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def write(path, header, data=b"\0" * 16, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    path.write_bytes(length.to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_reads_what_safetensors_wrote(tmp_path, dtype):
    tensors = {"a": np.arange(12, dtype=dtype).reshape(3, 4), "b": np.ones(5, dtype)}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    file = SafetensorsFile(tmp_path / "x.safetensors")
    for name, value in tensors.items():
        assert file.entries[name].shape == value.shape
        np.testing.assert_array_equal(np.concatenate(list(file.blocks(name))), value)


def test_bf16_is_widened(tmp_path):
    values = np.array([[1.0, -2.5], [3.0e38, 0.0]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    path = write(tmp_path / "x", {"w": entry("BF16", offsets=(0, 8))}, bits.tobytes())
    got = np.concatenate(list(SafetensorsFile(path).blocks("w")))
    np.testing.assert_array_equal(got, (bits.astype(np.uint32) << 16).view(np.float32))


def test_blocks_are_bounded_and_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("ortexport.safefile.BLOCK_BYTES", 64)
    value = np.arange(70, dtype=np.float32).reshape(10, 7)
    save_file({"w": value}, tmp_path / "x")
    blocks = list(SafetensorsFile(tmp_path / "x").blocks("w"))
    assert [len(block) for block in blocks] == [2] * 5
    np.testing.assert_array_equal(np.concatenate(blocks), value)


def test_integer_weights_are_refused_by_name(tmp_path):
    path = write(tmp_path / "x", {"w": entry("I32")})
    with pytest.raises(UnsupportedError, match="w: dtype I32"):
        list(SafetensorsFile(path).blocks("w"))


BROKEN = {
    "empty": b"",
    "short": b"\1\0\0",
    "header beyond the file": (1 << 40).to_bytes(8, "little") + b"{}",
    "header of 2^63": (1 << 63).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CheckpointError, match="truncated"):
        SafetensorsFile(tmp_path / "x")


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        SafetensorsFile(tmp_path / "x")


HEADERS = {
    "not json": (b"{", "not valid JSON"),
    "not utf-8": (b'{"\xff": 1}', "not valid JSON"),
    "deep nesting": (b"[" * 100_000, "not valid JSON"),
    "huge number": (b'{"w": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    "list": (b"[]", "not a JSON object"),
    "repeated name": (b'{"w": 1, "w": 2}', "occurs twice"),
    "entry not an object": ({"w": 1}, "want an object"),
    "unknown dtype": ({"w": entry("F7")}, "dtype 'F7'"),
    "dtype a list": ({"w": entry(["F32"])}, "dtype"),
    "negative shape": ({"w": entry(shape=(-2, -2))}, "shape"),
    "boolean shape": ({"w": entry(shape=(True, 4))}, "shape"),
    "fractional shape": ({"w": entry(shape=(2.0, 2))}, "shape"),
    "many dimensions": ({"w": entry(shape=(1,) * 9)}, "shape"),
    "shape missing": ({"w": {"dtype": "F32", "data_offsets": [0, 16]}}, "shape"),
    "one offset": ({"w": entry(offsets=(0,))}, "data_offsets"),
    "offsets reversed": ({"w": entry(offsets=(16, 0))}, "data_offsets"),
    "negative offset": ({"w": entry(offsets=(-16, 0))}, "data_offsets"),
    "beyond the file": ({"w": entry(offsets=(8, 24))}, "data_offsets"),
    "too few bytes": ({"w": entry(offsets=(0, 8))}, "does not fill"),
    "product overflows": ({"w": entry(shape=(1 << 61, 8))}, "does not fill"),
    "overlap": ({"a": entry(), "b": entry(shape=(2,), offsets=(8, 16))}, "overlaps"),
}


@pytest.mark.parametrize(("header", "message"), HEADERS.values(), ids=HEADERS.keys())
def test_broken_headers(tmp_path, header, message):
    with pytest.raises(CheckpointError, match=message):
        SafetensorsFile(write(tmp_path / "x", header))


def test_truncated_after_opening(tmp_path):
    path = write(tmp_path / "x", {"w": entry()})
    file = SafetensorsFile(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="ends too early"):
        list(file.blocks("w"))


def test_mutated_headers_never_do_anything_else():
    """Seeded mutations: read, or CheckpointError, within a few megabytes."""
    cases = fuzz_cases(3000)
    rng = random.Random(1)
    good = json.dumps({"__metadata__": {"format": "pt"}, "a": entry(),
                       "b": entry("BF16", (4,), (16, 24))}).encode()
    splices = [b"0", b"-1", b"999999999999999999999", b"[", b"]", b"{", b"}", b'"', b"null",
               b"true", b"1e9", b"NaN", b"\xff", b","]
    refused = 0
    tracemalloc.start()
    for _ in range(cases):
        text = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            if rng.random() < 0.5:
                text[at] = rng.randrange(256)
            else:
                text[at:at + rng.randint(0, 3)] = rng.choice(splices)
        try:
            entries = parse_header(bytes(text), 24, "x")
            assert all(e.start + e.nbytes <= 8 + len(text) + 24 for e in entries.values())
        except CheckpointError:
            refused += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused > cases // 3
    assert peak < 8 << 20
