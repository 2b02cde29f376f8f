"""The triangular factor of a matrix whose rows come in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, as_float_matrix, check_finite, check_integer
from wavelens.exceptions import DataError
from wavelens.linalg._chunks import as_chunk, checked_dtype
from wavelens.linalg._state_bytes import from_state_bytes, to_state_bytes

__all__ = ["TriangularFactor"]

_kind = "TriangularFactor"


class TriangularFactor:
    """Stands for a matrix D = QR of which only R is at hand: D itself was too large, or lies elsewhere.

    D comes in chunks of rows (begin with `empty`), or R has been computed somewhere else. Factors of parts of D
    are merged. All that is decided by DᵀD follows from R to working precision, as R is made by Householder
    reflections and not from DᵀD.

    To `ho_gsvd` σ, V, τ and everything derived from them depend on D through R alone. In the result ``u[i]`` is
    the left factor of R; that of D follows in pieces from `HOGSVD.transform`, whose rows are those of UΣ.

    Parameters
    ----------
    r : (k, m) array_like
        A matrix with RᵀR = DᵀD, such as the triangular factor of a QR decomposition. It need not be
        triangular.
    n_rows : int
        Rows of D, at least the rank of `r`: what ``weights="size"`` and the default `rtol` of `ho_gsvd` go
        by. `ho_gsvd` checks both.

    Notes
    -----
    A row costs 2 m² flops. Memory: m² numbers, and up to max(256, m) rows that wait for more: they are reduced
    in blocks of that many, so that the sizes of chunks change no bit, nor does the number of threads. The order
    of merging changes R within rounding.

    References
    ----------
    .. [1] J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and sequential QR and LU
       factorizations", SIAM J. Sci. Comput. 34 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.linalg import TriangularFactor, ho_gsvd
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.standard_normal((1000, 5)), rng.standard_normal((2000, 5))
    >>> r = TriangularFactor(np.linalg.qr(a, mode="r"), n_rows=1000)
    >>> bool(np.allclose(ho_gsvd([r, b]).sigma, ho_gsvd([a, b]).sigma))
    True

    The same from chunks, in two places:

    >>> here, there = TriangularFactor.empty(5), TriangularFactor.empty(5)
    >>> _ = here.partial_fit(a[:300]).partial_fit(a[300:600])
    >>> _ = there.partial_fit(a[600:])
    >>> whole = here.merge(TriangularFactor.from_bytes(there.to_bytes()))
    >>> whole.n_rows, bool(np.allclose(whole.r.T @ whole.r, a.T @ a))
    (1000, True)
    """

    def __init__(self, r: npt.ArrayLike, n_rows: int) -> None:
        self._given: npt.ArrayLike | None = r  # as long as nothing is added
        self._n_rows = n_rows
        self._triangle: FloatArray | None = None  # (m, m), diagonal not negative
        self._waiting: list[FloatArray] = []  # rows not yet reduced; never written to
        self._shape: tuple[int, np.dtype[Any]] | None = None

    @classmethod
    def empty(cls, n_features: int, dtype: npt.DTypeLike = np.float64) -> TriangularFactor:
        """Return the factor of a matrix that has no rows yet.

        Parameters
        ----------
        n_features : int
            Columns of D.
        dtype : float64 or float32, default float64
            Of R, and of the computation. Chunks are converted as they are read.

        Returns
        -------
        TriangularFactor
        """
        m = check_integer(n_features, "n_features", low=1)
        factor = cls(np.empty((0, m)), 0)
        factor._given = None
        factor._shape = m, checked_dtype(dtype)
        return factor

    def __repr__(self) -> str:
        return f"TriangularFactor(n_features={self.n_features}, n_rows={self.n_rows}, dtype={self.dtype})"

    @property
    def n_rows(self) -> int:
        """Rows of D seen so far."""
        return self._n_rows

    @property
    def n_features(self) -> int:
        """Columns of D."""
        return self._adopted()[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of R."""
        return self._adopted()[1]

    @property
    def r(self) -> npt.ArrayLike:
        """A matrix with RᵀR = DᵀD: what was given; or the rows themselves, while there are at most m; or (m, m).

        The last is upper triangular with a diagonal that is nowhere negative.
        """
        return self._given if self._given is not None else self._r()

    @property
    def sum_of_squares(self) -> npt.NDArray[np.float64]:
        """Sum of squares of each column of D, of the rows seen so far; (n_features,) array."""
        r = self._r()
        return np.asarray(np.einsum("ij,ij->j", r, r, dtype=np.float64))

    def partial_fit(self, chunk: npt.ArrayLike) -> TriangularFactor:
        """Add rows of D.

        Parameters
        ----------
        chunk : (n, m) array_like
            Any number of rows, even none; of any strides and any real dtype.

        Returns
        -------
        TriangularFactor
            Itself. After an error it is what it was.

        Raises
        ------
        TypeError
            If `chunk` does not hold real numbers.
        ValueError
            If `chunk` has another number of columns, or holds NaN, infinities (the first position is named) or
            numbers beyond the range of the factor's dtype.
        """
        m, dtype = self._adopted()
        array = as_chunk(chunk, m)
        if array.dtype.kind == "f":
            check_finite(array, "chunk")
        limit = float(np.finfo(dtype).max)
        if array.dtype.itemsize > dtype.itemsize and np.abs(array).max(initial=0) > limit:
            raise ValueError(f"`chunk` must stay within the range of {dtype}: scale it")
        self._add(array)
        self._n_rows += len(array)
        return self

    def merge(self, other: TriangularFactor) -> TriangularFactor:
        """Add the rows that another factor has seen.

        Parameters
        ----------
        other : TriangularFactor
            Of the same number of columns and dtype. It is left as it is.

        Returns
        -------
        TriangularFactor
            Itself. After an error it is what it was.

        Raises
        ------
        TypeError
            If `other` is no TriangularFactor.
        ValueError
            If it is this factor itself, or the numbers of columns or the dtypes differ.
        """
        if not isinstance(other, TriangularFactor):
            raise TypeError(f"`other` must be a TriangularFactor, got {type(other).__name__}")
        if other is self:
            raise ValueError("`other` must be another factor: its rows would count twice")
        for name in ("n_features", "dtype"):
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                raise ValueError(f"`other` must have {name}={mine} like this factor, got {its}")
        if other._triangle is not None:
            if self._triangle is None:
                self._triangle = other._triangle.copy(order="F")
            else:
                _core.triangular_factor_update(self._triangle, other._triangle, True)
        for rows in other._waiting:
            self._add(rows)
        self._n_rows += other._n_rows
        return self

    def copy(self) -> TriangularFactor:
        """Return an independent copy.

        Returns
        -------
        TriangularFactor
        """
        twin = TriangularFactor(self._given if self._given is not None else (), self._n_rows)
        twin._given, twin._shape, twin._waiting = self._given, self._shape, list(self._waiting)
        twin._triangle = None if self._triangle is None else self._triangle.copy(order="F")
        return twin

    def to_bytes(self) -> bytes:
        """Return the factor as bytes, for a file or another machine.

        Returns
        -------
        bytes
            A versioned header, numbers (of R the upper triangle), a checksum; the same on every machine. No
            pickle.
        """
        m, dtype = self._adopted()
        fields = {"n_features": m, "n_rows": self._n_rows, "dtype": dtype.name}
        arrays: dict[str, npt.NDArray[Any]] = {"waiting": self._waiting_rows()}
        if self._triangle is not None:
            arrays["triangle"] = self._triangle[_upper(m)]
        return to_state_bytes(_kind, fields, arrays)

    @staticmethod
    def from_bytes(data: bytes) -> TriangularFactor:
        """Return the factor that `to_bytes` wrote.

        Parameters
        ----------
        data : bytes

        Returns
        -------
        TriangularFactor

        Raises
        ------
        TypeError
            If `data` is not bytes.
        DataError
            If it is damaged, cut short, something else, or from a later version.
        """
        fields, arrays = from_state_bytes(data, _kind)
        try:
            return _restored(fields, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"`data` is no valid {_kind}: {error}") from error

    def _adopted(self) -> tuple[int, np.dtype[Any]]:
        """Return columns and dtype; what was given is checked and becomes rows that wait."""
        if self._shape is None:
            given = as_float_matrix(self._given, "r") if self._given is not None else np.empty((0, 0))
            check_integer(self._n_rows, "n_rows", low=1)
            self._shape = given.shape[1], given.dtype
        return self._shape

    def _take_given(self) -> None:
        if self._given is None:
            return
        self._adopted()
        given = as_float_matrix(self._given, "r").copy()
        self._given = None
        self._waiting = [given]

    def _block(self) -> int:
        return max(256, self._adopted()[0])

    def _waiting_rows(self) -> FloatArray:
        self._take_given()
        m, dtype = self._adopted()
        return np.concatenate([np.empty((0, m), dtype), *self._waiting])

    def _add(self, array: npt.NDArray[Any]) -> None:
        """Put rows behind those that wait, and reduce whole blocks."""
        self._take_given()
        m, dtype = self._adopted()
        block = self._block()
        waiting = sum(map(len, self._waiting))
        if waiting + len(array) < block:
            if len(array):
                self._waiting.append(array.astype(dtype, order="C", copy=True))
            return
        if self._triangle is None:
            self._triangle = np.zeros((m, m), dtype, order="F")
        taken = 0
        if waiting:
            taken = (-waiting) % block
            head = np.concatenate([*self._waiting, array[:taken].astype(dtype)])
            _core.triangular_factor_update(self._triangle, head, False)
        whole = (len(array) - taken) // block * block
        for first in range(taken, taken + whole, block):
            _core.triangular_factor_update(self._triangle, array[first : first + block], False)
        rest = array[taken + whole :]
        self._waiting = [rest.astype(dtype, order="C", copy=True)] if len(rest) else []

    def _r(self) -> FloatArray:
        rows = self._waiting_rows()
        m, dtype = self._adopted()
        if self._triangle is None and len(rows) <= m:
            return rows
        triangle = (
            np.zeros((m, m), dtype, order="F") if self._triangle is None else self._triangle.copy(order="F")
        )
        if len(rows):
            _core.triangular_factor_update(triangle, rows, False)
        return triangle


def _upper(m: int) -> npt.NDArray[np.bool_]:
    return np.asarray(np.triu(np.ones((m, m), dtype=np.bool_)))


def _restored(fields: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> TriangularFactor:
    factor = TriangularFactor.empty(fields["n_features"], fields["dtype"])
    m, dtype = factor._adopted()
    factor._n_rows = check_integer(fields["n_rows"], "n_rows", low=0)
    waiting = arrays["waiting"]
    if waiting.shape[1:] != (m,) or any(a.dtype != dtype for a in arrays.values()):
        raise ValueError(f"rows of shape {waiting.shape}")
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise ValueError("entries that are not finite")
    factor._waiting = [waiting] if len(waiting) else []
    if "triangle" in arrays:
        packed = arrays["triangle"]
        if packed.shape != (m * (m + 1) // 2,):
            raise ValueError(f"a triangle of {packed.size} entries")
        factor._triangle = np.zeros((m, m), dtype, order="F")
        factor._triangle[_upper(m)] = packed
    return factor
