"""Checks of what `PatternAnalysis.fit` is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.linalg import median_bandwidth

__all__ = ["check_bandwidth", "check_labels", "find_bandwidth"]


def check_labels(y: npt.ArrayLike, n_images: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the classes, sorted, and the place of each label among them."""
    if y is None:
        raise ValueError("`PatternAnalysis` requires y to be passed, but the target y is None")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (n_images,):
        raise ValueError(
            f"`y` must hold one label for each of the {n_images} images, got shape {labels.shape}"
        )
    if labels.dtype.kind == "O":
        kinds = {type(label) for label in labels}
        if len(kinds) != 1:
            named = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise TypeError(f"`y` must hold labels of one type, got {named}")
        labels = np.array(labels.tolist())
    if labels.dtype.kind not in "biufUS":
        raise TypeError(f"`y` must hold numbers or strings, got dtype {labels.dtype}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(
            f"`y` must not hold NaN, got one at image {int(np.flatnonzero(~np.isfinite(labels))[0])}"
        )
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
