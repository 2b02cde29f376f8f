"""Amounts of memory, read and said."""

from __future__ import annotations

import re

import numpy as np

from wavelens._arguments import check_integer

__all__ = ["parse_bytes", "said_bytes"]

_units = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_binary = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(value: int | str, name: str) -> int:
    """Return a number of bytes from an int or from a text such as "2GB", "1.5 GiB" or "500 MB"."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return check_integer(value, name, low=1)
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]i?)?b?\s*", str(value).lower())
    if not isinstance(value, str) or found is None or float(found[1]) == 0:
        raise ValueError(
            f'`{name}` must be a number of bytes or a text such as "2GB" or "500 MiB", got {value!r}'
        )
    return int(float(found[1]) * (_units | _binary)[found[2] or ""])


def said_bytes(count: int) -> str:
    """Return "383 MB", "8.85 GB"."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            digits = max(0, 3 - len(str(count // size)))
            return f"{count / size:.{digits}f} {unit}"
    return f"{count / 1000:.0f} kB"
