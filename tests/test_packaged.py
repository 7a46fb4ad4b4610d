"""Loaders of models that install from PyPI: what they read is exact, and small models do their job where installed."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from experiments.packaged import LOADERS, installed, load
from experiments.packaged.clips import RATE, resampled


def test_ctranslate2_variables(tmp_path):
    from experiments.packaged.ctranslate2_weights import variables

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    matrix = np.arange(6, dtype=np.float16).reshape(2, 3)
    scale = np.array([7], dtype=np.int8)
    body = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, 2)
    for name, array, kind in (("a/weight", matrix, 4), ("b", scale, 1)):
        body += text(name) + struct.pack("<B", array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
        body += struct.pack("<BI", kind, array.nbytes) + array.tobytes()
    body += struct.pack("<I", 1) + text("alias") + text("a/weight")
    path = tmp_path / "model.bin"
    path.write_bytes(body)
    found = variables(path)
    np.testing.assert_array_equal(found["a/weight"], matrix)
    np.testing.assert_array_equal(found["alias"], matrix)
    np.testing.assert_array_equal(found["b"], scale)
    path.write_bytes(struct.pack("<I", 5))
    with pytest.raises(ValueError, match="version 5, expected 6"):
        variables(path)


def test_onnx_weights_are_named_by_the_node_that_uses_them(tmp_path):
    onnx = pytest.importorskip("onnx")
    from experiments.packaged.onnx_weights import state_dict
    from onnx import TensorProto, helper, numpy_helper

    plain = np.arange(6, dtype=np.float32).reshape(2, 3)
    quantised = np.array([[1, -3], [0, 5], [2, 2]], dtype=np.int8)
    stored = {
        "folded": plain,
        "layer.bias": np.ones(3, np.float32),
        "q_quantized": quantised,
        "q_scale": np.float32(0.5),
        "q_zero_point": np.int8(1),
        "table.weight_quantized": quantised,
    }
    nodes = [
        helper.make_node("MatMul", ["x", "folded"], ["y"], "/layer/MatMul"),
        helper.make_node(
            "DequantizeLinear", ["q_quantized", "q_scale", "q_zero_point"], ["q"], "q_Dequantize"
        ),
        helper.make_node("MatMul", ["y", "q"], ["z"], "/head/proj/MatMul"),
        helper.make_node(
            "DequantizeLinear", ["table.weight_quantized", "q_scale", "q_zero_point"], ["t"], "t_Dequantize"
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    found = state_dict(tmp_path / "model.onnx")
    np.testing.assert_array_equal(found["layer.weight"], plain.T)
    np.testing.assert_array_equal(found["layer.bias"], np.ones(3))
    exact = (quantised.astype(np.float32) - 1) * 0.5
    np.testing.assert_array_equal(found["head.proj.weight"], exact.T)
    np.testing.assert_array_equal(found["table.weight"], exact)


def test_sound_is_resampled_by_means():
    wave = np.sin(2 * np.pi * 200 * np.arange(48_000) / 48_000)
    found = resampled(wave, 48_000)
    assert found.shape == (RATE,)
    exact = np.sin(2 * np.pi * 200 * (np.arange(RATE) + 1 / 3) / RATE)
    np.testing.assert_allclose(found, exact, atol=1e-3)


def test_every_loader_is_checked_and_explained():
    pytest.importorskip("transformers")
    from experiments.packaged.check import CHECKS
    from experiments.packaged.examples import EXAMPLES

    assert CHECKS.keys() == EXAMPLES.keys() == LOADERS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minilm", "rxnmapper", "annalog"])
def test_small_models_do_their_job(name):
    """The rest is for `make realmodels`: hundreds of megabytes."""
    if not installed(name):
        pytest.skip("its package is not installed: make realmodels")
    for needed in {"rxnmapper": ["rdkit", "rxn"], "annalog": ["rdkit", "partialsmiles"]}.get(name, []):
        pytest.importorskip(needed)
    from experiments.packaged.check import CHECKS, _explained

    loaded = load(name)
    with torch.no_grad():
        assert CHECKS[name](loaded)
    assert "draws on" in _explained(loaded)
