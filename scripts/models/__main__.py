"""Exports small random checkpoints of many architectures and holds ortscore to transformers.

    python -m models checkpoints  WORK [--only NAME,...]
    python -m models export       WORK --exporter EXPORTER
    python -m models measure      WORK --ortscore BINARY --lib FOLDER
    python -m models table        WORK --out FILE.md

Each step leaves out what an earlier run has done, except for ortscore's own part.
WORK/checkpoints/NAME gets a checkpoint, with what transformers makes of it in reference.json,
WORK/NAME-EXPORTER a model. `export --exporter genai` needs transformers 5, all else 4.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models import exporters, families


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="models", description="architectures x exporters")
    parser.add_argument("step", choices=("checkpoints", "export", "measure", "table"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", type=lambda names: names.split(","), default=[],
                        help="families, separated by commas (default all)")
    parser.add_argument("--exporter", choices=exporters.EXPORTERS)
    parser.add_argument("--ortscore", type=Path)
    parser.add_argument("--lib", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    chosen = [families.FAMILIES[name] for name in args.only] or list(families.FAMILIES.values())
    if args.step == "table":
        from models import table
        args.out.write_text(table.document(args.work, table.versions()), encoding="utf-8")
        return 0
    from models import steps  # needs torch
    for family in chosen:
        if args.step == "checkpoints":
            steps.prepare(family, args.work)
        elif args.step == "export" and exporters.tried(family, args.exporter):
            steps.export(family, args.exporter, args.work)
        elif args.step == "measure":
            steps.measure(family, args.work, args.ortscore, args.lib)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
