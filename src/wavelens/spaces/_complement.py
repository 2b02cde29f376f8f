"""The orthogonal complement of a subspace, by Householder reflections: never a dense n × n matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.sparse.linalg import LinearOperator

from wavelens._arguments import FloatArray
from wavelens._threads import blas_threads

__all__ = ["Complement", "dense_or_operator"]

_DENSE_ENTRIES = 2**24


class Complement(LinearOperator):  # type: ignore[misc]
    """Orthonormal columns that span what is orthogonal to those of a basis, as an operator of shape (n, n − r).

    Q = H_1 ⋯ H_r of the basis' QR decomposition is orthogonal to rounding whatever the basis; its first r
    columns span the basis, the others the complement. Products cost 4nr flops a column, the store is that of
    the basis.

    Parameters
    ----------
    basis : (n, r) ndarray
        Orthonormal columns, float64.
    dtype : dtype
        Of the products.
    """

    def __init__(self, basis: npt.NDArray[np.float64], dtype: npt.DTypeLike = np.float64) -> None:
        n, r = basis.shape
        super().__init__(dtype=np.dtype(dtype), shape=(n, n - r))
        self._rank = r
        if r:
            with blas_threads(1):
                self._reflectors, self._tau = scipy.linalg.qr(
                    np.asfortranarray(basis), mode="raw", check_finite=False
                )[0]

    def _apply(self, x: npt.NDArray[Any], trans: str) -> npt.NDArray[np.float64]:
        if not self._rank or not x.shape[1]:
            return x
        ormqr = scipy.linalg.lapack.dormqr
        with blas_threads(1):
            size = int(ormqr("L", trans, self._reflectors, self._tau, x, -1)[1][0])
            return np.asarray(ormqr("L", trans, self._reflectors, self._tau, x, size)[0])

    def _matmat(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        padded = np.zeros((self.shape[0], x.shape[1]), order="F")
        padded[self._rank :] = x
        return self._apply(padded, "N").astype(self.dtype, copy=False)

    def _rmatmat(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        turned = self._apply(np.asfortranarray(x, dtype=np.float64), "T")
        return turned[self._rank :].astype(self.dtype)

    def _matvec(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._matmat(x.reshape(-1, 1))

    def _rmatvec(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._rmatmat(x.reshape(-1, 1))

    def dense(self) -> FloatArray:
        """Return the columns as an array (n, n − r)."""
        return np.asarray(self._matmat(np.eye(self.shape[1])))


def dense_or_operator(complement: Complement) -> FloatArray | Complement:
    """Return the columns themselves where they take at most 128 MiB in float64, else the operator."""
    rows, cols = complement.shape
    return complement.dense() if rows * cols <= _DENSE_ENTRIES else complement
