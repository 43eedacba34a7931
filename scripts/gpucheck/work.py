"""Rows of token ids to score, and the floating point operations that they take at least."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

ANSWER = 32


def write_rows(path: Path, vocab: int, sequences: int, longest: int, shortest: int | None = None,
               answer: int = ANSWER, seed: int = 0) -> None:
    """lrlm rows, one sequence each, of `shortest` (longest/2) to longest tokens, the last `answer`
    of them scored.

    Token ids, so that every program reads the same and no tokenizer decides how many.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(longest // 2 if shortest is None else shortest, longest + 1, sequences)
    ids = rng.integers(20, vocab, longest).tolist()
    with open(path, "w", encoding="utf-8") as file:
        for i, length in enumerate(lengths):
            # The first tokens tell the sequences apart, so that none is scored for another.
            head = [20 + i % (vocab - 20), 20 + i // (vocab - 20) % (vocab - 20)]
            body = head + ids[2:length - answer]
            row = {"task": "lrlm", "query": str(i), "pos": ["x"], "neg": [],
                   "score_inputs": [body], "context_inputs": [], "query_inputs": [],
                   "answer_inputs": ids[:answer]}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


def read_rows(path: Path) -> list[tuple[list[int], int]]:
    """Each sequence of write_rows and how many tokens of its end are scored."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for score in row["score_inputs"]:
            answer = row["answer_inputs"]
            ids = score + row["context_inputs"] + row["query_inputs"] + answer
            out.append((ids, len(answer)))
    return out


def flop(config: dict[str, Any], rows: list[tuple[list[int], int]]) -> float:
    """What scoring takes, whoever does it: two operations a weight and token of the layers, causal
    attention, and the head at the scored tokens alone. What a program does beyond that (padding,
    the logits of all tokens) is its own affair, and lowers its utilisation.
    """
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    q, kv = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    weights = layers * hidden * (2 * q + 2 * kv + 3 * config["intermediate_size"])
    total = 0.0
    for ids, answer in rows:
        total += 2.0 * weights * len(ids) + 2.0 * config["vocab_size"] * hidden * answer
        total += 2.0 * layers * q * len(ids) ** 2  # half of 4 T^2: no token looks ahead
    return total
