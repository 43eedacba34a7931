"""External tensor data, and an output folder that is either whole or not there."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx

from .errors import CheckpointError, ExportError

DATA_FILE = "model.onnx.data"
PAGE = 4096
SMALL_ALIGN = 64

NUMPY_TYPES = {"fp32": np.dtype("<f4"), "fp16": np.dtype("<f2"), "int8": np.dtype("i1")}
ONNX_TYPES = {"fp32": onnx.TensorProto.FLOAT, "fp16": onnx.TensorProto.FLOAT16,
              "int8": onnx.TensorProto.INT8}


class ExternalData:
    """Appends tensors to model.onnx.data; the graph gets a reference to each."""

    def __init__(self, path: Path):
        self._file = open(path, "wb")

    def add(self, name: str, shape: tuple[int, ...], dtype: str,
            blocks: Iterable[np.ndarray]) -> onnx.TensorProto:
        """Writes the float32 blocks as `dtype` ("fp32" or "fp16"), one after the other.

        Blocks of "int8" are int8 already. Together the blocks must fill `shape`. Raises
        ExportError where a finite weight leaves the range of fp16. Tensors of a page or more
        start on a page, so that ONNX Runtime can map them.
        """
        nbytes = math.prod(shape) * NUMPY_TYPES[dtype].itemsize
        align = PAGE if nbytes >= PAGE else SMALL_ALIGN
        offset = -(-self._file.tell() // align) * align
        self._file.write(b"\0" * (offset - self._file.tell()))
        for block in blocks:
            self._file.write(np.ascontiguousarray(_cast(block, dtype, name)).data)
        if self._file.tell() != offset + nbytes:
            raise CheckpointError(f"{name}: {shape} wants {nbytes} bytes, "
                                  f"got {self._file.tell() - offset}")
        tensor = onnx.TensorProto(name=name, dims=shape, data_type=ONNX_TYPES[dtype])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", DATA_FILE), ("offset", offset), ("length", nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def close(self) -> None:
        """Flushes to the disk; without it a rename could survive a crash that the data did not."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _cast(block: np.ndarray, dtype: str, name: str) -> np.ndarray:
    if dtype != "fp16":
        return block
    with np.errstate(over="ignore"):
        half = block.astype(np.float16)
    infinite = np.isinf(half)
    if infinite.any() and np.any(infinite & np.isfinite(block)):
        raise ExportError(f"{name}: a weight of {np.nanmax(np.abs(block)):.6g} does not fit fp16",
                          "export with --dtype fp32")
    return half


def transposed_blocks(matrices: list[np.ndarray],
                      block_bytes: int = 4 << 20) -> Iterator[np.ndarray]:
    """The transposes of 2-D matrices, side by side, in blocks of rows, without a second copy."""
    row_bytes = sum(len(matrix) * matrix.itemsize for matrix in matrices)
    step = max(1, block_bytes // max(1, row_bytes))
    for first in range(0, matrices[0].shape[1], step):
        yield np.concatenate([matrix[:, first:first + step].T for matrix in matrices], axis=1)


@contextmanager
def new_folder(out: Path, force: bool) -> Iterator[Path]:
    """Yields a temporary folder beside `out` that becomes `out` if the block succeeds.

    An existing folder with anything in it is refused, or with `force` replaced at the end.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not force:
        raise ExportError(f"{out} exists and is not an empty folder",
                          "pass --force to replace it, or choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    temp = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield temp
        # mkdtemp makes folders for the owner alone; the export is for whom the umask allows.
        umask = os.umask(0)
        os.umask(umask)
        temp.chmod(0o777 & ~umask)
        _replace(temp, out)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _replace(temp: Path, out: Path) -> None:
    """Renames temp to out. An old `out` steps aside first: a folder cannot replace a full one.

    Where the second rename fails, the old folder is back in its place when this raises.
    """
    old = _step_aside(out)
    try:
        os.rename(temp, out)
    except BaseException as err:
        if old:
            _step_back(old, out, err)
        raise
    try:
        _sync_folder(out.parent)
    finally:
        if old:
            shutil.rmtree(old, ignore_errors=True)


def _step_aside(out: Path) -> Path | None:
    """Renames an existing folder to a new name beside it, and returns that name."""
    if out.is_symlink() or out.exists() and not out.is_dir():
        raise ExportError(f"{out} is a file or a link, not a folder", "choose another folder")
    if not out.exists():
        return None
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
    try:
        os.rename(out, old)
    except BaseException:
        old.rmdir()
        raise
    return old


def _step_back(old: Path, out: Path, err: BaseException) -> None:
    """Undoes _step_aside after `err`; where that fails too, says where the old folder is."""
    try:
        os.rename(old, out)
    except OSError:
        raise ExportError(f"{out} could not be replaced: {err}",
                          f"what it held is in {old}") from err


def _sync_folder(folder: Path) -> None:
    """Makes the renames in a folder survive a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
