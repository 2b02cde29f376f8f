"""From the steps of a network to its layers with weights.

Whatever file a network comes from, it is first told as a list of steps in the order of execution: this
convolution reads that tensor, this addition reads those two. Then each layer with weights gathers what belongs to
it: backwards a padding and the value that enters, forwards the bias, batch normalization and activation. A step
that no layer has gathered, or a value that goes two ways, is what keeps the network from being a chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.exceptions import ModelError
from wavelens.models._weight_layer import WeightLayer

__all__ = ["Step", "as_weights", "assemble", "clip_name", "left_out_words", "normalization"]

Array = npt.NDArray[Any]
WEIGHTED = ("linear", "convolution")


@dataclass(frozen=True, eq=False)
class Step:
    """One operation on values that depend on the images.

    Attributes
    ----------
    name : str
        Of the tensor that it makes.
    operator : str
        As the file calls it.
    role : str
        ``"linear"``, ``"convolution"``, ``"affine"`` (a constant added or multiplied, batch normalization),
        ``"activation"``, ``"pad"``, ``"reshape"`` (order of the numbers kept), ``"same"`` (nothing happens),
        ``"pool"`` or ``"other"``.
    reads : tuple of str
        Tensors, those that depend on the images alone.
    label : str
        What people know it by; `name` if empty.
    shape : tuple of int or None
        Of what it makes of one image, where known.
    details : dict
        By role: the arguments of `WeightLayer`; ``constant`` and ``how``, or ``scale`` and ``shift``;
        ``activation``; ``padding`` and ``mode``.
    """

    name: str
    operator: str
    role: str
    reads: tuple[str, ...]
    label: str = ""
    shape: tuple[int, ...] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people know it by."""
        return self.label or self.name


def assemble(
    name: str, steps: Sequence[Step], start: str, shape: tuple[int, ...] | None
) -> tuple[tuple[WeightLayer, ...], str]:
    """Gather the layers.

    Parameters
    ----------
    name : str
        Of the network, for errors.
    steps : sequence of Step
        In the order of execution.
    start : str
        Name of the network's input.
    shape : tuple of int or None
        Of one image as it enters.

    Returns
    -------
    layers : tuple of WeightLayer
        In the order of execution.
    why_not_chain : str
        Empty for a chain.
    """
    graph = _Steps(steps, start, shape)
    layers = [graph.layer(name, each) for each in steps if each.role in WEIGHTED]
    return tuple(layers), graph.why_not_chain(layers)


