"""What each operator of ONNX is to a layer with weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.exceptions import ModelError
from wavelens.models._activations import SELU_ALPHA, SELU_SCALE
from wavelens.models._weight_steps import as_weights, clip_name, normalization, short

__all__ = ["QUANTIZED", "Reading", "read_step"]

Array = npt.NDArray[Any]
Found = tuple[str, dict[str, Any]]
QUANTIZED = frozenset(
    (
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"),
        *("QLinearConv", "QLinearMatMul", "QLinearAdd", "QGemm", "DynamicQuantizeMatMul", "MatMulNBits"),
    )
)
SAME = ("Identity", "Dropout", "Cast")
RESHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
POOLING = (
    "GlobalAveragePool",
    "GlobalMaxPool",
    "AveragePool",
    "MaxPool",
    "ReduceMean",
    "ReduceMax",
    "LpPool",
)
ACTIVATIONS = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Gelu": "gelu",
    "HardSwish": "hardswish",
    "Mish": "mish",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Swish": "silu",
}
AFFINE = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
PAD_MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
OTHER: Found = ("other", {})


@dataclass
class Reading:
    """One node, and how to get at constants.

    Attributes
    ----------
    operator, name, network : str
        Of the node, of its first tensor, and of the file.
    inputs : tuple of str
        All tensors that it reads; ``""`` for what is left out.
    reads : tuple of str
        Those that depend on the images.
    attributes : dict
        Of the node.
    constant : callable
        From the name of a tensor to its values, or None.
    key : callable
        From the name of a tensor to where it is stored.
    shapes : dict
        For one image, where known.
    note : str
        Set where something with weights cannot be read: what it is, in the plural.
    """

    operator: str
    name: str
    network: str
    inputs: tuple[str, ...]
    reads: tuple[str, ...]
    attributes: Mapping[str, Any]
    constant: Callable[[str], Array | None]
    key: Callable[[str], str]
    shapes: Mapping[str, tuple[int, ...]]
    note: str = ""

    def given(self, place: int) -> Array | None:
        """Return a constant input."""
        return self.constant(self.inputs[place]) if place < len(self.inputs) else None

    def has(self, place: int) -> bool:
        """Whether an input is there at all."""
        return place < len(self.inputs) and bool(self.inputs[place])

    def number(self, place: int, attribute: str) -> float | None:
        """Return a number that newer files have as an input and older ones as an attribute."""
        value = self.given(place) if self.has(place) else self.attributes.get(attribute)
        return None if value is None else float(np.asarray(value).reshape(-1)[0])


def read_step(node: Reading) -> Found:
    """Find the role of a node.

    Parameters
    ----------
    node : Reading
        The node.

    Returns
    -------
    role : str
        Of `Step`.
    details : dict
        Of `Step`.
    """
    operator = node.operator
    if operator in SAME:
        return "same", {}
    if operator in RESHAPING:
        return "reshape", {}
    if operator in POOLING:
        return "pool", {}
    special = SPECIAL.get(operator)
    if special is not None:
        return special(node)
    if operator in ACTIVATIONS:
        return "activation", {"activation": ACTIVATIONS[operator]}
    if operator in AFFINE and len(node.reads) == 1 and len(node.inputs) == 2:
        first = node.inputs[0] == node.reads[0]
        constant = node.given(1 if first else 0)
        how = AFFINE[operator] if first or operator != "Sub" else "rsub"
        if constant is not None and constant.dtype.kind == "f" and (first or operator != "Div"):
            return "affine", {"constant": constant, "how": how}
    return OTHER


def _gemm(node: Reading) -> Found:
    b = node.given(1)
    bias = node.given(2)
    transposed = node.attributes.get("transA", 0) or node.inputs[0] != node.reads[0]
    if b is None or transposed or (node.has(2) and bias is None):
        node.note = "products of values that both depend on the images"
        return OTHER
    weights = as_weights(b, f"{node.network}: {node.name}")
    weights = weights if node.attributes.get("transB", 0) else weights.T
    weights = _times(weights, node.attributes.get("alpha", 1.0))
    if bias is not None:
        values = np.broadcast_to(
            _times(bias.astype(weights.dtype), node.attributes.get("beta", 1.0)).reshape(-1), len(weights)
        )
        bias = np.ascontiguousarray(values)
    return "linear", {
        "weights": np.ascontiguousarray(weights),
        "bias": bias,
        "key": (node.key(node.inputs[1]),),
    }


def _times(values: Array, factor: float) -> Array:
    return values if factor == 1 else (values * np.float64(factor)).astype(values.dtype)


def _matmul(node: Reading) -> Found:
    b = node.given(1)
    if b is None or b.ndim != 2 or node.inputs[0] != node.reads[0]:
        return OTHER
    weights = as_weights(b, f"{node.network}: {node.name}").T
    return "linear", {
        "weights": np.ascontiguousarray(weights),
        "bias": None,
        "key": (node.key(node.inputs[1]),),
    }


def _conv(node: Reading) -> Found:
    kernels, bias = node.given(1), node.given(2)
    if kernels is None or (node.has(2) and bias is None):
        node.note = "convolutions with kernels that depend on the images"
        return OTHER
    if kernels.ndim != 4:
        node.note = f"{kernels.ndim - 2}-dimensional convolutions"
        return OTHER
    weights = as_weights(kernels, f"{node.network}: {node.name}")
    stride = tuple(node.attributes.get("strides", (1, 1)))
    dilation = tuple(node.attributes.get("dilations", (1, 1)))
    return "convolution", {
        "weights": weights,
        "bias": None if bias is None else bias.astype(weights.dtype),
        "stride": stride,
        "dilation": dilation,
        "padding": _padding(node, weights.shape[2:], stride, dilation),
        "groups": int(node.attributes.get("group", 1)),
        "key": (node.key(node.inputs[1]),),
    }


def _padding(
    node: Reading, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, int, int, int]:
    mode = node.attributes.get("auto_pad", b"NOTSET")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    if mode == "VALID":
        return 0, 0, 0, 0
    if not mode.startswith("SAME"):
        top, left, bottom, right = node.attributes.get("pads", (0, 0, 0, 0))
        return top, bottom, left, right
    shape = node.shapes.get(node.inputs[0])
    sides: list[int] = []
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        if stride[axis] == 1:
            total = reach - 1
        elif shape is None or len(shape) != 3:
            raise ModelError(
                f"{node.network}: the padding of {node.name!r} ({mode}) depends on the size of its input, which the "
                "file leaves open; give input_shape=(channels, height, width)"
            )
        else:
            size = shape[1 + axis]
            total = max(0, (-(-size // stride[axis]) - 1) * stride[axis] + reach - size)
        less = total // 2
        sides += [less, total - less] if mode == "SAME_UPPER" else [total - less, less]
    return sides[0], sides[1], sides[2], sides[3]


def _batch_norm(node: Reading) -> Found:
    parts = [node.given(place) for place in range(1, 5)]
    if any(each is None for each in parts) or node.attributes.get("training_mode", 0):
        return OTHER
    return "affine", normalization(parts, node.attributes.get("epsilon", 1e-5))


def _clip(node: Reading) -> Found:
    known = all(not node.has(place) or node.given(place) is not None for place in (1, 2))
    if not known:
        return OTHER
    name = clip_name(node.number(1, "min"), node.number(2, "max"))
    return ("same", {}) if name == "identity" else ("activation", {"activation": name})


def _leaky_relu(node: Reading) -> Found:
    return "activation", {"activation": f"leaky_relu:{short(node.attributes.get('alpha', 0.01))}"}


def _prelu(node: Reading) -> Found:
    slope = node.given(1)
    if slope is None or slope.size != 1:
        return OTHER
    return "activation", {"activation": f"leaky_relu:{short(float(slope.reshape(-1)[0]))}"}


def _elu(node: Reading) -> Found:
    return "activation", {"activation": f"elu:{short(node.attributes.get('alpha', 1.0))}"}


def _selu(node: Reading) -> Found:
    alpha, gamma = node.attributes.get("alpha", SELU_ALPHA), node.attributes.get("gamma", SELU_SCALE)
    usual = abs(alpha - SELU_ALPHA) < 1e-5 and abs(gamma - SELU_SCALE) < 1e-5
    return ("activation", {"activation": "selu"}) if usual else OTHER


def _softmax(node: Reading) -> Found:
    shape = node.shapes.get(node.reads[0])
    axis = node.attributes.get("axis", -1)
    if axis != -1 and (shape is None or axis != len(shape)):
        return OTHER
    return "activation", {"activation": "softmax" if node.operator == "Softmax" else "log_softmax"}


def _hard_sigmoid(node: Reading) -> Found:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    return "activation", {"activation": f"hardsigmoid:{short(alpha)}:{short(beta)}"}


def _pad(node: Reading) -> Found:
    mode = node.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    pads = node.given(1) if node.has(1) else node.attributes.get("pads")
    value = node.number(2, "value")
    if pads is None or mode not in PAD_MODES or (mode == "constant" and value) or node.has(3):
        return OTHER
    listed = [int(each) for each in np.asarray(pads).reshape(-1)]
    if len(listed) != 8 or any(listed[i] for i in (0, 1, 4, 5)):
        return OTHER
    padding = (listed[2], listed[6], listed[3], listed[7])
    return "pad", {"padding": padding, "mode": PAD_MODES[mode]}


SPECIAL: dict[str, Callable[[Reading], Found]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Elu": _elu,
    "Selu": _selu,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "HardSigmoid": _hard_sigmoid,
    "Pad": _pad,
}
