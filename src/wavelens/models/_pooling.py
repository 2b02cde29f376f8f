"""From a layer's maps to one row of numbers for each image."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.exceptions import ModelError

__all__ = ["Pooling"]

Array = npt.NDArray[Any]


class Pooling:
    """What is kept of a layer's maps.

    Parameters
    ----------
    pool : str
        ``"average"`` or ``"max"`` over all places (of a transformer: over all tokens), ``"none"``, or
        ``"grid:N"``: averages over N × N fields.
    channels_last : bool
        Whether maps are (height, width, channels).
    """

    def __init__(self, pool: str, *, channels_last: bool = False) -> None:
        match = re.fullmatch(r"grid:([1-9]\d*)", pool) if isinstance(pool, str) else None
        if match is None and pool not in ("average", "max", "none"):
            raise ValueError(
                f"`pool` must be 'average', 'max', 'none' or 'grid:N' such as 'grid:4', got {pool!r}"
            )
        self.pool = pool
        self._grid = int(match[1]) if match else None
        self._channels_last = channels_last

    def __call__(self, values: Array, layer: str) -> Array:
        """Pool a batch.

        Parameters
        ----------
        values : ndarray
            (n, channels, height, width), (n, tokens, features), (n, features), …
        layer : str
            For errors.

        Returns
        -------
        ndarray
            Images along the first axis; with channels first, where there were maps.
        """
        if values.ndim <= 2 or self.pool == "none":
            return values if values.ndim > 1 else values[:, np.newaxis]
        if values.ndim == 4 and self._channels_last:
            values = np.moveaxis(values, 3, 1)
        if self._grid is not None:
            return self._fields(values, layer)
        # Tokens are the places of a transformer and come before the features.
        places = (1,) if values.ndim == 3 else tuple(range(2, values.ndim))
        return values.max(axis=places) if self.pool == "max" else _mean(values, places)

    def _fields(self, values: Array, layer: str) -> Array:
        grid = int(self._grid or 1)
        if values.ndim != 4:
            raise ModelError(
                f"pool {self.pool!r}: the layer {layer!r} has no maps (its shape is {values.shape[1:]}); "
                "take 'average' or 'none'"
            )
        for axis in (2, 3):
            size = values.shape[axis]
            if size < grid:
                raise ModelError(
                    f"pool {self.pool!r}: the maps of {layer!r} are {values.shape[2]} × {values.shape[3]}; "
                    f"take a grid of at most {min(values.shape[2:])}"
                )
            # Fields as equal as they can be; where they do not divide the map they share a line.
            bounds = [(i * size // grid, -(-(i + 1) * size // grid)) for i in range(grid)]
            fields = [_mean(values.take(range(*each), axis=axis), (axis,)) for each in bounds]
            values = np.stack(fields, axis=axis)
        return values


def _mean(values: Array, axes: tuple[int, ...]) -> Array:
    # Half precision would overflow in the sum.
    dtype = np.float32 if values.dtype == np.float16 else values.dtype
    mean: Array = values.mean(axis=axes, dtype=dtype)
    return mean
