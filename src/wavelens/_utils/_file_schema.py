"""What the arrays and the header of a file must be, declared by its reader and checked in one place.

The engine trusts indices and sizes, and whoever loads a result trusts its numbers. So every array of a loaded file
is checked before anything uses it: dtype, shape (dimensions have names, and the same name means the same size),
range, finiteness, order. Errors name the file, the array or the entry of the header, and what is wrong.

Examples
--------
>>> import numpy as np
>>> from wavelens._utils._file_schema import Floats, Indices, check_arrays
>>> schema = {"columns": Indices(("k",), below="n", distinct=True), "v": Floats(("n", "k"))}
>>> arrays = {"columns": np.array([2, 7]), "v": np.ones((5, 2))}
>>> check_arrays(arrays, schema, "results.npz")
Traceback (most recent call last):
    ...
wavelens.exceptions.DataError: results.npz: the array 'columns' must be from 0 to 4, got 7 at position 1
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._mapped import is_mapped, row_blocks
from wavelens.exceptions import DataError

__all__ = [
    "AnyOf",
    "ArrayField",
    "Booleans",
    "Flag",
    "Floats",
    "HeaderField",
    "Indices",
    "Integer",
    "Labels",
    "ListOf",
    "Real",
    "Record",
    "Text",
    "check_arrays",
    "check_header",
    "require",
]

Array = npt.NDArray[Any]
Size = str | int


@dataclass(frozen=True)
class ArrayField:
    """An array of a file.

    Attributes
    ----------
    shape : tuple of str and int
        Names of dimensions, or sizes. Names that begin with "*" stand for any number of dimensions.
    optional : bool
        Whether the array may be missing.
    """

    shape: tuple[Size, ...]
    optional: bool = field(default=False, kw_only=True)

    kinds = ""
    described = "numbers"

    def converted(self, array: Array) -> Array:
        """Return the array in the dtype to use, native and contiguous; values are kept."""
        return array

    def problem(self, array: Array, sizes: Mapping[str, int]) -> str | None:
        """Say what is wrong with the values."""
        return None


@dataclass(frozen=True)
class Floats(ArrayField):
    """Real numbers, float32 or float64.

    Attributes
    ----------
    low, high : float
        Bounds, both included.
    above : float or None
        A bound that is not included.
    nan : bool
        Whether NaN is a value ("unknown").
    infinite : bool
        Whether infinities are.
    ascending : bool
        Along the first dimension.
    dtype : dtype or None
        To convert to; None keeps float32 and float64.
    """

    low: float = field(default=-math.inf, kw_only=True)
    high: float = field(default=math.inf, kw_only=True)
    above: float | None = field(default=None, kw_only=True)
    nan: bool = field(default=False, kw_only=True)
    infinite: bool = field(default=False, kw_only=True)
    ascending: bool = field(default=False, kw_only=True)
    dtype: Any = field(default=None, kw_only=True)

    kinds = "f"
    described = "floating-point numbers"

    def converted(self, array: Array) -> Array:
        """Return float32 or float64."""
        if array.dtype.itemsize not in (4, 8):
            raise ValueError(f"must be float32 or float64, got {array.dtype}")
        return _native(array, array.dtype if self.dtype is None else self.dtype)

    def problem(self, array: Array, sizes: Mapping[str, int]) -> str | None:
        """Compare with the bounds, some rows at a time where the array is mapped."""
        first, before = 0, -math.inf
        for rows in row_blocks(array) if is_mapped(array) else (array,):
            unknown = np.isnan(rows)
            good = unknown if self.nan else np.zeros(rows.shape, bool)
            with np.errstate(invalid="ignore"):
                within = (rows >= self.low) & (rows <= self.high)
                if self.above is not None:
                    within &= rows > self.above
            if not self.infinite:
                within &= np.isfinite(rows)
            bad = ~(good | within)
            if bad.any():
                return f"must be {self._range()}, got {_first(rows, bad, first)}"
            if self.ascending and rows.size:
                steps = np.diff(rows, axis=0, prepend=before)
                if (steps < 0).any():
                    return f"must be ascending, got {_first(rows, steps < 0, first)}"
                before = rows[-1]
            first += len(rows) if rows.ndim else 0
        return None

    def _range(self) -> str:
        bounds = [] if self.low == -math.inf else [f"at least {self.low:g}"]
        bounds += [] if self.above is None else [f"above {self.above:g}"]
        bounds += [] if self.high == math.inf else [f"at most {self.high:g}"]
        bounds += [] if self.infinite else ["finite"]
        return " and ".join(bounds) or "numbers"


@dataclass(frozen=True)
class Indices(ArrayField):
    """Integers, as intp.

    Attributes
    ----------
    low : int
        The least value.
    below : str, int or None
        One more than the largest: a number, or the name of a dimension.
    distinct : bool
        Whether no value comes twice.
    ascending : bool
        Whether each is above the one before, along the last dimension.
    """

    low: int = field(default=0, kw_only=True)
    below: Size | None = field(default=None, kw_only=True)
    distinct: bool = field(default=False, kw_only=True)
    ascending: bool = field(default=False, kw_only=True)

    kinds = "iu"
    described = "integers"

    def converted(self, array: Array) -> Array:
        """Return intp."""
        if array.size and array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.intp).max:
            raise ValueError(f"must be below 2**63, got {int(array.max())}")
        return _native(array, np.intp)

    def problem(self, array: Array, sizes: Mapping[str, int]) -> str | None:
        """Compare with the bounds."""
        high = sizes[self.below] if isinstance(self.below, str) else self.below
        bad = array < self.low
        if high is not None:
            bad |= array >= high
        if bad.any():
            bounds = f"at least {self.low}" if high is None else f"from {self.low} to {high - 1}"
            return f"must be {bounds}, got {_first(array, bad)}"
        if self.distinct and len(np.unique(array)) != array.size:
            return "must hold no value twice"
        if self.ascending and (np.diff(array, axis=-1) <= 0).any():
            return "must be ascending"
        return None


@dataclass(frozen=True)
class Booleans(ArrayField):
    """True and False."""

    kinds = "b"
    described = "booleans"

    def problem(self, array: Array, sizes: Mapping[str, int]) -> str | None:
        """Refuse bytes that are neither."""
        bad = array.view(np.uint8) > 1
        return "must hold only True and False" if bad.any() else None


@dataclass(frozen=True)
class Labels(ArrayField):
    """Names of classes: texts, integers, finite numbers or booleans.

    Attributes
    ----------
    ascending : bool
        Whether they are sorted and distinct.
    text : bool
        Whether only texts are allowed.
    """

    ascending: bool = field(default=False, kw_only=True)
    text: bool = field(default=False, kw_only=True)

    kinds = "USiufb"
    described = "labels"

    def converted(self, array: Array) -> Array:
        """Return the array in native byte order."""
        if self.text and array.dtype.kind not in "US":
            raise ValueError(f"must hold texts, got {array.dtype}")
        return _native(array, array.dtype)

    def problem(self, array: Array, sizes: Mapping[str, int]) -> str | None:
        """Refuse what is no text, no number, or out of order."""
        kind = array.dtype.kind
        if kind == "b" and (array.view(np.uint8) > 1).any():
            return "must hold only True and False"
        if kind == "f" and not np.isfinite(array).all():
            return f"must be finite, got {_first(array, ~np.isfinite(array))}"
        if self.ascending and len(array) > 1 and not (array[1:] > array[:-1]).all():
            return "must be sorted and distinct"
        return None


def check_arrays(
    arrays: Mapping[str, Array],
    schema: Mapping[str, ArrayField],
    path: object,
    sizes: Mapping[str, int] | None = None,
) -> tuple[dict[str, Array], dict[str, int]]:
    """Return the arrays of the schema, checked and in the dtypes to use, and the sizes of the named dimensions.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As they were read; what the schema does not know is left out.
    schema : mapping of str to ArrayField
    path : object
        Of the file, for messages.
    sizes : mapping of str to int, optional
        Dimensions that are known already.

    Raises
    ------
    DataError
        If an array is missing or is not what the schema says; names the file, the array and what is wrong.
    """
    known = dict(sizes or {})
    found: dict[str, Array] = {}
    for name, expected in schema.items():
        if name not in arrays:
            if expected.optional:
                continue
            raise DataError(f"{path}: the array {name!r} is missing")
        array = arrays[name]
        if array.dtype.kind not in expected.kinds:
            raise DataError(f"{path}: the array {name!r} must hold {expected.described}, got {array.dtype}")
        if not _fits(array.shape, expected.shape, known):
            wanted = ", ".join(_size_in_words(each, known) for each in expected.shape)
            raise DataError(f"{path}: the array {name!r} must have shape ({wanted}), got {array.shape}")
        try:
            found[name] = expected.converted(array)
        except ValueError as error:
            raise DataError(f"{path}: the array {name!r} {error}") from error
    for name, array in found.items():
        problem = schema[name].problem(array, known)
        if problem is not None:
            raise DataError(f"{path}: the array {name!r} {problem}")
    return found, known


def _fits(shape: tuple[int, ...], expected: tuple[Size, ...], known: dict[str, int]) -> bool:
    """Compare a shape with what is expected, and note the sizes of dimensions that are met first."""
    rest = expected
    if expected and isinstance(expected[-1], str) and expected[-1].startswith("*"):
        rest = expected[:-1]
        if len(shape) < len(rest):
            return False
        shape = shape[: len(rest)]
    if len(shape) != len(rest):
        return False
    return all(
        size == (known.setdefault(each, size) if isinstance(each, str) else each)
        for size, each in zip(shape, rest, strict=True)
    )


def _size_in_words(size: Size, known: Mapping[str, int]) -> str:
    if isinstance(size, str) and size.startswith("*"):
        return "…"
    return f"{size} = {known[size]}" if isinstance(size, str) and size in known else str(size)


def _native(array: Array, dtype: Any) -> Array:
    """Return the values in a dtype, native; an array in that dtype already is not copied, so that maps stay maps."""
    return array.astype(np.dtype(dtype).newbyteorder("="), copy=False)


def _first(array: Array, bad: Array, first_row: int = 0) -> str:
    """Return the first value that is wrong, and where it is."""
    position = tuple(int(i) for i in np.argwhere(bad)[0])
    value = array[position]
    if position:
        position = (position[0] + first_row, *position[1:])
    where = str(position[0]) if len(position) == 1 else str(position)
    return f"{value}" + (f" at position {where}" if position else "")


@dataclass(frozen=True, kw_only=True)
class HeaderField:
    """An entry of a JSON header.

    Attributes
    ----------
    optional : bool
        Whether it may be missing.
    nullable : bool
        Whether it may be null.
    """

    optional: bool = False
    nullable: bool = False

    def checked(self, value: Any) -> Any:
        """Return the value.

        Raises
        ------
        ValueError
            If it is not what it must be; says "must be …, got …".
        """
        if value is None and self.nullable:
            return None
        return self._checked(value)

    def _checked(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, kw_only=True)
class Text(HeaderField):
    """A text, one of `choices` if there are any."""

    choices: tuple[str, ...] = ()

    def _checked(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be a text, got {_shown(value)}")
        if self.choices and value not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}, got {_shown(value)}")
        return value


@dataclass(frozen=True, kw_only=True)
class Integer(HeaderField):
    """An integer within [low, high]."""

    low: int = -(2**63)
    high: int = 2**63 - 1

    def _checked(self, value: Any) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise ValueError(f"must be an integer from {self.low} to {self.high}, got {_shown(value)}")
        return value


@dataclass(frozen=True, kw_only=True)
class Real(HeaderField):
    """A finite number within [low, high], as float."""

    low: float = -math.inf
    high: float = math.inf

    def _checked(self, value: Any) -> float:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000:
            value = float(value)
        if not isinstance(value, float) or not math.isfinite(value) or not self.low <= value <= self.high:
            raise ValueError(
                f"must be a finite number from {self.low:g} to {self.high:g}, got {_shown(value)}"
            )
        return value


@dataclass(frozen=True, kw_only=True)
class Flag(HeaderField):
    """True or False."""

    def _checked(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, got {_shown(value)}")
        return value


@dataclass(frozen=True, kw_only=True)
class ListOf(HeaderField):
    """A list of entries of one kind, of a length or of any."""

    item: HeaderField
    length: int | None = None

    def _checked(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, got {_shown(value)}")
        if self.length is not None and len(value) != self.length:
            raise ValueError(f"must have {self.length} entries, got {len(value)}")
        found = []
        for i, each in enumerate(value):
            try:
                found.append(self.item.checked(each))
            except ValueError as error:
                raise ValueError(f"{error} at position {i}") from None
        return found


@dataclass(frozen=True, kw_only=True)
class Record(HeaderField):
    """A table of entries by name; without `fields`, of any."""

    fields: Mapping[str, HeaderField] = field(default_factory=dict)

    def _checked(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"must be a table, got {_shown(value)}")
        found = dict(value)
        for name, expected in self.fields.items():
            if name not in value:
                if expected.optional:
                    continue
                raise ValueError(f"has no {name!r}")
            try:
                found[name] = expected.checked(value[name])
            except ValueError as error:
                raise ValueError(f"is wrong in {name!r}, which {error}") from None
        return found


@dataclass(frozen=True, kw_only=True)
class AnyOf(HeaderField):
    """What one of several kinds of entries accepts."""

    options: tuple[HeaderField, ...]

    def _checked(self, value: Any) -> Any:
        problems = []
        for each in self.options:
            try:
                return each.checked(value)
            except ValueError as error:
                problems.append(str(error).rpartition(", got ")[0])
        raise ValueError(f"{' or '.join(problems)}, got {_shown(value)}")


def check_header(header: Any, schema: Mapping[str, HeaderField], path: object) -> dict[str, Any]:
    """Return a JSON header with the entries of the schema checked; others stay as they are.

    Raises
    ------
    DataError
        If an entry is missing or is not what the schema says; names the file, the entry and what is wrong.
    """
    if not isinstance(header, dict):
        raise DataError(f"{path}: the header must be a table, got {_shown(header)}")
    found = dict(header)
    for name, expected in schema.items():
        if name not in header:
            if expected.optional:
                continue
            raise DataError(f"{path}: the header has no {name!r}")
        try:
            found[name] = expected.checked(header[name])
        except ValueError as error:
            raise DataError(f"{path}: the header's {name!r} {error}") from error
    return found


def require(conditions: Iterable[tuple[bool, str]], path: object) -> None:
    """Raise a `DataError` with the file and the sentence of the first condition that does not hold."""
    for holds, sentence in conditions:
        if not holds:
            raise DataError(f"{path}: {sentence}")


def _shown(value: Any) -> str:
    text = f"a {type(value).__name__}" if isinstance(value, list | dict) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
