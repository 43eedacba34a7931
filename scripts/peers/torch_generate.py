"""Writes on greedily with transformers' generate: all prompts in one batch.

    python -m peers.torch_generate MODEL PROMPTS.json --dtype fp32 --new 48 --threads 2

Padded on the left, as generate wants it. EOS is a token like any other, so that each text has
exactly --new tokens. Prints the seconds of the one call, after a short one.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
import transformers

from peers.torch_nll import DTYPES


def main() -> None:
    parser = argparse.ArgumentParser(prog="torch_generate")
    parser.add_argument("model")
    parser.add_argument("prompts")
    parser.add_argument("--dtype", choices=DTYPES, required=True)
    parser.add_argument("--new", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=DTYPES[args.dtype])
    # generate fills what it is not told from here, stop tokens above all.
    model.eval().generation_config = transformers.GenerationConfig()
    with open(args.prompts, encoding="utf-8") as file:
        prompts = json.load(file)
    width = max(map(len, prompts))
    ids, mask = (torch.tensor([[fill] * (width - len(p)) + row(p) for p in prompts])
                 for fill, row in ((0, list), (0, lambda p: [1] * len(p))))

    def generate(rows: int, new: int) -> torch.Tensor:
        config = transformers.GenerationConfig(
            do_sample=False, max_new_tokens=new, pad_token_id=0, eos_token_id=None)
        with torch.no_grad():
            return model.generate(ids[:rows], attention_mask=mask[:rows],
                                  generation_config=config)[:, width:]

    generate(1, 2)
    start = time.perf_counter()
    tokens = generate(len(prompts), args.new)
    print(json.dumps({
        "seconds": time.perf_counter() - start, "tokens": tokens.tolist(),
        "version": f"torch {torch.__version__}, transformers {transformers.__version__}"}))


if __name__ == "__main__":
    main()
