"""Dumps what transformers' own generate writes, greedily and in fp32, after given prompts.

    python scripts/golden_greedy.py MODEL PROMPTS.jsonl --out FILE.json [--name NAME]

MODEL is a .gguf file or a Hugging Face folder, as for golden.py, and the same packages are
needed. The committed dumps, testdata/goldens/*/greedy.json, come from the prompts.jsonl beside
each, with the checkpoint of `tiny.py --checkpoint DIR` for tiny and the GGUF file of
scripts/setup/teacher.txt for smollm2-135m-instruct. PROMPTS has an object a line:

    text                 a text as it stands, or
    messages             a conversation for the model's chat template, or
    random, seed         that many tokens drawn from a seed, none of them special
    new                  how many tokens to write
    stops                tokens that end the text (default none: EOS is a token like any other)
    repetition_penalty   default none

The dump: {"model", "margin", "prompts": [PROMPT, ...]}, each prompt read and written by itself.
Where torch finds two tokens all but equally likely another runtime may choose the other, so a
prompt with a margin below MARGIN is refused, and the dump's "margin" is the smallest in it. One
PROMPT:

    text                 its text, the chat template filled, unless it was drawn
    ids                  its token ids
    stops, repetition_penalty   as given
    new                  the ids written, a stop token included
    written              their text, likewise
    margin               along the way the smallest difference between the two largest logits,
                         after the penalty
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GenerationConfig

import golden

MARGIN = 1e-3
SPECIAL = 4  # drawn prompts leave out the first ids, tiny's special tokens


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="golden_greedy", description="dump greedy decoding")
    parser.add_argument("model", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="what to call the model in the dump")
    args = parser.parse_args(argv)

    model, tokenizer = golden.load(args.model)
    # generate fills what it is not told from here, stop tokens above all.
    model.generation_config = GenerationConfig()
    template = AutoTokenizer.from_pretrained(**golden.place(args.model))
    prompts = []
    for number, line in enumerate(args.prompts.read_text(encoding="utf-8").splitlines(), 1):
        asked = json.loads(line)
        prompt = write(model, tokenizer, read(asked, tokenizer, template), asked)
        if prompt["margin"] < MARGIN:
            raise SystemExit(f"golden_greedy: error: {args.prompts}:{number}: want a margin of "
                             f"{MARGIN} or more, got {prompt['margin']}")
        prompts.append(prompt)
    args.out.write_text(dump(args.name or args.model.name, prompts), encoding="utf-8")
    return 0


def read(asked: dict[str, Any], tokenizer: Tokenizer, template: Any) -> dict[str, Any]:
    """The text and the ids of a PROMPT."""
    if "random" in asked:
        words = range(SPECIAL, tokenizer.get_vocab_size())
        return {"ids": random.Random(asked["seed"]).choices(words, k=asked["random"])}
    text = asked.get("text")
    if text is None:
        text = template.apply_chat_template(asked["messages"], tokenize=False,
                                            add_generation_prompt=True)
    return {"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids}


@torch.no_grad()
def write(model: Any, tokenizer: Tokenizer, prompt: dict[str, Any],
          asked: dict[str, Any]) -> dict[str, Any]:
    """The whole PROMPT, see above."""
    options = {name: asked[name] for name in ("stops", "repetition_penalty") if name in asked}
    config = GenerationConfig(
        do_sample=False, use_cache=True, max_new_tokens=asked["new"], pad_token_id=0,
        eos_token_id=options.get("stops"),
        repetition_penalty=options.get("repetition_penalty"),
        return_dict_in_generate=True, output_scores=True)
    ids = torch.tensor([prompt["ids"]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    new = out.sequences[0, ids.shape[1]:].tolist()
    if len(new) != asked["new"] and new[-1] not in options.get("stops", []):
        raise SystemExit(f"golden_greedy: error: generate stopped by itself after {len(new)}")
    top = torch.stack(out.scores)[:, 0].topk(2).values
    prompt |= options | {"new": new}
    if "text" in prompt:
        prompt["written"] = tokenizer.decode(new, skip_special_tokens=False)
    return prompt | {"margin": round(float((top[:, 0] - top[:, 1]).min()), 4)}


def dump(name: str, prompts: list[dict[str, Any]]) -> str:
    """JSON with one prompt a line: small, and a change shows as a changed line."""
    lines = ",\n".join("  " + json.dumps(prompt, ensure_ascii=False) for prompt in prompts)
    margin = min(prompt["margin"] for prompt in prompts)
    return f'{{"model": {json.dumps(name)}, "margin": {margin}, "prompts": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
