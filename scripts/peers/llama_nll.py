"""Scores sequences with llama.cpp, through llama-cpp-python's low-level API.

    python -m peers.llama_nll MODEL.gguf SEQUENCES.json --batch 4 --threads 2

Several sequences, longest first, in one llama_batch, with logits only where they predict an
answer's token and a cache in fp32. Flash attention is left on, as by default: it is faster here,
and moves scores by 2e-4 (without it they are within 2e-5 of torch's). Prints the seconds of
scoring, the first batch run once before.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import llama_cpp as llama
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(prog="llama_nll")
    parser.add_argument("model")
    parser.add_argument("sequences")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    with open(args.sequences, encoding="utf-8") as file:
        sequences = json.load(file)
    order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]["ids"]))
    batches = [order[i:i + args.batch] for i in range(0, len(order), args.batch)]
    most = max(sum(len(sequences[i]["ids"]) for i in batch) for batch in batches)
    scorer = Scorer(args.model, args.batch, most, args.threads)

    scorer.score([sequences[i] for i in batches[0]])
    scores = [0.0] * len(sequences)
    start = time.perf_counter()
    for batch in batches:
        values = scorer.score([sequences[i] for i in batch])
        for i, value in zip(batch, values, strict=True):
            scores[i] = value
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "scores": scores,
                      "version": f"llama-cpp-python {llama.__version__}"}))


class Scorer:
    """A model with room for `rows` sequences of `tokens` tokens together."""

    def __init__(self, path: str, rows: int, tokens: int, threads: int):
        llama.llama_backend_init()
        model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        params = llama.llama_context_default_params()
        # One run for a whole batch, whatever its rows' lengths: the rows share one cache.
        params.n_ctx = params.n_batch = params.n_ubatch = tokens
        params.n_seq_max, params.kv_unified = rows, True
        params.type_k = params.type_v = llama.GGML_TYPE_F32
        params.n_threads = params.n_threads_batch = threads
        self.context = llama.llama_init_from_model(model, params)
        if not self.context:
            raise SystemExit("llama_nll: error: llama.cpp makes no context")
        self.vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
        self.batch = llama.llama_batch_init(tokens, 0, 1)

    def score(self, sequences: list[dict[str, Any]]) -> list[float]:
        """The mean log-likelihood of each answer."""
        targets = self._fill(sequences)
        llama.llama_memory_clear(llama.llama_get_memory(self.context), False)
        status = llama.llama_decode(self.context, self.batch)
        if status:
            raise SystemExit(f"llama_nll: error: llama_decode gives {status}")
        # The asked rows alone, in the batch's order.
        logits = np.ctypeslib.as_array(llama.llama_get_logits(self.context),
                                       shape=(len(targets), self.vocab))
        top = logits.max(-1)
        logsum = top + np.log(np.exp(logits - top[:, None]).sum(-1))
        log_probs = logits[np.arange(len(targets)), targets] - logsum
        ends = np.cumsum([s["num_answer"] for s in sequences])[:-1]
        return [float(part.mean()) for part in np.split(log_probs, ends)]

    def _fill(self, sequences: list[dict[str, Any]]) -> list[int]:
        """Writes the batch and returns the tokens that its logits are asked for."""
        batch, at, targets = self.batch, 0, []
        for row, sequence in enumerate(sequences):
            ids, answer = sequence["ids"], sequence["num_answer"]
            for position, token in enumerate(ids):
                batch.token[at] = token
                batch.pos[at] = position
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = row
                batch.logits[at] = len(ids) - answer - 1 <= position < len(ids) - 1
                at += 1
            targets += ids[-answer:]
        batch.n_tokens = at
        return targets


if __name__ == "__main__":
    main()
