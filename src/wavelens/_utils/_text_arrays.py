"""Arrays of texts from files, whose bytes may stand for no character."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["check_characters"]

_last_character = 0x10FFFF


def check_characters(array: npt.NDArray[Any], name: str) -> None:
    """Refuse an array of texts with characters that do not exist, on which Python and NumPy stumble later.

    Raises
    ------
    ValueError
        If there is one; arrays of other dtypes pass.
    """
    if array.dtype.kind != "U" or not array.size:
        return
    codes = array.ravel(order="K").view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    if (codes > _last_character).any():
        raise ValueError(f"{name} holds characters that do not exist")
