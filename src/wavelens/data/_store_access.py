"""What zarr and HDF5 stores have in common: arrays by name, files outside the store, and rows that were lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavelens.data._source import listed, printable
from wavelens.exceptions import DataError

__all__ = ["Access", "MissingDataError", "Rows", "StoreArray", "refuse_external"]

Rows = dict[int, str]
"""Rows whose values are not in the store, each with the reason."""


@dataclass(frozen=True)
class Access:
    """What may be read.

    Attributes
    ----------
    trust_external : bool
        Whether other files that the store names are read as parts of it.
    fill_missing : bool
        Whether chunks that are not in the store are read as its fill value.
    """

    trust_external: bool = False
    fill_missing: bool = False


@dataclass(frozen=True)
class StoreArray:
    """An array of a store.

    Attributes
    ----------
    array : object
        With `shape`, `dtype` and slices along the first axis, of zarr or h5py.
    missing : callable
        Takes the first row and that after the last; returns the rows between whose values are not there.
    """

    array: Any
    missing: Callable[[int, int], Rows]


class MissingDataError(Exception):
    """Values that were asked for are not in the store."""


def refuse_external(path: Path, key: str, files: Sequence[str], how: str) -> DataError:
    """Return the error about an array that lies outside its store.

    Parameters
    ----------
    path : Path
        Of the store.
    key : str
        Name of the array, or "" for the whole store.
    files : sequence of str
        Where it leads.
    how : str
        Such as "an external link".
    """
    what = f"the array {printable(key)!r}" if key else "the store"
    named = listed([printable(each) for each in dict.fromkeys(files)], 4)
    return DataError(
        f"{printable(str(path))}: {what} reads other files through {how}: {named}. Of a store from somebody else "
        "this can be any file of this machine; trust_external=True (--trust-external) allows it"
    )
