"""For the tests of classifiers: finite differences, small networks, and the extras that may be missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]


def need_torch() -> Any:
    return pytest.importorskip("torch", reason='needs torch: pip install "wavelens[torch]"')


def need_onnx(*, gradients: bool = False) -> Any:
    """Give the onnx package; skip without it, and for gradients without torch and onnx2torch."""
    pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "wavelens[onnx]"')
    if gradients:
        need_torch()
        from wavelens.models._onnx_model import missing_for_gradients

        if missing_for_gradients():
            pytest.skip(missing_for_gradients())
    return pytest.importorskip("onnx", reason='needs onnx: pip install "wavelens[onnx]"')


def images(n: int, *shape: int, seed: int = 0, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(seed).random((n, *shape)).astype(dtype)


def central_differences(function: Callable[[Array], Array], x: Array, g: Array, step: float) -> Array:
    """The gradient of ⟨g, function(x)⟩, pixel by pixel."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape[1:]):
        shift = np.zeros_like(x)
        shift[(slice(None), *place)] = step
        apart = function(x + shift) - function(x - shift)
        gradient[(slice(None), *place)] = (g * apart).sum(axis=1) / (2 * step)
    return gradient


def check_pullback(model: Any, x: Array, *, step: float = 1e-5, rtol: float = 1e-6) -> None:
    """The pullback is the transposed derivative, however it is asked for."""
    outputs, pullback = model.forward(x)
    np.testing.assert_allclose(outputs, model.predict(x), rtol=1e-6, atol=1e-6)
    g = np.random.default_rng(1).normal(size=outputs.shape).astype(x.dtype)
    gradient = pullback(g)
    assert gradient.dtype == x.dtype
    assert gradient.shape == x.shape
    expected = central_differences(lambda each: model.predict(each).astype(np.float64), x, g, step)
    scale = np.abs(expected).max()
    rounding = 4 * np.finfo(np.float64).eps * np.abs(outputs).max() / step
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=rtol * scale + rounding)
    np.testing.assert_allclose(pullback(2 * g), 2 * gradient, rtol=1e-5, atol=1e-6 * scale)
    again, same = model.forward_backward(x, lambda _, part: g[part])
    np.testing.assert_allclose(again, outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(same, gradient, rtol=1e-5, atol=1e-6 * scale)


def make_module(channels: int = 3, size: int = 6, classes: int = 4, *, double: bool = False) -> Any:
    """A small smooth network with dropout and batch normalisation, in training mode."""
    torch = need_torch()
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(channels, 5, 3, padding=1),
        nn.BatchNorm2d(5),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(5 * size * size, classes),
    )
    with torch.no_grad():
        module[1].running_mean.uniform_(-0.5, 0.5)
        module[1].running_var.uniform_(0.5, 2)
    return module.double() if double else module


def export(module: Any, path: Path, channels: int = 3, size: int = 6, *, batch: int | None = None) -> Path:
    """Write a .pt2 file, of any batch size unless it is given."""
    torch = need_torch()
    dtype = next(module.parameters()).dtype
    shapes = None if batch else ({0: torch.export.Dim("batch")},)
    given = (torch.rand(batch or 2, channels, size, size, dtype=dtype),)
    torch.export.save(torch.export.export(module, given, dynamic_shapes=shapes), path)
    return path


def write_onnx(
    path: Path, *, operators: tuple[str, ...] = ("Tanh",), batch: Any = "N", size: int = 6
) -> Path:
    """Write x / 255 → convolution → operators → flat → `logits` (4), with `probabilities` after softmax."""
    onnx = need_onnx()
    rng = np.random.default_rng(0)
    weights = {
        "white": np.array(255, np.float32),
        "w": rng.normal(size=(5, 3, 3, 3)).astype(np.float32) / 3,
        "v": rng.normal(size=(5 * size * size, 4)).astype(np.float32) / 5,
    }
    node = onnx.helper.make_node
    nodes = [node("Div", ["image", "white"], ["scaled"]), node("Conv", ["scaled", "w"], ["t0"], pads=[1] * 4)]
    nodes += [node(each, [f"t{i}"], [f"t{i + 1}"]) for i, each in enumerate(operators)]
    nodes += [
        node("Flatten", [f"t{len(operators)}"], ["flat"]),
        node("MatMul", ["flat", "v"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    value, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "small",
        [value("image", kind, [batch, 3, size, size])],
        [
            value("flat", kind, [batch, 5 * size * size]),
            value("logits", kind, [batch, 4]),
            value("probabilities", kind, [batch, 4]),
        ],
        [onnx.numpy_helper.from_array(each, name) for name, each in weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path
