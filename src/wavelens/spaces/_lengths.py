"""Lengths of rows whose squares may leave the range, and the network seen on a scale where they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.spaces._smooth_maps import SmoothMap

__all__ = ["ScaledMap", "far_exponents", "lengths"]

Array = npt.NDArray[Any]
# Products of some such numbers stay within the range of float64.
_FAR = 200


def lengths(rows: Array) -> Array:
    """Return the Euclidean length of each row; infinite or NaN only where an entry is, or the length itself."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        exponents = np.frexp(np.abs(rows).max(axis=1))[1]
        return np.asarray(np.ldexp(np.linalg.norm(np.ldexp(rows, -exponents[:, None]), axis=1), exponents))


def far_exponents(targets: Array, outputs: Array) -> Array:
    """Return for each target an exponent of two near that of its length where that is extreme, else 0.

    A target is measured by the largest finite entry of `outputs`, the first ones of the search, where that is larger.
    """
    known = float(np.abs(outputs[np.isfinite(outputs)]).max(initial=0.0))
    exponents = np.frexp(np.maximum(np.abs(targets).max(axis=1), known))[1]
    # In steps, so that targets of about the same size are searched together.
    return np.where(np.abs(exponents) > _FAR, exponents // _FAR * _FAR, 0)


class ScaledMap(SmoothMap):
    """A map whose outputs are multiplied by 2 to an exponent: exactly the same but for their size.

    Parameters
    ----------
    net : SmoothMap
        The map.
    exponent : int
        Of two.
    """

    def __init__(self, net: SmoothMap, exponent: int) -> None:
        self.net, self.exponent = net, exponent
        self.input_shape, self.n_outputs, self.name = net.input_shape, net.n_outputs, net.name
        self.rounding, self.farthest = net.rounding, net.farthest

    def values(self, x: Array) -> Array:
        """See `SmoothMap.values`."""
        return np.asarray(np.ldexp(self.net.values(x), self.exponent))

    def jacobian(self, x: Array) -> Array:
        """See `SmoothMap.jacobian`."""
        return np.asarray(np.ldexp(self.net.jacobian(x), self.exponent))

    def pulled_back(self, x: Array, towards: Array) -> tuple[Array, Array]:
        """See `SmoothMap.pulled_back`."""
        y, down = self.net.pulled_back(x, np.ldexp(towards, -self.exponent))
        return np.ldexp(y, self.exponent), np.ldexp(down, 2 * self.exponent)
