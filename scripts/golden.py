"""Dumps reference scores by torch and transformers, which share no code with the exporter.

    python scripts/golden.py MODEL ROWS.jsonl --out FILE.json [--name NAME] [--logits N]

MODEL is a .gguf file or a Hugging Face folder; ROWS has query, answers, and pos and neg or
history, one object a line. Needs torch, transformers, accelerate and gguf, so it is no part of
`make test`; its dumps are, under testdata/goldens.

The dump: {"model", "rows": [{"task", "sequences": [SEQUENCE, ...]}, ...]}, one SEQUENCE for each
of pos then neg (or history):

    text          the exact text scored, with the row's first answer
    ids           its token ids
    num_answer    how many of the last ids are the answer's, by the reference's rule
    nll           mean negative log-likelihood of those, in nats, float32
    logits        in the first N sequences: for each answer token, at the position before it,
                  the first 8 logits, the argmax and the logsumexp
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

QA = "Knowledge: {passage}\n\nQuestion: {query}\n\nAnswer: {answer}"
CHAT = "{passage}\nSpeaker 1: {query}\nSpeaker 2: {answer}"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="golden", description="dump reference scores")
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="what to call the model in the dump")
    parser.add_argument("--logits", type=int, default=2, metavar="N",
                        help="sequences to dump logits of (default 2)")
    parser.add_argument("--key-max-length", type=int, default=512, metavar="TOKENS")
    args = parser.parse_args(argv)

    model, tokenizer = load(args.model)
    # Words that look like control tokens are text, as ortscore takes them.
    tokenizer.encode_special_tokens = True
    rows = []
    for line in args.rows.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        sequences = []
        for text, answer in texts(row, tokenizer, args.key_max_length):
            with_logits = sum(len(r["sequences"]) for r in rows) + len(sequences) < args.logits
            sequences.append(score(model, tokenizer, text, answer, with_logits))
        rows.append({"task": task_of(row), "sequences": sequences})
    # Which rows the dump belongs to is said by name, relative to the repository if it is inside.
    root = Path(__file__).resolve().parent.parent
    source = args.rows.resolve()
    source = source.relative_to(root) if source.is_relative_to(root) else Path(source.name)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(dump({"model": args.name or args.model.name,
                              "input": source.as_posix(), "rows": rows}), encoding="utf-8")
    return 0


def load(source: Path) -> tuple[Any, Tokenizer]:
    """The model in float32 and its tokenizer, both read by transformers."""
    model = AutoModelForCausalLM.from_pretrained(**place(source), dtype=torch.float32)
    if source.is_dir():
        return model.eval(), Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer = AutoTokenizer.from_pretrained(**place(source)).backend_tokenizer
    check_gguf(source, model, tokenizer)
    return model.eval(), tokenizer


def place(source: Path) -> dict[str, Any]:
    """What from_pretrained is told of a folder or a GGUF file."""
    if source.is_dir():
        return {"pretrained_model_name_or_path": source}
    return {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}


def check_gguf(source: Path, model: Any, tokenizer: Tokenizer) -> None:
    """Guards against the two things that transformers is known to lose from a GGUF file."""
    fields = GGUFReader(source).fields
    arch = fields["general.architecture"].contents()
    theta = fields[f"{arch}.rope.freq_base"].contents()
    loaded = model.config.rope_parameters["rope_theta"]
    if loaded != theta:
        raise SystemExit(f"golden: error: rope_theta is {loaded}, the file says {theta}")
    if fields["tokenizer.ggml.pre"].contents() == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])


def task_of(row: dict[str, Any]) -> str:
    return row.get("task") or ("chat" if "history" in row else "qa")


def texts(row: dict[str, Any], tokenizer: Tokenizer, limit: int) -> list[tuple[str, str]]:
    """(text, answer) for each passage of a row, the passage cut to `limit` tokens."""
    # The reference strips the parts of qa and leaves those of chat as they are: a query that
    # ends in a space moves a chat score by 0.02.
    template, clean = (CHAT, str) if task_of(row) == "chat" else (QA, str.strip)
    answers = row["answers"]
    answer = answers if isinstance(answers, str) else answers[0]
    passages = row["history"] if "history" in row else row["pos"] + row["neg"]
    out = []
    for passage in passages:
        offsets = tokenizer.encode(passage, add_special_tokens=False).offsets
        end = offsets[limit - 1][1] if len(offsets) > limit else len(passage)
        out.append((template.format(passage=clean(passage[:end]), query=clean(row["query"]),
                                    answer=clean(answer)), answer))
    return out


def answer_tokens(tokenizer: Tokenizer, answer: str) -> int:
    """How many tokens are the answer's, by the reference's rule."""
    # Spaces at the answer's end count, though the text of qa has them stripped.
    counted = tokenizer.encode("Answer: " + answer.lstrip(" ")).ids
    return len(counted) - len(tokenizer.encode("Answer:").ids)


@torch.no_grad()
def score(model: Any, tokenizer: Tokenizer, text: str, answer: str,
          with_logits: bool) -> dict[str, Any]:
    """One SEQUENCE of the dump, see above."""
    ids = tokenizer.encode(text).ids
    count = answer_tokens(tokenizer, answer)
    # Row t of the logits predicts token t + 1.
    logits = model(torch.tensor([ids])).logits[0, -count - 1:-1].float()
    target = torch.tensor(ids[-count:])
    log_probs = torch.log_softmax(logits, -1).gather(1, target[:, None])[:, 0]
    out = {"text": text, "ids": ids, "num_answer": count,
           "nll": round(float(-log_probs.mean()), 6)}
    if with_logits:
        out["logits"] = [
            {"first": [round(float(v), 6) for v in row[:8]], "argmax": int(row.argmax()),
             "logsumexp": round(float(torch.logsumexp(row, -1)), 6)} for row in logits]
    return out


def dump(value: dict[str, Any]) -> str:
    """JSON with one sequence a line: small, and a change shows as a changed line."""
    rows = []
    for row in value["rows"]:
        lines = ",\n".join("      " + json.dumps(s, ensure_ascii=False) for s in row["sequences"])
        rows.append(f'    {{"task": {json.dumps(row["task"])}, "sequences": [\n{lines}\n    ]}}')
    head = ", ".join(f"{json.dumps(k)}: {json.dumps(value[k])}" for k in ("model", "input"))
    return "{" + head + ', "rows": [\n' + ",\n".join(rows) + "\n]}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
