"""What the tables are made of: pure functions, tested without any peer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the middle two."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def ratio(first: Sequence[float], second: Sequence[float]) -> float:
    """The median over rounds of first / second. Pairs of one round saw the same machine."""
    return median([a / b for a, b in zip(first, second, strict=True)])


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    out = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for i in order[start:end]:
            out[i] = (start + 1 + end) / 2
        start = end
    return out


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation of two lists of scores; nan where one has a single rank."""
    if len(first) != len(second):
        raise ValueError(f"want lists of one length, got {len(first)} and {len(second)}")
    a, b = ranks(first), ranks(second)
    mean = (len(a) + 1) / 2
    cross = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    spread = sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b)
    return cross / spread ** 0.5 if spread else float("nan")


def lowest_spearman(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """That of the row whose orders agree least."""
    return min(spearman(a, b) for a, b in zip(first, second, strict=True))


def largest_difference(first: Sequence[Sequence[float]],
                       second: Sequence[Sequence[float]]) -> float:
    """The largest difference of a score."""
    return max(abs(x - y) for a, b in zip(first, second, strict=True)
               for x, y in zip(a, b, strict=True))


def equal_tokens(first: Sequence[Sequence[int]], second: Sequence[Sequence[int]]) -> int:
    """How many tokens come before the first that differs, over all texts. What follows a
    difference answers another text, so it is not compared."""
    total = 0
    for a, b in zip(first, second, strict=True):
        for x, y in zip(a, b, strict=True):
            if x != y:
                break
            total += 1
    return total


def work(config: dict[str, Any], lengths: Sequence[tuple[int, int]]) -> float:
    """The floating point operations that the scores of sequences need, as (tokens, answer tokens).

    2 x the weights of the layers' matrix multiplies for every token, 4 x heads x head size x
    layers for every pair of a token and one that it sees (causal: T (T + 1) / 2 pairs), and
    2 x hidden x vocabulary for the answer's tokens alone. Full logits, pads and pairs under the
    mask are no work that a score needs.
    """
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"] * config["head_dim"]
    kv_heads = config["num_key_value_heads"] * config["head_dim"]
    layers = config["num_hidden_layers"]
    weights = layers * (2 * hidden * heads + 2 * hidden * kv_heads + 3 * hidden * inner)
    head = 2 * hidden * config["vocab_size"]
    return float(sum(2 * weights * tokens + 4 * heads * layers * tokens * (tokens + 1) // 2
                     + head * answer for tokens, answer in lengths))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are figures."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
