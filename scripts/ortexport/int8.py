"""Linear layers of int8: weights by output channel, activations by token, both rotated before.

    y = (x H) (H w / b), with H a Hadamard matrix of ones and minus ones, H H = b

An activation's few large channels would leave little of a token's 8 bits to the others. H, over
neighbouring blocks of `b` channels, spreads them evenly, and costs b multiplications a channel.
Each token has a scale of its own, so that no score depends on what else is in the batch. The
activation is unsigned around 128 and the weight signed: of the pairs of types, the one for
which ONNX Runtime has the processor's own dot products (VNNI, AMX).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .errors import ExportError
from .graph import MICROSOFT, Graph

# 32 is as accurate as 64, and its products take half the time.
LARGEST_BLOCK = 32
LEVELS = 127.0
CHUNK_BYTES = 1 << 20


def block_size(channels: int) -> int:
    """The largest power of two up to LARGEST_BLOCK that divides `channels`."""
    return min(LARGEST_BLOCK, channels & -channels)


def hadamard(size: int) -> np.ndarray:
    """Sylvester's matrix, float32 [size, size] of 1 and -1; size is a power of two."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def quantise(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A weight [out, in], rotated, as int8 [out, in] and a float32 scale for each row.

    Sums are taken in double precision, so that the same weights come out on every processor.
    """
    rows, columns = matrix.shape
    size = block_size(columns)
    turn = hadamard(size).astype(np.float64) / size
    out, scales = np.empty(matrix.shape, np.int8), np.empty(rows, np.float32)
    for first, chunk in _chunks(matrix):
        turned = (chunk.astype(np.float64).reshape(-1, columns // size, size) @ turn)
        turned = turned.reshape(-1, columns)
        scale = (np.abs(turned).max(1) / LEVELS).astype(np.float32)
        # A row of zeros has no scale; any will do.
        scale[scale == 0] = 1
        if not np.isfinite(scale).all():
            raise ExportError("a weight is not finite", "export with --dtype fp32")
        out[first:first + len(chunk)] = np.round(turned / scale[:, None].astype(np.float64))
        scales[first:first + len(chunk)] = scale
    return out, scales


def _chunks(matrix: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    step = max(1, CHUNK_BYTES // (matrix.shape[1] * matrix.itemsize))
    for first in range(0, len(matrix), step):
        yield first, matrix[first:first + step]


class Int8Linear:
    """Adds int8 linear layers to a graph; an activation that several read is rounded once."""

    def __init__(self, g: Graph):
        self.g = g
        self._rounded: dict[str, tuple[str, str]] = {}

    def __call__(self, value: str, weights: list[np.ndarray], label: str, at: str) -> str:
        """The product of value [batch, seq, in] with weights [out, in], without a bias."""
        g = self.g
        if value not in self._rounded:
            self._rounded[value] = self._round(value, weights[0].shape[1], at)
        rounded, scale = self._rounded[value]
        levels, scales = map(np.concatenate, zip(*map(quantise, weights), strict=True))
        inputs = [rounded, g.weight(f"{label}.weight_int8", levels.shape[::-1], [levels.T], "int8"),
                  g.const(1.0, "fp32"), g.weight(f"{label}.scale", scales.shape, [scales], "fp32"),
                  g.const(128, "uint8")]
        product = g.op("MatMulIntegerToFloat", inputs, at, domain=MICROSOFT)
        return g.op("Mul", [product, scale], at)

    def _round(self, value: str, channels: int, at: str) -> tuple[str, str]:
        """The rotated activation as uint8 around 128, and each token's scale [batch, seq, 1]."""
        g, size = self.g, block_size(channels)
        at = f"{at}/round"
        turned = g.op("MatMul", [g.reshape(value, [0, 0, -1, size], at), self._turn(size)], at)
        turned = g.reshape(turned, [0, 0, channels], at)
        high = g.op("ReduceMax", [turned, g.const([-1])], at, keepdims=1)
        low = g.op("ReduceMin", [turned, g.const([-1])], at, keepdims=1)
        # A token of zeros has no largest value to divide by.
        largest = g.op("Max", [high, g.op("Neg", [low], at), g.const(1e-30, "fp32")], at)
        levels = g.op("Mul", [turned, g.op("Div", [g.const(LEVELS, "fp32"), largest], at)], at)
        rounded = g.op("QuantizeLinear", [levels, g.const(1.0, "fp32"), g.const(128, "uint8")], at)
        return rounded, g.op("Div", [largest, g.const(LEVELS, "fp32")], at)

    def _turn(self, size: int) -> str:
        name = f"hadamard_{size}"
        if name in self.g.initializers:
            return name
        return self.g.weight(name, (size, size), [hadamard(size)], "fp32")
