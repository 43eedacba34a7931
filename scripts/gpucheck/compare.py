"""Two files of scores: the largest difference, and whether they order the passages alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def read_scores(path: Path) -> list[list[float]]:
    """Each row's teacher_scores, or what rank writes in their place."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row["teacher_scores"] if "teacher_scores" in row
            else row["pos_scores"] + row["neg_scores"] for row in rows]


@dataclass
class Difference:
    """Between two files with the same passages."""

    largest: float
    spearman: float  # the mean over the rows
    least: float  # of a row


def difference(a: Path, b: Path) -> Difference:
    """Compares two files row by row; raises ValueError where their passages are not as many."""
    pairs = list(zip(read_scores(a), read_scores(b), strict=True))
    by_row = [spearman(x, y) for x, y in pairs if len(x) > 1]
    if not by_row:  # of one passage each: over all rows
        by_row = [spearman([x[0] for x, _ in pairs], [y[0] for _, y in pairs])]
    return Difference(max(abs(x - y) for row in pairs for x, y in zip(*row, strict=True)),
                      float(np.mean(by_row)), min(by_row))


def spearman(a: list[float], b: list[float]) -> float:
    """The correlation of two lists' ranks; equal values share the mean of theirs."""
    ra, rb = ranks(a), ranks(b)
    ra, rb = ra - ra.mean(), rb - rb.mean()
    norm = float(np.sqrt((ra @ ra) * (rb @ rb)))
    if norm == 0:
        return 1.0 if np.array_equal(ra, rb) else 0.0
    return float(ra @ rb) / norm


def ranks(values: list[float]) -> np.ndarray:
    array = np.asarray(values, np.float64)
    _, index, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + last - 1) / 2)[index]
