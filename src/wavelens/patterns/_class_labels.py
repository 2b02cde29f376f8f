"""Labels of the images given to `PatternAnalysis.fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._utils._labels import as_labels

__all__ = ["check_labels"]


def check_labels(y: npt.ArrayLike, n_images: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the classes, sorted, and the index of each label among them."""
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
