"""Symmetric matrices as they come in: checked, copied, extended."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_array, as_float_matrix

__all__ = ["as_new_rows", "as_symmetric", "check_scale", "largest_entry", "mirror", "smallest_entry"]

_tolerance = 1e-10
_rows_at_once = 512
# Squared norms up to 1e306, and squares from 1e-304, in the range of normal float64.
largest_entry = 1e153
smallest_entry = 1e-152


def as_symmetric(c: npt.ArrayLike, name: str, *, copy: bool = True) -> npt.NDArray[np.float64]:
    """Return a read-only float64 copy of `c` that is exactly symmetric; without `copy`, `c` itself where it is so.

    Raises
    ------
    TypeError
        If `c` does not hold real numbers.
    ValueError
        If `c` is not square, not finite, or not symmetric to 1e-10 of its largest entry.
    """
    given = as_float_matrix(c, name)
    if given.shape[0] != given.shape[1]:
        raise ValueError(f"`{name}` must be square, got shape {given.shape}")
    if len(given) < 2:
        raise ValueError(f"`{name}` must have at least 2 rows, got {len(given)}")
    if not copy and given.dtype == np.float64 and given.flags.c_contiguous and _is_symmetric(given):
        same = given.view().astype(np.float64, copy=False)
        same.setflags(write=False)
        return same
    matrix = given.astype(np.float64, order="C", copy=True)
    size = max(float(matrix.max()), -float(matrix.min()))
    for first in range(0, len(matrix), _rows_at_once):
        rows = matrix[first : first + _rows_at_once, first:]
        mirrored = matrix[first:, first : first + _rows_at_once].T
        difference = np.abs(rows - mirrored)
        if difference.max() > _tolerance * size:
            i, j = (
                int(each) + first for each in np.unravel_index(int(difference.argmax()), difference.shape)
            )
            raise ValueError(
                f"`{name}` must be symmetric, got {given[i, j]} at row {i}, column {j} and {given[j, i]} at "
                f"row {j}, column {i}"
            )
        mean = rows / 2 + mirrored / 2
        matrix[first : first + _rows_at_once, first:] = mean
        matrix[first:, first : first + _rows_at_once] = mean.T
    matrix.setflags(write=False)
    return matrix


def _is_symmetric(matrix: FloatArray) -> bool:
    starts = range(0, len(matrix), _rows_at_once)
    return all(
        np.array_equal(matrix[i : i + _rows_at_once, i:], matrix[i:, i : i + _rows_at_once].T) for i in starts
    )


def mirror(matrix: npt.NDArray[np.float64]) -> None:
    """Write the upper triangle over the lower one, in place."""
    for first in range(0, len(matrix), _rows_at_once):
        here = slice(first, first + _rows_at_once)
        block = np.triu(matrix[here, here])
        matrix[here, here] = block + np.triu(block, 1).T
        matrix[first + len(block) :, here] = matrix[here, first + len(block) :].T


def check_scale(matrix: npt.NDArray[np.float64], name: str) -> None:
    """Refuse a matrix whose squared norm is none in float64: its errors would come out as 0, infinite or NaN."""
    size = max(float(matrix.max()), -float(matrix.min()))
    if size > largest_entry / len(matrix) or 0 < size < smallest_entry:
        raise ValueError(
            f"`{name}` must be of a size whose squares float64 can hold; its largest entry is {size:.3g}, scale it "
            f"{'down' if size > 1 else 'up'}"
        )


def as_new_rows(rows: npt.ArrayLike, matrix: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    """Return `matrix` with the rows (b, m + b), and the same as columns, added; read-only.

    Raises
    ------
    TypeError
        If `rows` does not hold real numbers.
    ValueError
        If `rows` has another shape, is not finite, is too large for its squares to be summed, or its last b
        columns are not symmetric.
    """
    m = len(matrix)
    block = as_array(rows, name)
    if block.ndim == 2 and len(block) == 0:
        return matrix
    block = as_float_matrix(rows, name)
    b = len(block)
    if block.shape[1] != m + b:
        wanted = f"{m + 1} entries (the matrix has {m} rows; the new diagonal entry comes last)"
        if name != "row":
            wanted = f"shape (b, {m} + b)"
        got = str(block.shape[1]) if name == "row" else str(block.shape)
        raise ValueError(f"`{name}` must have {wanted}, got {got}")
    block = block.astype(np.float64)
    inner = block[:, m:]
    size = max(float(np.abs(block).max()), float(np.abs(np.diagonal(matrix)).max()))
    difference = np.abs(inner - inner.T)
    if difference.max() > _tolerance * size:
        i, j = map(int, np.unravel_index(int(difference.argmax()), difference.shape))
        raise ValueError(
            f"`{name}` must be symmetric in its last {b} columns, got {inner[i, j]} at row {i}, column {m + j} "
            f"and {inner[j, i]} at row {j}, column {m + i}"
        )
    whole = np.empty((m + b, m + b))
    whole[:m, :m] = matrix
    whole[m:, :m] = block[:, :m]
    whole[:m, m:] = block[:, :m].T
    whole[m:, m:] = inner / 2 + inner.T / 2
    check_scale(whole, name)
    whole.setflags(write=False)
    return whole
