"""The models of the rehearsal: two layers with heads of a real size, some MB each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from safetensors.numpy import save_file

from ortexport.config import config_from_hf
from ortexport.decoder import expected_shapes
from ortexport.export import Options, export

# Which attention kernel runs goes by the head's size and by the query heads of a key head:
# both are those of Llama 3 here.
SHAPE = {"vocab_size": 4096, "hidden_size": 256, "intermediate_size": 384,
         "num_hidden_layers": 2, "head_dim": 128, "num_attention_heads": 4,
         "num_key_value_heads": 1, "max_position_embeddings": 2048}
TOKENIZER = Path(__file__).resolve().parents[2] / "testdata/tiny-gqa"
FORMS = {"gqa-fp16": {"dtype": "fp16"},
         "gqa-fp32": {},
         "explicit-fp16": {"dtype": "fp16", "attention": "explicit"},
         "explicit-fp32": {"attention": "explicit"}}
BLOCK = 32  # weights that share a scale in int4


def make(out: Path) -> dict[str, Path]:
    """The folders of all models under `out`, by name."""
    checkpoint(out / "checkpoint")
    for name, options in FORMS.items():
        export(out / "checkpoint", out / name, Options(force=True, **options))
    shutil.copytree(out / "gqa-fp16", out / "gqa-int4", dirs_exist_ok=True)
    to_int4(out / "gqa-int4" / "model.onnx")
    outside = out / "gqa-fp16-rotation-outside"
    shutil.copytree(out / "gqa-fp16", outside, dirs_exist_ok=True)
    rotate_outside(outside / "model.onnx")
    return {path.parent.name: path.parent for path in sorted(out.glob("*/model.onnx"))}


def checkpoint(folder: Path) -> None:
    """A Hugging Face folder with random weights, which nothing computes with."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in TOKENIZER.iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copy(file, folder)
    config = json.loads((TOKENIZER / "config.json").read_text()) | SHAPE
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words |= {f"unused {i}": i for i in range(len(words), config["vocab_size"])}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    rng = np.random.default_rng(0)
    save_file({name: (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32)
               for name, shape in expected_shapes(config_from_hf(config)).items()},
              folder / "model.safetensors")


def to_int4(path: Path) -> None:
    """Makes each multiply by a weight a MatMulNBits, as genai's int4 exports have them."""
    model = onnx.load(path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            continue
        name = node.input[1]
        matrix = numpy_helper.to_array(weights.pop(name)).astype(np.float32).T  # [N, K]
        n, k = matrix.shape
        blocks = matrix.reshape(n, k // BLOCK, BLOCK)
        scales = np.abs(blocks).max(-1) / 7
        codes = (np.round(blocks / scales[..., None]) + 8).astype(np.uint8)
        weights[name + "_q"] = numpy_helper.from_array(
            codes[..., ::2] | codes[..., 1::2] << 4, name + "_q")
        weights[name + "_s"] = numpy_helper.from_array(scales.astype(np.float16), name + "_s")
        node.CopyFrom(helper.make_node(
            "MatMulNBits", [node.input[0], name + "_q", name + "_s"], node.output, name=node.name,
            domain="com.microsoft", K=k, N=n, bits=4, block_size=BLOCK))
    save(model, list(weights.values()), path)


def rotate_outside(path: Path) -> None:
    """Takes the rotation out of GroupQueryAttention, as genai's DirectML exports have it."""
    model = onnx.load(path)
    nodes = []
    for node in model.graph.node:
        if node.op_type == "GroupQueryAttention":
            cos, sin = node.input[7:9]
            for i in (0, 1):
                rotated = f"{node.name}/rotated.{i}"
                nodes.append(helper.make_node(
                    "RotaryEmbedding", [node.input[i], "position_ids", cos, sin], [rotated],
                    name=rotated, domain="com.microsoft"))
                node.input[i] = rotated
            del node.input[7:]
            for attribute in node.attribute:
                if attribute.name == "do_rotary":
                    attribute.i = 0
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(helper.make_tensor_value_info(
        "position_ids", onnx.TensorProto.INT64, ["batch_size", "sequence_length"]))
    save(model, list(model.graph.initializer), path)


def save(model: onnx.ModelProto, weights: list[onnx.TensorProto], path: Path) -> None:
    """Writes the model in one file, with these weights."""
    weights = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in weights]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    onnx.save_model(model, path)
    path.with_name("model.onnx.data").unlink(missing_ok=True)
