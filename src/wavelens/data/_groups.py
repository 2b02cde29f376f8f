"""Groups of images that belong together, from a column of a table or from file names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.data._labels import NAME_COLUMNS, match_labels, read_rows
from wavelens.data._source import listed
from wavelens.exceptions import DataError

__all__ = ["image_groups"]

_tables = (".csv", ".tsv")


def image_groups(source: str, names: Sequence[str]) -> npt.NDArray[Any]:
    r"""Return the group that each image belongs to, such as its patient.

    Parameters
    ----------
    source : str
        A table ``FILE.csv`` or ``FILE.csv:COLUMN`` with a line of column names, one of which holds the names
        of the files (``file``, ``image``, ``name``, ``path``, …); the column of the groups need not be named
        if there is one other. Anything else is a regular expression, searched for in each name; the group is
        what its first pair of parentheses holds.
    names : sequence of str
        The images, such as `ImageData.image_names`.

    Returns
    -------
    array of shape (n_images,)

    Raises
    ------
    DataError
        If the table cannot be read, or an image has no group.
    ValueError
        If the regular expression is wrong or has no parentheses.

    Examples
    --------
    >>> from wavelens.data import image_groups
    >>> image_groups(r"patient(\d+)", ["sick/patient1-a.png", "sick/patient1-b.png", "well/patient7.png"])
    array(['1', '1', '7'], dtype='<U1')
    """
    path, _, column = source.rpartition(":")
    if path.lower().endswith(_tables):
        return _from_table(Path(path), column, names)
    if source.lower().endswith(_tables):
        return _from_table(Path(source), "", names)
    return _from_names(source, names)


def _from_names(pattern: str, names: Sequence[str]) -> npt.NDArray[Any]:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"`groups`: {pattern!r} is no regular expression: {error}") from None
    if not compiled.groups:
        raise ValueError(
            f"`groups`: the regular expression {pattern!r} needs parentheses around what names the group, such "
            r"as 'patient(\d+)'; a table must end in .csv or .tsv"
        )
    found = [compiled.search(name) for name in names]
    missing = [name for name, each in zip(names, found, strict=True) if each is None or not each[1]]
    if missing:
        raise DataError(
            f"the regular expression {pattern!r} finds no group in {len(missing):,} of {len(names):,} file names: "
            f"{listed(missing)}"
        )
    return np.array([each[1] for each in found if each is not None])


def _from_table(path: Path, column: str, names: Sequence[str]) -> npt.NDArray[Any]:
    head, *rows = read_rows(path, "groups")
    folded = [cell.casefold() for cell in head]
    name_column = next((i for i, cell in enumerate(folded) if cell in NAME_COLUMNS), None)
    if name_column is None:
        raise DataError(f"{path}: of the columns {listed(head)} none holds file names; call it `file`")
    if column:
        if column.casefold() not in folded:
            raise DataError(f"{path}: there is no column {column!r}, but {listed(head)}")
        group_column = folded.index(column.casefold())
    elif len(head) == 2:
        group_column = 1 - name_column
    else:
        raise DataError(f"{path}: say which of the columns {listed(head)} holds the groups, as {path}:COLUMN")
    table: dict[str, str] = {}
    for row in rows:
        name, group = row[name_column].replace("\\", "/").removeprefix("./"), row[group_column]
        if not group:
            raise DataError(f"{path}: {name!r} has no group")
        if table.setdefault(name, group) != group:
            raise DataError(f"{path}: {name!r} is in two groups, {table[name]!r} and {group!r}")
    return match_labels(table, names, path, "group")
