"""A network as inversion needs it: rows in, rows out, and the whole Jacobian of each row, in float64 if it can be."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.exceptions import ModelError
from wavelens.models import Model, NumpyMLP
from wavelens.models._activations import activation
from wavelens.models._model import FARTHEST
from wavelens.models._numpy_model import product

__all__ = ["ChainLayer", "ChainMap", "ModelMap", "SmoothMap", "chain_of_mlp", "model_map"]

Array = npt.NDArray[Any]


class SmoothMap(ABC):
    """A differentiable map of rows.

    Attributes
    ----------
    input_shape : tuple of int
        Of one input; rows are flattened.
    n_outputs : int
        Of one input.
    rounding : float
        Of the arithmetic within: 2.2e-16 or 1.2e-7.
    farthest : float
        No entry of an input may be larger than this in magnitude.
    name : str
        For messages.
    """

    input_shape: tuple[int, ...]
    n_outputs: int
    rounding: float = float(np.finfo(np.float64).eps)
    farthest: float = math.inf
    name: str = "the network"

    @property
    def n_inputs(self) -> int:
        """Entries of one input."""
        return math.prod(self.input_shape)

    @abstractmethod
    def values(self, x: Array) -> Array:
        """Return the outputs, float64 (n, n_outputs), for rows (n, n_inputs)."""

    @abstractmethod
    def jacobian(self, x: Array) -> Array:
        """Return the derivatives, float64 (n, n_outputs, n_inputs)."""

    @abstractmethod
    def pulled_back(self, x: Array, towards: Array) -> tuple[Array, Array]:
        """Return the outputs and Jᵀ(towards − outputs), both float64, without the Jacobian."""


@dataclass(frozen=True, eq=False)
class ChainLayer:
    """One layer a = f(W x + b), in float64.

    Attributes
    ----------
    name : str
        For reports.
    weights : ndarray of float64, shape (n_out, n_in)
        W.
    bias : ndarray of float64, shape (n_out,)
        b.
    activation : str or None
        Name of f.
    """

    name: str
    weights: Array
    bias: Array
    activation: str | None


class ChainMap(SmoothMap):
    """Layer after layer and nothing else, computed in float64 whatever the precision of the weights.

    Parameters
    ----------
    layers : sequence of ChainLayer
        Of which each takes what the one before gives.
    input_shape : tuple of int, optional
        Of one input; flat by default.
    name : str
        For messages.
    """

    def __init__(
        self,
        layers: Sequence[ChainLayer],
        input_shape: tuple[int, ...] | None = None,
        name: str = "the network",
    ) -> None:
        self.layers = tuple(layers)
        self.input_shape = input_shape or (layers[0].weights.shape[1],)
        self.n_outputs = len(layers[-1].weights)
        self.name = name

    def values(self, x: Array) -> Array:
        """See `SmoothMap.values`."""
        a = x
        for layer in self.layers:
            a = activation(layer.activation or "")[0](product(a, layer.weights.T) + layer.bias)
        return a

    def jacobian(self, x: Array) -> Array:
        """See `SmoothMap.jacobian`."""
        n, m = len(x), self.n_outputs
        _, steps = self._steps(x)
        # Each of the m outputs of a row is one cotangent; they go back together, as n·m rows.
        g = np.tile(np.eye(m), (n, 1))
        for weights, z, a, back in reversed(steps):
            g = product(back(z.repeat(m, axis=0), a.repeat(m, axis=0), g), weights)
        return np.ascontiguousarray(g).reshape(n, m, -1)

    def pulled_back(self, x: Array, towards: Array) -> tuple[Array, Array]:
        """See `SmoothMap.pulled_back`."""
        y, steps = self._steps(x)
        g = towards - y
        for weights, z, a, back in reversed(steps):
            g = product(back(z, a, g), weights)
        return y, g

    def _steps(self, x: Array) -> tuple[Array, list[tuple[Array, Array, Array, Any]]]:
        a, steps = x, []
        for layer in self.layers:
            forward, back = activation(layer.activation or "")
            z = product(a, layer.weights.T) + layer.bias
            a = forward(z)
            steps.append((layer.weights, z, a, back))
        return a, steps


class ModelMap(SmoothMap):
    """Any `Model` with a gradient: rows of the Jacobian by one pullback for each output.

    Parameters
    ----------
    model : Model
        With a gradient and a fixed size of images.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.input_shape = tuple(int(each or 0) for each in model.input_shape)
        self.n_outputs = model.n_outputs
        self.name = model.name
        self.farthest = FARTHEST
        self.dtype: Any = np.float64 if model._map.dtype == "float64" else np.float32
        self.rounding = float(np.finfo(self.dtype).eps)

    def values(self, x: Array) -> Array:
        """See `SmoothMap.values`."""
        return self.model.predict(self._images(x)).astype(np.float64)

    def jacobian(self, x: Array) -> Array:
        """See `SmoothMap.jacobian`."""
        n, m = len(x), self.n_outputs
        rows = np.empty((n, m, self.n_inputs))
        size = self.model.fixed_batch or self.model.batch_size
        for first in range(0, n, size):
            part = slice(first, first + size)
            images = self._images(x[part])
            _, pullback = self.model.forward(images)
            for j in range(m):
                cotangent = np.zeros((len(images), m), self.dtype)
                cotangent[:, j] = 1
                rows[part, j] = pullback(cotangent).reshape(len(images), -1)
        return rows

    def pulled_back(self, x: Array, towards: Array) -> tuple[Array, Array]:
        """See `SmoothMap.pulled_back`."""
        y, gradient = self.model.forward_backward(
            self._images(x), lambda outputs, part: (towards[part] - outputs).astype(self.dtype)
        )
        return y.astype(np.float64), gradient.reshape(len(x), -1).astype(np.float64)

    def _images(self, x: Array) -> Array:
        return x.reshape(-1, *self.input_shape).astype(self.dtype)


