"""Activations read backwards: from a = f(z) to z, where that is possible.

A strictly increasing activation has one inverse, defined on the open interval of the values that it can give. SELU
never gives less than −λα = −1.758, tanh stays within (−1, 1): a value beyond has no z, and the end itself is reached
only at infinity. ReLU, clips and softmax send many z to one a; they have no inverse at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.models._activations import SELU_ALPHA, SELU_SCALE

__all__ = ["InverseActivation", "inverse_activation", "why_no_inverse"]

Array = npt.NDArray[Any]
SELU_DEPTH = SELU_SCALE * SELU_ALPHA


@dataclass(frozen=True)
class InverseActivation:
    """An activation's inverse.

    Attributes
    ----------
    name : str
        Of the activation.
    low, high : float
        The values that the activation gives lie strictly between these.
    inverse : callable
        From values strictly between them to z, in float64.
    """

    name: str
    low: float
    high: float
    inverse: Callable[[Array], Array]

    def outside(self, a: Array) -> Array:
        """Tell how far values lie outside the range.

        Parameters
        ----------
        a : ndarray
            Values that the activation should have given.

        Returns
        -------
        ndarray
            Of the same shape: 0 inside and at the ends, else the distance.
        """
        return np.asarray(np.maximum(np.maximum(self.low - a, a - self.high), 0.0))

    def inside(self, a: Array) -> Array:
        """Tell which values the activation can give.

        Parameters
        ----------
        a : ndarray
            Values that the activation should have given.

        Returns
        -------
        ndarray of bool
            False at the ends too, which are reached only at infinity.
        """
        return np.asarray((a > self.low) & (a < self.high))


def _selu(a: Array) -> Array:
    return np.where(a > 0, a / SELU_SCALE, np.log1p(np.minimum(a, 0.0) / SELU_DEPTH))


def _sigmoid(a: Array) -> Array:
    return np.asarray(np.log(a) - np.log1p(-a))


INVERSES = {
    "identity": InverseActivation("identity", -math.inf, math.inf, lambda a: a),
    "selu": InverseActivation("selu", -SELU_DEPTH, math.inf, _selu),
    "tanh": InverseActivation("tanh", -1.0, 1.0, np.arctanh),
    "sigmoid": InverseActivation("sigmoid", 0.0, 1.0, _sigmoid),
}
REASONS = {
    "relu": "it sends all negative values to 0",
    "clip": "it sends all values beyond its ends to the ends",
    "hardtanh": "it sends all values beyond its ends to the ends",
    "softmax": "a constant added to all its inputs changes nothing",
    "one_vs_rest": "its outputs sum to 1, so that one of them is lost",
}


def inverse_activation(name: str | None) -> InverseActivation | None:
    """Find the inverse of an activation.

    Parameters
    ----------
    name : str or None
        As the layers of `wavelens.models` call it, such as ``"selu"`` or ``"leaky_relu:0.2"``.

    Returns
    -------
    InverseActivation or None
        None if there is none; `why_no_inverse` tells why.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.spaces._inverse_activations import inverse_activation
    >>> inverse_activation("sigmoid").inverse(np.array([0.5]))
    array([0.])
    >>> inverse_activation("relu") is None
    True
    """
    kind, _, parameter = (name or "").partition(":")
    if kind != "leaky_relu":
        return INVERSES.get(kind)
    slope = float(parameter or 0.01)
    if not slope > 0:
        return None
    return InverseActivation(str(name), -math.inf, math.inf, lambda a: np.where(a > 0, a, a / slope))


def why_no_inverse(name: str | None) -> str:
    """Say why an activation has no inverse.

    Parameters
    ----------
    name : str or None
        For which `inverse_activation` gives None.

    Returns
    -------
    str
        To follow "has no inverse: ".
    """
    if name is None:
        return "what follows the layer is no activation"
    kind = name.partition(":")[0]
    if kind == "leaky_relu":
        return "its slope is not positive, so that different inputs give the same output"
    return REASONS.get(kind, f"none is known (there are ones for {', '.join(INVERSES)} and leaky_relu)")
