"""The most influential columns that leave every group of rows with full column rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_float_matrix, check_integer
from wavelens.linalg._bandwidth import as_labels
from wavelens.linalg._pivoted_qr import PivotedQRMethod, pivoted_qr

__all__ = ["largest_full_prefix", "select_columns"]


def select_columns(
    a: npt.ArrayLike,
    k: int | None = None,
    *,
    groups: npt.ArrayLike | None = None,
    method: PivotedQRMethod = "blocked",
    random_state: int = 0,
    progress: Callable[[float], object] | None = None,
) -> npt.NDArray[np.intp]:
    """Choose the `k` most influential columns of `a` such that every group of rows keeps full column rank.

    Parameters
    ----------
    a : (n, p) array_like
        As in `pivoted_qr`.
    k : int, optional
        Number of columns, at most the size of the smallest group and at most p. None takes the largest number
        for which the first pivots leave every group with full column rank.
    groups : (n,) array_like, optional
        The group of each row: labels of any one type. None makes all rows one group.
    method : {"blocked", "exact", "strong", "sketch"}, default "blocked"
        See `pivoted_qr`.
    random_state : int, default 0
        Seed of the sketches.
    progress : callable, optional
        Called with the share of the pivoting that is done.

    Returns
    -------
    (k,) array of intp
        Columns of `a`, the most influential first.

    Raises
    ------
    ValueError
        If `k` is out of range, or the rows of some group, restricted to the chosen columns, have a numerical
        rank below `k`: the message names the group and its rank. If every column is zero in some group. Also
        for what `pivoted_qr` raises it, and if `groups` does not have one label for each row or holds NaN.
    TypeError
        If `k` is no integer, or the labels can't be compared with one another.

    Notes
    -----
    The numerical rank of a group's n_g rows in k columns is the number of pivots of their pivoted QR that
    exceed
    ``max(n_g, k) * eps`` times the first. Equal rows lower the rank of their group, so where the smallest
    group holds duplicates, the largest `k` is less than its size.

    A column that is zero in some group is never chosen: the first pivots are those of the other columns.

    Every `k` up to what ``k=None`` finds is accepted.

    Cost: one `pivoted_qr` of `a` (a second one, of a copy, where the first chose a column that is zero in
    some group), and 2 n k² flops or little more for the ranks. With ``k=None`` one QR of
    each group finds the first dependent column; bisection follows only where the ranks contradict it.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.linalg import select_columns
    >>> a = np.array([[5.0, 0, 0, 1], [0, 4.0, 0, 0], [6.0, 0, 0, 0], [6.0, 0, 0, 0]])
    >>> select_columns(a, groups=["one", "one", "two", "two"])
    array([0])
    >>> select_columns(a, 2, groups=["one", "one", "two", "two"])
    Traceback (most recent call last):
        ...
    ValueError: `k` must be at most 1 (so many columns of `a` are zero in no group), got 2
    """
    matrix = as_float_matrix(a, "a", finite=False)
    members = _members(groups, matrix.shape[0])
    smallest = min(members, key=lambda label: len(members[label]))
    limit = min(len(members[smallest]), matrix.shape[1])
    if limit == matrix.shape[1]:
        why = "the number of columns of `a`"
    elif groups is None:
        why = "the number of rows of `a`"
    else:
        why = f"the smallest group, {smallest!r}, has {limit} {'row' if limit == 1 else 'rows'}"
    wanted = None if k is None else check_integer(k, "k", low=1, high=limit, why=why)
    options: dict[str, Any] = {"method": method, "random_state": random_state, "progress": progress}
    pivots = _usable_pivots(matrix, wanted or limit, members, wanted, options)
    if wanted is None:
        return pivots[: _largest_full(matrix, pivots, members)]
    if len(pivots) < wanted:
        raise ValueError(
            f"`k` must not exceed the numerical rank of `a`, which is {len(pivots)}, got {wanted}"
        )
    short = _deficient(matrix, pivots, members)
    if short is not None and wanted < limit:
        # The first pivots of a longer run are others, and may do: what k=None finds bears every smaller k.
        longer = _usable_pivots(matrix, limit, members, wanted, options)[:wanted]
        if len(longer) == wanted and _deficient(matrix, longer, members) is None:
            return longer
    if short is not None:
        label, rank = short
        raise ValueError(
            f"`k` = {wanted} columns leave {_name(label)} ({len(members[label])} rows) with numerical rank "
            f"{rank}; a smaller `k` is needed"
        )
    return pivots


def _usable_pivots(
    matrix: FloatArray,
    count: int,
    members: dict[Any, npt.NDArray[np.intp]],
    wanted: int | None,
    options: dict[str, Any],
) -> npt.NDArray[np.intp]:
    """Return up to `count` pivots among the columns that are zero in no group."""
    pivots = pivoted_qr(matrix, count, **options).pivots
    if len(pivots) == 0:
        raise ValueError("every entry of `a` is zero")
    empty = _zero_in_a_group(matrix, pivots, members)
    if empty is None:
        return pivots
    usable = _nonzero_in_every_group(matrix, members)
    if len(usable) == 0:
        raise ValueError(
            "no column of `a` leaves every group with full column rank: each is zero in some group, in "
            f"column {empty[0]} the rows of {_name(empty[1])} are zero"
        )
    if wanted is not None and wanted > len(usable):
        raise ValueError(
            f"`k` must be at most {len(usable)} (so many columns of `a` are zero in no group), got {wanted}"
        )
    return usable[pivoted_qr(matrix[:, usable], min(count, len(usable)), **options).pivots]


def _deficient(
    matrix: FloatArray, columns: npt.NDArray[np.intp], members: dict[Any, npt.NDArray[np.intp]]
) -> tuple[Any, int] | None:
    """Return the first group that has less than full column rank, and its rank."""
    for label, rows in members.items():
        rank = _rank(matrix[rows[:, None], columns])
        if rank < len(columns):
            return label, rank
    return None


def _members(groups: npt.ArrayLike | None, n: int) -> dict[Any, npt.NDArray[np.intp]]:
    """Return the rows of each group, in ascending order of the labels."""
    if groups is None:
        return {None: np.arange(n)}
    names, codes = as_labels(groups, n, "groups", "a")
    return {name: np.flatnonzero(codes == i) for i, name in enumerate(names.tolist())}


def _zero_in_a_group(
    matrix: FloatArray, columns: npt.NDArray[np.intp], members: dict[Any, npt.NDArray[np.intp]]
) -> tuple[int, object] | None:
    """Return the first of the columns that is zero in some group, and the group's label."""
    for label, rows in members.items():
        zero = ~matrix[rows[:, None], columns].any(axis=0)
        if zero.any():
            return int(columns[np.argmax(zero)]), label
    return None


