"""Arrays with a JSON header in an npz file. No pickle: reading runs no code of the file."""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._mapped import is_mapped, row_blocks
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
    told = {"format": kind, "format_version": version, "wavelens_version": _core.version, **header}
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            write_npz(file, {"header": np.array(json.dumps(told, default=_plain)), **arrays})
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


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
    try:
        with Path(path).open("rb") as file:
            # NumPy would take anything else for a pickle, and advise to load it unsafely.
            if not zipfile.is_zipfile(file):
                raise ValueError("it is no npz file")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                left = set(archive.files).intersection(() if mapped is None else mapped(archive.files))
                arrays = {name: archive[name] for name in archive.files if name not in left}
                for name in left:
                    arrays[name] = _mapped_member(Path(path), archive.zip, f"{name}.npy")
        header = json.loads(str(arrays.pop("header")[()]))
        found = header["format"], header["format_version"]
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged or was not written by {writer}: {error}") from error
    if found[0] != kind:
        raise DataError(f"{path} holds a {found[0]}, expected a {kind}")
    if found[1] > version:
        raise DataError(
            f"{path} has format version {found[1]}, written by wavelens {header.get('wavelens_version')}; "
            f"this wavelens {_core.version} reads up to version {version}"
        )
    return header, arrays


def _mapped_member(path: Path, archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Map an array inside an archive, after its sum over all bytes has been checked."""
    info = archive.getinfo(name)
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise ValueError(f"{name} has a header of version {version}")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(member)
        start = member.tell()
        if dtype.hasobject or info.file_size != start + dtype.itemsize * math.prod(shape):
            raise ValueError(f"{name} is not what its header says")
        while member.read(1 << 22):  # at its end zipfile compares the sums
            pass
    with path.open("rb") as file:
        # Name and extra field of the member's own header are of other lengths than those in the table of contents.
        file.seek(info.header_offset + 26)
        own = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
    offset = info.header_offset + 30 + own + start
    if info.compress_type != zipfile.ZIP_STORED or offset % dtype.alignment or 0 in shape:
        with archive.open(info) as member:
            return np.asarray(np.lib.format.read_array(member, allow_pickle=False))
    order: Literal["C", "F"] = "F" if by_column else "C"
    return np.memmap(path, dtype, "r", offset, shape, order)


def _plain(value: object) -> object:
    """Return a NumPy number as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a value of type {type(value).__name__} cannot be saved")
