"""Writes the fixtures under testdata/: seeded 2-layer Llama models, heads and small tokenizers.

    python scripts/tiny.py [--out testdata] [--checkpoint DIR]

Everything goes through the exporter, so the fixtures test it too. Two runs give the same bytes
(scripts/tests/test_tiny.py holds the committed files to that). --checkpoint DIR writes only
the Hugging Face folder the models come from, for golden.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import attentions
import batchwide
import heads
import lengths
from ortexport import export as exporter
from ortexport.tokenizer import bos_eos_template, dump_json

SEED = 20240601
VOCAB = 512
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    # Not the default of 10,000: whoever loses it gets other scores.
    "rope_parameters": {"rope_type": "default", "rope_theta": 50000.0},
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
SPECIAL = ["<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
NAN_TOKEN = "~"

CORPUS = """\
Knowledge: The lighthouse on the northern cape was built of grey stone by local masons.
Question: Who built the lighthouse on the northern cape?
Answer: the local masons
Speaker 1: Have you ever seen the sea in winter?
Speaker 2: Yes, when I was a child we went to the coast every year.
The question is which of the passages helps the model to answer the question.
A river carries water from the mountains through the valley to the sea.
Bread is made of flour, water, salt and yeast, and it is baked in a hot oven.
The teacher asked the students to read the first chapter before the next lesson.
In the evening the train stops at every station between the harbour and the old town.
There are many ways to measure how well a text answers a question.
She wrote that the weather would be colder in the morning than in the afternoon.
They thought about what they had learned, and then they started over again.
"""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tiny", description="write the test fixtures")
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--out", type=Path, default=root / "testdata", metavar="DIR")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR",
                        help="write only the hugging face folder")
    args = parser.parse_args(argv)
    if args.checkpoint:
        write_checkpoint(args.checkpoint)
    else:
        write_fixtures(args.out)
    return 0


def write_fixtures(out: Path) -> None:
    """Writes every fixture folder under `out`, replacing those that are there."""
    with tempfile.TemporaryDirectory() as temp:
        plain, with_nan = Path(temp) / "plain", Path(temp) / "nan"
        write_checkpoint(plain)
        write_checkpoint(with_nan, nan=True)

        def write(name: str, source: Path = plain, **options: Any) -> Path:
            folder = out / name
            exporter.export(source, folder, exporter.Options(force=True, **options))
            return folder

        write("tiny-gqa")
        write("tiny-gqa-fp16", dtype="fp16")
        write("tiny-packed", pack="all")
        write("tiny-int8", dtype="int8")
        write("tiny-explicit", attention="explicit")
        write("tiny-nan", with_nan)
        edit(write("tiny-bf16logits"), round_logits)
        edit(write("tiny-lastlogits"), keep_last_logits)
        edit(write("tiny-numlogits", attention="explicit"), add_num_logits_to_keep)
        edit(write("tiny-rawnames", attention="explicit", use_cache=False), use_raw_names)
        edit(write("tiny-badcache"), exchange_keys)
        edit(write("tiny-badcache-explicit", attention="explicit"), exchange_keys)
    heads.write(out / "heads")
    lengths.write(out / "lengths")
    attentions.write(out / "attentions", out / "tiny-gqa")
    batchwide.write(out / "batchwide", *(out / name for name in (
        "tiny-explicit", "tiny-gqa", "tiny-gqa-fp16")))
    base = json.loads(byte_level_tokenizer())
    write_text(out / "tokenizers/bos-eos/tokenizer.json", dump_json(
        base | {"post_processor": bos_eos_template(("<|bos|>", 0), ("<|eos|>", 1))}))
    write_text(out / "tokenizers/metaspace/tokenizer.json", dump_json(metaspace_tokenizer()))


def write_checkpoint(folder: Path, nan: bool = False) -> None:
    """Writes a Hugging Face folder: config, safetensors and tokenizer.

    With `nan` the embedding of "~" is NaN, and so are all logits of a sequence that holds it
    (at its position and after, and before it too wherever a masked key is multiplied by 0).
    The head is untied then, or the logit of "~" would be NaN in every sequence.
    """
    tensors = weights()
    config = dict(CONFIG)
    tokenizer = byte_level_tokenizer()
    if nan:
        config["tie_word_embeddings"] = False
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
        row = json.loads(tokenizer)["model"]["vocab"][NAN_TOKEN]
        tensors["model.embed_tokens.weight"][row] = np.nan
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_text(folder / "config.json", dump_json(config))
    write_text(folder / "tokenizer.json", tokenizer)
    write_text(folder / "generation_config.json", dump_json(
        {"bos_token_id": 0, "eos_token_id": [1, 3], "pad_token_id": 1}))
    write_text(folder / "chat_template.jinja", CHAT_TEMPLATE)
    write_text(folder / "tokenizer_config.json", dump_json({
        "bos_token": "<|bos|>", "eos_token": "<|eos|>", "pad_token": "<|eos|>",
        "add_bos_token": False, "add_eos_token": False, "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False, "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast"}))


def weights() -> dict[str, np.ndarray]:
    """The seeded weights, float32 by Hugging Face name.

    They are scaled so that log-probabilities spread over several nats, and rounded to fp16, so
    that the fp16 fixture holds the same numbers.
    """
    rng = np.random.default_rng(SEED)
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    q_size = CONFIG["num_attention_heads"] * CONFIG["head_dim"]
    kv_size = CONFIG["num_key_value_heads"] * CONFIG["head_dim"]

    def matrix(rows: int, columns: int, scale: float) -> np.ndarray:
        values = rng.standard_normal((rows, columns)) * scale
        return values.astype(np.float16).astype(np.float32)

    def norm() -> np.ndarray:
        return (1 + 0.2 * rng.standard_normal(hidden)).astype(np.float16).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(VOCAB, hidden, 0.5)}
    shapes = {"self_attn.q_proj": (q_size, hidden), "self_attn.k_proj": (kv_size, hidden),
              "self_attn.v_proj": (kv_size, hidden), "self_attn.o_proj": (hidden, q_size),
              "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
              "mlp.down_proj": (hidden, inner)}
    for i in range(CONFIG["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for name, (rows, columns) in shapes.items():
            tensors[f"{at}{name}.weight"] = matrix(rows, columns, 1.2 / columns ** 0.5)
        tensors[f"{at}input_layernorm.weight"] = norm()
        tensors[f"{at}post_attention_layernorm.weight"] = norm()
    tensors["model.norm.weight"] = norm()
    return tensors


def byte_level_tokenizer() -> str:
    """tokenizer.json: digits one by one, byte-level BPE, no BOS; the special tokens come first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS.splitlines(keepends=True), trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return tokenizer.to_str(pretty=True) + "\n"


