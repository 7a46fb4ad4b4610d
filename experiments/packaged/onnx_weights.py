"""The weights of a PyTorch model, read back from its ONNX export.

An exporter keeps the names of biases and embeddings, but folds the transpose of a linear layer's matrix into an
unnamed tensor. The node that multiplies by it still bears the layer's path, `/encoder/layer.0/query/MatMul`, so its
name is known. Quantised tensors are multiplied out: (q - zero point) * scale, exactly what the graph computes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[np.float32]


def state_dict(path: Path) -> dict[str, Array]:
    """Reads every weight.

    Args:
        path: the .onnx file.

    Returns:
        float32 arrays by PyTorch name; tensors without one keep the graph's.
    """
    graph = onnx.load(str(path)).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    found: dict[str, Array] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            values, (scale, zero) = stored.pop(node.input[0]), (stored[name] for name in node.input[1:])
            stored[node.output[0]] = (values.astype(np.int32) - zero.astype(np.int32)) * scale
            # embeddings keep their name, with a suffix that says they are quantised
            if node.input[0].endswith(".weight_quantized"):
                found[node.input[0].removesuffix("_quantized")] = np.float32(stored.pop(node.output[0]))
    for node in graph.node:
        if node.op_type == "MatMul" and node.name.endswith("/MatMul"):
            for name in node.input:
                if name in stored:
                    module = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
                    found[f"{module}.weight"] = np.ascontiguousarray(stored.pop(name).T, dtype=np.float32)
    for name, values in stored.items():
        if values.dtype == np.float32:
            found.setdefault(name, values)
    return found
