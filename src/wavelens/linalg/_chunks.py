"""Chunks of rows that come in one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_array

__all__ = ["as_chunk", "checked_dtype"]


def as_chunk(chunk: npt.ArrayLike, n_features: int) -> npt.NDArray[Any]:
    """Return `chunk` as a matrix of uint8, float32 or float64; no copy where it is one already.

    float16 becomes float32, other numbers float64. There may be no rows.

    Raises
    ------
    TypeError
        For complex, object and other non-numeric dtypes, sparse matrices and masked arrays.
    ValueError
        If it is not two-dimensional or has not `n_features` columns. Whether entries are finite is not looked
        at.
    """
    array = as_array(chunk, "chunk")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`chunk` must hold real numbers, got dtype {array.dtype}")
    if array.ndim != 2 or array.shape[1] != n_features:
        raise ValueError(f"`chunk` must have shape (n_rows, {n_features}), got {array.shape}")
    if array.dtype not in (np.uint8, np.float32, np.float64):
        return array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    if (
        not array.dtype.isnative
        or not array.flags.aligned
        or any(stride % array.itemsize for stride in array.strides)
    ):
        return array.astype(array.dtype.newbyteorder("="), copy=True)
    return array


def checked_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return `dtype` if it is float32 or float64."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"`dtype` must be float32 or float64, got {dtype!r}") from None
    if found not in (np.float32, np.float64):
        raise ValueError(f"`dtype` must be float32 or float64, got {found}")
    return found
