"""Makes ranking prompts of about 800 tokens, as `ortscore rank --order input` writes them.

    python -m peers.lists MODEL ROWS.jsonl OUT --lists 8

Writes OUT/lists.jsonl, rows for `ortscore rank`, each with its own passages and, where those are
few, passages of other rows; and OUT/prompts.json, a list of each prompt's token ids.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment
from tokenizers import Tokenizer

TOKENS = 800
MOST = 20  # passages of one prompt, rank's default window
TEMPLATE = Path(__file__).parents[2] / "rank" / "default.txt"


def main() -> None:
    parser = argparse.ArgumentParser(prog="lists")
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lists", type=int, required=True)
    args = parser.parse_args()
    with open(args.rows, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    prompt = Prompt(args.model)
    lists, ids = [], []
    for i in range(args.lists):
        row = rows[i % len(rows)]
        others = [p for other in rows[i + 1:] + rows[:i] for p in passages(other)]
        chosen = prompt.fill(row["query"], passages(row) + others)
        lists.append({"query": row["query"], "pos": chosen[:1], "neg": chosen[1:]})
        ids.append(prompt.ids(row["query"], chosen))
    (args.out / "lists.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lists), "utf-8")
    (args.out / "prompts.json").write_text(json.dumps(ids), "utf-8")


def passages(row: dict[str, Any]) -> list[str]:
    """On one line each, and without brackets, which rank would write otherwise."""
    texts = [" ".join(p.split()) for p in row["pos"] + row["neg"]]
    return [text for text in texts if not set("[]［］【】") & set(text)]


class Prompt:
    """rank's default prompt in the model's chat template."""

    def __init__(self, model: Path):
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.chat = Environment().from_string((model / "chat_template.jinja").read_text("utf-8"))
        self.text = TEMPLATE.read_text("utf-8").removesuffix("\n")

    def ids(self, query: str, texts: list[str]) -> list[int]:
        fields = {"query": query, "n": str(len(texts)), "first": "0", "last": str(len(texts) - 1),
                  "example": "[2] > [0] > [1]",
                  "passages": "\n".join(f"[{i}] {text}" for i, text in enumerate(texts))}
        content = self.text
        for name, value in fields.items():
            content = content.replace("{" + name + "}", value)
        text = self.chat.render(messages=[{"role": "user", "content": content}],
                                add_generation_prompt=True)
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def fill(self, query: str, pool: list[str]) -> list[str]:
        """As many as bring the prompt nearest to TOKENS, three at least."""
        counts = range(3, min(MOST, len(pool)) + 1)
        best = min(counts, key=lambda n: abs(len(self.ids(query, pool[:n])) - TOKENS))
        return pool[:best]


if __name__ == "__main__":
    main()
