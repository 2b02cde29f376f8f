"""Features as they come in: checked, and read a few rows at a time, so that files stay on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_array
from wavelens._mapped import check_whole

__all__ = ["Float64Array", "IntArray", "as_features", "row_chunks"]

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_numbers_at_once = 2**19  # 4 MiB of float64


def as_features(features: Any, name: str) -> Any:
    """Return `features` as something with `shape`, `dtype` and rows: never a copy of an array.

    What can be sliced (a memory map, an HDF5 or zarr dataset) is left where it is.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If it has fewer than 2 dimensions, holds rows of differing lengths, or its rows are empty.
    """
    sliced = all(hasattr(features, each) for each in ("shape", "dtype", "__getitem__"))
    if not sliced or hasattr(features, "toarray") or isinstance(features, np.ma.MaskedArray):
        features = as_array(features, name)
    shape = tuple(features.shape)
    if isinstance(features, np.ndarray) and features.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {features.dtype}")
    if len(shape) < 2:
        raise ValueError(
            f"`{name}` must have at least 2 dimensions, (n_images, n_features), got {len(shape)} (shape {shape}). "
            "Reshape your data: a single image is features[None]"
        )
    if 0 in shape[1:]:
        raise ValueError(f"`{name}` must not be empty, got shape {shape}")
    return features


def row_chunks(features: Any, name: str, *, least: int = 1) -> Iterator[tuple[int, Float64Array]]:
    """Give the first row and the rows, flattened and as float64, of one chunk of `features` after another.

    A chunk takes some 4 MiB, or `least` rows where that is more.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If an entry is NaN or infinite; its row is named.
    """
    n = features.shape[0]
    width = int(np.prod(features.shape[1:]))
    step = max(least, _numbers_at_once // width)
    for first in range(0, n, step):
        if isinstance(features, np.ndarray):
            check_whole(features, name)
        rows = np.asarray(features[first : first + step])
        if rows.dtype.kind not in "fiub":
            raise TypeError(f"`{name}` must hold real numbers, got dtype {rows.dtype}")
        chunk = rows.reshape(len(rows), width).astype(np.float64, order="C", copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = not np.isfinite(chunk.sum())
        if suspect:
            _refuse_nonfinite(chunk, first, name)
        yield first, chunk


def _refuse_nonfinite(chunk: Float64Array, first: int, name: str) -> None:
    bad = np.argwhere(~np.isfinite(chunk))
    if len(bad):
        row, column = map(int, bad[0])
        value = "NaN" if np.isnan(chunk[row, column]) else str(chunk[row, column])
        raise ValueError(f"`{name}` must be finite, got {value} at row {first + row}, feature {column}")
