"""The scores that `rank --scores confidence` gives for the probabilities of a ranking's choices."""

from __future__ import annotations

import math

LEAST = 1e-6  # ortscore's bound on a choice's probability


def confidence(order: list[int], shares: list[float]) -> list[float]:
    """Logarithms of the pieces of a stick that the shares break off, none above the one before,
    brought to a sum of 1."""
    worths, left = [], 0.0
    for share in shares:
        share = min(max(share, LEAST), 1 - LEAST)
        worths.append(left + math.log(share))
        left += math.log1p(-share)
    worths.append(left)
    for place in range(1, len(worths)):
        worths[place] = min(worths[place], worths[place - 1])
    total = math.log(sum(map(math.exp, worths)))
    out = [0.0] * len(order)
    for place, passage in enumerate(order):
        out[passage] = worths[place] - total
    return out
