"""Scores and rankings by a model that is called with the ids of one sequence and gives its logits.

That is transformers' own model, or a plain ONNX Runtime session of an exported graph: what of a
difference is the exporter's shows between these two, with no part of ortscore in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer

import golden
from models.confidence import confidence

# ortscore's grammar of rankings, "[2] > [0] > [1]": all but the digits is forced, and the shared
# tokenizer keeps digits apart, so that the tokens before one are the same whatever follows.
FRAME = "### Instruction:\n{prompt}\n\n### Response:\n"


class Session:
    """A graph as it was exported, fed one sequence at its own length and an empty past."""

    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Without VNNI the fast sums of quantised graphs overflow; ortscore asks for these too.
        options.add_session_config_entry("session.x64quantprecision", "1")
        config = path.parent / "genai_config.json"
        decoder = json.loads(config.read_text())["model"]["decoder"] if config.exists() else {}
        self.head = decoder.get("head_size", 1)
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    def __call__(self, ids: torch.Tensor) -> SimpleNamespace:
        known = {"input_ids": ids, "attention_mask": torch.ones_like(ids),
                 "position_ids": torch.arange(ids.shape[1])[None]}
        feeds = {value.name: known[value.name].numpy() if value.name in known else self.empty(value)
                 for value in self.session.get_inputs()}
        return SimpleNamespace(logits=torch.from_numpy(self.session.run(["logits"], feeds)[0]))

    def empty(self, value: Any) -> np.ndarray:
        """A past of no tokens for one sequence."""
        named = {"batch_size": 1, "kv_cache_dim": self.head}
        shape = [dim if isinstance(dim, int) else named.get(dim, 0) for dim in value.shape]
        return np.zeros(shape, np.float32)


def scores(model: Any, tokenizer: Tokenizer, rows: list[dict[str, Any]]) -> list[list[float]]:
    """What `ortscore nll` should write as teacher_scores of each row."""
    return [[score(model, tokenizer, text, answer)
             for text, answer in golden.texts(row, tokenizer, 512)] for row in rows]


@torch.no_grad()
def score(model: Any, tokenizer: Tokenizer, text: str, answer: str) -> float:
    """The mean log-likelihood of the tokens that cover a character of the answer."""
    encoding = tokenizer.encode(text)
    count = sum(end > len(text) - len(answer) for _, end in encoding.offsets)
    ids = torch.tensor([encoding.ids])
    # Row t of the logits predicts token t + 1.
    log_probs = torch.log_softmax(model(ids).logits[0, -count - 1:-1].double(), -1)
    return float(log_probs.gather(1, ids[0, -count:, None]).mean())


def rankings(model: Any, tokenizer: Tokenizer, template: str,
             lists: list[dict[str, Any]]) -> list[list[float]]:
    """What `ortscore rank --model-type llm --order input --scores confidence` should write."""
    return [ranking(model, tokenizer, prompt(template, row), len(row["pos"] + row["neg"]))
            for row in lists]


def prompt(template: str, row: dict[str, Any]) -> str:
    """A list as a base model is asked about it."""
    lines = [f"[{i}] {passage}" for i, passage in enumerate(row["pos"] + row["neg"])]
    return FRAME.format(prompt=template.format(query=row["query"], passages="\n".join(lines)))


@torch.no_grad()
def ranking(model: Any, tokenizer: Tokenizer, text: str, count: int) -> list[float]:
    """The confidence of each of so many passages, at most ten, ranked greedily."""
    digits = [tokenizer.token_to_id(str(i)) for i in range(count)]
    order: list[int] = []
    shares: list[float] = []
    while len(order) < count - 1:
        text += " > [" if order else "["
        left = [i for i in range(count) if i not in order]
        logits = model(torch.tensor([tokenizer.encode(text).ids])).logits[0, -1].double()
        probabilities = torch.softmax(logits[[digits[i] for i in left]], 0)
        best = int(probabilities.argmax())
        order.append(left[best])
        shares.append(float(probabilities[best]))
        text += f"{left[best]}]"
    order += [i for i in range(count) if i not in order]
    return confidence(order, shares)
