"""Files that are there whole or not at all, whatever happens to the process or the machine.

A file is written under another name, forced to disk, and renamed; then the folder's entry is forced to disk.
Arrays go into an npz file, whose parts carry checksums: one that the disk has spoilt is noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from wavelens._archive import read_archive, write_npz
from wavelens.exceptions import DataError

__all__ = ["read_json", "read_state", "sync_folder", "write_json", "write_state"]

_kind = "wavelens.patterns.state"
_version = 1


def write_state(path: Path, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write arrays and a header that JSON knows."""
    told = json.dumps({"format": _kind, "format_version": _version, **header})
    _write(path, lambda file: write_npz(file, {"header": np.array(told), **arrays}))


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
    text = json.dumps(values, indent=1, ensure_ascii=True).encode()
    _write(path, lambda file: file.write(text))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what `write_json` wrote; None if there is no such file."""
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"{path} is damaged: it holds no table")
    return values


def sync_folder(folder: Path) -> None:
    """Force the entries of a folder to disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
