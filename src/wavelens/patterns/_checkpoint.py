"""Files that are there whole or not at all, whatever happens to the process or the machine.

A file is written under another name, forced to disk, and renamed; then the folder's entry is forced to disk.
Arrays go into an npz file, whose parts carry checksums: one that the disk has spoilt is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._utils._archive import read_archive, write_npz
from wavelens._utils._atomic_write import atomic_write, sync_folder, write_text
from wavelens._utils._damaged_files import reading
from wavelens._utils._temporaries import remove_abandoned
from wavelens.exceptions import DataError

__all__ = ["read_json", "read_state", "sync_folder", "write_json", "write_state"]

_kind = "wavelens.patterns.state"
_version = 1


def write_state(path: Path, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write arrays and a header that JSON knows."""
    told = json.dumps({"format": _kind, "format_version": _version, **header})
    with atomic_write(path, sync=True) as file:
        write_npz(file, {"header": np.array(told), **arrays})


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]] | None:
    """Return the header and the arrays; None if there is no such file.

    Raises
    ------
    DataError
        If it is damaged.
    """
    try:
        return read_archive(path, _kind, _version, "an analysis out of core")
    except FileNotFoundError:
        return None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write what JSON knows."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=True), sync=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what `write_json` wrote; None if there is no such file."""
    remove_abandoned(path.parent)
    try:
        with reading(path, "an analysis out of core"):
            values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(values, dict):
        raise DataError(f"{path} is damaged: it holds no table")
    return values
