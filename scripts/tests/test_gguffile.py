"""GGUF headers: agreement with the gguf package, and CheckpointError for what is broken.

FUZZ_CASES=N makes the mutation test try N files instead of 1,500. The seed is fixed: a longer
run begins with the same cases as a shorter one.
"""

import random
import struct
import tracemalloc

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from helpers import fuzz_cases
from ortexport.errors import CheckpointError, UnsupportedError
from ortexport.gguffile import GGUFFile


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A small file with every kind of value that models carry."""
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 2)
    writer.add_float32("llama.rope.freq_base", 20000.0)
    writer.add_bool("flag", True)
    writer.add_string("name", "naïve")
    writer.add_array("tokens", ["a", "b", "ç"])
    writer.add_array("types", [1, 2, 3])
    rng = np.random.default_rng(0)
    writer.add_tensor("plain", rng.standard_normal((3, 32)).astype(np.float32))
    writer.add_tensor("half", rng.standard_normal((2, 8)).astype(np.float16))
    for kind in (GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0):
        data = quantize(rng.standard_normal((4, 64)).astype(np.float32), kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_agrees_with_the_gguf_package(sample):
    ours, theirs = GGUFFile(sample), GGUFReader(sample)
    for name, field in theirs.fields.items():
        if not name.startswith("GGUF."):
            assert ours.meta[name] == pytest.approx(field.contents())
    assert set(ours.entries) == {tensor.name for tensor in theirs.tensors}
    for tensor in theirs.tensors:
        got = np.concatenate(list(ours.blocks(tensor.name)))
        np.testing.assert_array_equal(got, dequantize(tensor.data, tensor.tensor_type))


def test_blocks_are_bounded_and_whole(sample, monkeypatch):
    whole = np.concatenate(list(GGUFFile(sample).blocks("Q4_1")))
    monkeypatch.setattr("ortexport.gguffile.BLOCK_BYTES", 256)
    blocks = list(GGUFFile(sample).blocks("Q4_1"))
    assert len(blocks) == 4
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def header(values=b"", num_values=0, tensors=b"", num_tensors=0, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, num_tensors, num_values) + values + tensors


def text(value):
    return struct.pack("<Q", len(value)) + value


def tensor(name=b"w", dims=(32,), kind=0, offset=0):
    return (text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
            + struct.pack("<IQ", kind, offset))


BROKEN = {
    "empty": (b"", "ends too early"),
    "magic": (b"GGML" + b"\0" * 40, "not a GGUF file"),
    "version": (header(version=9), "version 9"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "counts": (header(num_values=1 << 60), "out of range"),
    "long string": (header(struct.pack("<Q", 1 << 60), 1), "ends too early"),
    "not utf-8": (header(text(b"\xff") + b"\0" * 8, 1), "not valid UTF-8"),
    "value type": (header(text(b"k") + struct.pack("<I", 99), 1), "value type 99"),
    # These two make a reader that trusts the length loop for ever or allocate terabytes.
    "endless numbers": (header(text(b"k") + struct.pack("<IIQ", 9, 4, 1 << 60), 1), "too early"),
    "endless strings": (header(text(b"k") + struct.pack("<IIQ", 9, 8, 1 << 60), 1), "not fit"),
    "nested array": (header(text(b"k") + struct.pack("<IIQ", 9, 9, 1) + b"\0" * 16, 1), "type 9"),
    "repeated key": (header((text(b"k") + struct.pack("<IB", 0, 1)) * 2, 2), "occurs twice"),
    "rank": (header(tensors=tensor(dims=(1,) * 5), num_tensors=1), "5 dimensions"),
    "tensor type": (header(tensors=tensor(kind=250), num_tensors=1), "tensor type 250"),
    "zero size": (header(tensors=tensor(dims=(0,)), num_tensors=1), "does not fit"),
    "ragged block": (header(tensors=tensor(dims=(33,), kind=8), num_tensors=1), "does not fit"),
    "beyond the file": (header(tensors=tensor(), num_tensors=1), "beyond the file"),
    "huge tensor": (header(tensors=tensor(dims=(1 << 62, 1 << 62)), num_tensors=1), "beyond"),
    "repeated tensor": (header(tensors=tensor() * 2, num_tensors=2), "occurs twice"),
    "alignment": (header(text(b"general.alignment") + struct.pack("<II", 4, 0), 1), "alignment"),
    "overlap": (header(tensors=tensor() + tensor(b"v", offset=64), num_tensors=2) + b"\0" * 256,
                "overlaps"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(tmp_path, data, message):
    (tmp_path / "x.gguf").write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        GGUFFile(tmp_path / "x.gguf")


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        GGUFFile(tmp_path / "x.gguf")


def test_unknown_quantisation_is_refused_by_name(tmp_path):
    # Type 24 is I8, which has a size but no dequantisation.
    data = header(tensors=tensor(kind=24), num_tensors=1) + b"\0" * 128
    (tmp_path / "x.gguf").write_bytes(data)
    with pytest.raises(UnsupportedError, match="w: I8"):
        list(GGUFFile(tmp_path / "x.gguf").blocks("w"))


def test_every_truncation_is_refused(sample, tmp_path):
    data = sample.read_bytes()
    path = tmp_path / "x.gguf"
    last = GGUFFile(sample).entries["Q8_0"]
    end = last.start + last.shape[0] * last.row_bytes
    for size in range(0, end, 7):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            GGUFFile(path)


def test_mutated_files_never_do_anything_else(sample, tmp_path):
    """Seeded mutations of the header: read, or CheckpointError, within a few megabytes."""
    cases = fuzz_cases(1500)
    rng = random.Random(2)
    good, path = sample.read_bytes(), tmp_path / "x.gguf"
    head = min(entry.start for entry in GGUFFile(sample).entries.values())
    refused = 0
    tracemalloc.start()
    for _ in range(cases):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(4, head - 8)
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                value = rng.choice([0, 1, 9, 1 << 31, 1 << 40, 1 << 60, (1 << 64) - 1])
                data[at:at + 8] = struct.pack("<Q", value)
        path.write_bytes(data)
        try:
            file = GGUFFile(path)
            for name in file.entries:
                list(file.blocks(name))
        except (CheckpointError, UnsupportedError):
            refused += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused > cases // 3
    assert peak < 8 << 20
