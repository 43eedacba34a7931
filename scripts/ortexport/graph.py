"""A node builder: names, constants and weights of an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .writer import ONNX_TYPES, ExternalData

# 18 is the oldest opset in which every Reduce takes its axes as an input, and old enough for
# any runtime still in use.
OPSET = 18
IR_VERSION = 9
MICROSOFT = "com.microsoft"

ELEMENT = {"fp32": np.float32, "fp16": np.float16, "int64": np.int64, "int32": np.int32,
           "uint8": np.uint8}
TENSOR = ONNX_TYPES | {"int64": onnx.TensorProto.INT64, "int32": onnx.TensorProto.INT32,
                       "bool": onnx.TensorProto.BOOL}


class Graph:
    """Collects nodes; every method that adds one returns the name of its output.

    `dtype` ("fp32" or "fp16") is the type of weights and activations.
    """

    def __init__(self, dtype: str, data: ExternalData):
        self.dtype = dtype
        self.data = data
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._names: set[str] = set()

    def input(self, name: str, dtype: str, dims: list[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TENSOR[dtype], dims))
        return name

    def output(self, name: str, dtype: str, dims: list[int | str]) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, TENSOR[dtype], dims))
        return name

    def op(self, kind: str, inputs: list[str], at: str, out: str | None = None,
           domain: str = "", **attributes: Any) -> str:
        """Adds a node with one output; `at` is its place ("/model/layers.0/mlp")."""
        return self.multi(kind, inputs, at, [out], domain, **attributes)[0]

    def multi(self, kind: str, inputs: list[str], at: str, outs: list[str | None],
              domain: str = "", **attributes: Any) -> list[str]:
        """Adds a node; None in `outs` asks for a name, "" leaves that output out."""
        name = self._unique(f"{at}/{kind}")
        names = [f"{name}/output_{i}" if out is None else out for i, out in enumerate(outs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain,
                                           **attributes))
        return names

    def const(self, value: Any, dtype: str = "int64") -> str:
        """A small constant inside model.onnx; equal ones are stored once."""
        array = np.asarray(value, ELEMENT[dtype])
        label = "_".join(str(v) for v in array.reshape(-1).tolist())
        name = f"/const/{dtype}/{'x'.join(map(str, array.shape)) or 'scalar'}/{label}"
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def weight(self, name: str, shape: tuple[int, ...], blocks: Any,
               dtype: str | None = None) -> str:
        """Streams float32 blocks to the data file and returns the initializer's name."""
        tensor = self.data.add(name, shape, dtype or self.dtype, blocks)
        self.initializers[name] = tensor
        return name

    def cast(self, value: str, dtype: str, at: str) -> str:
        return self.op("Cast", [value], at, to=TENSOR[dtype])

    def reshape(self, value: str, shape: list[int], at: str) -> str:
        """Reshape; 0 keeps a dimension, -1 takes what is left."""
        return self.op("Reshape", [value, self.const(shape)], at)

    def dim(self, value: str, axis: int, at: str) -> str:
        """One dimension of a value, int64 [1]."""
        return self.op("Shape", [value], at, start=axis, end=axis + 1)

    def model(self, producer: str) -> onnx.ModelProto:
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == MICROSOFT for node in self.nodes):
            opsets.append(helper.make_opsetid(MICROSOFT, 1))
        graph = helper.make_graph(self.nodes, "decoder", self.inputs, self.outputs,
                                  list(self.initializers.values()))
        return helper.make_model(graph, producer_name=producer, opset_imports=opsets,
                                 ir_version=IR_VERSION)

    def _unique(self, name: str) -> str:
        candidate, i = name, 1
        while candidate in self._names:
            candidate, i = f"{name}_{i}", i + 1
        self._names.add(candidate)
        return candidate
