"""Write rows with 2 to 9 short passages: short_lists.py QUESTIONS.jsonl N.

Passages are the first words of those in QUESTIONS.jsonl, drawn with a fixed seed.
"""

import json
import random
import sys


def main() -> None:
    path, n = sys.argv[1], int(sys.argv[2])
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    passages = [" ".join(p.split()[:8]) for row in rows for p in row["pos"] + row["neg"]]
    draw = random.Random(7)
    for i in range(n):
        row = rows[i % len(rows)]
        pos = " ".join(row["pos"][0].split()[:8])
        neg = draw.sample([p for p in passages if p != pos], draw.randint(1, 8))
        print(json.dumps({"query": row["query"], "pos": [pos], "neg": neg}, ensure_ascii=False))


if __name__ == "__main__":
    main()
