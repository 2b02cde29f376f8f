"""Groups of images that belong together, such as the slices of one patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._utils._labels import as_labels

__all__ = ["check_groups", "group_labels"]


def check_groups(groups: npt.ArrayLike, n_images: int) -> npt.NDArray[np.intp]:
    """Return the group of each image as a number from 0.

    Raises
    ------
    ValueError
        If there is not one group for each image, fewer than two groups, or a NaN.
    TypeError
        If they are of several kinds.
    """
    array = as_labels(groups, n_images, "groups")
    values, codes = np.unique(array, return_inverse=True)
    if len(values) < 2:
        raise ValueError(f"`groups` must hold at least two groups, got only {values[0]!r}")
    return codes.astype(np.intp)


def group_labels(
    codes: npt.NDArray[np.intp], labels: npt.NDArray[np.intp], n_classes: int
) -> npt.NDArray[np.intp]:
    """Return the class of each group.

    Raises
    ------
    ValueError
        If a group has images of several classes.
    """
    counts = np.zeros((codes.max() + 1, n_classes), dtype=np.intp)
    np.add.at(counts, (codes, labels), 1)
    mixed = np.count_nonzero((counts > 0).sum(axis=1) > 1)
    if mixed:
        raise ValueError(
            f"`groups` must have one class each, so that labels can be shuffled between them; {mixed} of "
            f"{len(counts)} groups have images of several classes"
        )
    return np.asarray(counts.argmax(axis=1))
