"""What each operator of an exported program is to a layer with weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.models._torch_export import operator_of
from wavelens.models._weight_steps import as_weights, clip_name, normalization, short

__all__ = ["TorchReading", "read_torch_step"]

Array = npt.NDArray[Any]
Found = tuple[str, dict[str, Any]]
SAME = frozenset(
    (
        *("aten.dropout", "aten.alpha_dropout", "aten.feature_dropout", "aten.detach", "aten.alias"),
        *("aten.contiguous", "aten.clone", "aten.to", "aten._to_copy", "aten.lift_fresh_copy"),
    )
)
RESHAPING = frozenset(
    (
        *("aten.flatten", "aten.view", "aten.reshape", "aten._unsafe_view"),
        *("aten.squeeze", "aten.unsqueeze", "aten.unflatten"),
    )
)

POOLING = ("pool", "aten.mean", "aten.amax", "aten.max")
ACTIVATIONS = {
    "aten.relu": "relu",
    "aten.relu6": "clip:0:6",
    "aten.tanh": "tanh",
    "aten.sigmoid": "sigmoid",
    "aten.selu": "selu",
    "aten.gelu": "gelu",
    "aten.silu": "silu",
    "aten.mish": "mish",
    "aten.hardswish": "hardswish",
    "aten.hardsigmoid": "hardsigmoid:0.166667:0.5",
    "aten.softplus": "softplus",
    "aten.softsign": "softsign",
}
AFFINE = {"aten.add": "add", "aten.sub": "sub", "aten.mul": "mul", "aten.div": "div", "aten.rsub": "rsub"}
PAD_MODES = {"constant": "zeros", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
OTHER: Found = ("other", {})


@dataclass
class TorchReading:
    """One node, and how to get at constants.

    Attributes
    ----------
    node : torch.fx.Node
        A call of an operator.
    network : str
        For errors.
    reads : tuple of torch.fx.Node
        Those among its inputs that depend on the images.
    constant : callable
        From a node to its tensor.
    note : str
        Set where something with weights cannot be read: what it is, in the plural.
    """

    node: Any
    network: str
    reads: tuple[Any, ...]
    constant: Callable[[Any], Any]
    note: str = ""

    @property
    def operator(self) -> str:
        """Name without overload, and of an in-place operator like of its twin."""
        return operator_of(self.node)

    def arguments(self) -> dict[str, Any]:
        """All arguments by their names, with defaults."""
        schema = getattr(self.node.target, "_schema", None)
        if schema is None:
            return dict(self.node.kwargs)
        given = {}
        for i, each in enumerate(schema.arguments):
            if i < len(self.node.args):
                given[each.name] = self.node.args[i]
            elif each.name in self.node.kwargs:
                given[each.name] = self.node.kwargs[each.name]
            elif each.has_default_value():
                given[each.name] = each.default_value
        return given

    def is_moving(self, value: Any) -> bool:
        """Whether an argument depends on the images."""
        return any(value is each for each in self.reads)

    def array(self, value: Any) -> Array | None:
        """Return a constant argument in NumPy; bfloat16 as float32."""
        if value is None:
            return None
        if isinstance(value, int | float):
            return np.asarray(value, np.float64)
        tensor = self.constant(value).detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        array: Array = tensor.contiguous().numpy()
        return array

    def key(self, value: Any) -> Any:
        """Tell where a constant is stored, and how it is laid out."""
        tensor = self.constant(value)
        return (
            tensor.untyped_storage().data_ptr(),
            tuple(tensor.shape),
            tuple(tensor.stride()),
            tensor.storage_offset(),
        )


def read_torch_step(node: TorchReading) -> Found:
    """Find the role of a node.

    Parameters
    ----------
    node : TorchReading
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
    if operator in ACTIVATIONS:
        return "activation", {"activation": ACTIVATIONS[operator]}
    if "getitem" in operator:
        # The first of what a normalization or a pooling gives.
        return ("same", {}) if node.node.args[1] == 0 else OTHER
    special = SPECIAL.get(operator)
    if special is not None:
        return special(node)
    if operator in AFFINE:
        return _arithmetic(node)
    if operator.startswith(POOLING[1:]) or POOLING[0] in operator:
        return "pool", {}
    if any(each in operator for each in ("lstm", "gru", "rnn", "conv_transpose")):
        node.note = "recurrent layers" if "conv" not in operator else "transposed convolutions"
    elif "conv" in operator:
        node.note = "one- and three-dimensional convolutions"
    return OTHER


