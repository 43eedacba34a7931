"""GGUF files: the header, checked before anything is believed, and dequantisation.

The header is read here and not by gguf.GGUFReader, because that one trusts array lengths (a
hostile 30-byte file can make it loop for ever) and keeps an object per vocabulary entry. The
dequantisation is gguf's own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from .errors import CheckpointError, UnsupportedError

MAX_HEADER = 1 << 30
MAX_TENSORS = 1 << 20
MAX_RANK = 4
BLOCK_BYTES = 16 << 20

# GGUF value types: struct codes of the scalars, then string and array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
           12: "d"}
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class Entry:
    """One tensor; `shape` is row-major (GGUF's own order reversed), `start` is absolute."""

    kind: GGMLQuantizationType
    shape: tuple[int, ...]
    start: int
    row_bytes: int


class GGUFFile:
    """A GGUF file: `meta` maps keys to plain values, `entries` names to tensors."""

    def __init__(self, path: Path):
        self.path = path
        try:
            size = path.stat().st_size
            with open(path, "rb") as file:
                cursor = _Cursor(file, size, path.name)
                self.meta, self.entries = _read_header(cursor)
        except OSError as err:
            raise CheckpointError(f"{path.name}: {err.strerror or err}") from err

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """Yields the tensor as float32, dequantised some 16 MB of whole rows at a time."""
        entry = self.entries[name]
        rows = math.prod(entry.shape[:-1])
        step = max(1, BLOCK_BYTES // (4 * max(1, entry.shape[-1])))
        with open(self.path, "rb") as file:
            file.seek(entry.start)
            for first in range(0, rows, step):
                count = min(step, rows - first)
                data = np.fromfile(file, np.uint8, count * entry.row_bytes)
                if data.size != count * entry.row_bytes:
                    raise CheckpointError(f"{self.path.name}: {name}: the file ends too early")
                data = data.reshape(count, entry.row_bytes)
                yield self._dequantize(data, entry, name)

    def _dequantize(self, data: np.ndarray, entry: Entry, name: str) -> np.ndarray:
        try:
            # Hostile scales overflow; the numbers are then inf, and that is for others to judge.
            with np.errstate(all="ignore"):
                out = dequantize(data, entry.kind).astype(np.float32, copy=False)
        except NotImplementedError as err:
            raise UnsupportedError(
                f"{self.path.name}: {name}: {entry.kind.name} cannot be dequantised",
                "convert the file to another quantisation first") from err
        return out.reshape(-1) if len(entry.shape) == 1 else out


class _Cursor:
    """A reader that never goes beyond the file, nor holds more than one item."""

    def __init__(self, file: Any, size: int, label: str):
        self.file, self.size, self.label = file, size, label
        self.offset = 0

    def fail(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.label}: {what} (at byte {self.offset})")

    def take(self, count: int) -> bytes:
        if self.offset + count > min(self.size, MAX_HEADER):
            raise self.fail("the header ends too early")
        self.offset += count
        return self.file.read(count)

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def string(self) -> str:
        data = self.take(self.number("Q"))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as err:
            raise self.fail("a string is not valid UTF-8") from err

    def value(self, kind: int, nested: bool = False) -> Any:
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == STRING:
            return self.string()
        if kind != ARRAY or nested:
            raise self.fail(f"value type {kind} is not known")
        item, count = self.number("I"), self.number("Q")
        if item in SCALARS:
            width = struct.calcsize("<" + SCALARS[item])
            return list(np.frombuffer(self.take(count * width), "<" + SCALARS[item]).tolist())
        # A string takes 8 bytes at least, so a count beyond that is a lie: no long loop.
        if count * 8 > self.size - self.offset:
            raise self.fail(f"an array of {count} strings does not fit the file")
        return [self.value(item, nested=True) for _ in range(count)]


def _read_header(cur: _Cursor) -> tuple[dict[str, Any], dict[str, Entry]]:
    if cur.take(4) != b"GGUF":
        raise cur.fail("not a GGUF file")
    version = cur.number("I")
    if version not in (2, 3):
        raise cur.fail(f"GGUF version {version} is not 2 or 3 (or the file is big-endian)")
    num_tensors, num_values = cur.number("Q"), cur.number("Q")
    if num_tensors > MAX_TENSORS or num_values > MAX_TENSORS:
        raise cur.fail("the counts in the header are out of range")
    meta: dict[str, Any] = {}
    for _ in range(num_values):
        key = cur.string()
        if key in meta:
            raise cur.fail(f"{key} occurs twice")
        meta[key] = cur.value(cur.number("I"))
    raw: dict[str, tuple[GGMLQuantizationType, tuple[int, ...], int]] = {}
    for _ in range(num_tensors):
        name = cur.string()
        if name in raw:
            raise cur.fail(f"{name} occurs twice")
        raw[name] = _tensor_info(cur, name)
    return meta, _place(cur, raw, meta.get("general.alignment", 32))


def _tensor_info(cur: _Cursor, name: str) -> tuple[GGMLQuantizationType, tuple[int, ...], int]:
    rank = cur.number("I")
    if not 1 <= rank <= MAX_RANK:
        raise cur.fail(f"{name}: {rank} dimensions are out of range")
    shape = tuple(cur.number("Q") for _ in range(rank))[::-1]
    kind = cur.number("I")
    try:
        return GGMLQuantizationType(kind), shape, cur.number("Q")
    except ValueError as err:
        raise cur.fail(f"{name}: tensor type {kind} is not known") from err


def _place(cur: _Cursor, raw: dict[str, tuple[GGMLQuantizationType, tuple[int, ...], int]],
           alignment: Any) -> dict[str, Entry]:
    """Turns relative offsets into absolute ones and checks that each tensor is in the file."""
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise cur.fail(f"general.alignment: {alignment!r} is out of range")
    base = -(-cur.offset // alignment) * alignment
    entries, spans = {}, []
    for name, (kind, shape, offset) in raw.items():
        per_block, block_bytes = GGML_QUANT_SIZES[kind]
        if min(shape) <= 0 or shape[-1] % per_block:
            raise cur.fail(f"{name}: shape {shape} does not fit {kind.name}")
        row_bytes = shape[-1] // per_block * block_bytes
        end = base + offset + math.prod(shape[:-1]) * row_bytes
        if end > cur.size:
            raise cur.fail(f"{name} ends beyond the file, which is truncated or broken")
        entries[name] = Entry(kind, shape, base + offset, row_bytes)
        spans.append((base + offset, end, name))
    spans.sort()
    for (_, end, first), (start, _, second) in zip(spans, spans[1:], strict=False):
        if start < end:
            raise cur.fail(f"{second} overlaps {first}")
    return entries
