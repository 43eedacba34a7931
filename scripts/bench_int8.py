"""An int8 teacher against the fp32 one it was made from, as tables in Markdown.

    python scripts/bench_int8.py ORTSCORE FP32_MODEL INT8_MODEL FILE [--runs 3]

FILE is scored by both in turn, so that what else the machine does falls on both. The first table
has tokens per second and the median of the runs' ratios; the second how far the scores of FILE's
passages are from those of fp32, query by query.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_int8", description=__doc__.splitlines()[0])
    for name in ("ortscore", "fp32", "int8", "file"):
        parser.add_argument(name)
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    args = parser.parse_args()
    speeds: dict[str, list[float]] = {"fp32": [], "int8": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.runs):
            for name, model in (("fp32", args.fp32), ("int8", args.int8)):
                out = Path(folder) / f"{name}.jsonl"
                speeds[name].append(score(args.ortscore, model, args.file, out))
        want, got = (scores(Path(folder) / f"{name}.jsonl") for name in ("fp32", "int8"))
    show_speeds(speeds)
    show_scores(want, got)


def score(ortscore: str, model: str, file: str, out: Path) -> float:
    """Scores `file` into `out`; returns the tokens per second, the model's loading left out."""
    done = subprocess.run([ortscore, "nll", "--onnx", model, "--json", "--quiet", "--force",
                           "--out", str(out), file], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["tokens_per_second"]


def scores(path: Path) -> list[np.ndarray]:
    """The scores of each row, float64 [passages]."""
    with open(path, encoding="utf-8") as lines:
        return [np.array(json.loads(line)["teacher_scores"]) for line in lines]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of ranks, equal values sharing the mean of theirs."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def show_speeds(speeds: dict[str, list[float]]) -> None:
    ratios = [b / a for a, b in zip(speeds["fp32"], speeds["int8"], strict=True)]
    print("| | tokens/s, median | to fp32, median of ratios |\n|---|---|---|")
    print(f"| fp32 | {statistics.median(speeds['fp32']):,.0f} | 1 |")
    print(f"| int8 | {statistics.median(speeds['int8']):,.0f} | {statistics.median(ratios):.2f} |")


def show_scores(want: list[np.ndarray], got: list[np.ndarray]) -> None:
    ranked = [spearman(a, b) for a, b in zip(want, got, strict=True) if len(a) > 1]
    difference = np.concatenate(got) - np.concatenate(want)
    print("\n| scores of int8 against fp32 | |\n|---|---|")
    print(f"| queries, passages | {len(want)}, {len(difference)} |")
    print(f"| Spearman within a query, mean | {np.mean(ranked):.4f} |")
    print(f"| the least of a query | {min(ranked):.4f} |")
    print(f"| largest difference, nats | {np.abs(difference).max():.3f} |")
    print(f"| root mean square | {np.sqrt(np.square(difference).mean()):.3f} |")


if __name__ == "__main__":
    main()
