"""Layers written as one multiply: the same numbers, in fewer nodes."""

import numpy as np
import onnx
import pytest

from export_onnx import main
from helpers import FAMILIES, OLD_WINDOWS, Model, right_padded, write_hf
from ortexport.export import Options, export
from ortexport.writer import transposed_blocks

ROWS = [[5, 9, 2, 61, 17, 33, 8, 40, 21, 13, 6], [61, 17, 33, 8], [5]]


def exported(tmp_path, source, pack, **options):
    export(source, tmp_path / pack, Options(pack=pack, **options))
    return Model(tmp_path / pack)


def kinds(folder):
    """How many nodes of each kind a layer of an exported model of two layers has."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    names = [node.op_type for node in model.graph.node if "/layers.1/" in node.name]
    return {kind: names.count(kind) for kind in ("MatMul", "MatMulIntegerToFloat", "Add", "Split")}


def outputs(model):
    """Logits of a prompt and of a step after it."""
    ids, mask = right_padded(ROWS)
    prompt, past = model.run(ids, mask)
    step, _ = model.run([[7], [8], [9]], np.hstack([mask, np.ones((3, 1), np.int64)]), past)
    return [row[:len(tokens)] for row, tokens in zip(prompt, ROWS, strict=True)] + [step]


@pytest.mark.parametrize("attention", ["gqa", "explicit"])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_forms_agree(tmp_path, family, attention):
    if OLD_WINDOWS and "window" in family:
        pytest.skip("this ONNX Runtime counts windows otherwise")
    source = write_hf(tmp_path / "hf", family)
    want = outputs(exported(tmp_path, source, "none", attention=attention))
    for pack in ("qkv", "all"):
        got = outputs(exported(tmp_path, source, pack, attention=attention))
        for a, b in zip(want, got, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("dtype", ["fp16", "int8"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_packed_types_agree(tmp_path, family, dtype):
    source = write_hf(tmp_path / "hf", family)
    want = outputs(exported(tmp_path, source, "none", dtype=dtype))
    for pack in ("qkv", "all"):
        for a, b in zip(want, outputs(exported(tmp_path, source, pack, dtype=dtype)), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-2 if dtype == "fp16" else 1e-5)


@pytest.mark.parametrize(("family", "attention", "pack", "multiplies", "splits"), [
    ("llama", "gqa", "none", 7, 0), ("llama", "gqa", "qkv", 5, 0), ("llama", "gqa", "all", 4, 1),
    # What stands between the multiply and the attention wants three tensors.
    ("qwen3", "gqa", "qkv", 7, 0), ("qwen3", "gqa", "all", 4, 2),
    # Two multiplies and two Splits of the attention itself.
    ("llama", "explicit", "none", 9, 2), ("llama", "explicit", "qkv", 9, 2),
    ("llama", "explicit", "all", 6, 4)])
def test_a_packed_layer_has_fewer_multiplies(tmp_path, family, attention, pack, multiplies,
                                             splits):
    exported(tmp_path, write_hf(tmp_path / "hf", family), pack, attention=attention)
    found = kinds(tmp_path / pack)
    assert (found["MatMul"], found["Split"]) == (multiplies, splits)


def test_biases_are_added_once(tmp_path):
    exported(tmp_path, write_hf(tmp_path / "hf", "llama-biases"), "all")
    assert kinds(tmp_path / "all")["Add"] == 4


def test_a_packed_int8_layer_has_fewer_multiplies(tmp_path):
    exported(tmp_path, write_hf(tmp_path / "hf"), "qkv", dtype="int8")
    assert kinds(tmp_path / "qkv")["MatMulIntegerToFloat"] == 5


def test_attention_takes_one_tensor(tmp_path):
    exported(tmp_path, write_hf(tmp_path / "hf"), "qkv")
    model = onnx.load(tmp_path / "qkv/model.onnx", load_external_data=False)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    for i, node in enumerate(n for n in model.graph.node if n.op_type == "GroupQueryAttention"):
        assert list(node.input[1:3]) == ["", ""]
        assert shapes[f"model.layers.{i}.attn.qkv_proj.MatMul.weight"] == [32, 128]


@pytest.mark.parametrize(("arguments", "multiplies"), [
    ([], 7), (["--dtype", "fp16"], 5), (["--dtype", "fp16", "--pack", "none"], 7),
    (["--pack", "all"], 4), (["--dtype", "fp16", "--attention", "explicit"], 9)])
def test_fp16_is_packed_by_default(tmp_path, arguments, multiplies):
    source = write_hf(tmp_path / "hf")
    assert main([str(source), str(tmp_path / "out"), *arguments]) == 0
    assert kinds(tmp_path / "out")["MatMul"] == multiplies


def test_blocks_lie_side_by_side():
    matrices = [np.arange(12.0).reshape(4, 3), np.arange(20.0, 26.0).reshape(2, 3)]
    want = np.vstack(matrices).T
    for block_bytes in (1, 100, 1 << 20):
        got = list(transposed_blocks(matrices, block_bytes))
        np.testing.assert_array_equal(np.vstack(got), want)
        assert len(got) == {1: 3, 100: 2}.get(block_bytes, 1)
