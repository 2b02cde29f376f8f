"""Labels: from an array or a file, by position or by file name, as codes into the class names."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._utils._labels import as_labels
from wavelens.data._npy_header import open_npy
from wavelens.data._source import Codes, listed, natural_key, printable
from wavelens.exceptions import DataError

__all__ = ["encode_labels", "labels_for", "match_labels", "read_label_file", "read_rows", "read_text"]

NAME_COLUMNS = (
    "file",
    "filename",
    "file_name",
    "file name",
    "image",
    "image_name",
    "name",
    "path",
    "id",
    "index",
)
LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "y", "diagnosis", "class_name")


def labels_for(labels: object, names: Sequence[str], what: str = "images") -> npt.NDArray[Any]:
    """Return one label for each of `names`, from an array (by position) or a file (by position or name).

    Raises
    ------
    TypeError, ValueError
        If an array of labels is not one label for each image.
    DataError
        The same for a file.
    """
    if isinstance(labels, str | os.PathLike):
        path = Path(labels)
        table = read_label_file(path, names)
        if isinstance(table, dict):
            return match_labels(table, names, path)
        try:
            return check_labels(table, len(names), what)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from error
    return check_labels(labels, len(names), what)


def check_labels(labels: object, n: int, what: str = "images", name: str = "labels") -> npt.NDArray[Any]:
    """Return `labels` as an array (n,) of integers or strings; see `as_labels`."""
    array = as_labels(labels, n, name, what)
    kind = array.dtype.kind
    if kind == "S":
        return np.array([_decoded(each, i, name) for i, each in enumerate(array.tolist())], dtype=str)
    if kind == "b":
        return np.array([str(each) for each in array.tolist()], dtype=str)
    if kind == "f":
        bad = np.flatnonzero((array != np.rint(array)) | (np.abs(array) > 2.0**53))
        if len(bad):
            value, position = array[bad[0]], bad[0]
            beyond = value == np.rint(value)
            raise ValueError(
                f"`{name}` must be whole numbers{' up to 2**53 if they are floats' if beyond else ''} or strings, got "
                f"{value} at position {position}"
            )
        return array.astype(np.int64)
    return array


def _decoded(label: bytes, position: int, name: str) -> str:
    try:
        return label.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"`{name}`: the label {label!r} at position {position} is not UTF-8") from None


def encode_labels(
    labels: npt.NDArray[Any], class_names: Sequence[str] | None = None
) -> tuple[Codes, tuple[str, ...], list[str]]:
    """Return codes, class names and notes for labels that `check_labels` has passed.

    Classes are sorted naturally (``"2"`` before ``"10"``). With `class_names`, integer labels are positions
    in it. Names that no image carries are left out, with a note.
    """
    if not len(labels):
        return np.empty(0, np.intp), tuple(class_names or ()), []
    values, codes = np.unique(labels, return_inverse=True)
    codes = codes.reshape(-1)
    if class_names is not None and values.dtype.kind in "iu":
        low, high = int(values[0]), int(values[-1])
        if low < 0 or high >= len(class_names):
            raise ValueError(
                f"labels must be positions in the {len(class_names)} class names, "
                f"got values between {low} and {high}"
            )
        names = [str(class_names[value]) for value in values]
        absent = [str(each) for i, each in enumerate(class_names) if i not in set(values.tolist())]
        notes = [f"No image belongs to {listed(absent)}."] if absent else []
        return codes.astype(np.intp, copy=False), _distinct(names), notes
    names = [str(value) for value in values]
    order = sorted(range(len(names)), key=lambda i: natural_key(names[i]) if values.dtype.kind == "U" else i)
    rank = np.empty(len(names), np.intp)
    rank[order] = np.arange(len(names))
    return rank[codes], tuple(names[i] for i in order), []


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Two classes may carry one name (ImageNet has such); they stay two."""
    counts = Counter(names)
    taken = {name for name, count in counts.items() if count == 1}
    found = []
    for i, name in enumerate(names):
        if counts[name] > 1:
            number = i
            while f"{name} ({number})" in taken:
                number += len(names)
            name = f"{name} ({number})"
            taken.add(name)
        found.append(name)
    return tuple(found)


def read_label_file(path: Path, names: Sequence[str]) -> npt.NDArray[Any] | dict[str, str]:
    """Read labels: an array in the order of the images, or a dictionary from file name to label.

    ``.npy`` holds one label an image. A text file (``.csv``, ``.tsv``, ``.txt``) holds one label a line, or
    a file name and a label, with or without a line of column names.
    """
    if path.suffix.lower() == ".npy":
        return np.array(open_npy(path))
    rows = read_rows(path)
    if len(rows[0]) > 1:
        return _by_name(rows, names, path)
    values = [row[0] for row in rows]
    if len(values) == len(names) + 1 and values[0].casefold() in LABEL_COLUMNS:
        values = values[1:]
    return _as_numbers(values)


