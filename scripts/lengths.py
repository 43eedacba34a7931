"""One-layer decoders that count the rows of their mask in different ways: testdata/lengths/.

GroupQueryAttention takes each row's length and the longest. Exporters make both of the attention
mask, each in its own way; ortscore tells the operator the lengths and feeds no mask. In the last
two graphs something else reads the mask, or what was counted, so that it stays. tiny.py writes
them with the other fixtures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
SEED = 12
VOCAB, HIDDEN, HEADS, KV_HEADS, SIZE, CONTEXT = 64, 32, 4, 2, 16, 256
INT32, INT64 = TensorProto.INT32, TensorProto.INT64


class Builder:
    """Collects the nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, inputs: list[str], out: str | None = None, domain: str = "",
           **attributes: object) -> str:
        out = out or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], name=f"{kind}_{len(self.nodes)}",
                                           domain=domain, **attributes))
        return out

    def weight(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def integer(self, value: int | list[int]) -> str:
        array = np.array(value, np.int64)
        return self.weight(f"int64/{array.ndim}/{value}", array)


def genai(b: Builder) -> None:
    """As onnxruntime-genai's model builder has it."""
    one = b.integer([1])
    rows = b.op("Sub", [b.op("ReduceSum", ["attention_mask", one], keepdims=0), one])
    width = b.op("Gather", [b.op("Shape", ["attention_mask"]), b.integer(1)], axis=0)
    b.op("Cast", [rows], "seqlens_k", to=INT32)
    b.op("Cast", [width], "total_sequence_length", to=INT32)


def capture(b: Builder) -> None:
    """As it has it for graph capture: the most that a row has, in place of the mask's width."""
    rows = b.op("ReduceSum", [b.op("Cast", ["attention_mask"], to=INT32), b.integer([1])],
                keepdims=0)
    b.op("Sub", [rows, b.op("Cast", [b.integer([1])], to=INT32)], "seqlens_k")
    b.op("ReduceMax", [rows], "total_sequence_length", keepdims=0)


def kept(b: Builder) -> None:
    """With dimensions kept, a constant that is added, and a slice of the shape."""
    rows = b.op("ReduceSum", ["attention_mask", b.integer([-1])])
    rows = b.op("Squeeze", [b.op("Add", [b.integer([-1]), rows]), b.integer([1])])
    b.op("Cast", [rows], "seqlens_k", to=INT32)
    width = b.op("Slice", [b.op("Shape", ["attention_mask"]), b.integer([1]), b.integer([2])])
    b.op("Cast", [b.op("Squeeze", [width])], "total_sequence_length", to=INT32)


def compared(b: Builder) -> None:
    """The width is compared with a constant too, as longrope does it."""
    genai(b)
    b.op("Cast", [b.op("Greater", ["total_sequence_length", b.op("Cast", [b.integer(1 << 20)],
                                                                 to=INT32)])], "scale", to=1)


def scaled(b: Builder) -> None:
    """The mask is cast for another reader."""
    genai(b)
    mask = b.op("Cast", ["attention_mask"], to=1)
    zero = b.weight("zero", np.zeros(1, np.float32))
    b.op("ReduceMax", [b.op("Mul", [mask, zero])], "scale", keepdims=0)


SPELLINGS = (genai, capture, kept, compared, scaled)


def write(out: Path) -> None:
    """Writes one file for each way."""
    out.mkdir(parents=True, exist_ok=True)
    for spelling in SPELLINGS:
        (out / f"{spelling.__name__}.onnx").write_bytes(
            model(spelling).SerializeToString(deterministic=True))


def model(spelling: Callable[[Builder], None]) -> onnx.ModelProto:
    b, rng = Builder(), np.random.default_rng(SEED)

    def matrix(name: str, rows: int, columns: int) -> str:
        values = rng.standard_normal((rows, columns)) * 1.2 / rows ** 0.5
        return b.weight(name, values.astype(np.float16).astype(np.float32))

    spelling(b)
    embed = matrix("embed", VOCAB, HIDDEN)
    hidden = b.op("Gather", [embed, "input_ids"])
    if any("scale" in node.output for node in b.nodes):
        hidden = b.op("Add", [hidden, "scale"])
    q, k, v = (b.op("MatMul", [hidden, matrix(name, HIDDEN, heads * SIZE)])
               for name, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)))
    angles = np.outer(np.arange(CONTEXT), 50.0 ** -(np.arange(SIZE // 2) / (SIZE // 2)))
    tables = [b.weight(name, turn(angles).astype(np.float32))
              for name, turn in (("cos", np.cos), ("sin", np.sin))]
    past = ["past_key_values.0.key", "past_key_values.0.value"]
    present = ["present.0.key", "present.0.value"]
    b.nodes.append(helper.make_node(
        "GroupQueryAttention", [q, k, v, *past, "seqlens_k", "total_sequence_length", *tables],
        ["attended", *present], name="attention", domain=MICROSOFT, num_heads=HEADS,
        kv_num_heads=KV_HEADS, do_rotary=1))
    mixed = b.op("MatMul", ["attended", matrix("o", HEADS * SIZE, HIDDEN)])
    b.op("MatMul", [b.op("Add", [hidden, mixed]), matrix("head", HIDDEN, VOCAB)], "logits")

    def tensor(name: str, kind: int, *dims: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, dims)

    inputs = [tensor("input_ids", INT64, "batch_size", "sequence_length"),
              tensor("attention_mask", INT64, "batch_size", "total_sequence")]
    inputs += [tensor(name, 1, "batch_size", KV_HEADS, "past", SIZE) for name in past]
    outputs = [tensor("logits", 1, "batch_size", "sequence_length", VOCAB)]
    outputs += [tensor(name, 1, "batch_size", KV_HEADS, "present", SIZE) for name in present]
    graph = helper.make_graph(b.nodes, "lengths", inputs, outputs, list(b.constants.values()))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, producer_name="ortscore", opset_imports=opsets, ir_version=9)
