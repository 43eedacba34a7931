"""Print one line of the table of malformed.sh: malformed_line.py REPORT.json MODEL DECODE."""

import json
import sys


def main() -> None:
    path, model, decode = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        r = json.load(file)
    malformed = r["malformed"] + r["truncated"]
    share = 100 * malformed / r["lists"]
    repairs = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in r["repairs"].items())
    mass = f"; mass {r['mass']:.3f}" if decode == "constrained" else ""
    print(f"{model:24} {decode:12} {malformed:5} of {r['lists']} malformed ({share:.1f}%), "
          f"{r['truncated']} of them cut off, {r['no_ranking']} rows without a ranking; "
          f"{repairs}{mass}", flush=True)


if __name__ == "__main__":
    main()
