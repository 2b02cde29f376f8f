"""Labels of images: kept as they are given and compared exactly, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_array

__all__ = ["as_labels", "join_labels", "label_kind"]

Labels = npt.NDArray[Any]

_kinds = {
    "b": "booleans",
    "i": "integers",
    "u": "integers",
    "f": "floats",
    "U": "strings",
    "S": "bytes",
    "M": "dates",
    "m": "durations",
}


def as_labels(
    labels: object, n: int, name: str = "labels", of: str = "images", *, dates: bool = False
) -> Labels:
    """Return labels as an array (n,) of one kind in which different labels are different.

    Parameters
    ----------
    labels : array_like
        Integers, finite floats, booleans, strings or bytes, of shape (n,) or (n, 1). Integers and floats may be
        mixed in a list where the integers are exact as floats; otherwise all are of one kind: 1 is neither "1"
        nor True.
    n : int
        How many there must be.
    name : str
        Of the argument, for errors.
    of : str
        What each of them belongs to, for errors.
    dates : bool
        Whether dates and durations are labels as well.

    Returns
    -------
    ndarray of shape (n,)
        The array that was given, where it is one of a dtype that keeps labels apart.

    Raises
    ------
    TypeError
        If the labels are of several kinds or of another kind, masked or sparse.
    ValueError
        If there are not n of them, one is missing, empty, NaN or infinite, or one has no exact counterpart in
        the dtype of the others.
    """
    array = _as_array(labels, name, of)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        hint = ""
        if array.ndim == 2 and array.shape[0] == n:
            hint = "; for one-hot labels pass `labels.argmax(axis=1)`, several labels an image cannot be used"
        raise ValueError(
            f"`{name}` must have shape ({n},), one for each of the {of}, got {array.shape}{hint}"
        )
    if len(array) != n:
        raise ValueError(f"`{name}` must have one entry for each of the {n} {of}, got {len(array)}")
    if array.dtype.kind == "O":
        array = _from_objects(array, name)
    elif array.dtype.kind == "T":
        array = _from_objects(array.astype(object), name)
    kind = array.dtype.kind
    if not n:
        return array
    if kind not in _kinds or (kind in "mM" and not dates):
        raise TypeError(f"`{name}` must be integers or strings, got dtype {array.dtype}")
    if kind == "f":
        return _checked_floats(array, name)
    if kind in "mM":
        bad = np.flatnonzero(np.isnat(array))
        if len(bad):
            raise ValueError(f"`{name}` must not hold NaT, got NaT at position {bad[0]}")
    if kind in "US":
        bad = np.flatnonzero(np.char.str_len(np.char.strip(array)) == 0)
        if len(bad):
            raise ValueError(f"`{name}`: the label at position {bad[0]} is empty")
    return array


def join_labels(parts: Sequence[Labels], name: str = "labels") -> Labels:
    """Concatenate labels that `as_labels` has passed, without turning one into another.

    Raises
    ------
    TypeError
        If they are of several kinds.
    """
    some = [each for each in parts if len(each)]
    kinds = {each.dtype.kind for each in some}
    if len(kinds) <= 1:
        return np.concatenate(some or list(parts))
    mixed = np.concatenate([each.astype(object) for each in some])
    return as_labels(mixed, len(mixed), name)


def label_kind(labels: Labels) -> str:
    """Return "booleans", "numbers", "strings" or "bytes": labels of two kinds are never the same label."""
    kind = _kinds.get(labels.dtype.kind, str(labels.dtype))
    return "numbers" if kind in ("integers", "floats") else kind


def _as_array(labels: Any, name: str, of: str) -> Labels:
    if isinstance(labels, list | tuple):
        # NumPy would make strings of [1, "1"], numbers of [1, True], and floats of integers over 2**63.
        entries: list[Any] = list(labels)
        if entries and all(isinstance(each, list | tuple) and len(each) == 1 for each in entries):
            entries = [each[0] for each in entries]
        if not any(isinstance(each, list | tuple | np.ndarray) and np.ndim(each) for each in _some(entries)):
            array = np.empty(len(entries), dtype=object)
            array[:] = entries
            return array
    try:
        return as_array(labels, name)
    except ValueError as error:
        raise ValueError(f"`{name}` must be one label for each of the {of}: {error}") from error


def _some(entries: list[Any]) -> list[Any]:
    try:
        [np.ndim(each) for each in entries]
    except ValueError:  # of differing lengths
        return []
    return entries


def _from_objects(array: Labels, name: str) -> Labels:
    """Return objects as an array of the dtype that keeps them apart."""
    if not len(array):
        return np.empty(0, dtype=np.int64)
    entries = array.tolist()
    first: dict[str, int] = {}
    for position, each in enumerate(entries):
        first.setdefault(_kind_of(each, position, name), position)
    if set(first) == {"integers", "floats"}:
        return _integers_among_floats(entries, name)
    if len(first) > 1:
        (kind, i), (other, j) = sorted(first.items(), key=lambda item: item[1])[:2]
        raise TypeError(
            f"`{name}` must be labels of one kind, got {kind} ({entries[i]!r} at position {i}) and {other} "
            f"({entries[j]!r} at position {j})"
        )
    kind = next(iter(first))
    if kind == "integers":
        return _integers(entries, name)
    if kind in ("strings", "bytes"):
        end: Any = "\0" if kind == "strings" else b"\0"
        for position, each in enumerate(entries):
            if each.endswith(end):  # NumPy's strings end before it
                raise ValueError(f"`{name}`: the label at position {position} ends in a NUL character")
        return np.array(entries, dtype=str if kind == "strings" else np.bytes_)
    if kind == "floats":
        return np.array(entries, dtype=np.longdouble if _any_long(entries) else np.float64)
    return np.array(entries)


def _kind_of(value: Any, position: int, name: str) -> str:
    if isinstance(value, bool | np.bool_):
        return "booleans"
    if isinstance(value, int | np.integer):
        return "integers"
    if isinstance(value, float | np.floating):
        return "floats"
    if isinstance(value, str):
        return "strings"
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, np.datetime64):
        return "dates"
    if isinstance(value, np.timedelta64):
        return "durations"
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:60] + "…"
    raise TypeError(f"`{name}` must be integers or strings, got {shown} at position {position}")


def _integers(entries: list[int], name: str) -> Labels:
    low, high = min(entries), max(entries)
    if low >= -(2**63) and high < 2**63:
        return np.array(entries, dtype=np.int64)
    if low >= 0 and high < 2**64:
        return np.array(entries, dtype=np.uint64)
    wrong = low if low < -(2**63) else high
    raise ValueError(
        f"`{name}` must be integers of 64 bits, got {_shown(wrong)} at position {entries.index(wrong)}"
        + (f" beside {_shown(low)}" if low < 0 <= wrong < 2**64 else "")
        + "; pass them as strings"
    )


def _shown(number: int) -> str:
    return str(number) if abs(number) < 10**40 else f"a number of {int(number).bit_length()} bits"


def _any_long(entries: list[Any]) -> bool:
    return any(isinstance(each, np.longdouble) for each in entries)


def _integers_among_floats(entries: list[Any], name: str) -> Labels:
    for position, each in enumerate(entries):
        if isinstance(each, int | np.integer) and abs(int(each)) > 2**53:
            raise ValueError(
                f"`{name}`: the integer {_shown(int(each))} at position {position} is not exact beside floats; pass "
                "them as strings"
            )
    return np.array(entries, dtype=np.longdouble if _any_long(entries) else np.float64)


def _checked_floats(array: Labels, name: str) -> Labels:
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        value = "NaN" if np.isnan(array[bad[0]]) else array[bad[0]]
        raise ValueError(f"`{name}` must not hold NaN or infinities, got {value} at position {bad[0]}")
    if array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            short = array.astype(np.float64)
        bad = np.flatnonzero(short != array)
        if len(bad):
            raise ValueError(
                f"`{name}` must be exact in float64, got {array[bad[0]]} at position {bad[0]}; pass integers or "
                "strings"
            )
        return short
    return array
