"""Lengths of rows whose squares may leave the range, and the network seen on a scale where they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.spaces._smooth_maps import SmoothMap

__all__ = ["ScaledMap", "far_exponent", "lengths"]

Array = npt.NDArray[Any]
# Products of some such numbers stay within the range of float64.
_FAR = 200


def lengths(rows: Array) -> Array:
    """Return the Euclidean length of each row; infinite or NaN only where an entry is, or the length itself."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        exponents = np.frexp(np.abs(rows).max(axis=1))[1]
        return np.asarray(np.ldexp(np.linalg.norm(np.ldexp(rows, -exponents[:, None]), axis=1), exponents))


def far_exponent(*outputs: Array) -> int:
    """Return the exponent of two of the largest finite entry where that is extreme, else 0."""
    largest = max(float(np.abs(each[np.isfinite(each)]).max(initial=0.0)) for each in outputs)
    exponent = int(np.frexp(largest)[1])
    return exponent if abs(exponent) > _FAR else 0


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
