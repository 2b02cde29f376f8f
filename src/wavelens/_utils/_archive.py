"""Arrays with a JSON header in an npz file. No pickle: reading runs no code of the file."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._mapped import is_mapped, row_blocks
from wavelens._utils._atomic_write import atomic_write
from wavelens._utils._damaged_files import reading
from wavelens._utils._file_schema import Integer, Text, check_header
from wavelens._utils._npy_member import check_total, map_member, read_header, read_member
from wavelens.exceptions import DataError

__all__ = ["read_archive", "write_archive", "write_npz"]


_Choice = Callable[[Collection[str]], Collection[str]]


def write_archive(
    path: str | os.PathLike[str],
    kind: str,
    version: int,
    header: Mapping[str, Any],
    arrays: Mapping[str, Any],
) -> None:
    """Write arrays and what a header says; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        Taken as it is: no ending is added.
    kind : str
        What the file holds, "wavelens.hierarchy.MMF".
    version : int
        Of the format of this kind.
    header : mapping
        Values that JSON knows, or numbers of NumPy.
    arrays : mapping of str to ndarray
        None called "header".
    """
    values = {"format": kind, "format_version": version, "wavelens_version": _core.version, **header}
    text = json.dumps(values, default=_plain)
    with atomic_write(path) as file:
        write_npz(file, {"header": np.array(text), **arrays})


def write_npz(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    """Write arrays as `numpy.savez` does, but mapped ones without bringing them into memory.

    Parameters
    ----------
    file : binary file
    arrays : mapping of str to ndarray
        Or to functions that make one, called when it is written, so that not all need be alive at once.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, each in arrays.items():
            array = np.asanyarray(each() if callable(each) else each)
            with archive.open(_placed(f"{name}.npy", file.tell()), "w", force_zip64=True) as member:
                if not (is_mapped(array) and array.flags.c_contiguous):
                    np.lib.format.write_array(member, array, allow_pickle=False)
                    continue
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                for block in row_blocks(array):
                    member.write(block.data)


def _placed(name: str, start: int) -> zipfile.ZipInfo:
    """Return a member whose array will begin at a whole multiple of 64 bytes, so that it can be mapped."""
    info = zipfile.ZipInfo(name)
    # What lies before: its header, the name, and the field that holds large sizes; NumPy's header has 64·k bytes.
    gap = -(start + 30 + len(name.encode()) + 20) % 64
    if gap:
        gap += 64 if gap < 4 else 0
        info.extra = struct.pack("<HH", 0xD935, gap - 4) + bytes(gap - 4)  # a field of padding
    return info


def read_archive(
    path: str | os.PathLike[str], kind: str, version: int, writer: str, mapped: _Choice | None = None
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return the header and the arrays that `write_archive` wrote.

    Parameters
    ----------
    path : path
        Of the file.
    kind : str
        What it must hold.
    version : int
        The newest that can be read.
    writer : str
        What writes such files, for errors: "MMF.save".
    mapped : callable or None, default None
        Says which of the arrays, by their names, are not read but mapped, to be read where they lie.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If it is damaged, of another kind, or of a newer version.
    """
    with reading(path, writer):
        arrays = _read_arrays(Path(path), mapped)
        found = json.loads(str(arrays.pop("header")[()]))
        header = check_header(found, _described, path)
    if header["format"] != kind:
        raise DataError(f"{path} holds a {header['format']:.100}, expected a {kind}")
    if header["format_version"] > version:
        raise DataError(
            f"{path} has format version {header['format_version']}, written by wavelens "
            f"{header.get('wavelens_version')}; this wavelens {_core.version} reads up to version {version}"
        )
    return header, arrays


_described = {
    "format": Text(),
    "format_version": Integer(low=1, high=10**6),
    "wavelens_version": Text(optional=True),
}


def _read_arrays(path: Path, mapped: _Choice | None) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        with zipfile.ZipFile(file) as archive:
            members = {
                info.filename.removesuffix(".npy"): read_header(archive, info, size)
                for info in archive.infolist()
            }
            if len(members) < len(archive.infolist()):
                raise ValueError("it holds two arrays of one name")
            check_total(list(members.values()), size)
            to_map = set(members).intersection(() if mapped is None else mapped(list(members)))
            return {
                name: map_member(path, archive, each) if name in to_map else read_member(archive, each)
                for name, each in members.items()
            }


def _plain(value: object) -> object:
    """Return a NumPy number as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a value of type {type(value).__name__} cannot be saved")
