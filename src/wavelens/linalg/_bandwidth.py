"""Bandwidths of Gaussian similarities: checked, or taken from the data."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, as_float_matrix, check_integer
from wavelens._utils._labels import as_labels as _as_labels
from wavelens._utils._labels import label_kind

__all__ = [
    "as_bandwidths",
    "as_labels",
    "check_same_kind",
    "class_bandwidths",
    "median_bandwidth",
    "overall_bandwidth",
]

Doubles = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
SAMPLE = 1024


def as_labels(labels: npt.ArrayLike, n: int, name: str, rows_of: str) -> tuple[npt.NDArray[Any], Codes]:
    """Return the classes in the order of `np.unique` and each row's number among them."""
    array = _as_labels(labels, n, name, f"rows of `{rows_of}`", dates=True)
    classes, codes = np.unique(array, return_inverse=True)
    return classes, codes.astype(np.int64, copy=False)


def check_same_kind(y_classes: npt.NDArray[Any], classes: npt.NDArray[Any]) -> None:
    """Raise `TypeError` where labels of the one kind cannot be compared exactly with those of the other."""
    given = (classes, y_classes)
    kinds = {label_kind(each) for each in given}
    floats = {each.dtype.kind == "f" for each in given}
    # Integers beyond 2**53 would be rounded beside floats.
    inexact = len(floats) > 1 and any(
        each.dtype.kind in "iu" and len(each) and max(abs(int(each[0])), abs(int(each[-1]))) > 2**53
        for each in given
    )
    if len(kinds) > 1 or inexact:
        raise TypeError(
            f"`y_labels` must be of the same kind as `labels`, {classes.dtype}, got {y_classes.dtype}"
        )


@overload
def median_bandwidth(
    x: npt.ArrayLike, labels: None = None, *, max_rows: int = ..., random_state: int = ...
) -> float: ...
@overload
def median_bandwidth(
    x: npt.ArrayLike, labels: npt.ArrayLike, *, max_rows: int = ..., random_state: int = ...
) -> Doubles: ...


def median_bandwidth(
    x: npt.ArrayLike, labels: npt.ArrayLike | None = None, *, max_rows: int = SAMPLE, random_state: int = 0
) -> float | Doubles:
    """Median distance between different rows, the usual bandwidth of a Gaussian similarity.

    The median is exact where `x` (or the class) has at most `max_rows` rows; else it is that of all pairs
    among `max_rows` rows drawn without replacement. The same `random_state` draws the same rows.

    Parameters
    ----------
    x : array_like, shape (n, d)
        Rows to compare.
    labels : array_like, shape (n,), optional
        With labels, one median for each class, of distances inside it, in the order of
        ``np.unique(labels)``. A class of one row, or whose median is 0, gets the median of all rows.
    max_rows : int, default 1024
        Rows to draw, at least 2.
    random_state : int, default 0
        Seed of the draw.

    Returns
    -------
    float or ndarray of shape (n_classes,)
        In the unit of `x`.

    Raises
    ------
    ValueError
        If `x` has one row, or if the median over all rows is 0 (half of the pairs are identical rows) where
        it is needed.

    Notes
    -----
    `max_rows`² · d flops and 8 · `max_rows`² bytes, whatever n.

    Examples
    --------
    >>> from wavelens.linalg import median_bandwidth
    >>> median_bandwidth([[0.0], [1.0], [3.0]])
    2.0
    >>> median_bandwidth([[0.0], [1.0], [10.0], [14.0]], ["a", "a", "b", "b"])
    array([1., 4.])
    """
    matrix = as_float_matrix(x, "x")
    max_rows = check_integer(max_rows, "max_rows", low=2)
    random_state = check_integer(random_state, "random_state", low=0)
    if labels is None:
        return overall_bandwidth(matrix, max_rows, random_state)
    classes, codes = as_labels(labels, len(matrix), "labels", "x")
    return class_bandwidths(matrix, codes, len(classes), max_rows, random_state)


def overall_bandwidth(matrix: FloatArray, max_rows: int = SAMPLE, random_state: int = 0) -> float:
    """Return the median distance over all rows; an error where it cannot serve as a bandwidth."""
    if len(matrix) < 2:
        raise ValueError(
            "`x` must have at least 2 rows for a median distance, got 1; give `bandwidth` as a number"
        )
    median = _median_distance(matrix, np.arange(len(matrix)), max_rows, random_state)
    if median == 0:
        raise ValueError(
            "the median distance of the rows of `x` is 0 (at least half of the pairs are identical rows): "
            "give `bandwidth` as a number"
        )
    if not np.isfinite(median):
        raise ValueError(
            f"the distances of the rows of `x` are beyond the range of {matrix.dtype}: scale `x`"
        )
    return median


def class_bandwidths(
    matrix: FloatArray, codes: Codes, n_classes: int, max_rows: int = SAMPLE, random_state: int = 0
) -> Doubles:
    """Return the median distance inside each class, that over all rows where a class has none above 0."""
    medians = np.zeros(n_classes)
    for code in range(n_classes):
        rows = np.flatnonzero(codes == code)
        if len(rows) > 1:
            medians[code] = _median_distance(matrix, rows, max_rows, random_state)
    unusable = ~(np.isfinite(medians) & (medians > 0))
    if unusable.any():
        medians[unusable] = overall_bandwidth(matrix, max_rows, random_state)
    return medians


def _median_distance(
    matrix: FloatArray, rows: npt.NDArray[np.intp], max_rows: int, random_state: int
) -> float:
    if len(rows) > max_rows:
        drawn = np.random.default_rng(random_state).choice(len(rows), max_rows, replace=False, shuffle=False)
        rows = rows[np.sort(drawn)]
    distances = _core.pairwise_distances(matrix[rows], None, False, 0)
    return float(np.median(distances[np.triu_indices(len(rows), 1)]))


def as_bandwidths(value: object, n: int, name: str, many: str) -> Doubles:
    """Return `value`, a number or one for each of n (`many` says of what), as n positive float64 numbers."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"`{name}` must be a number, an array of numbers or a rule's name, got {value!r}")
    if array.ndim > 1 or (array.ndim == 1 and len(array) != n):
        raise ValueError(
            f"`{name}` must be a number or one number for each of {n} {many}, got shape {array.shape}"
        )
    bandwidths = np.broadcast_to(array.astype(np.float64), (n,))
    wrong = ~(np.isfinite(bandwidths) & (bandwidths > 0))
    if wrong.any():
        raise ValueError(f"`{name}` must be positive and finite, got {bandwidths[wrong][0]}")
    return bandwidths
