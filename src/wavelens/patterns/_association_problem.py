"""How strongly patterns are associated with classes under a labelling; `_association` explains the mathematics.

The rows of UΣ, in memory or in a mapped file, are read some MB at a time for each labelling; what makes them
orthonormal is done to their Gram matrices, which are summed in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, eigh, eigvalsh, solve_triangular
from scipy.linalg.blas import dsymm, dsyrk, ssymm, ssyrk
from scipy.linalg.lapack import dpotri, spotri

from wavelens._arguments import FloatArray
from wavelens._bytes import said_bytes
from wavelens._mapped import is_mapped, picked_rows, row_blocks
from wavelens._progress import progress_bar
from wavelens._threads import blas_threads, num_threads
from wavelens.exceptions import DataError
from wavelens.patterns._result import FitResult
from wavelens.patterns.fit._plan import resident_memory

__all__ = ["ISOLATED_ANGLE", "AssociationProblem", "measure_all"]

# A pattern is nearly isolated if its strongest class has σ = tan(π/4 + π/5) = 6.3 times that of any other.
ISOLATED_ANGLE = np.pi / 5

_block_bytes = 1 << 24

_Codes = npt.NDArray[np.intp]


class AssociationProblem:
    """The rows of UΣ of all images, and what the HO-GSVD depends on besides.

    Parameters
    ----------
    result : FitResult

    Attributes
    ----------
    weights : array of shape (n_classes,)
    ridge : float
    n_patterns : int
    dtype : dtype
        Of the rows of UΣ.
    most_at_once : int
        How many labellings may be measured at the same time.

    Raises
    ------
    DataError
        If rows are in a mapped file and the matrices for one labelling are beyond `memory_limit`.
    """

    def __init__(self, result: FitResult) -> None:
        self.weights: npt.NDArray[np.float64] = result.gsvd.weights
        self.ridge = float(result.options.ridge)
        self.n_patterns = result.n_patterns
        self.dtype = result.embedding.dtype
        self._rows = result.embedding
        self._strength = result.strength.astype(np.float64)
        self.most_at_once = self._fitting(result.options.memory_limit)
        self._upper: FloatArray | None = None
        if np.ptp(self.weights) > 0:
            # The rows over the strengths are orthonormal times the weights; without these, in another basis.
            everyone = np.zeros(len(self._rows), dtype=np.intp)
            self._upper = cholesky(self._summed(everyone, range(1))[0], check_finite=False)

    def grams(self, labels: _Codes) -> list[FloatArray]:
        """Return YᵀY of the rows of each class as upper triangles."""
        return [self._orthonormal(each) for each in self._summed(labels, range(len(self.weights)))]

    def gram_of_one(self, labels: _Codes, i: int) -> FloatArray:
        """Return YᵀY of the rows of class i, or YYᵀ if these are fewer, as an upper triangle."""
        members = np.flatnonzero(labels == i)
        if len(members) >= self.n_patterns:
            return self._orthonormal(self._summed(labels, range(i, i + 1))[0])
        rows = picked_rows(self._rows, members) / self._strength
        if self._upper is None:
            rows *= self.weights[0]
        else:
            rows = solve_triangular(self._upper, rows.T, trans="T", check_finite=False).T
        return _gram(np.asfortranarray(rows))

    def measure(self, labels: _Codes) -> tuple[float, float]:
        """Return the spread of the angles and the share of nearly isolated patterns."""
        n_classes = len(self.weights)
        shares = self._two(labels) if n_classes == 2 else self._many(labels)
        sigma = np.sqrt(np.clip(shares, 0, 1))
        even = np.clip(sigma.sum(axis=0) / np.sqrt(n_classes * (sigma**2).sum(axis=0)), 0, 1)
        largest = np.partition(sigma, n_classes - 2, axis=0)[-2:]
        angle = np.arctan2(largest[1], largest[0]) - np.pi / 4
        return float(np.sqrt(np.mean(np.arccos(even) ** 2))), float(np.mean(angle >= ISOLATED_ANGLE))

    def _two(self, labels: _Codes) -> FloatArray:
        small = int(2 * np.count_nonzero(labels) < len(labels))
        gram = self.gram_of_one(labels, small)
        own = np.zeros(self.n_patterns)
        own[-len(gram) :] = eigvalsh(gram, lower=False, overwrite_a=True, check_finite=False, driver="ev")
        own = np.clip(own, 0, 1)
        shares = np.empty((2, self.n_patterns))
        shares[small] = self.weights[small] ** 2 * own
        shares[1 - small] = self.weights[1 - small] ** 2 * (1 - own)
        return np.asarray(shares / shares.sum(axis=0))

    def _many(self, labels: _Codes) -> FloatArray:
        m = self.n_patterns
        grams = self.grams(labels)
        if np.ptp(self.weights) > 0:
            for gram, w in zip(grams, self.weights, strict=True):
                gram *= gram.dtype.type(w**2)
            upper = cholesky(np.sum(grams, axis=0), overwrite_a=True, check_finite=False)
            grams = [_congruent(gram, upper) for gram in grams]
        single = grams[0].dtype == np.float32
        inverse = np.zeros((m, m), order="F", dtype=grams[0].dtype)
        for gram in grams:
            ridged = gram.copy(order="F")
            ridged[np.diag_indices(m)] += ridged.dtype.type(self.ridge)
            factor = cholesky(ridged, overwrite_a=True, check_finite=False)
            inverse += (spotri if single else dpotri)(factor, overwrite_c=True)[0]
        z = eigh(inverse, lower=False, overwrite_a=True, check_finite=False, driver="evd")[1]
        symm = ssymm if single else dsymm
        return np.stack([(z * symm(1.0, gram, z)).sum(axis=0, dtype=np.float64) for gram in grams])

    def _orthonormal(self, gram: FloatArray) -> FloatArray:
        if self._upper is not None:
            return np.asfortranarray(_congruent(gram, self._upper))
        gram *= self.weights[0] ** 2
        return gram

    def _summed(self, labels: _Codes, classes: range) -> list[FloatArray]:
        """Return the Gram matrices of the rows of some classes, each pattern brought to norm 1."""
        m = self.n_patterns
        totals: list[FloatArray] = [np.zeros((m, m), order="F") for _ in classes]
        first = 0
        for block in row_blocks(self._rows, max(1, _block_bytes // self._rows[:1].nbytes)):
            here = labels[first : first + len(block)]
            first += len(block)
            by_class = np.argsort(here, kind="stable")
            ends = np.searchsorted(here[by_class], np.arange(classes.start, classes.stop + 1))
            for total, begin, end in zip(totals, ends, ends[1:], strict=False):
                if begin < end:
                    total += _gram(block[by_class[begin:end]].T)
        for total in totals:
            total /= self._strength
            total /= self._strength[:, None]
        return totals

    def _fitting(self, memory_limit: int | None) -> int:
        """Return how many labellings can be measured at once within the memory that is allowed."""
        if memory_limit is None or not is_mapped(self._rows):
            return num_threads()
        # The sums, the same made orthonormal, what the eigenproblem takes, and a block with its rows by class.
        matrices = 1 if len(self.weights) == 2 else 2 * len(self.weights)
        each = 8 * (matrices + 5) * self.n_patterns**2 + 3 * _block_bytes
        base = resident_memory()
        if base + each > memory_limit:
            raise DataError(
                f"to shuffle the labels of {len(self.weights):,} classes with {self.n_patterns:,} patterns would take "
                f"about {said_bytes(base + each)} of memory, more than the {said_bytes(memory_limit)} of "
                "`memory_limit`; raise it, or analyze with fewer coefficients"
            )
        return int(min(num_threads(), (memory_limit - base) // each))


def measure_all(
    problem: AssociationProblem, deals: Sequence[Any], what: str, progress: bool | None
) -> npt.NDArray[np.float64]:
    """Measure labellings, each made by a function when its turn comes; shape (n, 2)."""
    # Half of an eigenproblem runs at the speed of memory on any number of threads; two at once use them better.
    found = np.empty((len(deals), 2))
    with (
        blas_threads(1),
        ThreadPoolExecutor(min(problem.most_at_once, len(deals))) as pool,
        progress_bar(len(deals), what, progress, unit=" permutations") as bar,
    ):
        try:
            for i, values in enumerate(pool.map(lambda deal: problem.measure(deal()), deals)):
                found[i] = values
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _congruent(gram: FloatArray, upper: FloatArray) -> FloatArray:
    """Return R⁻ᵀ G R⁻¹ for the upper triangles of G and R."""
    full = np.triu(gram) + np.triu(gram, 1).T
    half = solve_triangular(upper, full, trans="T", check_finite=False)
    return np.asarray(solve_triangular(upper, half.T, trans="T", overwrite_b=True, check_finite=False))


def _gram(a: FloatArray) -> FloatArray:
    """Return the upper triangle of a aᵀ, for `a` in column order."""
    return np.asarray((ssyrk if a.dtype == np.float32 else dsyrk)(1.0, a))
