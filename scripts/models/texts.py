"""What is scored and ranked: rows and lists of unlike lengths, out of the repository's examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/questions.jsonl"
TEMPLATE = "Query: {query}\n{passages}"  # short, so that the passages make the length

# Characters of a passage, for the rows that are scored and for the lists. A token of the shared
# tokenizer has about two. Some sequences are shorter than every threshold that the families
# have, some longer than all of them; a window is shorter than any.
ROWS = (6, 400, 30, 180, 900, 60)
LISTS = (8, 190, 60)


def rows() -> list[dict[str, Any]]:
    """Rows for nll, a question with one passage each, so that a row alone is a sequence alone."""
    return [{"query": row["query"][:24].strip(), "answers": [row["answers"][0][:20].strip()],
             "pos": [passage(row, size)], "neg": []}
            for row, size in zip(examples(), ROWS, strict=False)]


def lists() -> list[dict[str, Any]]:
    """Rows for rank, five passages each."""
    found = examples()
    return [{"query": row["query"][:24].strip(), "pos": [passage(row, size)],
             "neg": [passage(other, size) for other in found[k + 1:k + 5]]}
            for k, (row, size) in enumerate(zip(found, LISTS, strict=False))]


def examples() -> list[dict[str, Any]]:
    return [json.loads(line) for line in EXAMPLES.read_text(encoding="utf-8").splitlines()]


def passage(row: dict[str, Any], size: int) -> str:
    """So many characters out of a row's passages."""
    return " ".join(row["pos"] + row["neg"])[:size].strip()
