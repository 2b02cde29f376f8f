"""The place of an image between two classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray

__all__ = ["middle_between", "place_between"]


def middle_between(near: FloatArray, far: FloatArray, is_near: npt.NDArray[np.bool_]) -> float:
    """Return log c, with c such that 0 lies midway between the classes' medians."""
    ratio = _log_ratio(near, far)
    usable = np.isfinite(ratio)
    if not ((usable & is_near).any() and (usable & ~is_near).any()):
        return 0.0
    return float((np.median(ratio[usable & is_near]) + np.median(ratio[usable & ~is_near])) / 2)


def place_between(near: FloatArray, far: FloatArray, middle: float) -> FloatArray:
    """(s − c·t) / (s + c·t) for log c = `middle`."""
    ratio = _log_ratio(near, far)
    # Where an image resembles neither class the ratio is 0/0: it lies on the border.
    return np.asarray(np.tanh((np.where(np.isnan(ratio), middle, ratio) - middle) / 2))


def _log_ratio(near: FloatArray, far: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(near) - np.log(far))
