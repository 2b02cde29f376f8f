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


def _leaky_relu(slope: float) -> Activation:
    def forward(z: Array) -> Array:
        return np.where(z > 0, z, np.asarray(slope, z.dtype) * z)

    def back(z: Array, _: Array, g: Array) -> Array:
        return np.where(z > 0, g, np.asarray(slope, g.dtype) * g)

    return forward, back


def _elu(alpha: float) -> Activation:
    def forward(z: Array) -> Array:
        return np.where(z > 0, z, np.asarray(alpha, z.dtype) * np.expm1(np.minimum(z, 0)))

    def back(z: Array, a: Array, g: Array) -> Array:
        return np.where(z > 0, g, (a + np.asarray(alpha, a.dtype)) * g)

    return forward, back


def _clip(low: float, high: float) -> Activation:
    def back(z: Array, _: Array, g: Array) -> Array:
        return np.where((z > low) & (z < high), g, np.zeros((), g.dtype))

    return lambda z: np.clip(z, np.asarray(low, z.dtype), np.asarray(high, z.dtype)), back


# Those with parameters: how they are made, and the usual ones.
PARAMETERS: dict[str, tuple[Callable[..., Activation], tuple[float, ...]]] = {
    "leaky_relu": (_leaky_relu, (0.01,)),
    "elu": (_elu, (1.0,)),
    "clip": (_clip, (0.0, 6.0)),
}


def activation(name: str) -> Activation:
    """Find an activation.

    Parameters
    ----------
    name : str
        One of `ACTIVATIONS`; ``"leaky_relu"``, whose slope of 0.01 may be given as ``"leaky_relu:0.2"``;
        ``"elu"``, whose α of 1 may be given as ``"elu:0.5"``; or ``"clip:0:6"``, between two bounds.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    kind, _, rest = name.partition(":") if isinstance(name, str) else (str(name), "", "")
    if kind in PARAMETERS:
        make, usual = PARAMETERS[kind]
        try:
            given = tuple(float(each) for each in rest.split(":")) if rest else usual
        except ValueError:
            given = ()
        if len(given) != len(usual) or any(each != each for each in given):
            example = ":".join(f"{each:g}" for each in usual)
            raise ValueError(
                f"`activations`: the slope of {kind} must be a number, got {name!r}"
                if len(usual) == 1
                else f"`activations`: {kind} needs {len(usual)} numbers as in '{kind}:{example}', got {name!r}"
            )
        return make(*given)
    if kind not in ACTIVATIONS or rest:
        known = ", ".join(sorted([*ACTIVATIONS, *PARAMETERS]))
        raise ValueError(f"`activations` must be among {known}, got {name!r}")
    return ACTIVATIONS[kind]
