"""Scores sequences with transformers, as FlagEmbedding's run_lm_score.py does.

    python -m peers.torch_nll MODEL SEQUENCES.json --dtype fp32 --batch 4 [--sort] --threads 2

Rows padded on the right, the logits of all tokens, a cross entropy over all of them in the
model's own precision. The reference computes the model's own loss besides; that is left out here,
in the peer's favour. Prints the seconds of scoring, the first batch run once before.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
import transformers
from torch.nn.functional import cross_entropy

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
IGNORED = -100


def main() -> None:
    parser = argparse.ArgumentParser(prog="torch_nll")
    parser.add_argument("model")
    parser.add_argument("sequences")
    parser.add_argument("--dtype", choices=DTYPES, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--sort", action="store_true", help="longest first, not in file order")
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=DTYPES[args.dtype])
    with open(args.sequences, encoding="utf-8") as file:
        sequences = json.load(file)
    order = list(range(len(sequences)))
    if args.sort:
        order.sort(key=lambda i: -len(sequences[i]["ids"]))
    batches = [order[i:i + args.batch] for i in range(0, len(order), args.batch)]

    score(model.eval(), [sequences[i] for i in batches[0]])
    scores = [0.0] * len(sequences)
    start = time.perf_counter()
    for batch in batches:
        for i, value in zip(batch, score(model, [sequences[i] for i in batch]), strict=True):
            scores[i] = value
    seconds = time.perf_counter() - start
    print(json.dumps({
        "seconds": seconds, "scores": scores,
        "version": f"torch {torch.__version__}, transformers {transformers.__version__}"}))


@torch.no_grad()
def score(model: Any, batch: list[dict[str, Any]]) -> list[float]:
    """The mean log-likelihood of each answer."""
    size = (len(batch), max(len(s["ids"]) for s in batch))
    ids, mask = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    labels = torch.full(size, IGNORED)
    for row, sequence in enumerate(batch):
        tokens, answer = torch.tensor(sequence["ids"]), sequence["num_answer"]
        ids[row, :len(tokens)] = tokens
        mask[row, :len(tokens)] = 1
        labels[row, len(tokens) - answer:len(tokens)] = tokens[-answer:]
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].flatten(0, 1)
    loss = cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="none")
    counts = torch.tensor([s["num_answer"] for s in batch])
    return (-loss.view(len(batch), -1).sum(-1) / counts).tolist()


if __name__ == "__main__":
    main()
