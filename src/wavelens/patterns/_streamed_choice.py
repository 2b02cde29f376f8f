"""Which coefficients are kept, from a sketch of all of them and from triangular factors of the chosen ones.

The choice is that of `_coefficients` with a sketch in the place of the images: pivots of S·A, where S·A has a few
rows for millions of A, are within a few per cent as good as those of A. A triangular factor tells the rank of a
class, and its leading block that of the first few coefficients, so that no pass is needed to find how many do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, check_choice, check_integer
from wavelens.linalg import pivoted_qr
from wavelens.linalg._select_columns import largest_full_prefix
from wavelens.linalg.streaming import TriangularFactor
from wavelens.patterns._coefficients import warn_of_low_rank
from wavelens.patterns._passes import FactorState, SketchState

if TYPE_CHECKING:
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = ["choose_by_sketch", "choose_from_sketch", "fitting_rank", "most_coefficients"]

_Codes = npt.NDArray[np.intp]


def choose_by_sketch(
    analysis: PatternAnalysis,
    coefficients: FloatArray,
    classes: npt.NDArray[Any],
    labels: _Codes,
    progress: Callable[[float], object] | None,
) -> tuple[_Codes, _Codes]:
    """Choose among coefficients in memory as a fit out of core does; return columns and ranks."""
    n, p = coefficients.shape
    most = most_coefficients(analysis, np.bincount(labels, minlength=len(classes)), p)
    state = SketchState.empty(p, len(classes), 2 * most, analysis.random_state, coefficients.dtype)
    state.add(coefficients, labels, np.arange(n, dtype=np.intp))
    columns = choose_from_sketch(analysis, state, most, progress)
    factors = FactorState.empty(len(classes)).add(coefficients[:, columns], labels)
    return fitting_rank(analysis, factors, columns, classes)[1:]


def most_coefficients(analysis: PatternAnalysis, counts: npt.NDArray[np.intp], p: int) -> int:
    """Return how many of p coefficients to choose at most, or refuse more than there can be."""
    n, smallest = int(counts.sum()), int(counts.min())
    full = check_choice(analysis.rank, "rank", ("full", "any")) == "full"
    if analysis.n_coefficients is None:
        return min(smallest if full else max(1, n // 2), p)
    why = f"the smallest class has {smallest} images" if full else f"there are {n} images"
    return check_integer(
        analysis.n_coefficients,
        "n_coefficients",
        low=1,
        high=min(smallest if full else n, p),
        why=f"{why} of {p} coefficients",
    )


def choose_from_sketch(
    analysis: PatternAnalysis,
    state: SketchState,
    most: int,
    progress: Callable[[float], object] | None,
) -> _Codes:
    """Return at most so many columns, most influential first; just as many as were asked for.

    Raises
    ------
    ValueError
        If all images are zero, or their rank is below the number asked for.
    """
    full = check_choice(analysis.rank, "rank", ("full", "any")) == "full"
    matrix = np.asarray(state.sketch.matrix)
    if not matrix.any():
        raise ValueError("`X` must hold images that are not all zero")
    k = min(most, *matrix.shape)
    if full:
        k = min(k, int(state.counts.min()))
    seed = analysis.random_state
    pivots = pivoted_qr(matrix, k, random_state=seed, progress=progress).pivots
    if full and not state.nonzero[:, pivots].all():
        usable = np.flatnonzero(state.nonzero.all(axis=0))
        if not len(usable):
            raise ValueError(
                "no coefficient leaves every class with full column rank: each is zero in some class"
            )
        wanted = analysis.n_coefficients
        if wanted is not None and wanted > len(usable):
            raise ValueError(
                f"`n_coefficients` must be at most {len(usable)} (so many coefficients are zero in no class), "
                f'got {wanted}. None takes the largest number that works, and rank="any" allows more'
            )
        usable_pivots = pivoted_qr(
            np.ascontiguousarray(matrix[:, usable]), min(k, len(usable)), random_state=seed, progress=progress
        )
        pivots = usable[usable_pivots.pivots]
    wanted = analysis.n_coefficients
    if wanted is not None and len(pivots) < wanted:
        raise ValueError(
            f"`n_coefficients` must not exceed the numerical rank of all images together, which is {len(pivots)}, "
            f"got {wanted}"
        )
    return pivots


def fitting_rank(
    analysis: PatternAnalysis, state: FactorState, columns: _Codes, classes: npt.NDArray[Any]
) -> tuple[list[TriangularFactor], _Codes, _Codes]:
    """Return the factors of as many columns as leave every class with full rank, those columns, and the ranks.

    Raises
    ------
    ValueError
        If so many were asked for and a class falls short.
    """
    factors = [each for each in state.factors if each is not None]
    rs = [np.asarray(each.r) for each in factors]
    rows = [int(each.n_rows) for each in factors]
    if analysis.rank == "full":
        best = len(columns)
        for r, n in zip(rs, rows, strict=True):
            best = largest_full_prefix(_leading(r, best), n)
        if analysis.n_coefficients is not None and best < len(columns):
            short = next(
                i for i, (r, n) in enumerate(zip(rs, rows, strict=True)) if _rank(r, n) < len(columns)
            )
            raise ValueError(
                f"`n_coefficients` = {len(columns)} coefficients leave class {classes[short]!r} "
                f"({rows[short]} images) with numerical rank {_rank(rs[short], rows[short])}; a smaller "
                '`n_coefficients` is needed. None takes the largest number that works, and rank="any" allows more'
            )
        if best < len(columns):
            rs = [_leading(r, best) for r in rs]
            factors = [TriangularFactor(r, n) for r, n in zip(rs, rows, strict=True)]
        return factors, columns[:best], np.full(len(rs), best, dtype=np.intp)
    ranks = np.array([_rank(r, n) for r, n in zip(rs, rows, strict=True)], dtype=np.intp)
    if (ranks < len(columns)).any():
        warn_of_low_rank(classes, ranks, len(columns))
    return factors, columns, ranks


def _leading(r: FloatArray, k: int) -> FloatArray:
    """Return a factor of the first columns; of few rows the factor is they themselves."""
    triangular = not np.tril(r, -1).any()
    return np.ascontiguousarray(r[:k, :k] if triangular else r[:, :k])


def _rank(r: FloatArray, n_rows: int) -> int:
    """Return the rank as `pivoted_qr` would find it of the rows themselves."""
    return pivoted_qr(r, rtol=max(n_rows, r.shape[1]) * float(np.finfo(r.dtype).eps)).rank
