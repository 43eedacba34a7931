"""The tokenizer of a GGUF file as tokenizer.json and its companions.

Only byte-level BPE with a known pre-tokenizer is converted. The name in tokenizer.ggml.pre
stands for a rule that is written nowhere in the file, so an unknown name is refused: a wrong
rule gives almost the right tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import CheckpointError, UnsupportedError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
HINT = "pass --tokenizer DIR with a folder that holds the model's tokenizer.json"

HF_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
            "generation_config.json", "chat_template.jinja")

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_PATTERN = _CONTRACTIONS + r"\p{N}{1,3}" + _REST
QWEN2_PATTERN = _CONTRACTIONS + r"\p{N}" + _REST


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
            "use_regex": use_regex}


def _sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
            "invert": False}


PRE_TOKENIZERS: dict[str, dict[str, Any]] = {
    "gpt2": _byte_level(True),
    "gpt-2": _byte_level(True),
    # Every digit is a token of its own. The step is easily lost: without it scores of rows
    # with numbers move by some 0.007.
    "smollm": _sequence({"type": "Digits", "individual_digits": True}, _byte_level(True)),
    "llama-bpe": _sequence(_split(LLAMA3_PATTERN), _byte_level(False)),
    "qwen2": _sequence(_split(QWEN2_PATTERN), _byte_level(False)),
}


def gguf_files(meta: dict[str, Any], context: int) -> dict[str, Any]:
    """The tokenizer's files by name: JSON values, and for chat_template.jinja a string."""
    _check(meta)
    tokens, types = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    pre = meta["tokenizer.ggml.pre"]
    add_bos = bool(meta.get("tokenizer.ggml.add_bos_token", pre == "llama-bpe"))
    add_eos = bool(meta.get("tokenizer.ggml.add_eos_token", False))
    special = {f"{name}_token": _token(meta, key, tokens) for name, key in (
        ("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))}
    special = {name: token for name, token in special.items() if token is not None}
    config = special | {
        "add_bos_token": add_bos,
        "add_eos_token": add_eos,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    files: dict[str, Any] = {
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": _added_tokens(tokens, types),
            "normalizer": {"type": "NFC"} if pre == "qwen2" else None,
            "pre_tokenizer": PRE_TOKENIZERS[pre],
            "post_processor": _template(meta, tokens, add_bos, add_eos),
            "decoder": _byte_level(True),
            "model": _bpe(meta, tokens, types, ignore_merges=pre == "llama-bpe"),
        },
        "generation_config.json": {
            f"{name}_token_id": meta[f"tokenizer.ggml.{key}_token_id"]
            for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
            if f"tokenizer.ggml.{key}_token_id" in meta},
    }
    template = meta.get("tokenizer.chat_template")
    if isinstance(template, str):
        config["chat_template"] = template
        files["chat_template.jinja"] = template
    return files | {"tokenizer_config.json": config}


def _check(meta: dict[str, Any]) -> None:
    kind, pre = meta.get("tokenizer.ggml.model"), meta.get("tokenizer.ggml.pre")
    if kind != "gpt2":
        raise UnsupportedError(f"gguf: tokenizer {kind!r} is not byte-level BPE", HINT)
    if pre not in PRE_TOKENIZERS:
        known = ", ".join(PRE_TOKENIZERS)
        raise UnsupportedError(f"gguf: pre-tokenizer {pre!r} is not one of {known}", HINT)
    tokens, types = meta.get("tokenizer.ggml.tokens"), meta.get("tokenizer.ggml.token_type")
    merges = meta.get("tokenizer.ggml.merges")
    for name, value, item in (("tokens", tokens, str), ("token_type", types, int),
                              ("merges", merges, str)):
        if not isinstance(value, list) or not all(isinstance(v, item) for v in value):
            raise CheckpointError(f"gguf: tokenizer.ggml.{name} is missing or broken")
    if len(tokens) != len(types) or len(set(tokens)) != len(tokens):
        raise CheckpointError("gguf: tokenizer.ggml.tokens are repeated, or not as many as types")
    if any(merge.count(" ") != 1 for merge in merges):
        raise CheckpointError("gguf: tokenizer.ggml.merges: want two parts an entry")


def _token(meta: dict[str, Any], key: str, tokens: list[str]) -> str | None:
    index = meta.get(f"tokenizer.ggml.{key}_token_id")
    if index is None:
        return None
    if not isinstance(index, int) or not 0 <= index < len(tokens):
        raise CheckpointError(f"gguf: tokenizer.ggml.{key}_token_id: {index!r} is out of range")
    return tokens[index]


def _added_tokens(tokens: list[str], types: list[int]) -> list[dict[str, Any]]:
    return [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": kind != USER_DEFINED}
            for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
            if kind in (UNKNOWN, CONTROL, USER_DEFINED)]


def _bpe(meta: dict[str, Any], tokens: list[str], types: list[int],
         ignore_merges: bool) -> dict[str, Any]:
    """The BPE model; padding entries of the vocabulary (UNUSED) are no tokens at all."""
    vocab = {token: i for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
             if kind != UNUSED}
    merges = [merge.split(" ") for merge in meta["tokenizer.ggml.merges"]]
    for left, right in merges:
        if left not in vocab or right not in vocab or left + right not in vocab:
            raise CheckpointError(f"gguf: merge {left!r} {right!r} is not in the vocabulary")
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": ignore_merges, "vocab": vocab, "merges": merges}


def _template(meta: dict[str, Any], tokens: list[str], add_bos: bool,
              add_eos: bool) -> dict[str, Any] | None:
    """The post-processor that puts BOS and EOS round a text, or None where neither is added."""
    wanted = [key for key, add in (("bos", add_bos), ("eos", add_eos)) if add]
    if not wanted:
        return None
    marks = {}
    for key in wanted:
        token = _token(meta, key, tokens)
        if token is None:
            raise CheckpointError(f"gguf: add_{key}_token is set but there is no {key} token")
        marks[key] = (token, meta[f"tokenizer.ggml.{key}_token_id"])
    return bos_eos_template(marks.get("bos"), marks.get("eos"))


def bos_eos_template(bos: tuple[str, int] | None, eos: tuple[str, int] | None) -> dict[str, Any]:
    """A TemplateProcessing step that adds the given (token, id) pairs."""
    def around(sequence: str, type_id: int) -> list[dict[str, Any]]:
        def mark(pair: tuple[str, int] | None) -> list[dict[str, Any]]:
            return [{"SpecialToken": {"id": pair[0], "type_id": type_id}}] if pair else []
        return mark(bos) + [{"Sequence": {"id": sequence, "type_id": type_id}}] + mark(eos)

    return {"type": "TemplateProcessing", "single": around("A", 0),
            "pair": around("A", 0) + around("B", 1),
            "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]}
                               for token, i in filter(None, (bos, eos))}}


def copy_hf_files(folder: Path, out: Path) -> None:
    """Copies the tokenizer's files byte for byte; tokenizer.json must be there."""
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            f"{folder}: no tokenizer.json", "save a fast tokenizer there with transformers: "
            "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)")
    for name in HF_FILES:
        if (folder / name).is_file():
            (out / name).write_bytes((folder / name).read_bytes())


def fit(path: Path, size: int) -> None:
    """Makes a BPE tokenizer.json one of `size` tokens: a longer one loses the tokens from there on,
    with the merges that make them, a shorter one gains tokens that no text has.

    Ids rise in the order of the merges, so what is left is the tokenizer of a shorter training.
    """
    whole = json.loads(path.read_text(encoding="utf-8"))
    model = whole.get("model") or {}
    if model.get("type") != "BPE":
        raise UnsupportedError(f"{path.name}: want BPE, got {model.get('type')!r}", "")
    special = {token["content"]: token["id"] for token in whole["added_tokens"]}
    if max(special.values(), default=0) >= size:
        raise UnsupportedError(f"{path.name}: want special tokens below {size}, "
                               f"got {max(special.values())}", "")
    vocab = {token: i for token, i in model["vocab"].items() if i < size}
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    model["merges"] = [pair for pair in pairs
                       if pair[0] in vocab and pair[1] in vocab and "".join(pair) in vocab]
    taken = {*vocab.values(), *special.values()}
    model["vocab"] = vocab | {f"<|unused {i}|>": i for i in range(size) if i not in taken}
    path.write_text(dump_json(whole), encoding="utf-8", newline="\n")


def write_files(files: dict[str, Any], out: Path) -> None:
    """Writes the files of gguf_files."""
    for name, value in files.items():
        text = value if isinstance(value, str) else dump_json(value)
        (out / name).write_text(text, encoding="utf-8", newline="\n")


def dump_json(value: Any) -> str:
    """JSON as transformers writes it: indented, unescaped, with a final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