def match_labels(
    table: dict[str, str], names: Sequence[str], path: Path, what: str = "label"
) -> npt.NDArray[Any]:
    """Find each name in the table: by its path, else by its last part, else by that without the ending."""
    for key in _keys:
        keyed: dict[str, str] = {}
        for name, label in table.items():
            if keyed.setdefault(key(name), label) != label:
                break
        else:
            if all(key(name) in keyed for name in names) and len({key(name) for name in names}) == len(
                set(names)
            ):
                return _as_numbers([keyed[key(name)] for name in names])
    known = {key(name) for name in table for key in _keys}
    missing = [name for name in names if not any(key(name) in known for key in _keys)]
    if missing:
        count = f"{len(missing)} of {len(names)} images have" if len(missing) > 1 else "one image has"
        raise DataError(f"{path}: {count} no {what}: {listed(missing)}")
    raise DataError(
        f"{path}: some file names occur in several folders; write the path from the source's folder, "
        f"such as {max(names, key=len)!r}"
    )


def read_rows(path: Path, what: str = "labels") -> list[list[str]]:
    """Return the cells of a table, row by row, all rows of one length."""
    text = read_text(path, what).rstrip()
    if not text:
        raise DataError(f"{path}: the file of {what} is empty")
    head = text.splitlines()[0]
    delimiter = (
        "\t" if path.suffix.lower() == ".tsv" else next((each for each in "\t;," if each in head), ",")
    )
    rows: list[list[str]] = []
    try:
        # Lines end where csv says, and not at every separator that Unicode knows, which may be part of a name.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows.extend(reader)
    except csv.Error as error:
        raise DataError(f"{path}: row {len(rows) + 1}: {error}") from error
    rows = [[cell.strip() for cell in row] for row in rows]
    for number, row in enumerate(rows, 1):
        if not any(row):
            raise DataError(f"{path}: row {number} is empty")
        if len(row) != len(rows[0]):
            raise DataError(f"{path}: row {number} has {len(row)} columns, the first has {len(rows[0])}")
    return rows


def read_text(path: Path, what: str) -> str:
    """Return a text in UTF-8 without NUL characters, such as a table or a list of names.

    Raises
    ------
    DataError
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "; it looks like UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise DataError(
            f"{printable(str(path))}: not a text in UTF-8 ({error.reason} at byte {error.start}){hint}"
        ) from error
    except OSError as error:
        raise DataError(
            f"{printable(str(path))}: cannot read the {what}: {error.strerror or error}"
        ) from error
    except ValueError as error:  # a path with a NUL character
        raise DataError(f"{printable(str(path))}: cannot read the {what}: {error}") from error
    except MemoryError as error:
        raise DataError(f"{printable(str(path))}: does not fit in memory") from error
    if "\0" in text:
        raise DataError(
            f"{printable(str(path))}: not a text in UTF-8 (a NUL character at position {text.index(chr(0))})"
        )
    return text


def _by_name(rows: list[list[str]], names: Sequence[str], path: Path) -> dict[str, str]:
    columns = rows[0]
    head = [cell.casefold() for cell in columns]
    name_column = next((i for i, cell in enumerate(head) if cell in NAME_COLUMNS), None)
    label_column = next((i for i, cell in enumerate(head) if cell in LABEL_COLUMNS), None)
    if label_column is not None or name_column is not None:
        rows = rows[1:]
        if name_column is None:
            name_column = 1 if label_column == 0 else 0
        if label_column is None and len(head) == 2:
            label_column = 1 - name_column
    elif len(head) == 2:
        name_column, label_column = 0, 1
        known = {key(name) for name in names for key in _keys}
        if not any(key(rows[0][0]) in known for key in _keys):
            rows = rows[1:]
    if label_column is None or name_column is None:
        raise DataError(
            f"{path}: of the columns {listed(columns)} it is not clear which holds the file names and which "
            "the labels; name them `file` and `label`"
        )
    table: dict[str, str] = {}
    for row in rows:
        name, label = _posix(row[name_column]), row[label_column]
        if not label:
            raise DataError(f"{path}: {name!r} has an empty label")
        if table.setdefault(name, label) != label:
            raise DataError(f"{path}: {name!r} has two labels, {table[name]!r} and {label!r}")
    return table


def _as_numbers(values: list[str]) -> npt.NDArray[Any]:
    """Labels that are all written as plain integers become integers, which may point into class names."""
    try:
        numbers = [int(value) for value in values]
    except ValueError:
        return np.array(values, dtype=str)
    within = all(-(2**63) <= number < 2**63 for number in numbers)
    if within and all(str(number) == value for number, value in zip(numbers, values, strict=True)):
        return np.array(numbers, dtype=np.int64)
    return np.array(values, dtype=str)


def _posix(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))


def _last_part(name: str) -> str:
    return PurePosixPath(_posix(name)).name


def _stem(name: str) -> str:
    return PurePosixPath(_posix(name)).stem


# Ways in which a name in a file of labels may mean an image, the strictest first.
_keys = (_posix, _last_part, _stem)
