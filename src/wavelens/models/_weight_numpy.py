"""Layers of NumPy networks, and their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_float_matrix, check_integer
from wavelens.models._activations import activation
from wavelens.models._network import Array, Fact, Layer, Network, NetworkInput
from wavelens.models._numpy_model import NumpyMLP, product
from wavelens.models._weight_layer import WeightLayer
from wavelens.models._weight_layers import WeightLayers

__all__ = ["NumpyNetwork", "read_arrays", "read_numpy"]

Function = Callable[[Array], Array]

INPUT = "input"


@dataclass(eq=False)
class NumpyNetwork(Network):
    """Dense layers as a `Network`: ``layer1`` is W x + b, ``activation1`` what becomes of it, and so on."""

    steps: tuple[tuple[Array, Array, Function], ...] = field(default=(), repr=False)

    def run(self, batch: Array, layers: Sequence[str]) -> dict[str, Array]:
        """See `Network.run`."""
        values: dict[str, Array] = {}
        a = np.asarray(batch, self.steps[0][0].dtype).reshape(len(batch), -1)
        for i, (w, b, function) in enumerate(self.steps, 1):
            z = product(a, w) + b
            a = function(z)
            values |= {f"layer{i}": z, f"activation{i}": a}
        return {each: values[each] for each in layers}


def read_numpy(model: NumpyMLP) -> WeightLayers:
    """Read the layers of a NumPy network.

    Parameters
    ----------
    model : NumpyMLP
        Also one that stands for a classifier of scikit-learn.

    Returns
    -------
    WeightLayers
    """
    rule = model.preprocessing
    known = (("value_range", (0.0, 1.0)), ("mean", (0.0,)), ("std", (1.0,)))
    facts = {name: Fact(value, "it takes images as they are, on the scale 0–1") for name, value in known}
    if rule is not None:
        names = ("size", "resize", "shorter_side", "filter", "color", "value_range", "mean", "std")
        reasons = rule.reasons or {}
        facts = {
            each: Fact(getattr(rule, each), reasons.get(each, "its preprocessing"))
            for each in (*names, "layout", "dtype")
        }
    shape = model.input_shape if rule is None else rule.shape
    return _layers(
        model.weights,
        model.biases,
        model.activations,
        tuple(int(each or 0) for each in shape),
        name=model.name,
        kind=model.kind,
        facts=facts,
    )


def read_arrays(
    weights: Sequence[npt.ArrayLike],
    biases: Sequence[npt.ArrayLike | None] | None = None,
    activations: Sequence[str] | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    name: str = "network",
) -> WeightLayers:
    """Make a chain of dense layers of arrays.

    Parameters
    ----------
    weights : sequence of (n_out, n_in) array_like
        One a layer. float32 throughout stays, all else becomes float64.
    biases : sequence of ((n_out,) array_like or None), optional
        One a layer; zeros by default.
    activations : sequence of str, optional
        One a layer, by the names that `NumpyMLP` knows; by default relu, and identity at the end.
    input_shape : tuple of int, optional
        Of one sample.
    name : str
        For titles.

    Returns
    -------
    WeightLayers

    Raises
    ------
    ValueError
        If shapes do not fit together, an activation is unknown, or a value is NaN or infinite.
    """
    arrays = [as_float_matrix(each, f"weights[{i}]") for i, each in enumerate(weights)]
    n = check_integer(len(arrays), "len(weights)", low=1)
    given = [None] * n if biases is None else list(biases)
    names = ["relu"] * (n - 1) + ["identity"] if activations is None else list(activations)
    if len(given) != n or len(names) != n:
        raise ValueError(
            f"`biases` and `activations` must be as many as the {n} weights, got {len(given)} and {len(names)}"
        )
    dtype: Any = np.float32 if all(each.dtype == np.float32 for each in arrays) else np.float64
    offsets = []
    for i, (w, b) in enumerate(zip(arrays, given, strict=True)):
        offset = np.zeros(len(w), dtype) if b is None else np.asarray(b, dtype)
        if offset.shape != (len(w),):
            raise ValueError(f"`biases[{i}]` must have shape ({len(w)},), got {offset.shape}")
        if not np.isfinite(offset).all():
            raise ValueError(f"`biases[{i}]` must be finite")
        if i and w.shape[1] != len(arrays[i - 1]):
            raise ValueError(
                f"`weights[{i}]` must take the {len(arrays[i - 1])} outputs of the layer before, takes {w.shape[1]}"
            )
        offsets.append(offset)
    shape = (arrays[0].shape[1],) if input_shape is None else tuple(input_shape)
    if math.prod(shape) != arrays[0].shape[1]:
        raise ValueError(
            f"`input_shape` {shape} has {math.prod(shape)} values, the first weights take {arrays[0].shape[1]}"
        )
    turned = [np.ascontiguousarray(each.T, dtype) for each in arrays]
    return _layers(turned, offsets, names, shape, name=name, kind="arrays", facts={})


def _layers(
    weights: Sequence[Array],
    biases: Sequence[Array],
    activations: Sequence[str],
    shape: tuple[int, ...],
    *,
    name: str,
    kind: str,
    facts: Mapping[str, Fact],
) -> WeightLayers:
    """Put it together; weights are (n_in, n_out)."""
    functions = [activation(each)[0] for each in activations]
    places: list[Layer] = []
    layers = []
    for i, (w, b, function) in enumerate(zip(weights, biases, activations, strict=True), 1):
        places += [Layer(f"layer{i}", "Linear"), Layer(f"activation{i}", function, i == len(weights))]
        layers.append(
            WeightLayer(
                name=f"layer{i}",
                kind="linear",
                weights=np.ascontiguousarray(w.T),
                bias=b,
                activation="leaky_relu:0.01" if function == "leaky_relu" else function,
                input_name=INPUT if i == 1 else f"activation{i - 1}",
                input_shape=shape if i == 1 else (w.shape[0],),
            )
        )
    network = NumpyNetwork(
        name=name,
        kind=kind,
        # Rows and columns alone are a grey image; the layers flatten it in any case.
        input=NetworkInput(
            INPUT, (None, *(shape if len(shape) != 2 else (1, *shape))), str(weights[0].dtype)
        ),
        layers=tuple(places),
        facts=facts,
        steps=tuple(zip(weights, biases, functions, strict=True)),
    )
    return WeightLayers(name, kind, tuple(layers), input_name=INPUT, input_shape=shape, _network=network)
