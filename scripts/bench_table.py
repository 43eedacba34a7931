"""Turn what go test -bench prints into a Markdown table: go test -bench ... | bench_table.py.

A benchmark is a row, a metric a column. What else comes goes to standard error.
"""

import re
import sys


def main() -> None:
    rows: dict[str, dict[str, str]] = {}
    failed = False
    for line in sys.stdin:
        name, *fields = line.split() or [""]
        if not name.startswith("Benchmark") or not fields:
            sys.stderr.write(line)
            failed |= name in ("FAIL", "panic:")
            continue
        # The number at the end is that of processors.
        name = re.sub(r"-\d+$", "", name.removeprefix("Benchmark"))
        rows[name] = dict(zip(fields[2::2], fields[1::2], strict=True))
    if failed or not rows:
        sys.exit("bench_table: want benchmarks that passed, got none")
    metrics = list(next(iter(rows.values())))
    print(f"| | {' | '.join(metrics)} |\n|---|{'---|' * len(metrics)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row.get(metric, '') for metric in metrics)} |")


if __name__ == "__main__":
    main()
