"""Writes encodings.json: what the Python package tokenizers makes of a few texts.

    python model/hf/testdata/dump.py    (needs tokenizers; written with 0.23.3)

One entry a tokenizer: the file, the parts of it that are replaced, and for each text the ids
without and with special tokens, and the offsets of the former, in bytes.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TOKENIZERS = [
    ("testdata/tiny-gqa", {}),
    ("testdata/tokenizers/bos-eos", {}),
    ("testdata/tokenizers/metaspace", {}),
    ("testdata/tiny-gqa", {"post_processor": {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}}),
    ("testdata/tiny-gqa", {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "NFC"}, {"type": "Lowercase"}]}}),
    ("testdata/tiny-gqa", {"normalizer": {"type": "NFKD"}}),
]
TEXTS = [
    "", " ", "a", "Answer: the sea", " leading", "  two spaces", "trailing  ", "a  b   c\n\n\td",
    "In 1907 it was 24 degrees.", "café", "cafe\u0301 no\u0308 normal form", "Zoë Łukasik’s — “quoted”",
    "東京の喫茶店", "Привет, мир", "emoji 🐝 and family 👨‍👩‍👧‍👦 and flag 🏳️‍🌈", "🐝", "x🐝🌻y", "ﬁ ½ Ⅷ ①",
    "İstanbul ẞ", "<|im_end|>", "a<|bos|>b <|eos|>", "<s>x</s> <unk>", "<0x41>", "▁ ▁a", "\u00a0\u3000 \u2028x",
    "\x01\x1f\x7f", "zero\u200bwidth", "مرحبا", "Knowledge: k\n\nQuestion: q\n\nAnswer: a",
]


def main() -> None:
    dump = []
    for folder, patch in TOKENIZERS:
        spec = json.loads((ROOT / folder / "tokenizer.json").read_text(encoding="utf-8")) | patch
        tokenizer = Tokenizer.from_str(json.dumps(spec))
        tokenizer.encode_special_tokens = True  # special tokens in a text are text
        dump.append({"tokenizer": folder, "patch": patch,
                     "encodings": [encode(tokenizer, text) for text in TEXTS]})
    lines = json.dumps(dump, ensure_ascii=True, separators=(",", ":"))
    lines = lines.replace('{"text"', '\n{"text"').replace('{"tokenizer"', '\n{"tokenizer"')
    (HERE / "encodings.json").write_text(lines + "\n", encoding="utf-8")


def encode(tokenizer: Tokenizer, text: str) -> dict:
    byte = [len(text[:i].encode()) for i in range(len(text) + 1)]
    plain = tokenizer.encode(text, add_special_tokens=False)
    return {"text": text, "ids": plain.ids, "special": tokenizer.encode(text).ids,
            "offsets": [[byte[a], byte[b]] for a, b in plain.offsets]}


if __name__ == "__main__":
    main()
