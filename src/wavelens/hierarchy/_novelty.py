"""What a new row of a symmetric matrix adds: its own share, and what it changes in the factorization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wavelens._threads import blas_threads
from wavelens.hierarchy._agreement import jaccard
from wavelens.hierarchy._features import Float64Array, IntArray

if TYPE_CHECKING:
    from wavelens.hierarchy._mmf import MMF

__all__ = ["Novelty", "left_out_shares", "novelty", "own_shares"]

_rounding = 1e-8


@dataclass(frozen=True, eq=False)
class Novelty:
    """What a new class adds that the present ones cannot compose; made by `MMF.novelty`.

    Two answers, which need not agree. `share` asks of all present classes together: how much of the new one no
    combination of them gives. The factorizations `before` and `after` ask where it enters the hierarchy, which
    composes a few classes at a time: a class that enters late stands apart.

    Attributes
    ----------
    before, after : MMF
        Without and with the new row; `before.graph()` and `after.graph()` draw them.
    names : tuple
        Of all rows, the new one last.
    share : float
        Energy of the new row that the others cannot compose, over all of its energy: (v − uᵀC⁺u) / v for the
        row (u, v). 0: a linear combination of the present classes; 1: orthogonal to them. NaN where the
        matrix with the new row has negative eigenvalues beyond rounding, for then it holds no energies.
    shares : (m,) array of float64
        The same of each present class against the others, without the new one: 1 / (C_ii (C⁻¹)_ii). For a
        `ClassHierarchy` with `center`, about the mean of the others' images, as the new one is. (A centred
        matrix alone does not hold that: each of its rows is a combination of the others, with share 0.)
    quantile : float
        Part of the present classes whose share is below that of the new one, ties counted half; in [0, 1]. NaN
        where all of theirs are 0 and its own is not, so that there is nothing to compare with.
    companions : (order − 1,) array of intp
        The present classes that together compose the new one best, chosen one after another.
    companion_weights : (order − 1,) array of float64
        With which weights (least squares).
    companion_share : float
        Energy that these few leave, over all of it; from `share` to 1.
    enters_at : int or None
        First level, counted from 1, whose tuple has the new row; None if there is none.
    wavelet_at : int or None
        Level at which the new row becomes the wavelet; None if it stays in the core.
    chain : tuple of (int, int)
        Level and row of each wavelet that the insertion put off to a later level, in order: the first gave its
        place to the new row, the next to the first, and so on.
    agreement : (n_levels,) array of float64
        Jaccard index of the tuples before and after, level by level; 1 where nothing changed.
    """

    before: MMF
    after: MMF
    names: tuple[object, ...]
    share: float
    shares: Float64Array
    quantile: float
    companions: IntArray
    companion_weights: Float64Array
    companion_share: float
    enters_at: int | None
    wavelet_at: int | None
    chain: tuple[tuple[int, int], ...]
    agreement: Float64Array

    def __repr__(self) -> str:
        return (
            f"Novelty(name={self.name!r}, share={self.share:.3g}, quantile={self.quantile:.2g}, "
            f"enters_at={self.enters_at}, is_novel={self.is_novel})"
        )

    @property
    def name(self) -> object:
        """Name of the new row."""
        return self.names[-1]

    @property
    def is_novel(self) -> bool:
        """Whether it adds at least half as much of its own as the median present class does.

        A share is to be seen beside those of the present classes: 10 % is much among class means that have most
        in common, and little among orthogonal ones. Where the present classes have none, any share beyond
        rounding is novel.
        """
        return bool(self.share > _rounding and not self.share < 0.5 * np.median(self.shares))

    @property
    def stands_apart(self) -> bool:
        """Whether its own share is larger than that of every present class."""
        return bool(self.quantile == 1 and self.share > _rounding)

    def words(self) -> tuple[str, ...]:
        """Return the findings as plain sentences."""
        return (self._words_of_share(), self._words_of_companions(), *self._words_of_place())

    def _words_of_share(self) -> str:
        name, m = self.name, len(self.shares)
        if np.isnan(self.share):
            return f"The matrix with {name} has negative eigenvalues, so that no share of energy can be told."
        if self.share <= _rounding:
            also = ""
            if self.shares.max() <= _rounding:
                also = (
                    " (so is each of these of the others: there are as many classes as dimensions, or more)"
                )
            return f"{name} is a combination of the {m} present classes and adds nothing of its own{also}."
        if np.isnan(self.quantile):
            return (
                f"{_percent(self.share)} of {name} cannot be composed of the {m} present classes; each of these is a "
                "combination of the others, so that there is nothing to compare it with."
            )
        start = (
            f"{_percent(self.share)} of {name} cannot be composed of the {m} present classes; of a present class "
            f"the others cannot compose {_percent(float(np.median(self.shares)))} in the median "
            f"({_percent(float(self.shares.min()))} to {_percent(float(self.shares.max()))})"
        )
        if self.stands_apart:
            return f"{start}. It stands apart more than any of them."
        if self.is_novel:
            return f"{start}. Like them, it is a class in its own right."
        return f"{start}. It has far less of its own: it is mainly a composition of what is there."

    def _words_of_companions(self) -> str:
        parts = [
            f"{weight:+.2f} {self.names[i]}"
            for i, weight in zip(self.companions, self.companion_weights, strict=True)
        ]
        if not parts:
            return f"No present class helps to compose {self.name}."
        left = "" if np.isnan(self.companion_share) else f", which leaves {_percent(self.companion_share)}"
        return f"It is best composed of {', '.join(parts)}{left}."

    def _words_of_place(self) -> tuple[str, ...]:
        levels = self.after.n_levels
        if self.enters_at is None:
            place = f"No level of the hierarchy ({levels} levels) uses it: it stays in the core."
        else:
            mates = [
                str(self.names[i]) for i in self.after.tuples[self.enters_at - 1] if i != len(self.names) - 1
            ]
            place = f"It enters at level {self.enters_at} of {levels}, with {_listed(mates)}."
        changed = int((self.agreement < 1).sum())
        before, after = self.before.relative_error, self.after.relative_error
        errors = f"relative error {before:.3g} before, {after:.3g} after"
        if not changed:
            return place, f"The compositions of the present classes stay as they were ({errors})."
        first = int(np.flatnonzero(self.agreement < 1)[0]) + 1
        return place, (
            f"It changes {changed} of the {len(self.agreement)} compositions, the first at level {first} ({errors})."
        )


def novelty(
    mmf: MMF, row: npt.ArrayLike, names: Sequence[object] | None, shares: Float64Array | None = None
) -> Novelty:
    """Return what `row` adds to the factorization; see `MMF.novelty`.

    `shares` of the present rows, where they are known from more than the matrix.
    """
    after = mmf.insert(row)
    m = mmf.shape[0]
    labels = (*range(m), "the new row") if names is None else tuple(names)
    labels = tuple(name.item() if isinstance(name, np.generic) else name for name in labels)
    if len(labels) != m + 1:
        raise ValueError(f"`names` must hold {m + 1} names ({m} rows and the new one), got {len(labels)}")
    assert mmf.matrix is not None
    assert after.matrix is not None
    share = float(own_shares(after.matrix)[-1])
    if shares is None:
        shares = own_shares(mmf.matrix)
    companions, weights, left = _compose(after.matrix, mmf.order - 1)
    uses = np.flatnonzero((after.tuples == m).any(axis=1))
    ends = np.flatnonzero(after.wavelets == m)
    return Novelty(
        before=mmf,
        after=after,
        names=labels,
        share=share,
        shares=shares,
        quantile=_quantile(share, shares),
        companions=companions,
        companion_weights=weights,
        companion_share=left if not np.isnan(share) else float("nan"),
        enters_at=int(uses[0]) + 1 if len(uses) else None,
        wavelet_at=int(ends[0]) + 1 if len(ends) else None,
        chain=_chain(mmf, after),
        agreement=np.array([jaccard(a, b) for a, b in zip(mmf.tuples, after.tuples, strict=False)]),
    )


def own_shares(c: Float64Array) -> Float64Array:
    """Return for each row of a positive semidefinite matrix the share that the others cannot compose, (m,).

    That is the Schur complement of its diagonal entry over the entry, 1 / (c_ii (C⁻¹)_ii). Each row is first
    scaled to a diagonal of 1, which changes no share. Eigenvalues below m·eps of the largest are taken as that
    much: where C is singular, rows that take part in a dependence come out as 0, as they should, and the
    others as if the dependent ones were not there twice. NaN if C is indefinite beyond rounding; 0 for a zero
    row. O(m³).
    """
    diagonal = np.diagonal(c)
    if diagonal.min() < 0 or np.any(c[diagonal == 0]):
        return np.full(len(c), np.nan)
    shares = np.zeros(len(c))
    present = np.flatnonzero(diagonal > 0)
    if not len(present):
        return shares
    scaled = _with_unit_diagonal(c[np.ix_(present, present)])
    with blas_threads(1):
        values, vectors = np.linalg.eigh(scaled)
    floor = len(present) * np.finfo(np.float64).eps * values[-1]
    # Covariances come from sums whose rounding is larger than that of one product.
    if values[0] < -100 * floor:
        return np.full(len(c), np.nan)
    inverse = np.sum(np.square(vectors) / np.maximum(values, floor), axis=1)
    shares[present] = np.clip(1 / inverse, 0, 1)
    return shares


def _with_unit_diagonal(c: Float64Array) -> Float64Array:
    """Return cosines; a zero row stays one."""
    diagonal = np.diagonal(c)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1))
    return np.asarray(c / scale[:, None] / scale)


def left_out_shares(c: Float64Array, weights: npt.NDArray[np.floating]) -> Float64Array:
    """Return the shares of rows that are about their mean, each seen from the mean of the others, (m,).

    `c` holds inner products of vectors y_i with Σ w_i y_i = 0. What the others cannot compose of row i, once all
    is about their mean, is its height over their affine hull, h_i² = 1 / (B⁺)_ii with B the matrix centred on
    both sides (heights of a simplex), and its energy is that of y_i / (1 − w_i / Σ w). O(m³).
    """
    m = len(c)
    off = c - c.mean(axis=0)
    off -= off.mean(axis=1)[:, None]
    size = max(float(np.diagonal(off).sum()), 1e-300)
    # The direction (1, …, 1), which B does not have, is filled so that no inverse is infinite.
    with blas_threads(1):
        values, vectors = np.linalg.eigh((off + off.T) / 2 + size / m)
    floor = m * np.finfo(np.float64).eps * size
    inverse = np.sum(np.square(vectors) / np.maximum(values, floor), axis=1) - 1 / (m * size)
    energy = np.diagonal(c) / np.square(1 - weights / weights.sum())
    heights = np.divide(1, inverse, out=np.zeros(m), where=inverse > 0)
    shares = np.divide(heights, energy, out=np.zeros(m), where=energy > floor)
    return np.asarray(np.clip(shares, 0, 1), dtype=np.float64)


def _quantile(share: float, shares: Float64Array) -> float:
    if np.isnan(share) or np.isnan(shares).any() or (share > _rounding and shares.max() <= _rounding):
        return float("nan")
    return float(np.mean((shares < share - _rounding) + 0.5 * (np.abs(shares - share) <= _rounding)))


def _compose(c: Float64Array, n: int) -> tuple[IntArray, Float64Array, float]:
    """Choose `n` rows that compose the last one: each the one that leaves the least (matching pursuit).

    Returns the rows, their least-squares weights and the share that is left.
    """
    m = len(c) - 1
    scaled = _with_unit_diagonal(c)
    left = scaled.copy()
    chosen: list[int] = []
    for _ in range(n):
        pivots = np.diagonal(left)[:m]
        usable = pivots > m * np.finfo(np.float64).eps
        gains = np.divide(np.square(left[:m, m]), pivots, out=np.zeros(m), where=usable)
        gains[chosen] = 0
        best = int(gains.argmax())
        if gains[best] <= _rounding**2:
            break
        chosen.append(best)
        column = left[:, best].copy()
        left -= np.outer(column, column) / column[best]
    rows = np.array(chosen, dtype=np.intp)
    weights = np.linalg.lstsq(scaled[np.ix_(rows, rows)], scaled[rows, m], rcond=None)[0]
    weights *= np.sqrt(max(c[m, m], 0)) / np.sqrt(np.diagonal(c)[rows])
    return rows, np.asarray(weights), float(np.clip(left[m, m], 0, 1))


def _chain(before: MMF, after: MMF) -> tuple[tuple[int, int], ...]:
    """Return the wavelets of `before` that wait for a later level in `after`, with the level they lost."""
    waiting = {before.shape[0]}
    chain = []
    for level, (old, new) in enumerate(zip(before.wavelets.tolist(), after.wavelets.tolist(), strict=False)):
        if old == new:
            continue
        if old not in after.wavelets[:level]:
            chain.append((level + 1, old))
        waiting = (waiting | {old}) - {new}
    return tuple(chain)


def _percent(share: float) -> str:
    value = 100 * share
    if value == 0:
        return "0 %"
    if value < 0.01:
        return "less than 0.01 %"
    return f"{value:.2g} %" if value < 10 else f"{value:.0f} %"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