def chain_of_mlp(model: NumpyMLP) -> ChainMap:
    """Take a NumPy network as a chain from images on the scale 0–1, its input map folded into the first layer.

    Parameters
    ----------
    model : NumpyMLP
        Of any precision.

    Returns
    -------
    ChainMap
        In float64.
    """
    layers = [
        ChainLayer(f"layer{i}", np.array(w.T, np.float64), np.array(b, np.float64), f)
        for i, (w, b, f) in enumerate(zip(model.weights, model.biases, model.activations, strict=True), 1)
    ]
    rule, first = model._map, layers[0]
    shape = tuple(int(each or 0) for each in model.input_shape)
    column = (-1, 1, 1)
    places = np.arange(math.prod(shape)).reshape(shape)
    factor = np.broadcast_to(np.reshape(rule.factor, column), shape)
    shift = np.broadcast_to(np.reshape(rule.shift, column), shape)
    if rule.reverse:
        places = places[::-1]
    if rule.channels_last:
        places, factor, shift = (np.moveaxis(each, 0, 2) for each in (places, factor, shift))
    weights = np.empty_like(first.weights)
    weights[:, places.ravel()] = first.weights * factor.ravel()
    bias = first.bias + product(shift.reshape(1, -1), first.weights.T)[0]
    layers[0] = replace(first, weights=weights, bias=bias)
    return ChainMap(layers, shape, model.name)


def model_map(model: Model) -> SmoothMap:
    """Take a model as a map, in float64 if it can be.

    Parameters
    ----------
    model : Model
        With a gradient.

    Returns
    -------
    SmoothMap
        A chain for NumPy networks. A torch network is copied into float64 where the copy gives the same answers.

    Raises
    ------
    ModelError
        If it has no gradient or takes images of any size.
    """
    if isinstance(model, NumpyMLP):
        return chain_of_mlp(model)
    if not model.has_gradient:
        raise ModelError(f"{model.name} gives predictions but no gradient: {model.no_gradient}")
    if None in model.input_shape:
        raise ModelError(
            f"{model.name} takes images of any size; open it with one: open_model(…, input_shape=(3, 224, 224))"
        )
    return ModelMap(_in_float64(model) or model)


def _in_float64(model: Model) -> Model | None:
    """Return a copy that computes in float64; None where there is none, or where it is another network."""
    module: Any = getattr(model, "module", None)
    if not hasattr(module, "double") or model._map.dtype not in ("float32", "float64"):
        return None
    try:
        double: Model = replace(model)
        double.module = copy.deepcopy(module).double()  # type: ignore[attr-defined]
        double._map = replace(model._map, dtype="float64")
        n = model.fixed_batch or 2
        images = np.random.default_rng(0).random((n, *(each or 1 for each in model.input_shape)))
        outputs, pullback = double.forward(images)
        before = model.predict(images.astype(np.float32))
        pullback(np.ones_like(outputs))
    except Exception:  # whatever keeps a network from being copied, it can still be used as it is
        return None
    size = float(np.abs(before).max())
    same = np.isfinite(outputs).all() and np.abs(outputs - before).max() <= 1e-3 * size
    return double if same else None
