"""Whether numbers can be computed with: their squares must neither overflow nor vanish."""

from __future__ import annotations

import numpy as np

from wavelens._arguments import FloatArray
from wavelens.exceptions import DataError

__all__ = ["check_squares"]

# Sums of squares over all pixels and images must have room too.
_margin = 1e4


def check_squares(sigma: FloatArray, v: FloatArray) -> FloatArray:
    """Return the strengths of patterns if the images that they make up, σ·v in size, can be squared.

    Raises
    ------
    DataError
        If they cannot; says by which power of ten the images are to be multiplied.
    """
    with np.errstate(over="ignore", under="ignore"):
        largest = float(sigma.max(initial=0.0)) * float(np.abs(v).max(initial=0.0))
    limits = np.finfo(sigma.dtype)
    low, high = np.sqrt(float(limits.tiny)) * _margin, np.sqrt(float(limits.max)) / _margin
    if largest > 0 and not low <= largest <= high:
        which = "small" if largest < low else "large"
        # The product itself may be beyond the range.
        exponent = round(float(np.log10(sigma.max())) + float(np.log10(np.abs(v).max())))
        raise DataError(
            f"the values of the images are too {which} for {sigma.dtype}, in which their squares cannot be "
            f"represented: multiply the images by 1e{-exponent:+d}"
        )
    return sigma
