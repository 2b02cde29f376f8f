"""Images whose numbers are so large or small that their products leave the range of float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Magnitude"]

LARGEST, SMALLEST = 1e150, 1e-150


class Magnitude:
    """The largest absolute value seen in a pass over the images.

    Parameters
    ----------
    dtype : dtype
        Of the images. Of types with a smaller range than float64 nothing is looked at.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._looks = dtype.kind == "f" and dtype.itemsize >= 8
        self._largest = 0.0

    def add(self, images: npt.NDArray[Any]) -> None:
        """Look at some images."""
        if self._looks and images.size:
            self._largest = max(self._largest, float(images.max()), -float(images.min()))

    def problem(self, *, all_seen: bool) -> str | None:
        """Say what is wrong, if anything is; that all are too small, only when all have been seen."""
        largest = self._largest
        if largest <= LARGEST and (largest >= SMALLEST or largest == 0 or not all_seen):
            return None
        power = -math.frexp(largest)[1] if math.isfinite(largest) else -1022
        size = f"reach {largest:.3g}" if largest > LARGEST else f"are at most {largest:.3g}"
        return (
            f"must have products within the range of float64, but {size}; multiply the images by 2.0**{power}, which "
            "changes no digit"
        )
