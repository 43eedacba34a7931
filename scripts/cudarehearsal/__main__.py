"""Rehearses ortscore's CUDA path on a machine without a GPU: make cuda-rehearsal.

The real ONNX Runtime with its CUDA provider runs on stand-ins for CUDA's libraries
(scripts/fakecuda), whose log tells what happened. It is held against expected.py, and the table
of it is written into docs/gpu.md.

Exit codes: 0 all as expected, 1 not, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import models
from .check import check_failure, check_run
from .expected import FAILURES, RUNS
from .session import Stage
from .table import into_docs, of_failures, of_runs

AT_ONCE = 2  # runs, each in a process of its own


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cudarehearsal", description=__doc__)
    parser.add_argument("--ortscore", type=Path, required=True, help="the program")
    parser.add_argument("--runtime", type=Path, required=True, metavar="DIR",
                        help="ONNX Runtime's library with its CUDA provider")
    parser.add_argument("--standins", type=Path, required=True, metavar="DIR",
                        help="CUDA's libraries, by scripts/fakecuda/build.sh")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR",
                        help="the models are made there")
    parser.add_argument("--docs", type=Path, metavar="FILE",
                        help="write the tables into this file (default print them)")
    parser.add_argument("--only", metavar="WORD", help="the runs and failures that have this word")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    args = parse(argv)
    stage = Stage(args.ortscore.resolve(), args.runtime.resolve(), args.standins.resolve(),
                  models.make(args.work))

    def wanted(name: str) -> bool:
        return not args.only or args.only in name

    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [(run, {sm: pool.submit(check_run, stage, run, sm) for sm in run.capabilities})
                for run in RUNS if wanted(run.name)]
        failures = [(failure, [pool.submit(check_failure, stage, failure, *case)
                               for case in failure.cases()])
                    for failure in FAILURES if wanted(failure.what)]
    measured = [(run, {sm: future.result() for sm, future in by_sm.items()})
                for run, by_sm in runs]
    ended = [(failure, [future.result() for future in cases]) for failure, cases in failures]
    results = [result for _, by_sm in measured for result in by_sm.values()]
    results += [result for _, cases in ended for result in cases]

    text = f"{of_runs(measured)}\n\n{of_failures(ended)}"
    wrong = [line for result in results for line in result.wrong]
    if args.docs:
        into_docs(args.docs, text)
    else:
        print(text)
    for line in wrong:
        print(f"cudarehearsal: {line}", file=sys.stderr)
    print(f"cudarehearsal: {len(results)} runs, {sum(bool(r.wrong) for r in results)} not as "
          "expected", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
