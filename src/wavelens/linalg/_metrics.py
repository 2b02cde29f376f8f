"""A distance function of the user's as the address of a C function, compiled by Numba."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Metric", "metric_address"]

Metric = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]


def metric_address(metric: object, dtype: np.dtype[Any]) -> tuple[int, object]:
    """Return the address of `metric` as ``double f(intp n, const T *x, const T *y)`` and what keeps it alive.

    Raises
    ------
    TypeError
        If `metric` is not callable, is a `numba.cfunc` of another signature, or cannot be compiled.
    """
    if hasattr(metric, "address") and hasattr(metric, "native_name"):  # numba.cfunc
        _check_signature(metric, dtype)
        return int(metric.address), metric
    if not callable(metric):
        raise TypeError(f"`metric` must be 'euclidean', 'sqeuclidean' or a function, got {metric!r}")
    try:
        compiled = _compile(metric, dtype.name)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        compiled = _compile.__wrapped__(metric, dtype.name)
    return int(compiled.address), compiled


def _c_signature(dtype: str) -> Any:
    types: Any = import_module("numba").types
    entry = types.CPointer(getattr(types, dtype))
    return types.float64(types.intp, entry, entry)


def _check_signature(metric: Any, dtype: np.dtype[Any]) -> None:
    found, expected = metric._sig, _c_signature(dtype.name)
    if found != expected:
        raise TypeError(f"`metric` must have the C signature {expected} for {dtype} data, got {found}")


@lru_cache(maxsize=32)
def _compile(metric: Metric, dtype: str) -> Any:
    # Numba takes a third of a second to import, so only who brings a function pays for it.
    numba: Any = import_module("numba")
    from numba.core.errors import NumbaError

    function = metric if hasattr(metric, "py_func") else numba.njit(metric)

    def distance(n, x, y):  # type: ignore[no-untyped-def]
        # An exception cannot leave a C function: it would be printed and the result be 0.
        try:
            return function(numba.carray(x, (n,)), numba.carray(y, (n,)))
        except Exception:
            return np.nan

    try:
        return numba.cfunc(_c_signature(dtype))(distance)
    except (NumbaError, TypeError) as error:
        name = getattr(metric, "__name__", repr(metric))
        raise TypeError(
            f"`metric` must be a function of two vectors that Numba can compile to return a number; "
            f"{name} is not: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    """Return the line of a Numba error that says what is wrong."""
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith("Failed in")]
    return telling[0] if telling else type(error).__name__
