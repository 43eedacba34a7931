"""Small graphs that end in each way in which decoders make their logits: testdata/heads/.

An embedding and a head, without attention: what precedes the head does not matter to a rewrite of
the graph. tiny.py writes them with the other fixtures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VOCAB, HIDDEN, SEED = 24, 16, 20240602
WIDE = 49152  # words of "wide"
# Tokens whose logits are +Inf, NaN and -Inf at one word alone, in "nonfinite".
INF_TOKEN, NAN_TOKEN, RULED_OUT_TOKEN = 9, 10, 11


class Graph:
    """A graph in the making; `node` returns the name of its output."""

    def __init__(self, opset: int = 18) -> None:
        rng = np.random.default_rng(SEED)
        self.opset = opset
        self.embedding = rng.standard_normal((VOCAB, HIDDEN)).astype(np.float32)
        self.head = rng.standard_normal((HIDDEN, VOCAB)).astype(np.float32)
        self.bias = rng.standard_normal(VOCAB).astype(np.float32)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}
        self.outputs: list[onnx.ValueInfoProto] = []

    def weight(self, name: str, values: np.ndarray) -> str:
        self.weights[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attributes) -> str:
        out = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, domain=domain,
                                           **attributes))
        return out

    def constant(self, value: float) -> str:
        return self.node("Constant", value=numpy_helper.from_array(np.array(value, np.float32)))

    def hidden(self) -> str:
        return self.node("Gather", self.weight("embedding", self.embedding), "input_ids")

    def save(self, path: Path, logits: str, vocab: int = VOCAB) -> None:
        self.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "head", [value("input_ids", TensorProto.INT64, ["batch", "sequence"])],
            [value("logits", TensorProto.FLOAT, ["batch", "sequence", vocab]), *self.outputs],
            list(self.weights.values()))
        model = helper.make_model(graph, producer_name="ortscore", ir_version=9, opset_imports=[
            helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)])
        path.write_bytes(model.SerializeToString(deterministic=True))


def matmul(g: Graph) -> str:
    return g.node("MatMul", g.hidden(), g.weight("head", g.head))


def tied(g: Graph) -> str:
    hidden = g.hidden()
    return g.node("MatMul", hidden, g.node("Transpose", "embedding", perm=[1, 0]))


def bias(g: Graph) -> str:
    return g.node("Add", g.weight("bias", g.bias), matmul(g))


def gemm(g: Graph) -> str:
    flat = g.node("Reshape", g.hidden(), g.weight("rows", np.array([-1, HIDDEN])))
    logits = g.node("Gemm", flat, g.weight("head", np.ascontiguousarray(g.head.T)),
                    g.weight("bias", g.bias), transB=1)
    shape = g.node("Concat", g.node("Shape", "input_ids"), g.weight("v", np.array([VOCAB])), axis=0)
    return g.node("Reshape", logits, shape)


def matmul_nbits(g: Graph) -> str:
    rng = np.random.default_rng(SEED)
    packed = rng.integers(0, 256, (VOCAB, 1, HIDDEN // 2), dtype=np.uint8)
    scales = (0.1 + 0.1 * rng.random(VOCAB)).astype(np.float32)
    return g.node("MatMulNBits", g.hidden(), g.weight("head", packed), g.weight("scales", scales),
                  domain="com.microsoft", K=HIDDEN, N=VOCAB, bits=4, block_size=HIDDEN)


def dequantized(g: Graph) -> str:
    rng = np.random.default_rng(SEED)
    quantized = rng.integers(-128, 128, (HIDDEN, VOCAB), dtype=np.int8)
    hidden = g.hidden()
    head = g.node("DequantizeLinear", g.weight("head", quantized),
                  g.weight("scales", np.full(VOCAB, 0.01, np.float32)),
                  g.weight("zeros", np.zeros(VOCAB, np.int8)), axis=1)
    return g.node("MatMul", hidden, head)


def scaled(g: Graph) -> str:
    return g.node("Div", g.node("Mul", g.constant(0.125), matmul(g)),
                  g.weight("scale", np.array([0.5], np.float32)))


def soft_capped(g: Graph) -> str:
    squashed = g.node("Tanh", g.node("Div", matmul(g), g.constant(3.0)))
    return g.node("Mul", squashed, g.constant(3.0))


def cast(g: Graph) -> str:
    hidden = g.node("Cast", g.hidden(), to=TensorProto.FLOAT16)
    logits = g.node("MatMul", hidden, g.weight("head", g.head.astype(np.float16)))
    return g.node("Cast", logits, to=TensorProto.FLOAT)


def nonfinite(g: Graph) -> str:
    """Weights so large that single logits of three tokens overflow."""
    g.embedding[[INF_TOKEN, NAN_TOKEN, RULED_OUT_TOKEN]] = 0
    g.head[:4] = 0
    g.embedding[INF_TOKEN, 0], g.head[0, 3] = 3e38, 10
    g.embedding[NAN_TOKEN, 1:3], g.head[1:3, 4] = 3e38, [10, -10]
    g.embedding[RULED_OUT_TOKEN, 3], g.head[3, 5] = 3e38, -10
    return matmul(g)


def equals(g: Graph) -> str:
    """Every word has the logits of others, so that the largest stands several times."""
    g.head = g.head[:, np.arange(VOCAB) % 5]
    return matmul(g)


def softmax(g: Graph) -> str:
    """Not logits at all, and no head that is known."""
    return g.node("LogSoftmax", matmul(g), axis=-1)


def dynamic(g: Graph) -> str:
    """The hidden states quantised as a whole: a position's logits depend on the others'."""
    hidden = g.hidden()
    g.nodes.append(helper.make_node("DynamicQuantizeLinear", [hidden], ["q", "scale", "zero"]))
    quantized = g.weight("head", np.clip(np.round(g.head * 40), -127, 127).astype(np.int8))
    product = g.node("MatMulInteger", "q", quantized, "zero")
    return g.node("Mul", g.node("Cast", product, to=TensorProto.FLOAT), "scale")


def shared(g: Graph) -> str:
    """The logits are read by another node as well."""
    logits = matmul(g)
    best = g.node("ArgMax", logits, axis=-1)
    g.outputs.append(helper.make_tensor_value_info(best, TensorProto.INT64,
                                                   ["batch", "sequence", 1]))
    return logits


def four_dimensions(g: Graph) -> str:
    """Hidden states [1, B, T, H], which the names of operators alone do not tell."""
    hidden = g.node("Unsqueeze", g.hidden(), g.weight("axes", np.array([0])))
    logits = g.node("MatMul", hidden, g.weight("head", g.head))
    shape = g.node("Concat", g.node("Shape", "input_ids"), g.weight("v", np.array([VOCAB])), axis=0)
    return g.node("Reshape", logits, shape)


def wide(g: Graph) -> str:
    """49,152 words, their weights made of waves; logits are spread by about 4."""
    hidden = g.node("Mul", g.hidden(), g.constant(1.4))
    words = g.node("Range", g.weight("first", np.float32(0)), g.weight("end", np.float32(WIDE)),
                   g.weight("step", np.float32(1)))
    waves = np.linspace(0.7, 2.9, HIDDEN, dtype=np.float32)[:, None]
    head = g.node("Sin", g.node("Mul", g.weight("waves", waves), words))
    return g.node("MatMul", hidden, head)


HEADS: dict[str, Callable[[Graph], str]] = {
    "matmul": matmul, "tied": tied, "bias": bias, "gemm": gemm, "matmulnbits": matmul_nbits,
    "dequantized": dequantized, "scaled": scaled, "softcapped": soft_capped, "cast": cast,
    "nonfinite": nonfinite, "equals": equals, "softmax": softmax, "dynamic": dynamic,
    "shared": shared, "fourdimensions": four_dimensions}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, end in HEADS.items():
        graph = Graph()
        graph.save(folder / f"{name}.onnx", end(graph))
    large = Graph()
    large.save(folder / "wide.onnx", wide(large), WIDE)
    old = Graph(opset=10)
    old.save(folder / "opset10.onnx", matmul(old))
