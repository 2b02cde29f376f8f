"""Which coefficients are selected: pivots of a sketch of all images, in whatever way the images were read.

With ``rank="full"`` every class keeps full column rank in the selected coefficients, as the papers have it: the
smallest class bounds their number. With ``rank="any"`` the coefficients are the pivots of all images together, and the
HO-GSVD of Kempf, Goulart and Duncan takes classes of lower rank. With two classes a class of lower rank has σ = 0 in
all patterns but as many as its rank; with more, its σ are those of as few independent directions spread over all
patterns. Either way, that it is weak in a pattern may only mean that it has too few images to show it.

The pivots are those of a sketch S = ΩA of the matrix A of all coefficients of all images. Of up to 3k images for k
coefficients (and of up to 192) the sketch is A itself; of more it has 2k rows, at least 128, and its pivots are within
a few per cent as good as those of A. A triangular factor of the selected coefficients of a class tells its rank, and
its leading block that of the first few coefficients, so that no pass over the images is needed to find how many leave
every class with full rank.

Where a number of coefficients is asked for, some more pivots stand by: a class of duplicates, or one that never uses
some of the first coefficients, may need others to have full rank.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, check_integer
from wavelens.exceptions import WavelensWarning
from wavelens.linalg import pivoted_qr
from wavelens.linalg._select_columns import largest_full_prefix
from wavelens.linalg.streaming import TriangularFactor
from wavelens.patterns._options import FitOptions

__all__ = [
    "RankError",
    "full_rank_columns",
    "leading_factor",
    "most_coefficients",
    "rows_of_sketch",
    "select_from_sketch",
    "sketch_rows",
]

_Codes = npt.NDArray[np.intp]

_fewest_rows = 128


def most_coefficients(options: FitOptions, counts: npt.NDArray[np.intp], p: int) -> int:
    """Return how many of p coefficients to select at most, or refuse more than there can be.

    Raises
    ------
    ValueError
        Naming `n_coefficients`.
    """
    n, smallest = int(counts.sum()), int(counts.min())
    full = options.rank == "full"
    if options.n_coefficients is None:
        return min(smallest if full else max(1, n // 2), p)
    why = f"the smallest class has {smallest} images" if full else f"there are {n} images"
    return check_integer(
        options.n_coefficients,
        "n_coefficients",
        low=1,
        high=min(smallest if full else n, p),
        why=f"{why} of {p} coefficients",
    )


def sketch_rows(options: FitOptions, n_images: int, most: int) -> int:
    """Return the rows of the sketch: as many as images where these are few, or where ``pivoting="full"``."""
    return n_images if options.pivoting == "full" else rows_of_sketch(n_images, most)


def rows_of_sketch(n_images: int, most: int) -> int:
    """Return the rows of the sketch of so many images for so many coefficients."""
    rows = max(2 * most, _fewest_rows)
    return n_images if 2 * n_images <= 3 * rows else rows


def select_from_sketch(
    options: FitOptions,
    matrix: FloatArray,
    nonzero: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64],
    most: int,
    progress: Callable[[float], object] | None,
) -> _Codes:
    """Return at most so many columns, most influential first; at least as many as were asked for, and some in reserve.

    Parameters
    ----------
    options : FitOptions
    matrix : array of shape (sketch_rows, n_all_coefficients)
        The sketch.
    nonzero : array of bool, shape (n_classes, n_all_coefficients)
        Whether a coefficient is other than zero in some image of a class.
    counts : array of int, shape (n_classes,)
        Images of each class.
    most : int
    progress : callable or None

    Raises
    ------
    ValueError
        If all images are zero, or their rank is below the number asked for.
    """
    full = options.rank == "full"
    if not matrix.any():
        raise ValueError("`X` must hold images that are not all zero")
    k = most if options.n_coefficients is None or not full else most + max(8, most // 8)
    k = min(k, *matrix.shape)
    if full:
        k = min(k, int(counts.min()))
    seed = options.random_state
    pivots = pivoted_qr(matrix, k, random_state=seed, progress=progress).pivots
    if full and not nonzero[:, pivots].all():
        usable = np.flatnonzero(nonzero.all(axis=0))
        if not len(usable):
            raise ValueError(
                "no coefficient leaves every class with full column rank: each is zero in some class"
            )
        wanted = options.n_coefficients
        if wanted is not None and wanted > len(usable):
            raise ValueError(
                f"`n_coefficients` must be at most {len(usable)} (so many coefficients are zero in no class), "
                f'got {wanted}. None takes the largest number that works, and rank="any" allows more'
            )
        usable_pivots = pivoted_qr(
            np.ascontiguousarray(matrix[:, usable]), min(k, len(usable)), random_state=seed, progress=progress
        )
        pivots = usable[usable_pivots.pivots]
    wanted = options.n_coefficients
    if wanted is not None and len(pivots) < wanted:
        raise ValueError(
            f"`n_coefficients` must not exceed the numerical rank of all images together, which is {len(pivots)}, "
            f"got {wanted}"
        )
    return pivots


def full_rank_columns(
    options: FitOptions, factors: Sequence[TriangularFactor], classes: npt.NDArray[Any], wanted: int | None
) -> tuple[_Codes, _Codes]:
    """Return which columns to take so that every class has full rank, and the rank of each class in them.

    Without a number wanted these are the first few; with one, the first that do not depend on those before them in
    any class. With ``rank="any"`` all are taken, and classes of lower rank are warned of.

    Parameters
    ----------
    options : FitOptions
    factors : sequence of TriangularFactor
        Of each class, in the selected columns and perhaps some in reserve.
    classes : array of shape (n_classes,)
    wanted : int or None

    Raises
    ------
    RankError
        If so many were asked for and a class falls short.
    """
    rs = [np.asarray(each.r) for each in factors]
    rows = [int(each.n_rows) for each in factors]
    m = rs[0].shape[1]
    if options.rank == "any":
        ranks = np.array([_rank(r, n) for r, n in zip(rs, rows, strict=True)], dtype=np.intp)
        if (ranks < m).any():
            _warn_of_low_rank(classes, ranks, m)
        return np.arange(m, dtype=np.intp), ranks
    taken = np.arange(m, dtype=np.intp)
    while True:
        best = len(taken) if wanted is None else min(len(taken), wanted)
        for r, n in zip(rs, rows, strict=True):
            best = largest_full_prefix(leading_factor(r, taken[:best]), n)
        if wanted is None or best == wanted:
            return taken[:best], np.full(len(rs), best, dtype=np.intp)
        if len(taken) == wanted or len(taken) == best:
            first = taken[:wanted]
            found = [_rank(leading_factor(r, first), n) for r, n in zip(rs, rows, strict=True)]
            short = int(np.argmin(found))
            raise RankError(
                f"`n_coefficients` = {wanted} coefficients leave class {classes[short].item()!r} "
                f"({rows[short]} images) with numerical rank {found[short]}; a smaller `n_coefficients` is needed. "
                'None takes as many as work, and rank="any" allows more'
            )
        taken = np.delete(taken, best)  # the first that depends on those before it in some class


class RankError(ValueError):
    """Too many coefficients were asked for: some class does not have full rank in them."""


def leading_factor(r: FloatArray, columns: _Codes) -> FloatArray:
    """Return a factor of some columns, of which the first are the smallest of a triangular one."""
    k = len(columns)
    if k == r.shape[1]:
        return r
    prefix = k == 0 or int(columns[-1]) == k - 1
    triangular = len(r) == r.shape[1] and not np.tril(r, -1).any()
    return np.ascontiguousarray(r[:k, :k] if prefix and triangular else r[:, columns])


def _rank(r: FloatArray, n_rows: int) -> int:
    """Return the rank as `pivoted_qr` would find it of the rows themselves."""
    return pivoted_qr(r, rtol=max(n_rows, r.shape[1]) * float(np.finfo(r.dtype).eps)).rank


def _warn_of_low_rank(classes: npt.NDArray[Any], ranks: npt.NDArray[np.intp], m: int) -> None:
    order = np.argsort(ranks, kind="stable")
    low = order[ranks[order] < m]
    named = ", ".join(f"{classes[i]} ({ranks[i]})" for i in low[:5])
    more = f" and {len(low) - 5} more" if len(low) > 5 else ""
    warnings.warn(
        f"{len(low)} of {len(classes)} classes have a rank below the {m} coefficients: {named}{more}. Their "
        "σ come from as few independent directions; that one of them is weak in a pattern may only mean that it "
        "has too few images",
        WavelensWarning,
        stacklevel=4,
    )
