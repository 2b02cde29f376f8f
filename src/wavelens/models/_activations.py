"""Activations of NumPy networks, and their way back.

Each is a pair: from z to a = f(z), and from (z, a, gradient with respect to a) to the gradient with respect to z.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ACTIVATIONS", "Activation", "activation"]

Array = npt.NDArray[Any]
Activation = tuple[Callable[[Array], Array], Callable[[Array, Array, Array], Array]]
# Klambauer et al., Self-Normalizing Neural Networks (2017), equation 14.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _identity(z: Array) -> Array:
    return z


def _sigmoid(z: Array) -> Array:
    # By the hyperbolic tangent, which does not overflow.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))


def _selu(z: Array) -> Array:
    return np.where(z > 0, SELU_SCALE * z, SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(z, 0)))


def _selu_back(z: Array, a: Array, g: Array) -> Array:
    gradient: Array = np.where(z > 0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA) * g
    return gradient


def _softmax(z: Array) -> Array:
    risen = np.exp(z - z.max(axis=1, keepdims=True))
    shares: Array = risen / risen.sum(axis=1, keepdims=True)
    return shares


def _softmax_back(_: Array, a: Array, g: Array) -> Array:
    gradient: Array = a * (g - (g * a).sum(axis=1, keepdims=True))
    return gradient


def _one_vs_rest(z: Array) -> Array:
    # scikit-learn's probabilities of one-versus-rest classifiers: sigmoids, made to sum to 1.
    shares = _sigmoid(z)
    normalised: Array = shares / shares.sum(axis=1, keepdims=True)
    return normalised


def _one_vs_rest_back(z: Array, a: Array, g: Array) -> Array:
    p = _sigmoid(z)
    gradient: Array = (g - (g * a).sum(axis=1, keepdims=True)) / p.sum(axis=1, keepdims=True) * p * (1 - p)
    return gradient


ACTIVATIONS: dict[str, Activation] = {
    "identity": (_identity, lambda z, a, g: g),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a, g: np.where(z > 0, g, np.zeros((), g.dtype))),
    "tanh": (np.tanh, lambda z, a, g: (1 - a * a) * g),
    "sigmoid": (_sigmoid, lambda z, a, g: a * (1 - a) * g),
    "selu": (_selu, _selu_back),
    "softmax": (_softmax, _softmax_back),
    "one_vs_rest": (_one_vs_rest, _one_vs_rest_back),
}
PROBABILITIES = ("softmax", "one_vs_rest", "sigmoid")


def activation(name: str) -> Activation:
    """Find an activation.

    Parameters
    ----------
    name : str
        One of `ACTIVATIONS`, or ``"leaky_relu"``, whose slope of 0.01 may be given as ``"leaky_relu:0.2"``.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    kind, _, slope = name.partition(":") if isinstance(name, str) else (name, "", "")
    if kind == "leaky_relu":
        try:
            steep = float(slope or 0.01)
        except ValueError:
            raise ValueError(
                f"`activations`: the slope of leaky_relu must be a number, got {name!r}"
            ) from None

        def leaky(z: Array) -> Array:
            return np.where(z > 0, z, np.asarray(steep, z.dtype) * z)

        def back(z: Array, _: Array, g: Array) -> Array:
            return np.where(z > 0, g, np.asarray(steep, g.dtype) * g)

        return leaky, back
    if kind not in ACTIVATIONS or slope:
        known = ", ".join(sorted([*ACTIVATIONS, "leaky_relu"]))
        raise ValueError(f"`activations` must be among {known}, got {name!r}")
    return ACTIVATIONS[kind]
