"""Show a scored file: demo_table.py FILE.

A line for each query, with the passages that got the highest and the lowest
score.
"""

import json
import sys


def short(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text.ljust(width) if len(text) <= width else text[: width - 3] + "..."


def main() -> None:
    columns = f"{'query':44}  {'best passage':36} {'score':>7}  {'worst passage':36} {'score':>7}"
    print()
    print(columns)
    print("-" * len(columns))
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            passages = row["pos"] + row["neg"]
            scores = row.get("teacher_scores") or row["pos_scores"] + row["neg_scores"]
            ranked = sorted(zip(scores, passages, strict=True), reverse=True)
            (best, top), (worst, bottom) = ranked[0], ranked[-1]
            print(f"{short(row['query'], 44)}  {short(top, 36)} {best:7.3f}  "
                  f"{short(bottom, 36)} {worst:7.3f}")
    print()


if __name__ == "__main__":
    main()
