"""Extreme singular values of an operator by Lanczos bidiagonalisation with thick restarts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.sparse.linalg import LinearOperator

from wavelens import _core
from wavelens._threads import blas_threads

__all__ = ["ExtremeSingularValues", "exact_extremes", "lanczos"]

_Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ExtremeSingularValues:
    """Largest and smallest nonzero singular values of an operator.

    Attributes
    ----------
    largest : (k,) ndarray
        Descending.
    smallest : (k,) ndarray
        Ascending.
    largest_bounds, smallest_bounds : (k,) ndarray
        Within this distance of each value lies a singular value of the operator. The values themselves are
        never beyond the extremes: `largest` are at most, `smallest` at least, the true ones of their place
        (equal singular values mostly counted once).
    exact : bool
        Whether they come from the dense matrix or from all frequencies, in place of an iteration: exact to
        rounding, equal ones counted as often as they occur.
    converged : bool
        Whether all bounds are at most `rtol` times the largest singular value.
    products : int
        Products with the operator or its adjoint.
    solutions : int
        Systems of equations solved with the operator or its adjoint, where the smallest come from its sparse
        LU decomposition.
    """

    largest: _Doubles
    smallest: _Doubles
    largest_bounds: _Doubles
    smallest_bounds: _Doubles
    exact: bool
    converged: bool
    products: int
    solutions: int = 0

    @property
    def condition(self) -> float:
        """σ₁ over the smallest nonzero σ found, a lower bound of the condition number up to the bounds."""
        return float(self.largest[0] / self.smallest[0]) if len(self.smallest) else float("nan")

    def scaled(self, exponent: int) -> ExtremeSingularValues:
        """Return those of the operator times 2 to the `exponent`.

        Parameters
        ----------
        exponent : int
            Of two.

        Returns
        -------
        ExtremeSingularValues
        """
        names = ("largest", "smallest", "largest_bounds", "smallest_bounds")
        with np.errstate(over="ignore", under="ignore"):
            return replace(self, **{each: np.ldexp(getattr(self, each), exponent) for each in names})


def exact_extremes(values: _Doubles, k: int, rtol: float) -> ExtremeSingularValues:
    """Return both ends of a spectrum, known whole and descending, that is above rtol·σ₁."""
    positive = values[values > rtol * values[0]]
    bounds = np.full(min(k, len(positive)), 1e-15 * len(values) ** 0.5 * values[0])
    return ExtremeSingularValues(positive[:k], positive[::-1][:k], bounds, bounds, True, True, 0)


def lanczos(
    operator: LinearOperator,
    k: int,
    which: str,
    *,
    rtol: float,
    size: int,
    max_products: int,
    seed: int,
) -> tuple[_Doubles, _Doubles, int]:
    """Return k values of one end ("largest" or "smallest"), their bounds and the number of products.

    A P = Q B and AᵀQ = P Bᵀ + β p eᵀ with orthonormal P and Q; the singular values of the small B approach
    A's, and ‖Aᵀu − σv‖ = β·|last entry of B's left vector| bounds the distance to one of A's. When P and Q
    are full they are replaced by the k + some wanted vectors and the recurrence goes on (Baglama and Reichel
    2005). All vectors are orthogonalised twice. It starts in the range of Aᵀ and so never meets the zeros of
    a matrix without full rank, up to rounding.
    """
    # BLAS and LAPACK as SciPy has them, with one thread: vectors are read once, which threads don't hasten.
    with blas_threads(1):
        return _lanczos(operator, k, which, rtol, size, max_products, seed)


def _lanczos(
    operator: LinearOperator, k: int, which: str, rtol: float, size: int, max_products: int, seed: int
) -> tuple[_Doubles, _Doubles, int]:
    tall = operator.shape[0] >= operator.shape[1]
    forward, back = (operator.matvec, operator.rmatvec) if tall else (operator.rmatvec, operator.matvec)
    m, n = operator.shape if tall else operator.shape[::-1]
    size = min(size, n)
    k = min(k, size)
    p, q = np.zeros((size + 1, n)), np.zeros((size, m))
    b = np.zeros((size, size))
    start = np.asarray(back(np.random.default_rng(seed).standard_normal(m)), dtype=np.float64)
    norm = float(scipy.linalg.blas.dnrm2(start))
    if norm == 0:
        return np.zeros(0), np.zeros(0), 1
    p[0] = start / norm
    products, kept = 1, 0
    while True:
        filled, beta = _extend(forward, back, p, q, b, kept)
        products += 2 * (filled - kept)
        left, values, right = scipy.linalg.svd(b[:filled, :filled])
        residuals = beta * np.abs(left[-1])
        order = np.arange(filled) if which == "largest" else np.arange(filled)[::-1]
        wanted = order[: min(k, filled)]
        done = residuals[wanted].max() <= rtol * values[0]
        if done or filled < size or size == n or products >= max_products:
            return values[wanted], residuals[wanted], products
        kept = min(k + (size - k) // 3, size - 2)
        chosen = order[:kept]
        p[:kept] = _core.gemm(np.ascontiguousarray(right[chosen]), p[:size])
        p[kept] = p[size]
        q[:kept] = _core.gemm(np.ascontiguousarray(left[:, chosen].T), q)
        b[:] = 0
        b[:kept, :kept] = np.diag(values[chosen])


def _extend(forward: Any, back: Any, p: _Doubles, q: _Doubles, b: _Doubles, kept: int) -> tuple[int, float]:
    """Fill P and Q from `kept` on; return how many there are and β. Ends early where nothing is left."""
    largest = float(np.abs(b).max())
    for i in range(kept, len(q)):
        new, along = _orthogonalized(forward(p[i]), q[:i])
        alpha = float(scipy.linalg.blas.dnrm2(new))
        b[:i, i] = along
        largest = max(largest, alpha)
        if alpha <= 1e-14 * largest:
            # A p lies in what is there: B gets a zero row, which says so.
            b[i, i] = 0
            return max(i, 1), 0.0
        b[i, i] = alpha
        q[i] = new / alpha
        new, _ = _orthogonalized(back(q[i]), p[: i + 1])
        beta = float(scipy.linalg.blas.dnrm2(new))
        if beta <= 1e-14 * largest:
            return i + 1, 0.0
        p[i + 1] = new / beta
    return len(q), beta


def _orthogonalized(x: _Doubles, basis: _Doubles) -> tuple[_Doubles, _Doubles]:
    """Return x without its components along the rows of `basis`, and the components."""
    x = np.asarray(x, dtype=np.float64)
    along = np.zeros(len(basis))
    if not len(basis):
        return x, along
    columns = basis.T  # as BLAS sees the rows
    for _ in range(2):
        found = scipy.linalg.blas.dgemv(1.0, columns, x, trans=1)
        x = scipy.linalg.blas.dgemv(-1.0, columns, found, 1.0, x)
        along += found
    return x, along
