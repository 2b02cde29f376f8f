"""What a layer is given beside its weights, checked."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_array, as_float_matrix, check_finite_number, check_integer

__all__ = ["checked_bias", "checked_rtol", "checked_shape", "checked_share"]


def checked_shape(shape: Sequence[int] | None, n_in: int) -> tuple[int, ...] | None:
    """Return the shape of one sample, which has as many entries as a row of the weights."""
    if shape is None:
        return None
    try:
        found = tuple(check_integer(each, "input_shape", low=1) for each in shape)
    except TypeError:
        raise TypeError(f"`input_shape` must be a sequence of integers, got {shape!r}") from None
    if prod(found) != n_in:
        raise ValueError(
            f"`input_shape` must have as many entries as a row of `weights` ({n_in}), got {found}, "
            f"which has {prod(found)}"
        )
    return found


def checked_bias(bias: npt.ArrayLike, units: int, dtype: np.dtype[Any], of: str = "unit") -> FloatArray:
    """Return a bias, one finite number for each unit, in the dtype of the weights."""
    array = as_array(bias, "bias")
    if array.shape != (units,):
        raise ValueError(f"`bias` must have shape ({units},), one entry a {of}, got {array.shape}")
    return as_float_matrix(array[:, None], "bias")[:, 0].astype(dtype)


def checked_rtol(rtol: object, shape: tuple[int, ...], dtype: npt.DTypeLike) -> float:
    """Return the share of σ₁ that counts as zero; by default that of `numpy.linalg.matrix_rank`."""
    if rtol is None:
        return float(max(shape) * np.finfo(dtype).eps)
    if isinstance(rtol, bool | np.bool_) or not isinstance(rtol, int | float | np.integer | np.floating):
        raise TypeError(f"`rtol` must be a number or None, got {rtol!r}")
    if not 0 <= rtol < 1:
        raise ValueError(f"`rtol` must be at least 0 and below 1, got {rtol}")
    return float(rtol)


def checked_share(value: object, name: str) -> float:
    """Return a number between 0 and 1, neither of them."""
    number = check_finite_number(value, name)
    if not 0 < number < 1:
        raise ValueError(f"`{name}` must be between 0 and 1, got {number:g}")
    return number