class _Steps:
    """The steps, and which of them a layer has gathered."""

    def __init__(self, steps: Sequence[Step], start: str, shape: tuple[int, ...] | None) -> None:
        self.steps, self.start = steps, start
        self.makers = {each.name: each for each in steps}
        self.shapes = {each.name: each.shape for each in steps} | {start: shape}
        self.readers: dict[str, list[Step]] = {}
        for each in steps:
            for tensor in dict.fromkeys(each.reads):
                self.readers.setdefault(tensor, []).append(each)
        self.gathered: set[str] = set()
        self.first_use: dict[Any, str] = {}

    def layer(self, network: str, step: Step) -> WeightLayer:
        """Gather what belongs to one layer."""
        details = dict(step.details)
        key = details.pop("key", None)
        self.gathered.add(step.name)
        source = self._backwards(step, details)
        entering = self.shapes.get(source)
        bias, scale, shift, activation = self._forwards(step, details)
        shares = None if key is None else self.first_use.get(key)
        if key is not None:
            self.first_use.setdefault(key, step.title)
        details["bias"] = bias
        for part in ("weights", "bias"):
            values = details[part]
            if values is not None and not np.isfinite(values).all():
                raise ModelError(f"{network}: the {part} of the layer {step.title!r} hold NaN or infinity")
        return WeightLayer(
            name=step.title,
            kind=step.role,
            input_name=self.makers[source].title if source in self.makers else source,
            input_shape=entering,
            scale_out=scale,
            shift_out=shift,
            activation=activation,
            shares_with=shares,
            **details,
        )

    def _backwards(self, step: Step, details: dict[str, Any]) -> str:
        """Return the tensor that enters, before what only pads or (for linear layers) flattens it."""
        tensor = step.reads[0]
        padded = False
        while tensor in self.makers:
            maker = self.makers[tensor]
            if maker.role == "pad" and step.role == "convolution" and not padded:
                mode = maker.details["mode"]
                if any(details["padding"]) and mode != "zeros":
                    break
                added = maker.details["padding"]
                total = tuple(a + b for a, b in zip(details["padding"], added, strict=True))
                if min(total) < 0:
                    break
                details["padding"], details["padding_mode"] = total, mode
                padded = True
            elif maker.role != "same" and not (
                maker.role == "reshape" and step.role == "linear" and self._flattens(maker, details)
            ):
                break
            self.gathered.add(maker.name)
            tensor = maker.reads[0]
        return tensor

    def _flattens(self, maker: Step, details: dict[str, Any]) -> bool:
        """Whether all that a reshape gives is one sample of the layer; unknown shapes are trusted."""
        n_in = details["weights"].shape[1]
        before = self.shapes.get(maker.reads[0])
        return before is None or int(np.prod(before)) == n_in

    def _forwards(
        self, step: Step, details: dict[str, Any]
    ) -> tuple[Array | None, Array | None, Array | None, str | None]:
        weights, bias = details["weights"], details.pop("bias")
        n = len(weights)
        scale, shift = np.ones(n), np.zeros(n)
        changed = False
        tensor = step.name
        activation: str | None = "identity"
        while True:
            readers = self.readers.get(tensor, [])
            if len(readers) != 1:
                # Values that go several ways, or an output of the network.
                activation = None if readers else "identity"
                break
            reader = readers[0]
            if reader.role == "affine":
                found = _affine(reader, n, step.role)
                if found is None:
                    activation = None
                    break
                a, b = found
                if bias is None and not changed and np.all(a == 1):
                    bias = b.astype(weights.dtype)
                else:
                    scale, shift, changed = scale * a, shift * a + b, True
            elif reader.role == "activation":
                activation = reader.details["activation"]
                self.gathered.add(reader.name)
                break
            elif reader.role not in ("same", "reshape"):
                activation = None if reader.role == "other" else "identity"
                break
            self.gathered.add(reader.name)
            tensor = reader.name
        if not changed:
            return bias, None, None, activation
        return bias, scale.astype(weights.dtype), shift.astype(weights.dtype), activation

    def why_not_chain(self, layers: Sequence[WeightLayer]) -> str:
        """Name the first branch on the way, or else the first operator, or nothing."""
        if not layers:
            return "It has no layer with weights."
        obstacles: list[str] = []
        branches: list[str] = []
        order = [self.start, *(each.name for each in self.steps)]
        for tensor in order:
            step = self.makers.get(tensor)
            if step is not None and step.role not in ("same", "reshape") and tensor not in self.gathered:
                (branches if len(step.reads) > 1 else obstacles).append(self._obstacle(step))
            readers = self.readers.get(tensor, [])
            if len(readers) > 1:
                into = " and ".join(f"{each.title!r} ({each.operator})" for each in readers[:3])
                what = (
                    "the network's input" if step is None else f"what {step.title!r} ({step.operator}) gives"
                )
                branches.append(f"{what} goes {len(readers)} ways, into {into}")
        # A branch says more of a network than the pooling before it.
        obstacles = branches + obstacles
        if not obstacles:
            return ""
        more = len(obstacles) - 1
        also = f" (and {more} more such place{'s' if more > 1 else ''})" if more else ""
        return f"It is no chain of layers and activations: {obstacles[0]}{also}."

    def _obstacle(self, step: Step) -> str:
        if len(step.reads) > 1:
            return f"{step.operator} ({step.title!r}) joins {len(step.reads)} branches"
        before = self.makers.get(step.reads[0])
        after = "the network's input" if before is None else f"{before.title!r}"
        return f"the operator {step.operator} ({step.title!r}) stands after {after}"


