"""Higher-order generalized singular value decomposition: patterns that several matrices share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import (
    FloatArray,
    as_array,
    as_float_matrix,
    check_choice,
    check_integer,
    check_progress,
)
from wavelens._threads import blas_threads
from wavelens.exceptions import WavelensWarning
from wavelens.linalg._matrix_loaders import LeftFactors, LoadedMatrices, as_matrix
from wavelens.linalg._pivoted_qr import pivoted_qr
from wavelens.linalg._triangular_factor import TriangularFactor

__all__ = ["HOGSVD", "ho_gsvd"]


@dataclass(frozen=True, eq=False)
class HOGSVD:
    """What `ho_gsvd` returns: ``weights[i] * matrices[i] ≈ u[i] * sigma[i] @ v.T`` for every i, to rounding.

    Attributes
    ----------
    u : sequence of (n_i, rank) ndarray
        Left factors: a tuple, or, of matrices that are loaded, a sequence that makes each when asked. Columns
        have norm 1, or are zero where σ is zero. They are orthogonal for two matrices,
        in general not for more.
    sigma : (N, rank) ndarray
        Generalized singular values, not negative: how strongly matrix i holds direction k. With ``"csd"``
        normalization the squares in a column sum to 1; with ``"unit"`` they carry the length of the pattern.
    v : (m, rank) ndarray
        The common right factor: a pattern a column, linearly independent, in general not orthogonal. The
        entry of largest modulus in a column is positive.
    tau : (rank,) ndarray
        Eigenvalues of T = (1/N) Σ (G_i + πI)⁻¹, ascending: from 1/(1/N + π) for a direction that all matrices
        share evenly to (N − 1)/(Nπ) + 1/(N(1 + π)) for one that belongs to a single matrix.
    rank : int
        Numerical rank of the stacked matrices.
    commonness : (rank,) ndarray
        (τ − τ_min)/(τ_max − τ_min): 0 for a direction common to all matrices, 1 for an isolated one. With
        ``ridge=0`` τ has no maximum, and all are 0.
    owner : (rank,) ndarray of intp
        The matrix that an isolated direction belongs to; −1 for directions that are not isolated.
    resolved : (rank,) ndarray of bool
        Whether the data determine the direction itself. Where False (several isolated directions of one
        matrix, equal σ), only the subspace that it spans with its neighbours of the same τ is determined; the
        basis given there has orthogonal columns of V, the longest first.
    weights : (N,) ndarray
        What the matrices were multiplied by.

    Notes
    -----
    `tau`, `sigma`, `v` and the `u` have the dtype of the matrices.
    """

    u: Sequence[FloatArray]
    sigma: FloatArray
    v: FloatArray
    tau: FloatArray
    rank: int
    commonness: FloatArray
    owner: npt.NDArray[np.intp]
    resolved: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]
    _solver: tuple[Any, ...] = field(repr=False)

    def angle(self, i: int, j: int) -> FloatArray:
        """Return atan2(σ_i, σ_j) − π/4 of every direction, in radians.

        Parameters
        ----------
        i, j : int
            Two matrices, counted from 0.

        Returns
        -------
        (rank,) ndarray
            π/4 where the direction is absent from matrix j, −π/4 where it is absent from matrix i (or from
            both), 0 where both hold it alike.
        """
        first, second = self._index(i, "i"), self._index(j, "j")
        return np.asarray(
            np.arctan2(self.sigma[first], self.sigma[second]) - self.sigma.dtype.type(np.pi / 4)
        )

    def log_ratio(self, i: int, j: int) -> FloatArray:
        """Return log(σ_i/σ_j) of every direction.

        Parameters
        ----------
        i, j : int
            Two matrices, counted from 0.

        Returns
        -------
        (rank,) ndarray
            +inf where only matrix i holds the direction, −inf where only j does, NaN where neither does.
        """
        first, second = self._index(i, "i"), self._index(j, "j")
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(self.sigma[first]) - np.log(self.sigma[second]))

    def reconstruct(self, i: int, components: npt.ArrayLike | slice | None = None) -> FloatArray:
        """Rebuild matrix i from some or all of the directions.

        Parameters
        ----------
        i : int
            The matrix, counted from 0.
        components : sequence of int, boolean mask, slice or None
            The directions to use (negative numbers count from the end); None uses all.

        Returns
        -------
        (n_i, m) ndarray
            The sum of σ_ik u_ik v_kᵀ over them, over the matrix' weight. For a `TriangularFactor`, its `r`.

        Raises
        ------
        TypeError
            If `i` or `components` does not hold integers.
        ValueError
            If `i` or one of `components` is out of range.
        """
        index = self._index(i, "i")
        chosen = slice(None) if components is None else self._chosen(components)
        u, sigma, v = self.u[index][:, chosen], self.sigma[index, chosen], self.v[:, chosen]
        weight = float(self.weights[index])
        if weight != 1:
            # Half of the power of two goes to either side: the whole may be beyond the range.
            fraction, exponent = np.frexp(weight)
            half = int(exponent) // 2
            sigma = np.ldexp(sigma / sigma.dtype.type(fraction), -half)
            v = np.ldexp(v, half - int(exponent))
        return np.asarray((u * sigma) @ v.T)

    def transform(self, rows: npt.ArrayLike) -> FloatArray:
        """Return the coordinates y of rows x in the patterns: x ≈ y @ v.T.

        For row k of matrix i these are ``u[i][k] * sigma[i] / weights[i]``; other rows, images never seen, go
        the same way: y = x R⁻¹ Z by a triangular solve, R the triangular factor of the stacked matrices and Z
        orthogonal.

        Parameters
        ----------
        rows : (k, m) array_like
            Converted to the dtype of the decomposition.

        Returns
        -------
        (k, rank) ndarray
            Where rank = m, x = y @ v.T holds for every x. Where it is smaller, y is the least-squares
            solution, every column measured in units of its norm over the stacked matrices (rounded to a power
            of two).

        Notes
        -----
        Costs 2 k m rank flops or a little more.
        """
        x = as_float_matrix(rows, "rows")
        if x.shape[1] != self.v.shape[0]:
            raise ValueError(
                f"`rows` must have {self.v.shape[0]} columns like the decomposed matrices, got {x.shape[1]}"
            )
        return _core.ho_gsvd_rows(self._solver, x.astype(self.v.dtype, copy=False))

    def _chosen(self, components: npt.ArrayLike | slice) -> Any:
        if isinstance(components, slice):
            return components
        chosen = as_array(components, "components")
        if chosen.size == 0 and chosen.ndim == 1:
            return np.empty(0, dtype=np.intp)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iub":
            raise TypeError(
                "`components` must be a sequence of integers, a boolean mask, a slice or None, "
                f"got {components!r}"
            )
        if chosen.dtype.kind == "b":
            if len(chosen) != self.rank:
                raise ValueError(
                    f"`components` as a mask must have one entry for each of the {self.rank} directions, "
                    f"got {len(chosen)}"
                )
        elif not ((chosen >= -self.rank) & (chosen < self.rank)).all():
            wrong = chosen[(chosen < -self.rank) | (chosen >= self.rank)][0]
            raise ValueError(
                f"`components` must be between 0 and {self.rank - 1} (there are {self.rank} directions), "
                f"got {wrong}"
            )
        return chosen

    def _index(self, value: int, name: str) -> int:
        return check_integer(
            value, name, low=0, high=len(self.u) - 1, why=f"there are {len(self.u)} matrices"
        )


def ho_gsvd(
    matrices: Sequence[npt.ArrayLike | TriangularFactor | Callable[[], npt.ArrayLike | TriangularFactor]],
    *,
    ridge: float = 1e-3,
    weights: npt.ArrayLike | Literal["size"] | None = None,
    normalization: Literal["csd", "unit"] = "csd",
    rtol: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> HOGSVD:
    """Decompose matrices with the same columns as D_i = U_i Σ_i Vᵀ, with one V for all.

    Columns of V are patterns; σ_ik tells how strongly matrix i (the images of one class, say) holds pattern
    k. Patterns come in order of τ: first those that all matrices share evenly, last those that belong to one
    alone.

    Parameters
    ----------
    matrices : sequence of N ≥ 2 (n_i, m) array_like, TriangularFactor or functions
        Of any ranks, wide or tall. float32 if all are (or are float16), else float64; other dtypes and a
        mixture are converted. Any strides; nothing is modified. A `TriangularFactor` stands for a matrix
        known by its R. A function without arguments is called for its matrix or factor (from a file, say)
        whenever that is wanted, which is four to five times, and again for every ``u[i]``: where any is given,
        only one matrix is held at a time, and memory is O(m² + N m). Of two, both are loaded and held.
    ridge : float
        π of Kempf, Goulart and Duncan (2021), at least 0. For two matrices V and σ do not depend on it; for
        more they do. 0 is the definition of Ponnapalli et al. (2011), with eigenvalues λ = (τ − 1)/(N − 1),
        and needs every matrix to have full column rank.
    weights : "size", (N,) array_like or None
        Matrix i enters multiplied by ``weights[i]`` > 0; "size" takes 1/√n_i, so that a class does not count
        more for having more images. None is 1. The result depends on the relative scale of the matrices.
    normalization : "csd" or "unit"
        "csd": Σ_i σ_ik² = 1. "unit": columns of V have norm 1 and σ takes the norm, as the papers plot it.
    rtol : float, optional
        The rank is the number of diagonal entries of a pivoted QR decomposition, of the stacked matrices with
        columns scaled by powers of two to norms within [1, 2), above rtol times the first. None is max(Σn_i,
        m)·eps. What is cut adds to the backward error.
    progress : callable, optional
        Called with the share of the work done, in [0, 1], between stages.

    Returns
    -------
    HOGSVD

    Raises
    ------
    TypeError
        If a matrix holds complex numbers or objects.
    ValueError
        If there are fewer than two matrices, their numbers of columns differ, one is empty or holds NaN or
        infinities (the message tells which and where), all entries are zero, a weight is not positive,
        ``ridge=0`` meets a matrix without full column rank, or `ridge`, the quotient of two weights, or the
        norm of a column of the weighted stack (which V holds) is beyond the range of the dtype.

    Warns
    -----
    WavelensWarning
        If every direction is isolated (the ranks of the matrices add up to that of the stack): the matrices
        have nothing to compare, and σ means nothing. If a matrix is below rounding of the others (for two
        matrices, or where the rank is cut) and what it holds is lost.

    See Also
    --------
    HOGSVD : The result, with angles, ratios, reconstruction and coordinates of new rows.

    Notes
    -----
    The stacked matrices are brought to [Q_1; …; Q_N] R with orthonormal columns. The eigenvectors Z of T =
    (1/N) Σ (G_i + πI)⁻¹, G_i = Q_iᵀQ_i, give V = RᵀZ and U_iΣ_i = Q_iZ; its eigenvalues are τ. Two matrices
    go through the CS decomposition instead, which resolves σ down to eps; with more, σ below about √(eps·π)
    is not told from zero when owners are found.

    The backward error of every column is a few eps of its norm over the stack, whatever the conditioning,
    plus what `rtol` cuts. Of more than two matrices one that is faint beside the others (below √eps) is still
    exact to a few eps of its own norm, times κ(V). Errors of σ are of order eps·κ(V).

    Cost: about 5 M m² flops in matrix products for M rows in all and 15 m³ for the rest, an eigenproblem of
    order `rank` among it; for more than two matrices, 3 m³ more for each. Where the rank is not full or the
    condition number (after column scaling) is beyond about 1e6, and in float32 beyond about 100, a
    Householder QR decomposition takes the place of the products and is several times slower.

    Results are the same to the bit for any number of threads: the products are the engine's own, and LAPACK
    is called with one thread.

    References
    ----------
    S. P. Ponnapalli, M. A. Saunders, C. F. Van Loan, O. Alter, "A higher-order generalized singular value
    decomposition for comparison of global mRNA expression from multiple organisms", PLoS ONE 6(12), 2011,
    eqs. 1–3.

    I. Kempf, P. J. Goulart, S. R. Duncan, "A higher-order generalized singular value decomposition for
    rank-deficient matrices", 2021.

    Examples
    --------
    Two classes of "images" of 4 pixels; the first pattern belongs to both, the others to one of them.

    >>> import numpy as np
    >>> from wavelens.linalg import ho_gsvd
    >>> rng = np.random.default_rng(0)
    >>> patterns = np.array([[1.0, 1, 1, 1], [1, -1, 0, 0], [0, 0, 1, -1]])
    >>> a = rng.standard_normal((50, 2)) @ patterns[[0, 1]]
    >>> b = rng.standard_normal((60, 2)) @ patterns[[0, 2]]
    >>> result = ho_gsvd([a, b])
    >>> result.rank, result.owner.tolist()
    (3, [-1, 0, 1])
    >>> bool(np.allclose(result.reconstruct(1), b))
    True
    >>> np.round(result.angle(0, 1)[1:] / np.pi, 3).tolist()
    [0.25, -0.25]
    """
    check_choice(normalization, "normalization", ("csd", "unit"))
    check_progress(progress)
    items = _as_items(matrices)
    load: Callable[[int], FloatArray]
    if len(items) > 2 and any(map(callable, items)):
        loaded = LoadedMatrices(items)
        parts = _streamed(loaded, ridge, weights, rtol, normalization == "unit", progress)
        dtype, largest, load = loaded.dtype, loaded.largest, loaded.load
    else:
        arrays, n_rows = _checked_matrices([item() if callable(item) else item for item in items])
        dtype, load = arrays[0].dtype, arrays.__getitem__
        largest = [max(float(each.max()), -float(each.min())) for each in arrays]
        factors = _checked_weights(weights, n_rows, dtype)
        pi, tolerance = _checked_ridge(ridge, dtype), _checked_rtol(rtol, n_rows, arrays[0].shape[1], dtype)
        with blas_threads(1):
            found = _core.ho_gsvd(arrays, pi, factors.tolist(), tolerance, normalization == "unit", progress)
        parts = _Parts(pi, factors, *found)
    n, pi, tau = len(items), parts.ridge, parts.tau
    low = 1 / (1 / n + pi)
    high = (n - 1) / (n * pi) + 1 / (n * (1 + pi)) if pi > 0 else np.inf
    span = high - low if high > low else np.inf  # a huge ridge leaves no difference
    commonness = np.clip((tau.astype(np.float64) - low) / span, 0, 1).astype(dtype)
    result = HOGSVD(
        parts.u,
        parts.sigma,
        parts.v,
        tau,
        parts.v.shape[1],
        commonness,
        parts.owner,
        parts.resolved,
        parts.weights,
        parts.solver,
    )
    if not _warn_of_faint_matrices(largest, load, result) and (parts.owner >= 0).all():
        warnings.warn(
            "every direction belongs to one matrix alone (the ranks of the matrices add up to that of the "
            "stack): there is nothing to compare, and σ means nothing; use fewer columns or more rows",
            WavelensWarning,
            stacklevel=2,
        )
    return result


@dataclass(frozen=True, eq=False)
class _Parts:
    ridge: float
    weights: npt.NDArray[np.float64]
    u: Sequence[FloatArray]
    sigma: FloatArray
    v: FloatArray
    tau: FloatArray
    owner: npt.NDArray[np.intp]
    resolved: npt.NDArray[np.bool_]
    solver: tuple[Any, ...]


def _streamed(
    matrices: LoadedMatrices,
    ridge: float,
    weights: npt.ArrayLike | None,
    rtol: float | None,
    unit: bool,
    progress: Callable[[float], None] | None,
) -> _Parts:
    """Decompose matrices of which one is held at a time."""
    first_pass = 0.2
    factor: list[TriangularFactor] = []
    given = None if weights is None or isinstance(weights, str) else as_array(weights, "weights")

    def add(i: int, array: FloatArray) -> None:
        if not factor:
            factor.append(TriangularFactor.empty(array.shape[1], array.dtype))
            _checked_ridge(ridge, array.dtype)
            if given is not None:
                _checked_weights(given, [1] * len(matrices), array.dtype)
        weight = 1.0
        if weights is not None:
            weight = 1 / np.sqrt(matrices.n_rows[i]) if given is None else float(given[i])
        factor[0].partial_fit(array if weight == 1 else array * array.dtype.type(weight))
        if progress is not None:
            progress(first_pass * ((i + 1) / len(matrices)))

    if isinstance(weights, str):
        check_choice(weights, "weights", ("size",))
    matrices.measure(_checked_rows, add)
    dtype, m = matrices.dtype, matrices.shapes[0][1]
    factors = _checked_weights(weights, matrices.n_rows, dtype)
    pi, tolerance = _checked_ridge(ridge, dtype), _checked_rtol(rtol, matrices.n_rows, m, dtype)
    later = None if progress is None else lambda done: progress(first_pass + (1 - first_pass) * done)
    with blas_threads(1):
        sigma, v, tau, owner, resolved, solver = _core.ho_gsvd_streamed(
            len(matrices), matrices.load, _square(factor[0]), pi, factors.tolist(), tolerance, unit, later
        )
    u = LeftFactors(matrices, solver, sigma, factors)
    return _Parts(pi, factors, u, sigma, v, tau, owner, resolved, solver)


def _square(factor: TriangularFactor) -> FloatArray:
    """Return R with as many rows as columns."""
    r = np.asarray(factor.r)
    square = np.zeros((r.shape[1], r.shape[1]), r.dtype)
    square[: len(r)] = r
    return square


def check_options(
    ridge: object,
    weights: npt.ArrayLike | None,
    normalization: str,
    n_matrices: int | None,
    dtype: npt.DTypeLike,
) -> None:
    """Check the options of `ho_gsvd` before there are matrices; `n_matrices` is None where not even that is known.

    Raises
    ------
    ValueError, TypeError
        As `ho_gsvd` would.
    """
    check_choice(normalization, "normalization", ("csd", "unit"))
    kind = np.dtype(dtype)
    _checked_ridge(ridge, kind)
    n = n_matrices
    if n is None:
        known = weights is None or isinstance(weights, str)
        n = 1 if known else len(np.atleast_1d(as_array(weights, "weights")))  # type: ignore[arg-type]
    _checked_weights(weights, [1] * n, kind)


def _checked_rtol(rtol: float | None, n_rows: list[int], m: int, dtype: np.dtype[Any]) -> float:
    if rtol is None:
        return float(max(sum(n_rows), m) * np.finfo(dtype).eps)
    tolerance = _checked_number(rtol, "rtol")
    if tolerance >= 1:
        raise ValueError(f"`rtol` must be below 1, got {rtol}")
    return tolerance


def _warn_of_faint_matrices(largest: list[float], load: Callable[[int], FloatArray], result: HOGSVD) -> bool:
    """Warn of matrices whose content fell below rounding of the others, or to the cut to the rank; say if."""
    n, rank = result.sigma.shape
    if n > 2 and rank == result.v.shape[0]:
        return False  # every row is a combination of the patterns, whatever its size
    with np.errstate(divide="ignore"):
        size = np.log(largest) + np.log(result.weights)
    faint = (size > -np.inf) & (size < size.max() + 0.5 * np.log(np.finfo(result.v.dtype).eps))
    lost = False
    for i in np.flatnonzero(faint):
        if np.abs(result.reconstruct(int(i)) - load(int(i))).max() > 0.01 * largest[i]:
            lost = True
            warnings.warn(
                f"matrices[{i}] is below rounding of the others: `sigma`, `u` and `reconstruct` do not show "
                "what it holds; give `weights` that bring the matrices to one scale",
                WavelensWarning,
                stacklevel=3,
            )
    return lost


def _as_items(matrices: object) -> list[Any]:
    if isinstance(matrices, np.ndarray) and matrices.ndim != 3:
        raise ValueError(
            f"`matrices` must be a sequence of matrices, got one array of shape {matrices.shape}; "
            "split it by class first"
        )
    try:
        items: list[Any] = list(matrices)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"`matrices` must be a sequence of matrices, got {matrices!r}") from None
    if len(items) < 2:
        raise ValueError(f"`matrices` must hold at least 2 matrices, got {len(items)}")
    return items


def _checked_matrices(items: list[Any]) -> tuple[list[FloatArray], list[int]]:
    """Return the arrays, of one dtype, and how many rows each stands for."""
    arrays: list[FloatArray] = []
    n_rows: list[int] = []
    for i, item in enumerate(items):
        array, count = as_matrix(item, f"matrices[{i}]")
        arrays.append(array)
        n_rows.append(_checked_rows(array, count, f"matrices[{i}]"))
        if arrays[i].shape[1] != arrays[0].shape[1]:
            raise ValueError(
                f"`matrices` must have the same number of columns: matrices[0] has {arrays[0].shape[1]}, "
                f"matrices[{i}] has {arrays[i].shape[1]}"
            )
    dtype = np.result_type(*arrays)
    return [array.astype(dtype, copy=False) for array in arrays], n_rows


def _checked_rows(r: FloatArray, n_rows: object, name: str) -> int:
    """Return `n_rows` if a matrix of so many rows can have the factor r."""
    count = check_integer(n_rows, f"{name}.n_rows", low=1)
    if count == len(r):
        return count
    if count < min(r.shape[1], int(r.any(axis=1).sum())):
        # Rows that are only rounding are no reason to refuse.
        rank = pivoted_qr(r, count + 1, rtol=float(np.sqrt(np.finfo(r.dtype).eps))).rank
        if rank > count:
            raise ValueError(
                f"`{name}.n_rows` must be at least the rank of `{name}.r`, {rank} or more, got {count}"
            )
    return count


def _checked_number(value: object, name: str) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"`{name}` must be a number, got {value!r}")
    if not 0 <= value < np.inf:
        raise ValueError(f"`{name}` must be finite and at least 0, got {value}")
    return float(value)


def _checked_ridge(ridge: object, dtype: np.dtype[Any]) -> float:
    value = _checked_number(ridge, "ridge")
    limits = np.finfo(dtype)
    low, high = float(limits.tiny), float(limits.max) / 8
    if value != 0 and not low <= value <= high:
        raise ValueError(f"`ridge` must be 0 or between {low:.3g} and {high:.3g} for {dtype}, got {ridge}")
    return value


def _checked_weights(
    weights: npt.ArrayLike | None, n_rows: list[int], dtype: np.dtype[Any]
) -> npt.NDArray[np.float64]:
    if weights is None:
        return np.ones(len(n_rows))
    if isinstance(weights, str):
        check_choice(weights, "weights", ("size",))
        return 1 / np.sqrt(np.asarray(n_rows, dtype=np.float64))
    values = as_array(weights, "weights")
    if values.dtype.kind not in "fiu":
        raise TypeError(f'`weights` must be "size", None or an array of numbers, got {weights!r}')
    if values.shape != (len(n_rows),):
        raise ValueError(
            f"`weights` must hold one number for each of the {len(n_rows)} matrices, got shape {values.shape}"
        )
    values = values.astype(np.float64)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError(f"`weights` must be positive and finite, got {weights}")
    least = 4 * float(np.finfo(dtype).tiny)
    if values.min() / values.max() < least:
        raise ValueError(
            f"`weights` must not differ by more than a factor of {1 / least:.3g} for {dtype}, "
            f"got {values.min()} and {values.max()}"
        )
    return values
