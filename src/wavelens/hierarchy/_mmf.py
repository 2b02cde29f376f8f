"""Multiresolution matrix factorization: C ≈ QᵀΛQ with Q a product of small rotations, one wavelet a level."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import as_array, check_choice, check_finite_number, check_integer, check_progress
from wavelens._threads import blas_threads
from wavelens.exceptions import WavelensError
from wavelens.hierarchy._class_covariance import ClassCovariance
from wavelens.hierarchy._symmetric import as_new_rows, as_symmetric, check_scale

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

    from wavelens.hierarchy._graph import MMFGraph
    from wavelens.hierarchy._novelty import Novelty

__all__ = ["MMF", "MMFMethod", "MMFRotation", "mmf"]

MMFMethod = Literal["exhaustive", "topk", "random"]
MMFRotation = Literal["eigen", "gram", "opt"]
_methods = ("exhaustive", "topk", "random")
_rotations = ("eigen", "gram", "opt")

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class MMF:
    """A symmetric matrix C as QᵀΛQ up to an error that is known; made by `mmf`.

    Q = Q_L ⋯ Q_1. Each Q_l rotates `order` rows, the tuple of level l; afterwards one of them, the wavelet, is
    left out of all later levels. Λ is the core, a full block on the rows that stay, and a diagonal on the
    wavelets. The object acts on vectors as M = QᵀΛQ in O(order² n_levels + core_size²).

    It is never changed: `insert` and `insert_many` return a new one.

    Attributes
    ----------
    tuples : (n_levels, order) array of intp
        The rows rotated at each level, ascending.
    wavelets : (n_levels,) array of intp
        The row of each tuple that becomes a wavelet.
    rotations : (n_levels, order, order) array of float64
        The rotation of each level; its rows and columns follow the tuple. Determinant 1, positive diagonal
        but for one row where the determinant asks for it.
    level_errors : (n_levels,) array of float64
        What each level adds to the squared Frobenius norm of C − M.
    core : (core_size, core_size) array of float64
        Λ on `core_indices`.
    core_indices : (core_size,) array of intp
        The rows that are no wavelets, ascending.
    frequencies : (n_levels,) array of float64
        Λ at the wavelets, level by level.
    method, rotation : str
        How it was made; an insertion goes on in the same way.
    matrix : (m, m) array of float64 or None
        C itself, read-only. Needed by `insert`, `insert_many`, `novelty` and `scores`; None after `compact`.
    """

    tuples: IntArray
    wavelets: IntArray
    rotations: Float64Array
    level_errors: Float64Array
    core: Float64Array
    core_indices: IntArray
    frequencies: Float64Array
    method: MMFMethod = "topk"
    rotation: MMFRotation = "opt"
    matrix: Float64Array | None = field(default=None, repr=False)

    __array_ufunc__ = None  # an array on the left leaves `@` to this class

    def __repr__(self) -> str:
        return (
            f"MMF(m={self.shape[0]}, order={self.order}, n_levels={self.n_levels}, "
            f"core_size={self.core_size}, relative_error={self.relative_error:.3g})"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix."""
        m = self.n_levels + self.core_size
        return m, m

    @property
    def order(self) -> int:
        """Number of rows that a level rotates, k."""
        return int(self.tuples.shape[1])

    @property
    def n_levels(self) -> int:
        """Number of levels, L."""
        return len(self.wavelets)

    @property
    def core_size(self) -> int:
        """Number of rows of the core, m − L."""
        return len(self.core_indices)

    @property
    def error(self) -> float:
        """Frobenius norm of C − M."""
        return float(np.sqrt(self.level_errors.sum()))

    @property
    def relative_error(self) -> float:
        """Frobenius norm of C − M over that of C; 0 for C = 0."""
        # Rotations keep the norm, so that of C is known without C.
        norm = np.sqrt(
            np.sum(np.square(self.core)) + np.sum(np.square(self.frequencies)) + self.level_errors.sum()
        )
        return float(self.error / norm) if norm > 0 else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes that the factorization takes, without `matrix`; C takes 8 m²."""
        parts = (self.tuples, self.wavelets, self.rotations, self.core, self.core_indices, self.frequencies)
        return sum(part.nbytes for part in parts)

    def compact(self) -> MMF:
        """Return the same factorization without C, to keep or to save as a compression of it."""
        return replace(self, matrix=None)

    def transform(self, x: npt.ArrayLike) -> Float64Array:
        """Return Q x: wavelet coefficients at the places of the wavelets, the coarse part on the core.

        Parameters
        ----------
        x : (m,) or (m, n) array_like

        Returns
        -------
        array of float64, shape of `x`
        """
        return self._rotated(self._columns(x, "x"), np.shape(x), transpose=False)

    def inverse_transform(self, y: npt.ArrayLike) -> Float64Array:
        """Return Qᵀ y, which undoes `transform`.

        Parameters
        ----------
        y : (m,) or (m, n) array_like

        Returns
        -------
        array of float64, shape of `y`
        """
        return self._rotated(self._columns(y, "y"), np.shape(y), transpose=True)

    def __matmul__(self, x: npt.ArrayLike) -> Float64Array:
        """Return M x for a vector or the columns of a matrix."""
        return self._function(x, "x", self.core, self.frequencies)

    def __rmatmul__(self, x: npt.ArrayLike) -> Float64Array:
        """Return x M for a vector or the rows of a matrix."""
        return (self @ np.asarray(x).T).T

    def reconstruct(self) -> Float64Array:
        """Return M as a dense matrix (m, m), exactly symmetric."""
        dense = self @ np.eye(self.shape[0])
        return 0.5 * (dense + dense.T)

    def solve(self, b: npt.ArrayLike, *, shift: float = 0.0) -> Float64Array:
        """Return the x with (M + shift I) x = b.

        Parameters
        ----------
        b : (m,) or (m, n) array_like
        shift : float, default 0.0
            Added to the diagonal; makes a singular M regular.

        Returns
        -------
        array of float64, shape of `b`

        Raises
        ------
        WavelensError
            If the matrix is singular to rounding.
        """
        core, frequencies = self._shifted_inverse(check_finite_number(shift, "shift"))
        return self._function(b, "b", core, frequencies)

    def sqrt(self) -> LinearOperator:
        """Return the symmetric square root of M as a SciPy linear operator.

        Raises
        ------
        WavelensError
            If M has a negative eigenvalue beyond rounding; M is positive semidefinite where C is.
        """
        core, frequencies = self._square_root()
        return self._operator(core, frequencies)

    def slogdet(self) -> tuple[float, float]:
        """Return the sign of det M and the logarithm of its absolute value, as `numpy.linalg.slogdet`."""
        values = np.concatenate([self._core_spectrum[0], self.frequencies])
        with np.errstate(divide="ignore"):
            return float(np.prod(np.sign(values))), float(np.sum(np.log(np.abs(values))))

    def sample(self, n: int, *, random_state: int | np.random.Generator | None = None) -> Float64Array:
        """Draw vectors of the normal distribution with mean 0 and covariance M.

        Parameters
        ----------
        n : int
            How many.
        random_state : int, Generator or None, default None

        Returns
        -------
        (n, m) array of float64

        Raises
        ------
        WavelensError
            If M has a negative eigenvalue beyond rounding.
        """
        check_integer(n, "n", low=1)
        core, frequencies = self._square_root()
        normal = np.random.default_rng(random_state).standard_normal((n, self.shape[0]))
        return self._function(normal.T, "n", core, frequencies).T

    def scores(self) -> Float64Array:
        """Return how far each row of C is from that of M: the norms of the rows of C − M, (m,)."""
        matrix = self._with_matrix("scores")
        m = len(matrix)
        squares = np.empty(m)
        width = max(1, min(m, 2**22 // m))  # 32 MiB at a time
        for first in range(0, m, width):
            some = np.zeros((m, min(width, m - first)))
            some[np.arange(first, first + some.shape[1]), np.arange(some.shape[1])] = 1
            difference = matrix[:, first : first + some.shape[1]] - self @ some
            squares[first : first + some.shape[1]] = np.einsum("ij,ij->j", difference, difference)
        return np.sqrt(squares)

    def as_linear_operator(self, *, inverse: bool = False, shift: float = 0.0) -> LinearOperator:
        """Return M, or the inverse of M + shift I, as a SciPy linear operator.

        Parameters
        ----------
        inverse : bool, default False
            Whether to act as the inverse, as a preconditioner does.
        shift : float, default 0.0
            Added to the diagonal.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator

        Examples
        --------
        As a preconditioner of conjugate gradients:

        >>> import numpy as np
        >>> from scipy.sparse.linalg import cg
        >>> from wavelens.hierarchy import mmf
        >>> x = np.linspace(0, 1, 100)
        >>> c = np.exp(-0.5 * (x[:, None] - x) ** 2 / 0.1**2) + 0.01 * np.eye(100)
        >>> rough = mmf(c, order=8, core_size=20)
        >>> steps = []
        >>> solved, info = cg(c, np.ones(100), M=rough.as_linear_operator(inverse=True), rtol=1e-8,
        ...                   callback=steps.append)
        >>> bool(np.allclose(c @ solved, 1)), len(steps) < 20
        (True, True)
        """
        shift = check_finite_number(shift, "shift")
        if inverse:
            return self._operator(*self._shifted_inverse(shift))
        return self._operator(self.core + shift * np.eye(self.core_size), self.frequencies + shift)

    def insert(self, row: npt.ArrayLike) -> MMF:
        """Return the factorization of C with one more row and column.

        Each level keeps its tuple unless one with the new index is better (incremental MMF).

        Parameters
        ----------
        row : (m + 1,) array_like
            The new row; its diagonal entry comes last.

        Returns
        -------
        MMF
            Of order m + 1, with one level more; the new index is m.

        Raises
        ------
        ValueError
            If `row` has another length or is not finite.
        WavelensError
            After `compact`.

        Notes
        -----
        O(order² m²). For all rows at once, `mmf` on the whole matrix is faster.
        """
        vector = as_array(row, "row")
        if vector.ndim != 1:
            raise ValueError(
                f"`row` must have 1 dimension, got {vector.ndim} (shape {vector.shape}); "
                "insert_many takes several rows"
            )
        return self._extended(as_new_rows(vector[None], self._with_matrix("insert"), "row"))

    def insert_many(self, rows: npt.ArrayLike, *, progress: Callable[[float], object] | None = None) -> MMF:
        """Return the factorization of C with b more rows and columns, in one pass over the levels.

        Parameters
        ----------
        rows : (b, m + b) array_like
            The new rows: first the entries with the rows that are there, then those among themselves.
        progress : callable or None, default None
            Called with the share of the work that is done.

        Returns
        -------
        MMF
            Of order m + b, with b levels more; the new indices are m … m + b − 1.

        Raises
        ------
        ValueError
            If `rows` has another shape, is not finite, or is not symmetric in its last b columns.
        WavelensError
            After `compact`.

        Notes
        -----
        O(order² m²) for all rows. After doubling a matrix in this way the error is about that of `mmf` on the
        whole: 0.89 to 1.15 times on most kernels, blocks, graphs and class covariances. On lines, paths and
        trees, where few near rows compose a row best, it is up to 1.24 times at order 3 and 2.2 at order 5
        (2.9 if they come one by one).
        `mmf` on the whole is the faster way to a result, this the one that keeps the hierarchy as it was where
        it can.
        """
        check_progress(progress)
        matrix = self._with_matrix("insert_many")
        return self._extended(as_new_rows(rows, matrix, "rows"), progress)

    def refit(self, c: npt.ArrayLike) -> MMF:
        """Return a factorization of another matrix of the same shape with the same tuples.

        Rotations and wavelets are computed afresh; nothing is searched. For a matrix that changed a little.

        Parameters
        ----------
        c : (m, m) array_like
            Symmetric.

        Returns
        -------
        MMF
        """
        matrix = as_symmetric(c, "c")
        if matrix.shape != self.shape:
            raise ValueError(f"`c` must have shape {self.shape}, got {matrix.shape}")
        check_scale(matrix, "c")
        return self._replayed(matrix, None)

    def novelty(self, row: npt.ArrayLike, *, names: Sequence[object] | None = None) -> Novelty:
        """Say what a new row adds that the present ones cannot compose.

        Parameters
        ----------
        row : (m + 1,) array_like
            As for `insert`.
        names : sequence of m + 1 names or None, default None
            Of the rows, the new one last.

        Returns
        -------
        Novelty
            With the factorization after the insertion.
        """
        from wavelens.hierarchy._novelty import novelty

        return novelty(self, row, names)

    def graph(self, names: Sequence[object] | None = None) -> MMFGraph:
        """Return the MMF graph: which rows compose at which level.

        Parameters
        ----------
        names : sequence of m names or None, default None
            Of the rows; their numbers by default.

        Returns
        -------
        MMFGraph
        """
        from wavelens.hierarchy._graph import MMFGraph

        return MMFGraph.from_mmf(self, names)

    def save(self, path: str | os.PathLike[str], *, with_matrix: bool = True) -> None:
        """Write the factorization to an npz file; the file appears whole or not at all.

        Parameters
        ----------
        path : str or path
        with_matrix : bool, default True
            Whether C goes with it, so that rows can be inserted after loading.
        """
        from wavelens.hierarchy._persistence import save_mmf

        save_mmf(self if with_matrix else self.compact(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MMF:
        """Read what `save` wrote; no code of the file is run.

        Raises
        ------
        DataError
            If the file is damaged, of another kind, or of a newer version.
        """
        from wavelens.hierarchy._persistence import load_mmf

        return load_mmf(path)

    def _with_matrix(self, what: str) -> Float64Array:
        if self.matrix is None:
            raise WavelensError(
                f"`{what}` needs the matrix, which this factorization was saved or kept without"
            )
        return self.matrix

    def _extended(self, matrix: Float64Array, progress: Callable[[float], object] | None = None) -> MMF:
        if len(matrix) == self.shape[0]:
            return self
        return self._replayed(matrix, progress)

    def _replayed(self, matrix: Float64Array, progress: Callable[[float], object] | None) -> MMF:
        with blas_threads(1):
            parts = _core.mmf_insert(
                matrix, len(matrix) - self.shape[0], self.tuples, self.wavelets, self.rotation, progress
            )
        return _from_parts(parts, self.method, self.rotation, matrix)

    def _columns(self, x: npt.ArrayLike, name: str) -> Float64Array:
        """Return a copy of `x` as (m, n) that the engine may write to."""
        array = as_array(x, name)
        if array.ndim not in (1, 2) or array.shape[0] != self.shape[0]:
            m = self.shape[0]
            raise ValueError(f"`{name}` must have shape ({m},) or ({m}, n), got {array.shape}")
        if array.dtype.kind not in "fiub":
            raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
        return np.array(array.reshape(len(array), -1), dtype=np.float64, order="C")

    def _rotated(self, x: Float64Array, shape: tuple[int, ...], *, transpose: bool) -> Float64Array:
        _core.mmf_apply(self.tuples, self.rotations, x, transpose)
        return x.reshape(shape)

    def _function(
        self, x: npt.ArrayLike, name: str, core: Float64Array, frequencies: Float64Array
    ) -> Float64Array:
        """Return Qᵀ D Q x, D the block `core` and the diagonal `frequencies`."""
        y = self._columns(x, name)
        _core.mmf_apply(self.tuples, self.rotations, y, False)
        y[self.wavelets] *= frequencies[:, None]
        with blas_threads(1):
            y[self.core_indices] = core @ y[self.core_indices]
        _core.mmf_apply(self.tuples, self.rotations, y, True)
        return y.reshape(np.shape(x))

    def _operator(self, core: Float64Array, frequencies: Float64Array) -> LinearOperator:
        from scipy.sparse.linalg import LinearOperator

        def act(x: npt.NDArray[Any]) -> Float64Array:
            return self._function(x, "x", core, frequencies)

        return LinearOperator(self.shape, matvec=act, rmatvec=act, matmat=act, rmatmat=act, dtype=np.float64)

    @cached_property
    def _core_spectrum(self) -> tuple[Float64Array, Float64Array]:
        with blas_threads(1):
            values, vectors = np.linalg.eigh(self.core)
        return values, vectors

    def _core_function(self, values: Float64Array) -> Float64Array:
        vectors = self._core_spectrum[1]
        with blas_threads(1):
            return np.asarray((vectors * values) @ vectors.T)

    def _shifted_inverse(self, shift: float) -> tuple[Float64Array, Float64Array]:
        values = self._core_spectrum[0] + shift
        frequencies = self.frequencies + shift
        sizes = np.abs(np.concatenate([values, frequencies]))
        if sizes.min() <= len(sizes) * np.finfo(np.float64).eps * sizes.max():
            raise WavelensError(
                f"the matrix is singular: its eigenvalues lie between {sizes.min():.3g} and {sizes.max():.3g} "
                "in size; a `shift` makes it regular"
            )
        return self._core_function(1 / values), 1 / frequencies

    def _square_root(self) -> tuple[Float64Array, Float64Array]:
        values, frequencies = self._core_spectrum[0], self.frequencies
        everything = np.concatenate([values, frequencies])
        if everything.min() < -len(everything) * np.finfo(np.float64).eps * np.abs(everything).max():
            raise WavelensError(f"the matrix is not positive semidefinite: eigenvalue {everything.min():.3g}")
        return self._core_function(np.sqrt(np.maximum(values, 0))), np.sqrt(np.maximum(frequencies, 0))


def mmf(
    c: npt.ArrayLike,
    order: int = 3,
    *,
    n_levels: int | None = None,
    core_size: int | None = None,
    method: MMFMethod = "topk",
    rotation: MMFRotation = "opt",
    random_state: int | None = None,
    copy: bool = True,
    progress: Callable[[float], object] | None = None,
) -> MMF:
    """Factorize a symmetric matrix into rotations of `order` rows at a time, one wavelet a level.

    Parameters
    ----------
    c : (m, m) array_like
        Symmetric to 1e-10 of its largest entry; may be indefinite or singular. Kept as float64, in a copy; a
        `ClassCovariance`, which nobody changes, is kept itself.
    order : int, default 3
        k: how many rows a level composes, from 2 to m. Higher orders are more exact and take longer.
    n_levels : int, optional
        From 0 to m − k + 1, which is the default.
    core_size : int, optional
        The same said by what is left: m − `n_levels`.
    method : {"topk", "exhaustive", "random"}, default "topk"
        Which tuples of rows are tried at a level:

        "topk"
            Each row and the k − 1 most similar to it; taken is the one with the least error times
            dissimilarity.
        "exhaustive"
            All C(m, k): for small matrices.
        "random"
            A random row and the k − 1 most similar to it.
    rotation : {"opt", "eigen", "gram"}, default "opt"
        The wavelet of a tuple t: the unit vector of the least error of all, or of the eigenvectors of C_tt, as
        the paper has it, or of those of the Gram matrix on t.
    random_state : int, optional
        Seed of "random"; 0 by default.
    copy : bool, default True
        False keeps `c` itself, where it is a C-ordered float64 array and symmetric to the last bit; it must not be
        changed afterwards.
    progress : callable or None, default None
        Called with the share of the work that is done.

    Returns
    -------
    MMF

    Raises
    ------
    ValueError
        If `c` is not square, symmetric and finite, its squares are beyond float64 (largest entry above 1e153 / m
        or below 1e-152; 0 is allowed), or an option is out of range.
    TypeError
        If `c` does not hold real numbers or a number is no integer.

    Notes
    -----
    Level l takes the tuple t of active rows S and the unit vector x on it with the least

        E = 2 [xᵀ G x − (xᵀ F x)²],  F = C_tt, G = C_Stᵀ C_St,

    what the level adds to ‖C − M‖² ([1]_, proposition 1; [2]_, equation 3); x is the wavelet's row of the
    rotation, the other rows decorrelate what is left. Some 2 m³ flops in matrix products for the Gram matrix
    and its updates, and O(order² m) a level besides. Memory: two matrices of 8 m² bytes while it runs, besides
    `c` and, unless it is kept itself, its copy. With the covariance of 20,000 classes the process took 9.8 GB, of
    which 3.2 are the covariance.

    References
    ----------
    .. [1] R. Kondor, N. Teneva, V. Garg, "Multiresolution matrix factorization", ICML (2014).
    .. [2] V. K. Ithapu, "Decoding the deep: exploring class hierarchies of deep representations using
       multiresolution matrix factorization", CVPR workshops (2017).
    .. [3] V. K. Ithapu, R. Kondor, S. C. Johnson, V. Singh, "The incremental multiresolution matrix
       factorization algorithm", CVPR (2017).

    Examples
    --------
    Two blocks of two rows that hang together loosely:

    >>> import numpy as np
    >>> from wavelens.hierarchy import mmf
    >>> c = np.array([[2.0, 1.0, 0.1, 0.1], [1.0, 3.0, 0.1, 0.1], [0.1, 0.1, 4.0, 2.0], [0.1, 0.1, 2.0, 5.0]])
    >>> factors = mmf(c, order=2)
    >>> factors.tuples[:2], factors.wavelets[:2]
    (array([[2, 3],
           [0, 1]]), array([2, 0]))
    >>> factors.core_size, bool(factors.relative_error < 0.01)
    (1, True)
    >>> bool(np.isclose(np.linalg.norm(c - factors.reconstruct()), factors.error))
    True
    """
    shared = isinstance(c, ClassCovariance) and not c.matrix.flags.writeable
    matrix = as_symmetric(c, "c", copy=copy and not shared)
    check_scale(matrix, "c")
    m = len(matrix)
    order = check_integer(order, "order", low=2, high=m, why=f"`c` has {m} rows")
    most = m - order + 1
    why = f"{m} rows, of which order {order} leaves {order - 1} for the core"
    if n_levels is None and core_size is None:
        n_levels = most
    elif n_levels is None:
        n_levels = m - check_integer(core_size, "core_size", low=order - 1, high=m, why=f"`c` has {m} rows")
    else:
        n_levels = check_integer(n_levels, "n_levels", low=0, high=most, why=why)
        if core_size is not None and core_size != m - n_levels:
            raise ValueError(
                f"`core_size` must be {m - n_levels} with `n_levels` {n_levels} (one of them is enough), "
                f"got {core_size}"
            )
    check_choice(method, "method", _methods)
    check_choice(rotation, "rotation", _rotations)
    seed = 0 if random_state is None else check_integer(random_state, "random_state", low=0, high=2**63 - 1)
    check_progress(progress)
    with blas_threads(1):
        parts = _core.mmf_factor(matrix, order, n_levels, method, rotation, seed, progress)
    return _from_parts(parts, method, rotation, matrix)


def _from_parts(
    parts: _core._MmfParts, method: MMFMethod, rotation: MMFRotation, matrix: Float64Array
) -> MMF:
    for part in parts:
        part.setflags(write=False)
    tuples, wavelets, rotations, level_errors, core, core_indices, frequencies = parts
    return MMF(
        tuples=tuples,
        wavelets=wavelets,
        rotations=rotations,
        level_errors=level_errors,
        core=core,
        core_indices=core_indices,
        frequencies=frequencies,
        method=method,
        rotation=rotation,
        matrix=matrix,
    )
