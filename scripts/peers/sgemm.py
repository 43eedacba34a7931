"""Measures the machine's fp32 matrix multiply: python -m peers.sgemm --threads 2.

The best of torch, numpy and ONNX Runtime over the shapes of SmolLM2's layers and a large square,
in GFLOP/s. ONNX Runtime comes last: its threads wait busily.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper

SHAPES = ((1024, 576, 1536), (1024, 1536, 576), (2048, 2048, 2048))
SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="sgemm")
    parser.add_argument("--threads", type=int, required=True)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    results = []
    for name, make in (("torch", by_torch), ("numpy", by_numpy), ("onnxruntime", by_onnxruntime)):
        for shape in SHAPES:
            m, k, n = shape
            rng = np.random.default_rng(0)
            a, b = (rng.standard_normal(s, np.float32) for s in ((m, k), (k, n)))
            speed = 2 * m * k * n / fastest(make(a, b, threads)) / 1e9
            results.append({"by": name, "shape": shape, "gflops": speed})
    print(json.dumps({"results": results, "version": f"numpy {np.__version__}"}))


def fastest(multiply: Callable[[], Any]) -> float:
    """The shortest seconds of a run, of as many as fit into SECONDS."""
    multiply()
    end = time.perf_counter() + SECONDS
    best = float("inf")
    while (start := time.perf_counter()) < end:
        multiply()
        best = min(best, time.perf_counter() - start)
    return best


def by_torch(a: np.ndarray, b: np.ndarray, _: int) -> Callable[[], Any]:
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    out = torch.empty(len(a), b.shape[1])
    return lambda: torch.mm(x, y, out=out)


def by_numpy(a: np.ndarray, b: np.ndarray, _: int) -> Callable[[], Any]:
    out = np.empty((len(a), b.shape[1]), np.float32)
    return lambda: np.matmul(a, b, out=out)


def by_onnxruntime(a: np.ndarray, b: np.ndarray, threads: int) -> Callable[[], Any]:
    """The right side is a constant, as weights are, and is packed beforehand."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])], "sgemm",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, a.shape)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, (len(a), b.shape[1]))],
        [helper.make_tensor("b", TensorProto.FLOAT, b.shape, b.tobytes(), raw=True)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"a": a})


if __name__ == "__main__":
    main()
