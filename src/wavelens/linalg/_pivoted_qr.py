"""The most influential columns of a matrix: column-pivoted (rank-revealing) QR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, as_float_matrix, check_choice, check_integer, check_progress
from wavelens.linalg._row_sketch import RowSketch

__all__ = ["PivotedQR", "PivotedQRMethod", "pivoted_qr"]

PivotedQRMethod = Literal["blocked", "exact", "strong", "sketch"]
_methods = ("blocked", "exact", "strong", "sketch")


@dataclass(frozen=True, eq=False)
class PivotedQR:
    """``a[:, permutation] = q @ r`` up to what the columns left out add; see `pivoted_qr`.

    Attributes
    ----------
    pivots : (rank,) array of intp
        The chosen columns of `a`, the most influential first.
    r_diag : (rank,) array, dtype of `a`
        Diagonal of R, positive: the distance of each chosen column from the span of those before it.
    rank : int
        Number of columns chosen: `k`, or less where the rest is below the tolerance.
    q : (n, rank) array, dtype of `a`, or None
        Orthonormal basis of the chosen columns (Fortran order).
    r : (rank, p) array, dtype of `a`, or None
        Upper triangular in its first `rank` columns. Its columns stand in pivoted order, as in LAPACK and
        SciPy: column j of `r` belongs to column ``permutation[j]`` of `a`. In the order of `a` it is
        ``r[:, np.argsort(permutation)]``.
    permutation : (p,) array of intp
        All columns of `a`: the pivots, then the others in ascending order.
    """

    pivots: npt.NDArray[np.intp]
    r_diag: FloatArray
    rank: int
    q: FloatArray | None
    r: FloatArray | None
    permutation: npt.NDArray[np.intp]


def pivoted_qr(
    a: npt.ArrayLike | RowSketch,
    k: int | None = None,
    *,
    method: PivotedQRMethod = "blocked",
    rtol: float | None = None,
    with_q: bool = False,
    with_r: bool = False,
    random_state: int = 0,
    progress: Callable[[float], object] | None = None,
) -> PivotedQR:
    """Choose the `k` columns of `a` that span it best, one after the other, by column-pivoted QR.

    Parameters
    ----------
    a : (n, p) array_like or RowSketch
        float32 stays float32, float64 float64; integers become float64. Any strides, read-only arrays and
        memory maps are read where they lie, by "blocked" and "sketch" without a copy (only data beyond about
        2**±340, in float32 2**±42, is rescaled in a copy); "exact" works on a copy. A `RowSketch` stands for the
        rows that it has seen; all that is chosen or measured then is that of the sketch.
    k : int, optional
        Number of columns, at most ``min(n, p)``, which is the default. From a `RowSketch` of more rows than it
        could keep, at most half as many as it has rows.
    method : {"blocked", "exact", "strong", "sketch"}, default "blocked"
        How columns are chosen:

        "blocked"
            Randomized sketches pick a block of columns at a time. At most about 2.5 n p k flops, all in
            matrix products, and a fraction of it where column norms decay.
        "exact"
            The greedy choice of LAPACK's ``geqp3``. At most 4 n p k flops at a lower rate. Among columns
            equally long the lowest index is taken.
        "strong"
            "blocked", then exchanges until every entry of R₁₁⁻¹R₁₂ is at most 2 in size and the singular
            values of R₁₁ and R₂₂ are within √(1 + 4 k (p − k)) of the best possible.
        "sketch"
            For n ≫ k: `a` is read twice, in chunks of rows. 16 n p flops for the choice and 3 n k² for the
            true R.
    rtol : float, optional
        Stop where the best remaining column is at most ``rtol * r_diag[0]`` long; ``max(n, p) * eps`` by
        default. For tall float32 matrices that is much (0.024 at 200,000 rows): give a smaller one where
        shorter columns are wanted. For a `RowSketch`, n counts the rows that it has seen.
    with_q, with_r : bool, default False
        Whether to return Q and R. R costs 2 n p k flops more. Not from a `RowSketch`, which knows no rows.
    random_state : int, default 0
        Seed of the sketches. The same seed gives the same result, bit for bit, with any number of threads.
    progress : callable, optional
        Called with the share of the work that is done.

    Returns
    -------
    PivotedQR

    Raises
    ------
    ValueError
        If `a` is not a matrix, is empty, or holds NaN or infinities (the first position is named), or if `k`,
        `method` or `rtol` is out of range.
    TypeError
        If `a` does not hold real numbers, `k` is no integer, `rtol` no number or `progress` no function.

    Notes
    -----
    Scaling `a` by a power of two scales `r` and `r_diag` and changes nothing else. Columns of zeros are never
    chosen. "blocked" judges columns by sketches, so `r_diag` need not fall monotonically; the part of `a`
    left out, ``norm(a - q @ q.T @ a)``, is within a few per cent of what "exact" leaves.

    Where the rows are few (n below about 200), "blocked" sees the residuals themselves and chooses like
    "exact".

    References
    ----------
    .. [1] P. Businger, G. H. Golub, "Linear least squares solutions by Householder transformations",
       Numerische Mathematik 7 (1965).
    .. [2] P.-G. Martinsson, G. Quintana-Ortí, N. Heavner, R. van de Geijn, "Householder QR factorization with
       randomization for column pivoting", SIAM J. Sci. Comput. 39 (2017).
    .. [3] M. Gu, S. C. Eisenstat, "Efficient algorithms for computing a strong rank-revealing QR
       factorization", SIAM J. Sci. Comput. 17 (1996).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.linalg import pivoted_qr
    >>> a = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    >>> chosen = pivoted_qr(a, with_q=True, with_r=True)
    >>> chosen.pivots, chosen.r_diag
    (array([1, 2]), array([3., 2.]))
    >>> bool(np.allclose(chosen.q @ chosen.r, a[:, chosen.permutation]))
    True
    """
    why = "the smaller dimension of `a`"
    sketch = a if isinstance(a, RowSketch) else None
    rows = _rows_of(a, with_q or with_r) if isinstance(a, RowSketch) else a
    matrix = as_float_matrix(rows, "a", finite=False)
    smaller = min(matrix.shape)
    if sketch is not None and not sketch.exact and sketch.n_rows // 2 < smaller:
        smaller, why = sketch.n_rows // 2, "half the rows of the sketch; give it more `n_rows`"
    if k is None:
        k = smaller
    k = check_integer(k, "k", low=1, high=smaller, why=why)
    check_choice(method, "method", _methods)
    check_progress(progress)
    if rtol is not None and (
        isinstance(rtol, bool | np.bool_) or not isinstance(rtol, int | float | np.integer | np.floating)
    ):
        raise TypeError(f"`rtol` must be a number or None, got {rtol!r}")
    if rtol is not None and not 0 <= rtol < 1:
        raise ValueError(f"`rtol` must be at least 0 and below 1, got {rtol}")
    seed = check_integer(random_state, "random_state", low=0, high=2**64 - 1)
    tolerance = -1.0 if rtol is None else float(rtol)  # negative: the engine's default
    if sketch is not None:
        n_rows = max(sketch.n_rows_seen, sketch.n_features)
        tolerance = float(n_rows * np.finfo(sketch.dtype).eps) if rtol is None else float(rtol)
        method = "blocked" if method == "sketch" else method
    permutation, r_diag, q, r = _core.pivoted_qr(matrix, k, method, tolerance, with_q, with_r, seed, progress)
    rank = len(r_diag)
    return PivotedQR(permutation[:rank], r_diag, rank, q, r, permutation)


def _rows_of(sketch: RowSketch, with_factors: bool) -> FloatArray:
    """Return the matrix that stands for the rows a sketch has seen."""
    if with_factors:
        raise ValueError(
            "`with_q` and `with_r` must be False for a RowSketch, which knows no rows; for R of the chosen columns "
            "read the rows again into a TriangularFactor"
        )
    if sketch.n_rows_seen == 0:
        raise ValueError("`a` must have seen rows, got an empty RowSketch; call partial_fit first")
    return sketch.matrix
