"""The tiny model where a sequence's numbers depend on more than itself: testdata/batchwide/.

Windows and positions that are counted in columns, one scale of a quantization for the whole batch,
factors chosen by the width of the mask, padding that counts, 16 bits behind logits of 32, and
tokens that see what follows them. tiny.py writes them with the other fixtures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WINDOW = 8
BREAK = 40  # tokens beyond which "longrope" turns by other angles


def write(out: Path, explicit: Path, gqa: Path, fp16: Path) -> None:
    """Writes one file for each, made of the graph with the attention or the type it needs."""
    out.mkdir(parents=True, exist_ok=True)
    for name, source, changes in (
            ("window", explicit, (window,)),
            ("columns", explicit, (window, columns)),
            ("quantized", explicit, (quantized,)),
            ("longrope", gqa, (longrope,)),
            ("longrope-explicit", explicit, (longrope,)),
            ("padding", explicit, (padding,)),
            ("half", fp16, (half,)),
            ("lengthwise", explicit, (lengthwise,)),
            ("ahead", explicit, (ahead,)),
            ("ahead-quantized", explicit, (ahead, quantized))):
        model = onnx.load(source / "model.onnx")
        for change in changes:
            change(model.graph)
        (out / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def node(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    return next(n for n in graph.node if name in n.output)


def before(graph: onnx.GraphProto, reader: onnx.NodeProto, op: str, *inputs: str,
           outputs: int = 1, **attributes) -> str:
    """Puts a node before the one that will read it, and returns its first output."""
    name = f"batchwide_{len(graph.node)}"
    new = helper.make_node(op, list(inputs), [f"{name}_{i}" for i in range(outputs)], name=name,
                           **attributes)
    graph.node.insert(list(graph.node).index(reader), new)
    return new.output[0]


def constant(graph: onnx.GraphProto, values: np.ndarray) -> str:
    name = f"batchwide_const_{len(graph.initializer)}"
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name


CAUSAL, COLUMNS, QUERIES = ("/model/attn_mask/LessOrEqual/output_0", "/model/rope/Range/output_0",
                            "/model/attn_mask/Unsqueeze/output_0")


def window(graph: onnx.GraphProto) -> None:
    """A token looks at the WINDOW columns that end with its own."""
    both = node(graph, "/model/attn_mask/And/output_0")
    first = before(graph, both, "Sub", QUERIES, constant(graph, np.array([WINDOW])))
    near = before(graph, both, "Greater", COLUMNS, first)
    both.input[1] = before(graph, both, "And", CAUSAL, near)


def columns(graph: onnx.GraphProto) -> None:
    """Positions are columns, and no input."""
    name, rows = "/model/attn_mask/Add/output_0", "batchwide_positions"
    at = next(i for i, n in enumerate(graph.node) if "position_ids" in n.input)
    made: list[onnx.NodeProto] = []

    def move(output: str) -> None:
        for n in graph.node:
            if output in n.output and n not in made:
                for name in n.input:
                    move(name)
                made.append(n)

    move(name)
    for n in made:
        graph.node.remove(n)
    made.append(helper.make_node("Unsqueeze", [name, constant(graph, np.array([0]))], [rows],
                                 name=rows))
    at = min(at, next(i for i, n in enumerate(graph.node) if "position_ids" in n.input))
    for k, n in enumerate(made):
        graph.node.insert(at + k, n)
    for n in graph.node:
        for i, used in enumerate(n.input):
            if used == "position_ids":
                n.input[i] = rows
    graph.input.remove(next(i for i in graph.input if i.name == "position_ids"))


def quantized(graph: onnx.GraphProto) -> None:
    """Each multiply by weights rounds its activations with one scale, as quantize_dynamic does."""
    weights = {t.name: t for t in graph.initializer}
    for n in list(graph.node):
        if n.op_type != "MatMul" or n.input[1] not in weights:
            continue
        values = numpy_helper.to_array(weights[n.input[1]])
        scale = np.float32(np.abs(values).max() / 127)
        integers = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
        graph.initializer.remove(weights[n.input[1]])
        graph.initializer.append(numpy_helper.from_array(integers, n.input[1]))
        x = before(graph, n, "DynamicQuantizeLinear", n.input[0], outputs=3)
        product = before(graph, n, "MatMulInteger", x, n.input[1], f"{x[:-1]}2")
        product = before(graph, n, "Cast", product, to=TensorProto.FLOAT)
        scales = before(graph, n, "Mul", f"{x[:-1]}1", constant(graph, np.array(scale)))
        n.CopyFrom(helper.make_node("Mul", [product, scales], list(n.output), name=n.name))


def longrope(graph: onnx.GraphProto) -> None:
    """Masks wider than BREAK turn by slower angles, as onnxruntime-genai's longrope graphs do."""
    first = graph.node[0]
    size = before(graph, first, "Shape", "attention_mask")
    size = before(graph, first, "Gather", size, constant(graph, np.array(1)), axis=0)
    longer = before(graph, first, "Greater", size, constant(graph, np.array(BREAK)))
    branches: list[onnx.GraphProto] = []
    for branch, speed in (("then", 0.25), ("else", 1.0)):
        outputs, nodes = [], []
        for table in ("cos_cache", "sin_cache"):
            values = numpy_helper.to_array(next(t for t in graph.initializer if t.name == table))
            angles = np.arange(len(values))[:, None] * speed * 50000.0 ** -(
                np.arange(values.shape[1]) / values.shape[1])
            turned = (np.cos if table == "cos_cache" else np.sin)(angles).astype(values.dtype)
            nodes.append(helper.make_node("Constant", [], [f"{table}_{branch}"],
                                          value=numpy_helper.from_array(turned)))
            outputs.append(helper.make_tensor_value_info(f"{table}_{branch}", TensorProto.FLOAT,
                                                         values.shape))
        branches.append(helper.make_graph(nodes, branch, [], outputs))
    for table in ("cos_cache", "sin_cache"):
        graph.initializer.remove(next(t for t in graph.initializer if t.name == table))
    choice = helper.make_node("If", [longer], ["cos_cache", "sin_cache"], name="batchwide_if",
                              then_branch=branches[0], else_branch=branches[1])
    graph.node.insert(list(graph.node).index(first), choice)