def metaspace_tokenizer() -> dict[str, Any]:
    """tokenizer.json in the style of Llama 2: spaces as "▁", unknown bytes as <0xNN>, BOS."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(CORPUS.splitlines(), trainers.BpeTrainer(
        vocab_size=160, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)),
              *sorted(model["vocab"], key=model["vocab"].get)]
    tokenizer = Tokenizer(models.BPE(
        vocab={piece: i for i, piece in enumerate(pieces)},
        merges=[tuple(pair) for pair in model["merges"]],
        unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.add_special_tokens(pieces[:3])
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    value = json.loads(tokenizer.to_str())
    return value | {"post_processor": bos_eos_template(("<s>", 1), None)}


def edit(folder: Path, change: Any) -> None:
    """Applies `change` to the graph in place; the external data stays as it is."""
    path = folder / "model.onnx"
    model = onnx.load(path, load_external_data=False)
    change(model.graph)
    path.write_bytes(model.SerializeToString(deterministic=True))


def lm_head(graph: onnx.GraphProto) -> onnx.NodeProto:
    return next(node for node in graph.node if "logits" in node.output)


def add_constants(graph: onnx.GraphProto, **values: Any) -> None:
    for name, value in values.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))


def slice_hidden(graph: onnx.GraphProto, starts: str) -> None:
    """Puts Slice(hidden, starts, end, axis 1) before the head; hidden is [batch, seq, hidden]."""
    head = lm_head(graph)
    add_constants(graph, slice_ends=[2**63 - 1], slice_axes=[1])
    node = helper.make_node("Slice", [head.input[0], starts, "slice_ends", "slice_axes"],
                            ["/model/kept_hidden"], name="/model/Slice")
    head.input[0] = "/model/kept_hidden"
    graph.node.insert(list(graph.node).index(head), node)


def keep_last_logits(graph: onnx.GraphProto) -> None:
    """Logits of the last position only, [batch, 1, vocab], as genai's prune_lm_head writes."""
    add_constants(graph, slice_starts=[-1])
    slice_hidden(graph, "slice_starts")
    logits = next(value for value in graph.output if value.name == "logits")
    logits.type.tensor_type.shape.dim[1].dim_value = 1


def round_logits(graph: onnx.GraphProto) -> None:
    """Logits in bfloat16, as graphs of bf16 models may give them; the rest stays float32."""
    head = lm_head(graph)
    head.output[0] = "/lm_head/float"
    graph.node.append(helper.make_node("Cast", ["/lm_head/float"], ["logits"],
                                       name="/lm_head/Cast", to=onnx.TensorProto.BFLOAT16))
    logits = next(value for value in graph.output if value.name == "logits")
    logits.type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16


def add_num_logits_to_keep(graph: onnx.GraphProto) -> None:
    """The scalar input of transformers.js exports: the last n positions, or all for 0."""
    graph.input.append(helper.make_tensor_value_info(
        "num_logits_to_keep", onnx.TensorProto.INT64, []))
    # A start of -n counts from the end, and -0 is the beginning: no branch needed.
    add_constants(graph, slice_shape=[1])
    nodes = [helper.make_node("Neg", ["num_logits_to_keep"], ["/model/negated"]),
             helper.make_node("Reshape", ["/model/negated", "slice_shape"], ["/model/starts"])]
    slice_hidden(graph, "/model/starts")
    for i, node in enumerate(nodes):
        graph.node.insert(i, node)
    logits = next(value for value in graph.output if value.name == "logits")
    logits.type.tensor_type.shape.dim[1].dim_param = "num_logits"


def use_raw_names(graph: onnx.GraphProto) -> None:
    """Names nobody agreed on, as a bare torch.onnx.export gives them."""
    names = {"input_ids": "tokens", "attention_mask": "mask", "logits": "output"}
    for value in [*graph.input, *graph.output]:
        value.name = names[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = "s0"
        value.type.tensor_type.shape.dim[1].dim_param = "s1"
    rename(graph, names)


def rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """New names for what nodes read and write; the graph's inputs and outputs keep theirs."""
    for node in graph.node:
        for values in (node.input, node.output):
            for i, value in enumerate(values):
                values[i] = names.get(value, value)


def exchange_keys(graph: onnx.GraphProto) -> None:
    """The keys of the two layers given out under each other's names: a cache that lies.

    The outputs keep their order and shapes, and without a past the logits are the plain model's.
    """
    rename(graph, {"present.0.key": "present.1.key", "present.1.key": "present.0.key"})


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
