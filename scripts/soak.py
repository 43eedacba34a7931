"""A long run of nll, watched: soak.py ORTSCORE MODEL OUT.svg MINUTES.

Prints a Markdown table of memory, handles, threads and rate, a line for each tenth of the run, and
draws them in OUT.svg. The rate is rows for each second of the process's CPU time, which other work
on the machine does not change as it changes rows for each second. At the end the run is stopped by
SIGTERM, started again, and stopped once more: both must end with code 75, and lose no row.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench_scaling import PASSAGE_WORDS, write_rows

EVERY = 10.0  # seconds between two looks
ROWS_A_MINUTE = 5_000  # more than the tiny model scores
TRY_AGAIN = 75
INK, WIDTH, HEIGHT, GAP, LEFT, TOP = "#7d8590", 640, 110, 50, 70, 40
COLOURS = {"memory, MiB": "#d9742b", "handles": "#8957e5", "rows a CPU second": "#2f81f7"}


class Look(NamedTuple):
    """The process at a moment; rows are those of its output so far."""

    seconds: float
    memory: float  # MiB
    handles: int
    threads: int
    cpu: float  # seconds
    rows: int


class Watched:
    """A run of nll, and the rows that its output has."""

    def __init__(self, command: list[str], partial: Path):
        self.partial, self.read, self.rows = partial, 0, 0
        self.start = time.monotonic()
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def look(self) -> Look:
        self.count()
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        times = (proc / "stat").read_text().rsplit(")", 1)[1].split()
        cpu = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        return Look(time.monotonic() - self.start, int(status["VmRSS"].split()[0]) / 1024,
                    len(list((proc / "fd").iterdir())), int(status["Threads"]), cpu, self.rows)

    def count(self) -> None:
        if not self.partial.exists():
            return
        with open(self.partial, "rb") as out:
            out.seek(self.read)
            while chunk := out.read(1 << 20):
                self.read += len(chunk)
                self.rows += chunk.count(b"\n")

    def stop(self) -> int:
        """Ends the run as a batch system does, and gives the rows that are kept."""
        self.process.send_signal(signal.SIGTERM)
        if (code := self.process.wait(60)) != TRY_AGAIN:
            sys.exit(f"soak: want exit code {TRY_AGAIN} after SIGTERM, got {code}")
        self.count()
        return self.rows


def watch(command: list[str], partial: Path, minutes: float) -> tuple[list[Look], int]:
    run = Watched(command, partial)
    looks = []
    while run.process.poll() is None and time.monotonic() - run.start < 60 * minutes:
        time.sleep(min(EVERY, 60 * minutes / 40))
        looks.append(run.look())
    if run.process.poll() is not None:
        sys.exit(f"soak: the run ended by itself, with code {run.process.returncode}")
    return looks, run.stop()


def rates(looks: list[Look]) -> list[float]:
    """Rows for each CPU second, over a tenth of the looks up to each."""
    span = max(1, len(looks) // 10)
    pairs = [(looks[max(0, i - span)], look) for i, look in enumerate(looks)]
    return [(b.rows - a.rows) / max(b.cpu - a.cpu, 0.01) for a, b in pairs[1:]]


def table(looks: list[Look]) -> str:
    lines = ["| minutes | memory, MiB | handles | threads | rows | rows a CPU second |",
             "|---|---|---|---|---|---|"]
    size = max(2, len(looks) // 10)
    for part in (looks[i:i + size] for i in range(0, len(looks) - size + 1, size)):
        rate = (part[-1].rows - part[0].rows) / max(part[-1].cpu - part[0].cpu, 0.01)
        lines.append(f"| {part[0].seconds / 60:.1f} to {part[-1].seconds / 60:.1f} "
                     f"| {median(x.memory for x in part):.0f} | {max(x.handles for x in part)} "
                     f"| {max(x.threads for x in part)} | {part[-1].rows:,} | {rate:.0f} |")
    return "\n".join(lines)


def draw(looks: list[Look]) -> str:
    series = {"memory, MiB": [x.memory for x in looks], "handles": [x.handles for x in looks],
              "rows a CPU second": rates(looks)}
    parts = []
    for n, (title, values) in enumerate(series.items()):
        top, most = TOP + n * (HEIGHT + GAP), max(values) * 1.1
        span = looks[-1].seconds
        places = " ".join(
            f"{LEFT + WIDTH * x.seconds / span:.1f},{top + HEIGHT * (1 - v / most):.1f}"
            for x, v in zip(looks[-len(values):], values, strict=True))
        parts += [f'<text x="{LEFT}" y="{top - 10}" font-weight="bold" fill="{COLOURS[title]}">'
                  f"{title}</text>",
                  f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
                  f'stroke="{INK}" stroke-opacity="0.35"/>',
                  f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{most:,.0f}</text>',
                  f'<text x="{LEFT - 8}" y="{top + HEIGHT}" text-anchor="end">0</text>',
                  f'<polyline points="{places}" fill="none" stroke="{COLOURS[title]}" '
                  'stroke-width="1.5"/>']
    width, height = LEFT + WIDTH + 30, TOP + len(series) * (HEIGHT + GAP) + 10
    parts.append(f'<text x="{LEFT + WIDTH}" y="{height - 22}" text-anchor="end">'
                 f"{looks[-1].seconds / 60:.0f} minutes</text>")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="sans-serif" font-size="13" '
            f'fill="{INK}">\n<title>ortscore nll over an hour: memory, handles and rate</title>\n'
            + "\n".join(parts) + "\n</svg>\n")


def main() -> None:
    ortscore, model, svg, minutes = *sys.argv[1:4], float(sys.argv[4])
    with tempfile.TemporaryDirectory() as folder:
        rows, out = Path(folder) / "rows.jsonl", Path(folder) / "out.jsonl"
        write_rows(rows, int(ROWS_A_MINUTE * (minutes + 1)) * len(PASSAGE_WORDS))
        command = [ortscore, "nll", "--onnx", model, "--in", str(rows), "--out", str(out),
                   "--threads", "1"]
        partial = Path(f"{out}.partial")
        looks, kept = watch(command, partial, minutes)
        _, more = watch(command, partial, min(1.0, minutes))
        if more < kept:
            sys.exit(f"soak: want at least the {kept} rows that were kept, got {more}")
    print(table(looks))
    Path(svg).write_text(draw(looks), encoding="utf-8")


if __name__ == "__main__":
    main()
