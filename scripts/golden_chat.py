"""Dumps what transformers makes of the chat templates in testdata/chat.

    python scripts/golden_chat.py

Renders every testdata/chat/NAME.jinja over the conversations of conversations.json beside it and
writes NAME.json, which a Go test of model/chat holds byte for byte. A conversation is a list of
messages. Needs transformers and jinja2
(written with 5.23 and 3.1.6); transformers' own renderer does the work, its clock stopped at DATE.

The dump: {"special", "date", "cases": [CASE, ...]}, and one CASE:

    conversation  its name in conversations.json
    prompt        whether the opening of the answer was asked for (add_generation_prompt)
    text          what was rendered, or
    error         what the template raised, or null where jinja2 itself did: the words of an
                  error are each engine's own, those of raise_exception are the template's

tokens.json holds the ids that the tokenizers of testdata give to rendered texts, with nothing
added: {"tokenizer", "text", "ids"}.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Any

import jinja2
from tokenizers import Tokenizer
from transformers.utils import chat_template_utils

TESTDATA = Path(__file__).resolve().parent.parent / "testdata"
CHAT = TESTDATA / "chat"
DATE = datetime.datetime(2026, 3, 7, 9, 5, 1)

# The special tokens that the templates are given, by the name of the template.
SPECIAL = {
    "chatml": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "llama2": {"bos_token": "<s>", "eos_token": "</s>"},
    "llama3": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "llama31": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "mistral": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "gemma": {"bos_token": "<bos>", "eos_token": "<eos>"},
    "phi3": {"eos_token": "<|endoftext|>"},
    "deepseek": {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>"},
    "commandr": {"bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>"},
    "vicuna": {"eos_token": "</s>"},
}


class StoppedClock(datetime.datetime):
    """strftime_now asks the class datetime of its module for the time."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return DATE.replace(tzinfo=tz)


def main() -> int:
    chat_template_utils.datetime = StoppedClock
    conversations = json.loads((CHAT / "conversations.json").read_text(encoding="utf-8"))
    for template in sorted(CHAT.glob("*.jinja")):
        special = SPECIAL.get(template.stem, {})
        source = template.read_text(encoding="utf-8")
        cases = [{"conversation": name, "prompt": prompt}
                 | render(source, conversation, prompt, special)
                 for name, conversation in conversations.items() for prompt in (True, False)]
        template.with_suffix(".json").write_text(dump(special, cases), encoding="utf-8")
    (CHAT / "tokens.json").write_text(lines(tokens()), encoding="utf-8")
    return 0


def tokens() -> list[dict[str, Any]]:
    """The ids of rendered texts."""
    texts = ["<|im_start|>user\nRank the sea.<|im_end|>\n<|im_start|>assistant\n",
             "<|bos|>a <|im_end|><|im_end|>  b\n\n", "<s>[INST] the sea [/INST]",
             "no special token"]
    return [{"tokenizer": name, "text": text, "ids": Tokenizer.from_file(
                str(TESTDATA / name / "tokenizer.json")).encode(text, add_special_tokens=False).ids}
            for name in ("tiny-gqa", "tokenizers/bos-eos", "tokenizers/metaspace")
            for text in texts]


def render(source: str, conversation: list[Any], prompt: bool,
           special: dict[str, str]) -> dict[str, str | None]:
    """The outcome of a CASE, see above."""
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            [conversation], chat_template=source, add_generation_prompt=prompt,
            enable_thinking=False, **special)
    except jinja2.TemplateError as err:
        return {"error": err.message if type(err) is jinja2.TemplateError else None}
    except (TypeError, AttributeError, ValueError, ZeroDivisionError, OverflowError):
        return {"error": None}
    return {"text": texts[0]}


def dump(special: dict[str, str], cases: list[dict[str, Any]]) -> str:
    return (f'{{"special": {json.dumps(special, ensure_ascii=False)}, '
            f'"date": "{DATE.isoformat()}Z", "cases": {lines(cases).rstrip()}}}\n')


def lines(values: list[Any]) -> str:
    """JSON with one value a line: a change shows as a changed line."""
    return "[\n" + ",\n".join("  " + json.dumps(v, ensure_ascii=False) for v in values) + "\n]\n"


if __name__ == "__main__":
    sys.exit(main())
