"""Distances and Gaussian similarities between rows, as whole matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, as_float_matrix, check_choice, check_progress
from wavelens.linalg._bandwidth import (
    Doubles,
    as_bandwidths,
    as_labels,
    check_same_kind,
    class_bandwidths,
    overall_bandwidth,
)
from wavelens.linalg._metrics import Metric, metric_address

__all__ = [
    "as_pair",
    "chosen_metric",
    "gaussian_similarity",
    "lifted",
    "pairwise_distances",
]

Progress = Callable[[float], object]


def as_pair(x: npt.ArrayLike, y: npt.ArrayLike | None) -> tuple[FloatArray, FloatArray | None]:
    """Return both sides as matrices of one dtype and width."""
    first = as_float_matrix(x, "x")
    if y is None:
        return first, None
    second = as_float_matrix(y, "y")
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"`y` must have as many columns as `x`, {first.shape[1]}, got {second.shape[1]} "
            f"(shape {second.shape})"
        )
    dtype = np.result_type(first, second)
    return first.astype(dtype, copy=False), second.astype(dtype, copy=False)


def pairwise_distances(
    x: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    metric: str | Metric = "euclidean",
    progress: Progress | None = None,
) -> FloatArray:
    """Distance of every row of `x` to every row of `y`.

    Parameters
    ----------
    x : array_like, shape (n, d)
        Any strides; read-only arrays and memory maps are not copied. Integers are converted to float64,
        float16 to float32; where one of `x` and `y` is float32 and the other float64, the former is
        converted.
    y : array_like, shape (m, d), optional
        Without it the rows of `x` are compared with one another, for half the work; the result is symmetric
        to the last bit with zeros on the diagonal.
    metric : {"euclidean", "sqeuclidean"} or callable, default "euclidean"
        A function takes two contiguous vectors of length d and returns a number. Numba compiles it: give
        one made with ``@numba.njit``, a plain function that Numba understands, or a ``@numba.cfunc`` of the
        signature ``float64(intp, CPointer(T), CPointer(T))`` (length, two vectors), T the dtype of the
        data. It is called from several threads at once; without `y` it is taken to be symmetric and to be
        zero for equal rows. It must not raise and not return NaN.
    progress : callable, optional
        Is called some twenty times a second with the share of the work that is done.

    Returns
    -------
    ndarray, shape (n, m)
        C-ordered, in the dtype of the data. A distance beyond the dtype's range is infinite.

    Raises
    ------
    ValueError
        If `x` or `y` is not a matrix, is empty or not finite, if their widths differ, or if `metric`
        raises or returns NaN.
    TypeError
        For a dtype that is not real, or a `metric` that cannot be compiled.

    Notes
    -----
    2·n·m·d flops (half of it without `y`) and, besides the result, at most some 45 MiB.
    Relative errors are near the dtype's epsilon, whatever the offset of the data and however close the
    rows: where ‖x − y‖² = ‖x‖² + ‖y‖² − 2x·y cancels, the difference itself is taken (data spread over
    several far-apart clusters therefore cost more time). Distances of 8-bit integers are as a rule exact up
    to their rounding, so that ties are ties. Entries 1e150 (1e19 in float32, for
    `k_nearest`) times smaller than the largest one count as zero. Bitwise the same for any number of threads.

    Examples
    --------
    >>> from wavelens.linalg import pairwise_distances
    >>> pairwise_distances([[0.0, 0.0], [3.0, 4.0]])
    array([[0., 5.],
           [5., 0.]])
    """
    first, second = as_pair(x, y)
    check_progress(progress)
    address, keep = chosen_metric(metric, first.dtype)
    result = _core.pairwise_distances(first, second, metric == "sqeuclidean", address, progress)
    del keep
    return result


def chosen_metric(metric: object, dtype: np.dtype[Any]) -> tuple[int, object]:
    """Return the address of a metric (0: Euclidean) and what keeps it alive."""
    if isinstance(metric, str):
        check_choice(metric, "metric", ("euclidean", "sqeuclidean"))
        return 0, None
    return metric_address(metric, dtype)


def gaussian_similarity(
    x: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    bandwidth: float | str | npt.ArrayLike = "median",
    labels: npt.ArrayLike | None = None,
    y_labels: npt.ArrayLike | None = None,
    progress: Progress | None = None,
) -> FloatArray:
    """Gaussian similarity exp(−d²/(2h²)) of every row of `x` to every row of `y`.

    Parameters
    ----------
    x : array_like, shape (n, d)
        As in `pairwise_distances`.
    y : array_like, shape (m, d), optional
        Without it the rows of `x` are compared with one another, for half the work; the result is symmetric
        to the last bit with ones on the diagonal.
    bandwidth : number, "median", "per class" or array_like, default "median"
        h, in the unit of the data. "median" is `median_bandwidth` of `x`; "per class" gives each row the
        median distance inside its class. An array (n,) gives each row its own; with `y`, a pair of arrays
        (n,) and (m,). Two rows of different bandwidths are compared with h² = hᵢ·hⱼ (Zelnik-Manor and
        Perona, 2004), so that the similarity remains symmetric.
    labels, y_labels : array_like, shape (n,) and (m,), optional
        Classes of the rows, for "per class" only. The bandwidths are those of the classes of `x`; `y` may have
        no others.
    progress : callable, optional
        Is called some twenty times a second with the share of the work that is done.

    Returns
    -------
    ndarray, shape (n, m)
        C-ordered, in the dtype of the data.

    Raises
    ------
    ValueError
        As `pairwise_distances`; if a bandwidth is not positive; if the median distance is 0; if
        labels are given for another `bandwidth` than "per class".
    TypeError
        For a dtype that is not real; if one side's labels are numbers, the other's texts.

    Notes
    -----
    2·n·m·d flops (half of it without `y`), the exponentials fused in; besides the result at
    most some 45 MiB. The exponential is exact to about one unit in the last place; float32 data keep a
    relative error of some 1e-7 for similarities above 0.1. Bitwise the same for any number of threads.

    Examples
    --------
    >>> from wavelens.linalg import gaussian_similarity
    >>> gaussian_similarity([[0.0], [1.0], [2.0]], bandwidth=1).round(3)
    array([[1.   , 0.607, 0.135],
           [0.607, 1.   , 0.607],
           [0.135, 0.607, 1.   ]])
    """
    first, second = as_pair(x, y)
    check_progress(progress)
    p, q = _row_bandwidths(first, second, bandwidth, labels, y_labels)
    dtype = first.dtype
    first, second, (p, q) = lifted(first, second, p, q)
    with np.errstate(over="ignore"):
        p, q = 1 / p, 1 / q
    return _core.gaussian_similarity(first, second, p, q, progress).astype(dtype, copy=False)


def lifted(
    x: FloatArray, y: FloatArray | None, *bandwidths: Doubles
) -> tuple[FloatArray, FloatArray | None, list[Doubles]]:
    """Bring data and bandwidths up by a power of two where 1/h would overflow; else all as they came."""
    both = [x] if y is None else [x, y]
    if min(float(each.min()) for each in bandwidths) > 2.0**-1000 or any(
        each.max() > 2.0**300 or each.min() < -(2.0**300) for each in both
    ):
        return x, y, list(bandwidths)
    power = 2.0**700
    up = [(each.astype(np.float64) * power) for each in both]
    with np.errstate(over="ignore"):  # an infinite bandwidth has similarities of 1, as it should
        return up[0], None if y is None else up[1], [each * power for each in bandwidths]


def _row_bandwidths(
    x: FloatArray,
    y: FloatArray | None,
    bandwidth: object,
    labels: npt.ArrayLike | None,
    y_labels: npt.ArrayLike | None,
) -> tuple[Doubles, Doubles]:
    n, m = len(x), len(x) if y is None else len(y)
    if y is None and y_labels is not None:
        raise ValueError("`y_labels` needs `y`; without it `labels` serves for both sides")
    if (labels is not None or y_labels is not None) and not (
        isinstance(bandwidth, str) and bandwidth == "per class"
    ):
        name = "y_labels" if labels is None else "labels"
        raise ValueError(f"`{name}` needs bandwidth='per class', got bandwidth={bandwidth!r}")
    if isinstance(bandwidth, str):
        check_choice(bandwidth, "bandwidth", ("median", "per class"))
        if bandwidth == "median":
            bandwidth = overall_bandwidth(x)
            return np.full(n, bandwidth), np.full(m, bandwidth)
        if labels is None or (y is not None and y_labels is None):
            raise ValueError(
                f"`{'labels' if labels is None else 'y_labels'}` must be given for bandwidth='per class'"
            )
        classes, codes = as_labels(labels, n, "labels", "x")
        medians = class_bandwidths(x, codes, len(classes))
        if y is None:
            return medians[codes], medians[codes]
        assert y_labels is not None
        known, y_codes = as_labels(y_labels, m, "y_labels", "y")
        check_same_kind(known, classes)
        places = np.searchsorted(classes, known).clip(max=len(classes) - 1)
        if (classes[places] != known).any():
            unknown = known[classes[places] != known][0].item()
            raise ValueError(f"`y_labels` must be among `labels`, got {unknown!r}")
        return medians[codes], medians[places[y_codes]]
    if y is None:
        both = as_bandwidths(bandwidth, n, "bandwidth", "rows")
        return both, both
    if isinstance(bandwidth, tuple) and len(bandwidth) == 2:
        return (
            as_bandwidths(bandwidth[0], n, "bandwidth[0]", "rows of `x`"),
            as_bandwidths(bandwidth[1], m, "bandwidth[1]", "rows of `y`"),
        )
    if np.ndim(bandwidth) != 0:  # type: ignore[arg-type]
        raise ValueError("`bandwidth` must be a number or, where `y` is given, a pair of arrays")
    return as_bandwidths(bandwidth, n, "bandwidth", "rows"), as_bandwidths(bandwidth, m, "bandwidth", "rows")
