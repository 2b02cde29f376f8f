"""The place of an image between two classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray

__all__ = ["balance"]


def balance(near: FloatArray, far: FloatArray, is_near: npt.NDArray[np.bool_]) -> FloatArray:
    """(s − c·t) / (s + c·t), with c such that 0 lies midway between the classes' medians."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(near) - np.log(far)
    usable = np.isfinite(ratio)
    middle = 0.0
    if (usable & is_near).any() and (usable & ~is_near).any():
        middle = (np.median(ratio[usable & is_near]) + np.median(ratio[usable & ~is_near])) / 2
    # Where an image resembles neither class the ratio is 0/0: it lies on the border.
    return np.asarray(np.tanh((np.where(np.isnan(ratio), middle, ratio) - middle) / 2))
