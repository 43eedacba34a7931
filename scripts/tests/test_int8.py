"""Int8 exports: near to fp32, whatever is beside a row, and balanced by a right forward."""

import numpy as np
import onnx
import pytest

from helpers import FAMILIES, Model, right_padded, write_hf
from ortexport.calibrate import FURTHEST, Forward, balance, random_ids
from ortexport.checkpoint import open_checkpoint, read
from ortexport.decoder import EMBED, HEAD, NORM
from ortexport.errors import ExportError
from ortexport.export import Options, export
from ortexport.int8 import block_size, hadamard, quantise
from ortexport.smooth import Smoothed

IDS = np.random.RandomState(1).randint(0, 64, (3, 20))


def exported(folder, source, **options):
    export(source, folder, Options(**options))
    return Model(folder)


@pytest.mark.parametrize("attention", ["gqa", "explicit"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_logits_are_near_those_of_fp32(tmp_path, family, attention):
    if attention == "gqa" and family == "llama-default-head":
        pytest.skip("a head of 32 and one head: the explicit form is enough")
    source = write_hf(tmp_path / "hf", family)
    want = exported(tmp_path / "fp32", source, attention=attention).run(IDS)[0]
    got = exported(tmp_path / "int8", source, attention=attention, dtype="int8").run(IDS)[0]
    error = np.sqrt(np.square(got - want).mean() / want.var())
    print(f"{family}, {attention}: {error:.4f} of the logits' spread, largest difference "
          f"{np.abs(got - want).max():.3f}")
    assert 0 < error < 0.06


def test_rows_do_not_depend_on_their_neighbours(tmp_path):
    model = exported(tmp_path / "int8", write_hf(tmp_path / "hf"), dtype="int8")
    rows = [list(IDS[0, :7]), list(IDS[1, :20]), list(IDS[2, :13])]
    together = model.run(*right_padded(rows))[0]
    for row, logits in zip(rows, together, strict=True):
        np.testing.assert_allclose(logits[:len(row)], model.run([row])[0][0], atol=1e-4)


def test_a_token_of_zeros_stays_finite(tmp_path):
    source = write_hf(tmp_path / "hf")
    tensors = {name: read(open_checkpoint(source), name)
               for name in open_checkpoint(source).shapes()}
    tensors[EMBED][5] = 0
    for i in range(2):
        tensors[f"model.layers.{i}.self_attn.v_proj.weight"][:] = 0
    source = write_hf(tmp_path / "zeros", tensors=tensors)
    assert np.isfinite(exported(tmp_path / "int8", source, dtype="int8").run([[5, 5, 9]])[0]).all()


def test_two_exports_are_the_same(tmp_path):
    source = write_hf(tmp_path / "hf", "qwen3")
    for name in ("a", "b"):
        exported(tmp_path / name, source, dtype="int8")
    for file in ("model.onnx", "model.onnx.data"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_layers_are_int8_and_the_rest_is_not(tmp_path):
    exported(tmp_path / "int8", write_hf(tmp_path / "hf"), dtype="int8")
    graph = onnx.load(tmp_path / "int8/model.onnx", load_external_data=False).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(layers) == 2 * 7
    assert all(types[node.input[1]] == onnx.TensorProto.INT8 for node in layers)
    assert types[EMBED] == onnx.TensorProto.FLOAT
    assert sum(node.op_type == "QuantizeLinear" for node in graph.node) == 2 * 4


def test_a_weight_that_is_not_finite_is_refused(tmp_path):
    source = write_hf(tmp_path / "hf")
    tensors = {name: read(open_checkpoint(source), name)
               for name in open_checkpoint(source).shapes()}
    tensors["model.layers.1.mlp.down_proj.weight"][3, 4] = np.nan
    with pytest.raises(ExportError, match="not finite"):
        exported(tmp_path / "int8", write_hf(tmp_path / "nan", tensors=tensors), dtype="int8")


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_forward_is_that_of_the_graph(tmp_path, family):
    source = write_hf(tmp_path / "hf", family)
    checkpoint = open_checkpoint(source)
    forward = Forward(checkpoint, IDS)
    for i in range(checkpoint.config.num_layers):
        forward.layer(i)
    head = read(checkpoint, EMBED if checkpoint.config.tied else HEAD)
    want = exported(tmp_path / "fp32", source, attention="explicit").run(IDS)[0]
    np.testing.assert_allclose(forward.norm(forward.hidden, NORM) @ head.T, want, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "llama-biases", "qwen3"])
def test_smoothing_changes_no_hidden_state(tmp_path, family):
    checkpoint = open_checkpoint(write_hf(tmp_path / "hf", family))
    plain, smooth = Forward(checkpoint, IDS), Forward(Smoothed(checkpoint), IDS)
    for i in range(2):
        plain.layer(i)
        smooth.layer(i)
    np.testing.assert_allclose(smooth.hidden, plain.hidden, atol=1e-4)
    down = "model.layers.0.mlp.down_proj.weight"
    assert np.abs(read(Smoothed(checkpoint), down) - read(checkpoint, down)).max() > 0.01


def test_balance():
    values = np.array([[4.0, 1.0, 0.0, 1e9], [4.0, -1.0, 0.0, 1e9]])
    scale = balance(values, np.array([1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(scale[:2], [2, 1])
    assert scale[2] == np.median(scale), "a channel without a value is left with the others"
    assert scale[3] == scale[2] * 2 ** FURTHEST
    np.testing.assert_array_equal(balance(np.zeros((2, 3)), np.ones(3)), 1)


def test_random_ids_do_not_leave_a_short_context(tmp_path):
    checkpoint = open_checkpoint(write_hf(tmp_path / "hf", max_position_embeddings=16))
    assert random_ids(checkpoint).shape[1] == 16


@pytest.mark.parametrize(("channels", "size"), [(576, 32), (48, 16), (1536, 32), (90, 2), (7, 1)])
def test_hadamard(channels, size):
    assert block_size(channels) == size
    matrix = hadamard(size)
    np.testing.assert_array_equal(matrix @ matrix, size * np.eye(size))


def test_quantise_rounds_the_rotated_weight():
    matrix = np.random.RandomState(0).standard_normal((40, 96)).astype(np.float32)
    matrix[7] = 0
    levels, scales = quantise(matrix)
    assert np.abs(levels.astype(int)).max() == 127
    turn = np.kron(np.eye(3), hadamard(32))
    np.testing.assert_allclose(levels * scales[:, None] @ turn, matrix, atol=0.12)
    step = np.abs(levels * scales[:, None] - matrix @ turn / 32)
    assert (step <= scales[:, None] * 0.5001).all()
