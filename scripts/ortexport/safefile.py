"""Safetensors files: the header, checked before anything is believed, and the tensors.

The layout is 8 bytes of header length (little endian), a JSON header that maps each tensor's
name to dtype, shape and data_offsets, and the data, to which the offsets are relative.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import CheckpointError, UnsupportedError

MAX_HEADER = 100_000_000
MAX_RANK = 8
BLOCK_BYTES = 16 << 20

# How each dtype is stored; BF16 has no numpy type and is widened by a shift.
FLOAT_STORAGE = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"),
                 "BF16": np.dtype("<u2")}
OTHER_SIZES = {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1,
               "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True)
class Entry:
    """One tensor of a file; `start` is its absolute offset."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    nbytes: int


class SafetensorsFile:
    """One .safetensors file, opened for reading tensors in blocks."""

    def __init__(self, path: Path):
        self.path = path
        self.entries = read_header(path)

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """Yields the tensor as float32, about 16 MB of whole rows at a time."""
        entry = self.entries[name]
        if entry.dtype not in FLOAT_STORAGE:
            raise UnsupportedError(
                f"{self.path.name}: {name}: dtype {entry.dtype} is not supported")
        storage = FLOAT_STORAGE[entry.dtype]
        rows = entry.shape[0] if entry.shape else 1
        row_items = math.prod(entry.shape[1:])
        step = max(1, BLOCK_BYTES // max(1, row_items * storage.itemsize))
        with open(self.path, "rb") as file:
            file.seek(entry.start)
            for first in range(0, rows, step):
                count = min(step, rows - first)
                data = np.fromfile(file, storage, count * row_items)
                if data.size != count * row_items:
                    raise CheckpointError(f"{self.path.name}: {name}: the file ends too early")
                yield _to_float32(data, entry.dtype).reshape((count, *entry.shape[1:]))


def _to_float32(data: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        return (data.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        return data.astype(np.float32, copy=False)


def read_header(path: Path) -> dict[str, Entry]:
    """The tensors of a file, or CheckpointError; reads no more than the header."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            head = file.read(8)
            length = int.from_bytes(head, "little")
            if len(head) < 8 or length > MAX_HEADER or 8 + length > size:
                raise CheckpointError(f"{path.name}: not a safetensors file, or a truncated one")
            text = file.read(length)
    except OSError as err:
        raise CheckpointError(f"{path.name}: {err.strerror or err}") from err
    return parse_header(text, size - 8 - length, path.name)


def parse_header(text: bytes, data_size: int, label: str) -> dict[str, Entry]:
    """Checks the JSON header against the size of the data that follows it.

    Returns entries with absolute offsets. Raises CheckpointError unless every tensor has a
    known dtype, a sane shape, and a place inside the data that fits the shape exactly and that
    no other tensor overlaps.
    """
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as err:
        raise CheckpointError(f"{label}: the header is not valid JSON: {err}") from err
    if not isinstance(header, dict):
        raise CheckpointError(f"{label}: the header is not a JSON object")
    entries = {}
    for name, value in header.items():
        if name != "__metadata__":
            entries[name] = _entry(value, 8 + len(text), data_size, f"{label}: {name}")
    last_end, last_name = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: item[1].start):
        if entry.nbytes and entry.start < last_end:
            raise CheckpointError(f"{label}: {name} overlaps {last_name}")
        last_end, last_name = max(last_end, entry.start + entry.nbytes), name
    return entries


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name occurs twice")
    return out


def _entry(value: object, base: int, data_size: int, label: str) -> Entry:
    if not isinstance(value, dict):
        raise CheckpointError(f"{label}: want an object")
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in FLOAT_STORAGE and dtype not in OTHER_SIZES:
        raise CheckpointError(f"{label}: dtype {dtype!r} is not known")
    itemsize = FLOAT_STORAGE[dtype].itemsize if dtype in FLOAT_STORAGE else OTHER_SIZES[dtype]
    if not _naturals(shape) or len(shape) > MAX_RANK:
        raise CheckpointError(f"{label}: shape {shape!r} is not a short list of whole numbers")
    if not _naturals(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= data_size:
        raise CheckpointError(f"{label}: data_offsets {offsets!r} do not lie inside the file")
    nbytes = offsets[1] - offsets[0]
    if math.prod(shape) * itemsize != nbytes:
        raise CheckpointError(f"{label}: {dtype} {shape} does not fill {nbytes} bytes")
    return Entry(dtype, tuple(shape), base + offsets[0], nbytes)


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in value)
