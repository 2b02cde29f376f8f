"""Matrices that are loaded when they are wanted, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, as_float_matrix, check_integer
from wavelens.linalg._triangular_factor import TriangularFactor

__all__ = ["LeftFactors", "LoadedMatrices", "as_matrix"]


def as_matrix(item: npt.ArrayLike | TriangularFactor, name: str) -> tuple[FloatArray, object]:
    """Return the array that stands for a matrix, and how many rows it stands for (unchecked for factors)."""
    if isinstance(item, TriangularFactor):
        return as_float_matrix(item.r, f"{name}.r"), item.n_rows
    array = as_float_matrix(item, name)
    return array, array.shape[0]


class LoadedMatrices:
    """Matrices some of which are functions that return them; what they return is not kept.

    Once `measure` has read them all, dtype, shapes, numbers of rows and largest entries are known.
    """

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items
        self.shapes: list[tuple[int, ...]] = []
        self.n_rows: list[int] = []
        self.largest: list[float] = []
        self.dtype: np.dtype[Any] = np.dtype(np.float64)

    def __len__(self) -> int:
        return len(self.items)

    def _read(self, i: int) -> tuple[FloatArray, object]:
        item = self.items[i]
        return as_matrix(item() if callable(item) else item, f"matrices[{i}]")

    def measure(
        self,
        check_rows: Callable[[FloatArray, object, str], int],
        visit: Callable[[int, FloatArray], None],
    ) -> None:
        """Read every matrix once, check it and show it."""
        for i in range(len(self)):
            array, n_rows = self._read(i)
            if i == 0:
                self.dtype = array.dtype
            elif array.shape[1] != self.shapes[0][1]:
                raise ValueError(
                    f"`matrices` must have the same number of columns: matrices[0] has {self.shapes[0][1]}, "
                    f"matrices[{i}] has {array.shape[1]}"
                )
            elif array.dtype != self.dtype:
                raise ValueError(
                    f"`matrices` that are loaded must be of one dtype: matrices[0] is {self.dtype}, matrices[{i}] is "
                    f"{array.dtype}"
                )
            self.shapes.append(array.shape)
            self.n_rows.append(check_rows(array, n_rows, f"matrices[{i}]"))
            self.largest.append(max(float(array.max()), -float(array.min())))
            visit(i, array)

    def load(self, i: int) -> FloatArray:
        """Return matrix i again."""
        array = self._read(i)[0]
        if array.shape != self.shapes[i] or array.dtype != self.dtype:
            raise ValueError(
                f"matrices[{i}] must be the same whenever it is loaded: it was {self.dtype} of shape "
                f"{self.shapes[i]}, now {array.dtype} of shape {array.shape}"
            )
        return array


class LeftFactors(Sequence[FloatArray]):
    """The left factors of matrices that are loaded when wanted: each is made anew from its matrix."""

    def __init__(
        self,
        matrices: LoadedMatrices,
        solver: tuple[Any, ...],
        sigma: FloatArray,
        weights: npt.NDArray[np.float64],
    ) -> None:
        self._matrices, self._solver, self._sigma, self._weights = matrices, solver, sigma, weights

    def __len__(self) -> int:
        return len(self._matrices)

    @overload
    def __getitem__(self, index: int) -> FloatArray: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FloatArray, ...]: ...

    def __getitem__(self, index: int | slice) -> FloatArray | tuple[FloatArray, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        i = check_integer(index, "index", low=-len(self), high=len(self) - 1) % len(self)
        rows = _core.ho_gsvd_rows(self._solver, self._matrices.load(i))
        sigma = self._sigma[i]
        with np.errstate(divide="ignore", over="ignore"):
            factor = np.where(sigma > 0, self._weights[i] / np.where(sigma > 0, sigma, 1), 0)
        return np.asfortranarray(rows * factor.astype(rows.dtype))