def _nonzero_in_every_group(
    matrix: FloatArray, members: dict[Any, npt.NDArray[np.intp]]
) -> npt.NDArray[np.intp]:
    usable = np.ones(matrix.shape[1], dtype=bool)
    for rows in members.values():
        seen = np.zeros(matrix.shape[1], dtype=bool)
        for row in rows:
            seen |= matrix[row] != 0
        usable &= seen
    return np.flatnonzero(usable)


def _name(label: object) -> str:
    return "the matrix" if label is None else f"group {label!r}"


def _rank(a: FloatArray, n_rows: int | None = None) -> int:
    if n_rows is None:
        return pivoted_qr(a).rank
    return pivoted_qr(a, rtol=max(n_rows, a.shape[1]) * float(np.finfo(a.dtype).eps)).rank


def _largest_full(
    matrix: FloatArray, pivots: npt.NDArray[np.intp], members: dict[Any, npt.NDArray[np.intp]]
) -> int:
    """Return how many of the first pivots leave every group with full column rank."""
    best = len(pivots)
    for rows in members.values():
        columns = matrix[rows[:, None], pivots[:best]]
        best = largest_full_prefix(columns)
    return best


def largest_full_prefix(columns: FloatArray, n_rows: int | None = None) -> int:
    """Return the largest j for which the first j columns have full rank.

    `n_rows` is the number of rows that `columns` stands for, where it is a triangular factor.
    """
    n, k = n_rows or columns.shape[0], int(columns.shape[1])
    if _rank(columns, n) == k:
        return k
    # The diagonal of the plain QR shows the first column that depends on those before it: a prefix that
    # contains it is deficient. The rank of a prefix without it nearly always is full.
    exponent = np.frexp(np.abs(columns).max())[1]
    r = cast(FloatArray, np.linalg.qr(np.ldexp(columns, -exponent), mode="r"))
    largest = float(np.linalg.norm(r, axis=0).max(initial=0))
    dependent = np.flatnonzero(np.abs(np.diag(r)) <= max(n, k) * np.finfo(r.dtype).eps * largest)
    low, high = 0, int(dependent[0]) if dependent.size else k - 1
    guess = high
    while low < high:
        if _rank(columns[:, :guess], n) == guess:
            low = guess
        else:
            high = guess - 1
        guess = (low + high + 1) // 2
    return low
