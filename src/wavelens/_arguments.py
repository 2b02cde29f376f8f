"""Checks of arguments, shared by all floors: an error names the argument, what was expected and what came."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._mapped import is_mapped, row_blocks

__all__ = [
    "FloatArray",
    "as_array",
    "as_float_matrix",
    "as_image_stack",
    "as_images",
    "check_choice",
    "check_finite",
    "check_finite_number",
    "check_integer",
    "check_progress",
    "refuse_nonfinite_image",
]

FloatArray = npt.NDArray[np.floating[Any]]


def as_array(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Return `values` as an array of whatever dtype.

    Raises
    ------
    TypeError
        For sparse matrices and masked arrays: both would turn into something else.
    ValueError
        For nested sequences of differing lengths.
    """
    if hasattr(values, "toarray"):
        raise TypeError(
            f"`{name}` must be a dense array, got a sparse {type(values).__name__}; call .toarray()"
        )
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must not be a masked array, whose mask would be lost; call .filled(value)")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"`{name}` must be a regular array, got rows of differing lengths") from error


def as_float_matrix(a: npt.ArrayLike, name: str, *, finite: bool = True) -> FloatArray:
    """Return `a` as a float32 or float64 matrix; no copy where it is one already.

    float16 becomes float32; integers and booleans become float64. Strides, read-only arrays and memory maps
    are accepted as they are; what is misaligned or of the other byte order is copied.

    Raises
    ------
    TypeError
        For complex, object and other non-numeric dtypes, sparse matrices and masked arrays.
    ValueError
        If `a` is not two-dimensional, is empty, or (with `finite`) holds NaN or infinities.
    """
    array = as_array(a, name)
    kind = array.dtype.kind
    if kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"`{name}` must have 2 dimensions, got {array.ndim} (shape {array.shape})")
    if array.size == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {array.shape}")
    native = array.dtype.newbyteorder("=")
    if native not in (np.float32, np.float64):
        # Extended precision is cut to float64 as well.
        array = array.astype(np.float32 if native == np.float16 else np.float64)
    elif (
        not array.dtype.isnative
        or not array.flags.aligned
        or any(stride % array.itemsize for stride in array.strides)
    ):
        array = array.astype(native, copy=True)
    if finite:
        check_finite(array, name)
    return array


def as_images(
    images: npt.ArrayLike, name: str, *, shape: tuple[int, ...] | None = None, finite: bool = True
) -> npt.NDArray[Any]:
    """Return `images` as an array (n_images, height, width[, channels]) of its own real dtype; never a copy.

    Without `finite`, the entries are not read.

    Raises
    ------
    TypeError
        For complex, object and other non-numeric dtypes, sparse matrices and masked arrays.
    ValueError
        If the dimension is not 3 or 4, there is no image, an image is not of `shape`, or a float image holds
        NaN or infinities (the first place is named).
    """
    array = as_array(images, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    if shape is not None and array.shape[1:] != shape:
        expected = ", ".join(map(str, shape))
        hint = ". Reshape your data: a single image is images[None]" if array.ndim <= len(shape) else ""
        raise ValueError(f"`{name}` must have shape (n_images, {expected}), got {array.shape}{hint}")
    if array.ndim not in (3, 4):
        raise ValueError(
            f"`{name}` must have shape (n_images, height, width) or (n_images, height, width, channels), "
            f"got {array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {array.shape}")
    if finite and array.dtype.kind == "f" and not np.isfinite(array.sum(dtype=np.float64)):
        refuse_nonfinite_image(array, name)
    return array


def as_image_stack(images: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return `images` as an array (..., *shape) of at least one leading axis and any real dtype; never a copy.

    Raises
    ------
    TypeError
        As `as_images`.
    ValueError
        If the last axes are not `shape`, or there is no image. Whether pixels are finite is not looked at.
    """
    array = as_array(images, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    if array.ndim <= len(shape) or array.shape[-len(shape) :] != shape:
        expected = ", ".join(map(str, shape))
        hint = ". Reshape your data: a single image is images[None]" if array.ndim <= len(shape) else ""
        raise ValueError(f"`{name}` must have shape (n_images, {expected}), got {array.shape}{hint}")
    if array.size == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {array.shape}")
    return array


def refuse_nonfinite_image(array: npt.NDArray[Any], name: str) -> None:
    """Raise `ValueError` with the first place in a stack of images that is NaN or infinite, if there is one."""
    for i, image in enumerate(array):
        bad = np.argwhere(~np.isfinite(image))
        if len(bad):
            place = tuple(map(int, bad[0]))
            value = "NaN" if np.isnan(image[place]) else str(image[place])
            raise ValueError(f"`{name}` must be finite, got {value} in image {i} at {place}")


def check_finite(a: FloatArray, name: str) -> None:
    """Raise `ValueError` with the first position, in row order, that is NaN or infinite."""
    first = 0
    for rows in row_blocks(a) if is_mapped(a) else (a,):
        place = _core.first_nonfinite(rows)
        if place is not None:
            raise ValueError(
                f"`{name}` must be finite, got {rows[place]} at row {first + place[0]}, column {place[1]}"
            )
        first += len(rows)


def check_integer(
    value: object, name: str, *, low: int | None = None, high: int | None = None, why: str = ""
) -> int:
    """Return `value` as an int within [low, high]; `why` explains the upper bound in the message."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"`{name}` must be an integer, got {value!r}")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"between {low} and {high}" if high is not None else f"at least {low}"
        raise ValueError(f"`{name}` must be {bounds}{f' ({why})' if why else ''}, got {value}")
    return int(value)


def check_finite_number(value: object, name: str) -> float:
    """Return `value` as a float that is neither NaN nor infinite."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"`{name}` must be a real number, got {value!r}")
    if not np.isfinite(value):
        raise ValueError(f"`{name}` must be finite, got {value}")
    return float(value)


def check_choice(value: object, name: str, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_progress(progress: object) -> None:
    """Raise `TypeError` unless `progress` is None or can be called."""
    if progress is not None and not callable(progress):
        raise TypeError(f"`progress` must be a function of one number or None, got {progress!r}")
