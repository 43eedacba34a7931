"""The tiny model with GroupQueryAttention in the ways of other exporters: testdata/attentions/.

onnxruntime-genai's model builder packs query, key and value into one tensor, turns neighbours
together, or rotates outside of the operator, by position_ids. tiny.py writes them with the other
fixtures.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

MICROSOFT = "com.microsoft"


def write(out: Path, tiny: Path) -> None:
    """Writes one file for each way, made of the GroupQueryAttention graph in `tiny`."""
    out.mkdir(parents=True, exist_ok=True)
    for change in (packed, interleaved, positions):
        model = onnx.load(tiny / "model.onnx")
        change(model.graph)
        (out / f"{change.__name__}.onnx").write_bytes(
            model.SerializeToString(deterministic=True))


def attentions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type == "GroupQueryAttention"]


def before(graph: onnx.GraphProto, node: onnx.NodeProto, new: onnx.NodeProto) -> str:
    graph.node.insert(list(graph.node).index(node), new)
    return new.output[0]


def packed(graph: onnx.GraphProto) -> None:
    """[B, T, (heads + 2 kv_heads) head_dim] goes in."""
    for i, node in enumerate(attentions(graph)):
        name = f"/model/layers.{i}/attn/qkv_packed"
        node.input[0] = before(graph, node, helper.make_node(
            "Concat", list(node.input[:3]), [name], name=name, axis=2))
        node.input[1] = node.input[2] = ""


def interleaved(graph: onnx.GraphProto) -> None:
    """Neighbours of a head's numbers turn together."""
    for node in attentions(graph):
        for attribute in node.attribute:
            if attribute.name == "rotary_interleaved":
                attribute.i = 1


def positions(graph: onnx.GraphProto) -> None:
    """position_ids turn query and key before the operator."""
    graph.input.append(helper.make_tensor_value_info(
        "position_ids", TensorProto.INT64, ["batch_size", "sequence_length"]))
    for i, node in enumerate(attentions(graph)):
        for place, heads in ((0, "num_heads"), (1, "kv_num_heads")):
            name = f"/model/layers.{i}/attn/rotary_{place}"
            count = next(a.i for a in node.attribute if a.name == heads)
            node.input[place] = before(graph, node, helper.make_node(
                "RotaryEmbedding", [node.input[place], "position_ids", *node.input[7:9]], [name],
                name=name, domain=MICROSOFT, num_heads=count))
        del node.input[7:9]
        for attribute in node.attribute:
            if attribute.name == "do_rotary":
                attribute.i = 0
