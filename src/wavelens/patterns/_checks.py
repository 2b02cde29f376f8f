"""Checks of what `PatternAnalysis.fit` is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._utils._labels import as_labels
from wavelens.linalg import median_bandwidth

__all__ = ["check_bandwidth", "check_labels", "find_bandwidth"]


def check_labels(y: npt.ArrayLike, n_images: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the classes, sorted, and the place of each label among them."""
    if y is None:
        raise ValueError("`PatternAnalysis` requires y to be passed, but the target y is None")
    labels = as_labels(y, n_images, "y")
    if not n_images:
        raise ValueError("`y` must hold at least two classes, got no label")
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"`y` must hold at least two classes, got one class, {classes[0].item()!r}")
    if counts.min() < 2:
        alone = classes[counts.argmin()].item()
        raise ValueError(f"`y` must give every class at least two images, got one of class {alone!r}")
    return classes, codes.astype(np.intp)


def check_bandwidth(bandwidth: object) -> None:
    """Refuse what is neither "median" nor a number above 0."""
    if isinstance(bandwidth, str):
        fits = bandwidth == "median"
    else:
        is_number = isinstance(bandwidth, int | float | np.number) and not isinstance(bandwidth, bool)
        fits = is_number and 0 < bandwidth < np.inf  # type: ignore[operator]
    if not fits:
        raise ValueError(f"`bandwidth` must be 'median' or a number above 0, got {bandwidth!r}")


def find_bandwidth(embedding: FloatArray, bandwidth: float | str, random_state: int) -> float:
    """Return the bandwidth as a number."""
    if bandwidth != "median":
        return float(bandwidth)
    try:
        return float(median_bandwidth(embedding, random_state=random_state))
    except ValueError as error:
        raise ValueError(
            "`X` must hold images that differ: more than half of the pairs of images are the same in the chosen "
            "coefficients, so that their median distance is 0; a number for `bandwidth` goes without it"
        ) from error
