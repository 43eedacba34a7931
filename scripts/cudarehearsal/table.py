"""The tables of docs/gpu.md."""

from __future__ import annotations

import re
from pathlib import Path

from .check import Result
from .expected import Failure, Run

BEGIN, END = "<!-- make cuda-rehearsal writes from here -->", "<!-- to here -->"


def of_runs(measured: list[tuple[Run, dict[int, Result]]]) -> str:
    """A line for each run; numbers are the largest over all cards."""
    rows = []
    for run, results in measured:
        traces = [result.done.trace for result in results.values()]
        attention: dict[str, list[int]] = {}
        for sm, result in results.items():
            attention.setdefault(", ".join(sorted(result.done.trace.attention)), []).append(sm)
        up = f"{max(t.most('copy', way='host-device') for t in traces)}: " \
             f"{max(t.copied('host-device') for t in traces):,}"
        down = f"{max(t.most('copy', way='device-host') for t in traces)}: " \
               f"{max(t.copied('device-host') for t in traces):,}"
        rows.append((
            run.name,
            "; ".join(f"{', '.join(map(str, sms))}: {kinds}" for kinds, sms in attention.items()),
            max(t.launches for t in traces), up, down, max(t.most("wait") for t in traces),
            max(t.allocations for t in traces), f"{max(t.peak for t in traces) / 2**20:.0f} MiB",
            max(t.threads for t in traces)))
    return markdown(("run", "attention, by sm", "kernels", "copies up: bytes",
                     "copies down: bytes", "waits", "allocations", "peak", "threads"), rows)


def of_failures(ended: list[tuple[Failure, list[Result]]]) -> str:
    """A line for each failure: the ways in which its runs ended."""
    rows = []
    for failure, results in ended:
        ends = dict.fromkeys(shorten(result.done.words) for result in results)
        rows.append((failure.what, "; or ".join(sorted(ends, key=lambda end: end != "scores"))))
    return markdown(("what fails", "the run ends in"), rows)


def shorten(words: str) -> str:
    """An error without what differs from run to run: paths, nodes, weights, long numbers."""
    words = re.sub(r"\S*/model\.onnx: |non-zero status code returned while running "
                   r".*? Status Message: |deserialize tensor \S+ failed\.", "", words)
    return re.sub(r"\d{4,}", "N", re.sub(r"\S*/(lib\S+)", r"\1", words))


def markdown(head: tuple, rows: list[tuple]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
                     for line in lines)


def into_docs(path: Path, text: str) -> None:
    """Puts the text between the marks."""
    before, rest = path.read_text().split(BEGIN + "\n")
    after = rest.split(END + "\n")[1]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}\n{after}")
