"""Rotary position embedding: frequencies and tables, with linear and Llama 3 scaling."""

from __future__ import annotations

import math

import numpy as np

from .config import ModelConfig, RopeScaling
from .errors import UnsupportedError


def inverse_frequencies(head_dim: int, theta: float, scaling: RopeScaling | None) -> np.ndarray:
    """Angles per position, float32 [head_dim / 2], as transformers computes them.

    Powers and cosines are taken in double precision and rounded: numpy's float32 versions
    differ in the last bit from one processor to the next, and exports should not.
    """
    exponent = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    power = np.power(float(theta), exponent.astype(np.float64)).astype(np.float32)
    freq = np.float32(1) / power
    if scaling is None:
        return freq
    if scaling.kind == "linear":
        return (freq / np.float32(scaling.factor)).astype(np.float32)
    return (freq / llama3_factors(freq, scaling)).astype(np.float32)


def llama3_factors(freq: np.ndarray, s: RopeScaling) -> np.ndarray:
    """By how much Llama 3 divides each frequency, float64 [head_dim / 2].

    Wavelengths well inside the original context keep their frequency, those beyond it are
    divided by `factor`, and the band between goes smoothly from one to the other.
    """
    freq = freq.astype(np.float64)
    wavelength = 2 * math.pi / freq
    smooth = (s.original_context / wavelength - s.low_freq_factor) / (
        s.high_freq_factor - s.low_freq_factor)
    blended = 1.0 / ((1 - smooth) / s.factor + smooth)
    short = wavelength < s.original_context / s.high_freq_factor
    long = wavelength > s.original_context / s.low_freq_factor
    return np.where(short, 1.0, np.where(long, s.factor, blended))


def scaling_from_factors(factors: np.ndarray, theta: float) -> RopeScaling:
    """The Llama 3 parameters behind a GGUF file's rope_freqs, float32 [head_dim / 2].

    The file holds only the finished factors. All published models share the band 1 to 4 over
    8,192 positions and differ in the largest factor; anything else is refused, because
    config.json could not say it.
    """
    scaling = RopeScaling("llama3", float(factors.max()))
    base = inverse_frequencies(2 * len(factors), theta, None)
    if not np.allclose(llama3_factors(base, scaling), factors, rtol=1e-3):
        raise UnsupportedError("gguf: rope_freqs are not those of Llama 3")
    return scaling


def tables(config: ModelConfig) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin, float32 [context, head_dim / 2]; row p is position p."""
    freq = inverse_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
    # The product is rounded to float32 before the cosine, as torch does it: at position 8,000
    # the rounding itself is worth 2e-4 of an angle, and parity wants the same one.
    angle = np.outer(np.arange(config.context, dtype=np.float32), freq).astype(np.float32)
    angle = angle.astype(np.float64)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
