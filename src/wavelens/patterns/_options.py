"""The options of a fit: declared once, and checked before an image is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens._bytes import parse_bytes
from wavelens.linalg._ho_gsvd import check_options

__all__ = ["FitOptions"]

_choices = {
    "normalization": ("unit", "csd"),
    "basis": ("wavelet", "pixel"),
    "rank": ("full", "any"),
    "pivoting": ("sketch", "full"),
    "similarity_method": ("auto", "exact", "landmarks", "features"),
}
_without_effect_on_results = ("progress", "memory_limit")


@dataclass(frozen=True, eq=False)
class FitOptions:
    """What `PatternAnalysis` is constructed with, checked; its docstring explains the fields.

    Attributes
    ----------
    memory_limit : int or None
        In bytes.
    """

    wavelet: str
    level: int | None
    mode: str
    n_coefficients: int | None
    ridge: float
    normalization: str
    weights: str | npt.ArrayLike | None
    bandwidth: float | str
    random_state: int
    progress: bool | None
    basis: str
    rank: str
    memory_limit: int | None
    pivoting: str
    similarity_method: str

    @classmethod
    def checked(cls, parameters: Mapping[str, Any]) -> Self:
        """Check everything that can be checked without the images.

        Raises
        ------
        ValueError, TypeError
            Naming the option. What depends on the images, such as the largest `n_coefficients`, is checked by
            `Job.of`, before any of them is read.
        """
        values = {each.name: parameters[each.name] for each in fields(cls)}
        for name, choices in _choices.items():
            check_choice(values[name], name, choices)
        for name in ("wavelet", "mode"):
            if not isinstance(values[name], str):
                raise TypeError(f"`{name}` must be a name, got {values[name]!r}")
        for name in ("level", "n_coefficients"):
            if values[name] is not None:
                values[name] = check_integer(values[name], name, low=1)
        values["random_state"] = check_integer(values["random_state"], "random_state", low=0, high=2**64 - 1)
        if not isinstance(values["progress"], bool | None):
            raise TypeError(f"`progress` must be True, False or None, got {values['progress']!r}")
        if values["memory_limit"] is not None:
            values["memory_limit"] = parse_bytes(values["memory_limit"], "memory_limit")
        _check_bandwidth(values["bandwidth"])
        check_options(values["ridge"], values["weights"], values["normalization"], None, np.float64)
        return cls(**values)

    def fingerprint(self) -> dict[str, str]:
        """Return what tells two sets of options apart that lead to different results."""
        named = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {
            name: str(np.asarray(value).tolist())
            if isinstance(value, np.ndarray | list | tuple)
            else str(value)
            for name, value in named
            if name not in _without_effect_on_results
        }


def _check_bandwidth(bandwidth: object) -> None:
    """Refuse what is neither "median" nor a number above 0."""
    if isinstance(bandwidth, str):
        fits = bandwidth == "median"
    else:
        is_number = isinstance(bandwidth, int | float | np.number) and not isinstance(bandwidth, bool)
        fits = is_number and 0 < bandwidth < np.inf  # type: ignore[operator]
    if not fits:
        raise ValueError(f"`bandwidth` must be 'median' or a number above 0, got {bandwidth!r}")