def _arithmetic(node: TorchReading) -> Found:
    given = node.arguments()
    one, other = given.get("self"), given.get("other")
    how = AFFINE[node.operator]
    if len(node.reads) != 1 or given.get("alpha", 1) != 1 or given.get("rounding_mode") is not None:
        return OTHER
    first = node.is_moving(one)
    if node.is_moving(other) and first:
        return OTHER
    constant = node.array(other if first else one)
    if not first:
        if how == "div":
            return OTHER
        how = {"sub": "rsub", "rsub": "sub"}.get(how, how)
    return ("affine", {"constant": constant, "how": how}) if constant is not None else OTHER


def _linear(node: TorchReading) -> Found:
    given = node.arguments()
    if "mat2" in given or "other" in given:
        values, weights, bias = given.get("self"), given.get("mat2", given.get("other")), None
        turned = True
    elif "mat1" in given:
        if given.get("alpha", 1) != 1 or given.get("beta", 1) != 1:
            return OTHER
        values, weights, bias, turned = given["mat1"], given["mat2"], given["self"], True
    else:
        values, weights, bias, turned = given["input"], given["weight"], given.get("bias"), False
    if node.is_moving(weights) or node.is_moving(bias) or not node.is_moving(values):
        return OTHER
    matrix = node.array(weights)
    if matrix is None or matrix.ndim != 2:
        return OTHER
    matrix = as_weights(matrix, f"{node.network}: {node.node.name}")
    matrix = matrix.T if turned else matrix
    offset = node.array(bias)
    return "linear", {
        "weights": np.ascontiguousarray(matrix),
        "bias": None
        if offset is None
        else np.ascontiguousarray(np.broadcast_to(offset.reshape(-1), len(matrix)), matrix.dtype),
        "key": node.key(weights),
    }


def _addmm(node: TorchReading) -> Found:
    given = node.arguments()
    if given.get("alpha", 1) != 1 or given.get("beta", 1) != 1:
        return OTHER
    return _linear(node)


def _convolution(node: TorchReading) -> Found:
    given = node.arguments()
    weight, bias = given["weight"], given.get("bias")
    if node.is_moving(weight) or node.is_moving(bias):
        node.note = "convolutions with kernels that depend on the images"
        return OTHER
    if given.get("transposed"):
        node.note = "transposed convolutions"
        return OTHER
    kernels = node.array(weight)
    if kernels is None or kernels.ndim != 4:
        node.note = "one- and three-dimensional convolutions"
        return OTHER
    kernels = as_weights(kernels, f"{node.network}: {node.node.name}")
    offset = node.array(bias)
    dilation = _pair(given.get("dilation", 1))
    return "convolution", {
        "weights": kernels,
        "bias": None if offset is None else offset.astype(kernels.dtype),
        "stride": _pair(given.get("stride", 1)),
        "padding": _padding(given.get("padding", 0), kernels.shape[2:], dilation),
        "dilation": dilation,
        "groups": int(given.get("groups", 1)),
        "key": node.key(weight),
    }


def _pair(value: Any) -> tuple[int, int]:
    listed = [int(each) for each in value] if isinstance(value, list | tuple) else [int(value)]
    return (listed[0], listed[-1])