def padding(graph: onnx.GraphProto) -> None:
    """Attention is scaled by the share of the batch that is no padding."""
    scale = next(n for n in graph.node if n.op_type == "Mul" and "Mul_8" in n.output[0])
    share = before(graph, scale, "Cast", "attention_mask", to=TensorProto.FLOAT)
    share = before(graph, scale, "ReduceMean", share, keepdims=0)
    scale.input[1] = before(graph, scale, "Mul", share, scale.input[1])


def lengthwise(graph: onnx.GraphProto) -> None:
    """Attention is scaled by the columns of a batch beyond 64, which no comparison tells."""
    scale = next(n for n in graph.node if n.op_type == "Mul" and "Mul_8" in n.output[0])
    size = before(graph, scale, "Cast", "/model/rope/Squeeze/output_0", to=TensorProto.FLOAT)
    size = before(graph, scale, "Max", size, constant(graph, np.array(64, np.float32)))
    size = before(graph, scale, "Div", size, constant(graph, np.array(64, np.float32)))
    scale.input[1] = before(graph, scale, "Mul", size, scale.input[1])


def half(graph: onnx.GraphProto) -> None:
    """Numbers of 16 bits inside, logits of 32, as converters that keep a graph's inputs give."""
    logits = next(o for o in graph.output if o.name == "logits")
    for n in graph.node:
        for i, name in enumerate(n.output):
            if name == "logits":
                n.output[i] = "batchwide_logits"
    graph.node.append(helper.make_node("Cast", ["batchwide_logits"], ["logits"],
                                       name="batchwide_cast", to=TensorProto.FLOAT))
    logits.type.tensor_type.elem_type = TensorProto.FLOAT


def ahead(graph: onnx.GraphProto) -> None:
    """Tokens see what follows them, as a masked language model's do."""
    both = node(graph, "/model/attn_mask/And/output_0")
    both.CopyFrom(helper.make_node("Identity", [both.input[0]], list(both.output), name=both.name))
    graph.node.remove(node(graph, CAUSAL))
