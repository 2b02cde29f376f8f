"""The nearest rows of each row, of any or of another class, without the matrix of distances."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, check_choice, check_integer, check_progress
from wavelens.linalg._bandwidth import Codes, as_labels, check_same_kind
from wavelens.linalg._metrics import Metric
from wavelens.linalg._pairwise import Progress, as_pair, chosen_metric

__all__ = ["Nearest", "k_nearest"]


class Nearest(NamedTuple):
    """The nearest rows of each row; unpacks as ``indices, distances``.

    Attributes
    ----------
    indices : ndarray of int64, shape (n, k)
        Rows of `y` (of `x` where no `y` was given), nearest first; ties go to the lower index.
    distances : ndarray, shape (n, k)
        Their distances, in the dtype of the data.
    """

    indices: npt.NDArray[np.int64]
    distances: FloatArray


def k_nearest(
    x: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    k: int = 1,
    *,
    of: str = "any",
    labels: npt.ArrayLike | None = None,
    y_labels: npt.ArrayLike | None = None,
    metric: str | Metric = "euclidean",
    progress: Progress | None = None,
) -> Nearest:
    """Find the `k` nearest rows of each row, without the matrix of distances.

    Parameters
    ----------
    x : array_like, shape (n, d)
        Rows to find neighbours for, as in `pairwise_distances`.
    y : array_like, shape (m, d), optional
        Where to look. Without it, among the other rows of `x`; a row is then never its own neighbour,
        though another row with the same entries is one at distance 0.
    k : int, default 1
        How many.
    of : {"any", "other", "same"}, default "any"
        Whom to look for: any row, rows of another class, rows of the same class.
    labels, y_labels : array_like, shape (n,) and (m,)
        Classes of the rows of `x` and `y`: needed unless `of` is "any", which takes none.
    metric : {"euclidean", "sqeuclidean"} or callable, default "euclidean"
        As in `pairwise_distances`.
    progress : callable, optional
        Is called some twenty times a second with the share of the work that is done.

    Returns
    -------
    Nearest
        ``indices, distances``, both (n, k), nearest first; ties go to the lower index.

    Raises
    ------
    ValueError
        As `pairwise_distances`; if some row has fewer than `k` rows to choose from; if labels are missing,
        of another length, or given for ``of="any"``.
    TypeError
        As `pairwise_distances`; if `k` is not an integer; if one side's labels are numbers, the other's
        texts.

    Notes
    -----
    n²·d flops, 2·n·m·d with `y`; besides the result at most some 45 MiB and 16·n·(k + 3) bytes.
    Bitwise the same for any number of threads.

    Examples
    --------
    >>> from wavelens.linalg import k_nearest
    >>> rows = [[0.0], [1.0], [3.0], [7.0]]
    >>> indices, distances = k_nearest(rows)
    >>> indices.ravel(), distances.ravel()
    (array([1, 0, 1, 2]), array([1., 1., 2., 4.]))
    >>> k_nearest(rows, of="other", labels=["a", "a", "b", "b"]).indices.ravel()
    array([2, 2, 1, 1])
    """
    first, second = as_pair(x, y)
    check_choice(of, "of", ("any", "other", "same"))
    k = check_integer(k, "k", low=1)
    check_progress(progress)
    codes, y_codes, classes = _both_codes(first, second, of, labels, y_labels)
    _check_enough(k, of, first, second, codes, y_codes, classes)
    address, keep = chosen_metric(metric, first.dtype)
    indices, distances = _core.k_nearest(first, second, k, of, codes, y_codes, address, progress)
    del keep
    missing = np.flatnonzero(indices[:, -1] < 0)
    if len(missing):
        raise ValueError(
            f"`metric` must return finite numbers; row {missing[0]} has fewer than {k} finite distances"
        )
    if metric == "sqeuclidean":
        with np.errstate(over="ignore"):
            distances *= distances
    return Nearest(indices, distances)


def _both_codes(
    x: FloatArray, y: FloatArray | None, of: str, labels: npt.ArrayLike | None, y_labels: npt.ArrayLike | None
) -> tuple[Codes | None, Codes | None, npt.NDArray[Any]]:
    if y is None and y_labels is not None:
        raise ValueError("`y_labels` needs `y`; without it `labels` serves for both sides")
    if of == "any":
        if labels is not None or y_labels is not None:
            raise ValueError(
                f"`{'y_labels' if labels is None else 'labels'}` needs of='other' or of='same', got of='any'"
            )
        return None, None, np.empty(0)
    if labels is None or (y is not None and y_labels is None):
        raise ValueError(f"`{'labels' if labels is None else 'y_labels'}` must be given for of={of!r}")
    classes, codes = as_labels(labels, len(x), "labels", "x")
    if y is None:
        return codes, codes, classes
    assert y_labels is not None
    y_classes, y_codes = as_labels(y_labels, len(y), "y_labels", "y")
    check_same_kind(y_classes, classes)
    everything, numbers = np.unique(np.concatenate([classes, y_classes]), return_inverse=True)
    numbers = numbers.astype(np.int64, copy=False)
    return numbers[: len(classes)][codes], numbers[len(classes) :][y_codes], everything


def _check_enough(
    k: int,
    of: str,
    x: FloatArray,
    y: FloatArray | None,
    codes: Codes | None,
    y_codes: Codes | None,
    classes: npt.NDArray[Any],
) -> None:
    """Raise unless every row has `k` rows to choose from."""
    if y is None and len(x) < 2:
        raise ValueError("`x` must have at least 2 rows for one to have a neighbour, got 1")
    everyone = len(x) - 1 if y is None else len(y)
    if codes is None or y_codes is None:
        if k > everyone:
            whose = "every row of `x` has" if y is None else "`y` has"
            rows = "other rows" if y is None else "rows"
            raise ValueError(f"`k` must be at most {everyone} ({whose} {everyone} {rows}), got {k}")
        return
    counts = np.bincount(y_codes, minlength=len(classes))
    present = np.unique(codes)
    inside = counts[present]
    choice = inside - (1 if y is None else 0) if of == "same" else counts.sum() - inside
    least = int(np.argmin(choice))
    if k > choice[least]:
        name = classes[present[least]].item()
        raise ValueError(
            f"`k` must be at most {choice[least]} (a row of class {name!r} has so many rows of "
            f"{'the same' if of == 'same' else 'another'} class to choose from), got {k}"
        )