def _padding(value: Any, kernel: tuple[int, ...], dilation: tuple[int, int]) -> tuple[int, int, int, int]:
    if value == "valid":
        return 0, 0, 0, 0
    if value == "same":
        totals = [dilation[i] * (kernel[i] - 1) for i in (0, 1)]
        # Of an odd number torch puts the larger part below and on the right.
        return totals[0] // 2, totals[0] - totals[0] // 2, totals[1] // 2, totals[1] - totals[1] // 2
    down, across = _pair(value)
    return down, down, across, across


def _batch_norm(node: TorchReading) -> Found:
    given = node.arguments()
    mean = given.get("running_mean")
    if mean is None or given.get("training", False) or given.get("train", False):
        return OTHER
    parts = [given.get(each) for each in ("weight", "bias", "running_mean", "running_var")]
    if any(node.is_moving(each) for each in parts):
        return OTHER
    return "affine", normalization([node.array(each) for each in parts], given["eps"])


def _clamp(node: TorchReading) -> Found:
    given = node.arguments()
    bounds = (given.get("min", given.get("min_val")), given.get("max", given.get("max_val")))
    if any(each is not None and not isinstance(each, int | float) for each in bounds):
        return OTHER
    name = clip_name(*bounds)
    return ("same", {}) if name == "identity" else ("activation", {"activation": name})


def _leaky_relu(node: TorchReading) -> Found:
    return "activation", {"activation": f"leaky_relu:{short(node.arguments()['negative_slope'])}"}


def _prelu(node: TorchReading) -> Found:
    weight = node.arguments()["weight"]
    slope = None if node.is_moving(weight) else node.array(weight)
    if slope is None or slope.size != 1:
        return OTHER
    return "activation", {"activation": f"leaky_relu:{short(float(slope.reshape(-1)[0]))}"}


def _elu(node: TorchReading) -> Found:
    given = node.arguments()
    if given.get("scale", 1) != 1 or given.get("input_scale", 1) != 1:
        return OTHER
    return "activation", {"activation": f"elu:{short(given.get('alpha', 1.0))}"}


def _softmax(node: TorchReading) -> Found:
    dims = getattr(node.reads[0].meta.get("val"), "ndim", None)
    axis = node.arguments().get("dim")
    if axis not in (-1, None if dims is None else dims - 1):
        return OTHER
    return "activation", {"activation": "log_softmax" if "log" in node.operator else "softmax"}


def _pad(node: TorchReading) -> Found:
    given = node.arguments()
    pads, mode = given.get("pad", given.get("padding")), given.get("mode", "constant")
    if mode not in PAD_MODES or (mode == "constant" and given.get("value")):
        return OTHER
    if (
        not isinstance(pads, list | tuple)
        or len(pads) not in (2, 4)
        or not all(type(each) is int for each in pads)
    ):
        return OTHER
    left, right, top, bottom = (*pads, 0, 0)[:4]
    return "pad", {"padding": (top, bottom, left, right), "mode": PAD_MODES[mode]}


SPECIAL: dict[str, Callable[[TorchReading], Found]] = {
    "aten.linear": _linear,
    "aten.mm": _linear,
    "aten.matmul": _linear,
    "aten.addmm": _addmm,
    "aten.conv2d": _convolution,
    "aten.convolution": _convolution,
    "aten.batch_norm": _batch_norm,
    "aten._native_batch_norm_legit_no_training": _batch_norm,
    "aten._batch_norm_no_update": _batch_norm,
    "aten.hardtanh": _clamp,
    "aten.clamp": _clamp,
    "aten.clamp_min": _clamp,
    "aten.leaky_relu": _leaky_relu,
    "aten.prelu": _prelu,
    "aten.elu": _elu,
    "aten.softmax": _softmax,
    "aten._softmax": _softmax,
    "aten.log_softmax": _softmax,
    "aten._log_softmax": _softmax,
    "aten.pad": _pad,
    "aten.constant_pad_nd": _pad,
}
