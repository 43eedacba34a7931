"""Tokenises the rows of a file once, for all peers: the reference's texts and answer spans.

    python -m peers.sequences TOKENIZER.json ROWS.jsonl OUT.json

OUT is a list with one object for each passage of each row, in order: ids, and num_answer, how
many of the last of them are the answer's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer

import golden

KEY_MAX_LENGTH = 512  # tokens of a passage, the default of both


def main() -> None:
    source, rows, out = map(Path, sys.argv[1:])
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.encode_special_tokens = True
    sequences = []
    for line in rows.read_text(encoding="utf-8").splitlines():
        for text, answer in golden.texts(json.loads(line), tokenizer, KEY_MAX_LENGTH):
            sequences.append({"ids": tokenizer.encode(text).ids,
                              "num_answer": golden.answer_tokens(tokenizer, answer)})
    out.write_text(json.dumps(sequences), encoding="utf-8")


if __name__ == "__main__":
    main()
