"""Small networks for the tests of `wavelens.models`; importing this needs no extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

NEEDS_TORCH = 'needs torch: pip install "wavelens[torch]"'


def need_onnx() -> Any:
    """Give the onnx package, with which the tests build files; skip without it or without onnxruntime."""
    pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "wavelens[onnx]"')
    return pytest.importorskip("onnx", reason="needs onnx to build networks: pip install onnx")


def need_torch() -> Any:
    return pytest.importorskip("torch", reason=NEEDS_TORCH)


def weights(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return {
        "w": rng.normal(size=(4, 3, 3, 3)).astype(np.float32) / 5,
        "b": rng.normal(size=4).astype(np.float32),
        "f": rng.normal(size=(4, 5)).astype(np.float32),
    }


def write_onnx(
    path: Path,
    *,
    first: tuple[str, list[float]] | None = ("Div", [255.0]),
    batch: Any = "N",
    size: Any = 8,
    inputs: int = 1,
    metadata: dict[str, str] | None = None,
    external: bool = False,
    seed: int = 0,
) -> Path:
    """Write a network: a first step by a constant, a convolution (`conv`), relu, average, `logits` of 5 classes."""
    onnx = need_onnx()
    helper, of = onnx.helper, onnx.numpy_helper.from_array
    tensors = [of(value, name) for name, value in weights(seed).items()]
    nodes, tensor = [], "image"
    if first is not None:
        tensors.append(of(np.array(first[1], np.float32).reshape(-1, 1, 1), "c"))
        nodes.append(helper.make_node(first[0], ["image", "c"], ["scaled"], name="first"))
        tensor = "scaled"
    nodes += [
        helper.make_node("Conv", [tensor, "w", "b"], ["conv_z"], name="conv_node", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv_z"], ["conv"], name="relu"),
        helper.make_node("GlobalAveragePool", ["conv"], ["gap"]),
        helper.make_node("Flatten", ["gap"], ["features"]),
        helper.make_node("MatMul", ["features", "f"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    image = value("image", onnx.TensorProto.FLOAT, [batch, 3, size, size])
    further = [value(f"more{i}", onnx.TensorProto.FLOAT, [1]) for i in range(1, inputs)]
    outputs = [
        value("logits", onnx.TensorProto.FLOAT, [batch, 5]),
        value("features", onnx.TensorProto.FLOAT, [batch, 4]),
    ]
    graph = helper.make_graph(nodes, "small", [image, *further], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    if external:
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    else:
        onnx.save(model, path)
    return path


def reference(batch: np.ndarray[Any, Any], seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """The same network from its definition; `batch` is what enters the convolution."""
    given = weights(seed)
    padded = np.pad(batch.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    conv_z = np.einsum("nchwij,ocij->nohw", windows, given["w"]) + given["b"][:, None, None]
    conv = np.maximum(conv_z, 0)
    features = conv.mean(axis=(2, 3))
    return {"conv_z": conv_z, "conv": conv, "features": features, "logits": features @ given["f"]}


def make_module(seed: int = 0) -> Any:
    """The same in torch, with a ReLU in place; `head` is the classifier."""
    torch = need_torch()
    nn = torch.nn

    class Small(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True))
            self.drop = nn.Dropout(0.5)
            self.head = nn.Linear(4, 5, bias=False)
            self.unused = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.drop(self.body(x).mean(dim=(2, 3))))

    module, given = Small(), weights(seed)
    with torch.no_grad():
        module.body[0].weight.copy_(torch.from_numpy(given["w"]))
        module.body[0].bias.copy_(torch.from_numpy(given["b"]))
        module.head.weight.copy_(torch.from_numpy(given["f"].T.copy()))
    return module


def photos(n: int = 7, size: int = 8, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
