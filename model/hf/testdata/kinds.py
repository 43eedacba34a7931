"""Writes kinds/*.json: a small tokenizer of every kind that language models have.

    python model/hf/testdata/kinds.py    (needs tokenizers and sentencepiece; written with 0.23.3 and 0.2.3)

Each is trained on the rows of examples/questions.jsonl. sentencepiece only makes the table of a
Precompiled normalizer.
"""

import json
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
ROWS = [json.loads(line) for line in (ROOT / "examples/questions.jsonl").read_text(encoding="utf-8").splitlines()]
TEXT = [text for row in ROWS for text in [row["query"], *row["answers"], *row["pos"], *row["neg"]]] + ["The café of Zoë"]
SIZE = 400
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(pre: pre_tokenizers.PreTokenizer | None = None, normalizer=None) -> Tokenizer:
    t = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre is None or "Digits" in repr(pre))
    t.pre_tokenizer = last if pre is None else pre_tokenizers.Sequence([pre, last])
    if normalizer is not None:
        t.normalizer = normalizer
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return t


def byte_fallback_bpe(normalizer=None, pre=None) -> Tokenizer:
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    if normalizer is not None:
        t.normalizer = normalizer
    if pre is not None:
        t.pre_tokenizer = pre
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    lines = [line.replace(" ", " ▁").split(" ") for line in TEXT] if pre is None else TEXT
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    if pre is not None:
        trained.pre_tokenizer = pre_tokenizers.Metaspace(split=True)
        trained.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=SIZE - 256, special_tokens=SPECIAL, show_progress=False))
    else:
        trained.train_from_iterator([w for words in lines for w in words], trainers.BpeTrainer(
            vocab_size=SIZE - 256, special_tokens=SPECIAL, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    tokens = SPECIAL + BYTES + [w for w in model["vocab"] if w not in SPECIAL]
    t.model = models.BPE(vocab={w: i for i, w in enumerate(tokens)}, merges=[tuple(m) for m in model["merges"]],
                         byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    t.add_special_tokens(SPECIAL)
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


def unigram(byte_fallback=False, normalizer=None, scheme="always") -> Tokenizer:
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=not byte_fallback)
    if normalizer is not None:
        t.normalizer = normalizer
    t.decoder = decoders.Metaspace()
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(TEXT, trainers.UnigramTrainer(
        vocab_size=SIZE - 150, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False))
    vocab = [(w, round(s, 3)) for w, s in json.loads(trained.to_str())["model"]["vocab"]]
    if byte_fallback:
        vocab = vocab[:3] + [(b, 0.0) for b in BYTES] + vocab[3:]
    t.model = models.Unigram(vocab, unk_id=0, byte_fallback=byte_fallback)
    t.add_special_tokens(SPECIAL)
    return t


def charsmap() -> bytes:
    """A table that makes wide letters narrow, ½ three characters and ㍿ four."""
    rules = [(chr(0xFF01 + i), chr(0x21 + i)) for i in range(94)] + [("½", "1⁄2"), ("㍿", "株式会社"), ("ﬁ", "fi"), ("\u3000", " ")]
    with tempfile.TemporaryDirectory() as d:
        table = Path(d) / "rules.tsv"
        table.write_text("".join(f"{ord(a):X}\t{' '.join(f'{ord(c):X}' for c in b)}\n" for a, b in rules))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT), model_prefix=f"{d}/m", vocab_size=100, hard_vocab_limit=False, normalization_rule_tsv=str(table), minloglevel=2)
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(Path(f"{d}/m.model").read_bytes())
        return proto.normalizer_spec.precompiled_charsmap


def bert() -> Tokenizer:
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(TEXT, trainers.WordPieceTrainer(
        vocab_size=SIZE, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False))
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return t


def word_level() -> Tokenizer:
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(TEXT, trainers.WordLevelTrainer(vocab_size=SIZE, special_tokens=SPECIAL, show_progress=False))
    return t


def main() -> None:
    llama2 = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    kinds = {
        "byte-level": byte_level(),
        "digits": byte_level(pre_tokenizers.Digits(individual_digits=True)),
        "nfc": byte_level(pre_tokenizers.Split(Regex(QWEN), "isolated"), normalizers.NFC()),
        "llama2": byte_fallback_bpe(normalizer=llama2),
        "metaspace": byte_fallback_bpe(pre=pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
        "unigram": unigram(),
        "unigram-bytes": unigram(True, scheme="first"),
        "unigram-nfkc": unigram(True, normalizers.NFKC()),
        "unigram-precompiled": unigram(True, normalizers.Precompiled(charsmap()), scheme="never"),
        "wordpiece": bert(),
        "wordlevel": word_level(),
    }
    for name, tokenizer in kinds.items():
        data = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=True, separators=(",", ":"))
        (HERE / "kinds" / f"{name}.json").write_text(data + "\n", encoding="utf-8")
        print(name, len(data), tokenizer.encode("The café ½ 日本🐝 in 1907").tokens)


if __name__ == "__main__":
    main()
