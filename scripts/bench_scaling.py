"""Time and memory of nll against pairs: bench_scaling.py ORTSCORE MODEL OUT.svg ROUNDS.

Prints a Markdown table and the line through the medians, and draws both in OUT.svg. A pair is a
query with one passage.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import scaling_plot

PAIRS = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000]
EXAMPLES = Path(__file__).parent.parent / "examples" / "questions.jsonl"
# The words of a row's five passages, in an order drawn for each row: every row is as much work.
PASSAGE_WORDS = [25, 35, 45, 55, 65]
# Seconds. A shorter run is not held against the line: its start and its end weigh too much in it.
LONG_ENOUGH = 2.0


def write_rows(path: Path, pairs: int) -> None:
    """Rows like the examples, of their words; a longer file begins with all of a shorter one."""
    with open(EXAMPLES, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    words = sorted({word for row in rows for text in row["pos"] + row["neg"]
                    for word in text.split()})
    draw = random.Random(5)

    def text(n: int) -> str:
        return " ".join(draw.choices(words, k=n))

    with open(path, "w", encoding="utf-8") as out:
        for _ in range(pairs // len(PASSAGE_WORDS)):
            passages = [text(n) for n in draw.sample(PASSAGE_WORDS, len(PASSAGE_WORDS))]
            row = {"query": text(10), "answers": [text(12)],
                   "pos": passages[:1], "neg": passages[1:]}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def score(ortscore: str, model: str, rows: Path) -> tuple[float, float]:
    """Seconds of scoring, without the model's loading, and the process's peak memory in MiB."""
    command = [ortscore, "nll", "--onnx", model, "--in", str(rows), "--quiet", "--json",
               "--out", str(rows.with_suffix(".scored.jsonl")), "--force"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
        report = run.stdout.read()
        # Not run.wait(): only wait4 tells the memory of this one child.
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        sys.exit(f"bench_scaling: {' '.join(command)}: exit status {run.returncode}")
    return json.loads(report)["seconds"], usage.ru_maxrss / 1024


def fit(points: list[tuple[float, float]]) -> tuple[float, float]:
    """The line a + b x whose relative deviations have the least squares."""
    weight = [1 / y ** 2 for _, y in points]
    mean_x, mean_y = (sum(w * p[i] for w, p in zip(weight, points, strict=True)) / sum(weight)
                      for i in (0, 1))
    b = (sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weight, points, strict=True))
         / sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weight, points, strict=True)))
    return mean_y - b * mean_x, b


def measure(ortscore: str, model: str, rounds: int) -> list[tuple[int, float, float]]:
    """Pairs, seconds and MiB: medians over rounds, each of which runs every size once."""
    runs: dict[int, list[tuple[float, float]]] = {n: [] for n in PAIRS}
    with tempfile.TemporaryDirectory() as folder:
        for n in PAIRS:
            write_rows(Path(folder, f"{n}.jsonl"), n)
        for done in range(rounds):
            for n in PAIRS:
                runs[n].append(score(ortscore, model, Path(folder, f"{n}.jsonl")))
            print(f"bench_scaling: round {done + 1} of {rounds}", file=sys.stderr)
    return [(n, *map(statistics.median, zip(*runs[n], strict=True))) for n in PAIRS]


def report(points: list[tuple[int, float, float]], a: float, b: float) -> None:
    print("| pairs | seconds | pairs a second | off the line | peak memory |")
    print("|---|---|---|---|---|")
    worst = 0.0
    for n, seconds, mib in points:
        off = ""
        if seconds >= LONG_ENOUGH:
            share = seconds / (a + b * n) - 1
            worst, off = max(worst, abs(share)), f"{100 * share:+.1f}%"
        print(f"| {n:,} | {seconds:.2f} | {n / seconds:,.0f} | {off} | {mib:.1f} MiB |")
    print(f"\nThe line: {a:.3f} s and {1e3 * b:.4f} s for every 1,000 pairs, through the runs of "
          f"{LONG_ENOUGH:g} s and more; none is more than {100 * worst:.1f}% off.")


def main() -> None:
    ortscore, model, svg, rounds = sys.argv[1:]
    points = measure(ortscore, model, int(rounds))
    fitted = [(n, seconds) for n, seconds, _ in points if seconds >= LONG_ENOUGH]
    a, b = fit(fitted)
    report(points, a, b)
    Path(svg).write_text(scaling_plot.draw(points, a, b, fitted[0][0]), encoding="utf-8")


if __name__ == "__main__":
    main()