def _affine(step: Step, n: int, kind: str) -> tuple[Array, Array] | None:
    """Return scale and shift of each of the layer's n outputs, or None if this is no such step."""
    if "scale" in step.details:
        a, b = step.details["scale"], step.details["shift"]
        return (a, b) if len(a) == n else None
    constant = np.asarray(step.details["constant"], np.float64)
    shape = constant.shape
    if constant.size > 1:
        # Along the channels of maps; along the features of vectors.
        trailing = 2 if kind == "convolution" else 0
        core = shape[: len(shape) - trailing]
        if shape[len(core) :] != (1,) * trailing or constant.size != n or not core or core[-1] != n:
            return None
    c = np.broadcast_to(constant.reshape(-1), n)
    one, zero = np.ones(n), np.zeros(n)
    with np.errstate(divide="ignore"):
        found = {
            "add": (one, c),
            "sub": (one, -c),
            "rsub": (-one, c),
            "mul": (c, zero),
            "div": (1 / c, zero),
        }[step.details["how"]]
    return found if all(np.isfinite(each).all() for each in found) else None


def as_weights(values: Any, what: str) -> Array:
    """Return weights in float32 or float64.

    Parameters
    ----------
    values : ndarray
        Half precisions become float32.
    what : str
        For the error.

    Returns
    -------
    ndarray
    """
    array = np.asarray(values)
    if array.dtype in (np.float32, np.float64):
        return array
    if array.dtype == np.float16 or array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    raise ModelError(
        f"{what}: the weights are {array.dtype}, so this is a quantized network; take the network as it was "
        "before quantization"
    )


def normalization(parts: Sequence[Any], epsilon: float) -> dict[str, Any]:
    """Return scale and shift of a batch normalization in evaluation mode, in float64.

    Parameters
    ----------
    parts : sequence of (ndarray or None)
        Factor, offset, mean and variance of each channel.
    epsilon : float
        Added to the variance.

    Returns
    -------
    dict of str to ndarray
        The details of a `Step`.
    """
    gamma, beta = (None if each is None else np.asarray(each, np.float64) for each in parts[:2])
    mean, variance = (np.asarray(each, np.float64) for each in parts[2:])
    deviation = np.sqrt(variance + epsilon)
    scale = (1.0 if gamma is None else gamma) / deviation
    return {"scale": scale, "shift": (0.0 if beta is None else beta) - mean * scale}


def left_out_words(found: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Say what has weights and is not among the layers: a sentence a kind.

    Parameters
    ----------
    found : sequence of (str, str)
        The name of each step, and what it is, in the plural.

    Returns
    -------
    tuple of str
    """
    kinds: dict[str, list[str]] = {}
    for name, kind in found:
        kinds.setdefault(kind, []).append(f"“{name}”")
    sentences = []
    for kind, names in kinds.items():
        shown = names[:3] + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
        listed = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
        sentences.append(
            f"{listed} {'is' if len(names) == 1 else 'are'} left out: {kind} are not taken apart, only linear layers "
            "and two-dimensional convolutions."
        )
    return tuple(sentences)


def clip_name(low: float | None, high: float | None) -> str:
    """Name a clipping by its bounds: ``"relu"``, ``"clip:0:6"`` and the like."""
    bottom = -np.inf if low is None else float(low)
    top = np.inf if high is None else float(high)
    if top == np.inf and bottom == 0:
        return "relu"
    if bottom == -np.inf and top == np.inf:
        return "identity"
    return f"clip:{short(bottom)}:{short(top)}"


def short(value: float) -> str:
    """Write a parameter that was stored in float32 as it was meant: 0.2, not 0.20000000298."""
    if not np.isfinite(value):
        return f"{value:g}"
    single = np.float32(value)
    return (
        f"{float(str(single)):g}" if abs(float(single) - value) <= 1e-7 * abs(value) else repr(float(value))
    )
