"""Arrays inside a zip file, read without trusting what their headers say.

Sizes are compared with the file before memory is allocated, and the checksum of each array is verified while it is
read. Only arrays of plain numbers, booleans and texts are read: nothing that runs code, nothing of a dtype that
Wavelens does not write.
"""

from __future__ import annotations

import ast
import math
import os
import re
import struct
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wavelens._mapped import check_whole
from wavelens._utils._text_arrays import check_characters

__all__ = ["Member", "check_total", "map_member", "read_header", "read_member"]

_magic = b"\x93NUMPY\x01\x00"
_longest_header = 10_000
_dtype = re.compile(r"[<>|][biufSU][1-9][0-9]{0,8}")
_block_bytes = 1 << 22


@dataclass(frozen=True)
class Member:
    """What the header of an array says, checked against the size of the member.

    Attributes
    ----------
    info : ZipInfo
    shape : tuple of int
    by_column : bool
        Whether the first index runs fastest.
    dtype : dtype
    start : int
        Where the values begin in the member.
    """

    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]
    start: int


def read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file_size: int) -> Member:
    """Read the header of an array.

    Raises
    ------
    ValueError
        If the member is compressed or encrypted, its size is not what the header says, or beyond that of the file.
    """
    name = info.filename
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise ValueError(f"{name} is compressed or encrypted")
    if info.file_size != info.compress_size or info.file_size > file_size:
        raise ValueError(f"{name} claims {info.file_size} bytes in a file of {file_size}")
    with archive.open(info) as member:
        begin = member.read(len(_magic) + 2)
        if len(begin) != len(_magic) + 2 or not begin.startswith(_magic):
            raise ValueError(f"{name} is no array in the npy format 1.0")
        (length,) = struct.unpack("<H", begin[-2:])
        if length > _longest_header:
            raise ValueError(f"{name} has a header of {length} bytes")
        text = member.read(length)
    shape, by_column, dtype = _parsed(text, name)
    start = len(begin) + length
    if len(text) != length or info.file_size != start + dtype.itemsize * math.prod(shape):
        raise ValueError(
            f"{name} has {info.file_size} bytes, not what its shape {shape} and dtype {dtype} take"
        )
    return Member(info, shape, by_column, dtype, start)


def read_member(archive: zipfile.ZipFile, found: Member) -> npt.NDArray[Any]:
    """Read an array, and verify its checksum."""
    count = math.prod(found.shape)
    flat = np.empty(count, found.dtype)
    buffer = flat.view(np.uint8).data if count else memoryview(b"")
    with archive.open(found.info) as member:
        member.read(found.start)
        done = 0
        while done < len(buffer):
            block = member.read(min(_block_bytes, len(buffer) - done))
            if not block:
                raise EOFError(f"{found.info.filename} ends early")
            buffer[done : done + len(block)] = block
            done += len(block)
        member.read(1)  # at its end zipfile compares the checksums
    check_characters(flat, found.info.filename)
    return flat.reshape(found.shape, order="F" if found.by_column else "C")


def map_member(path: Path, archive: zipfile.ZipFile, found: Member) -> npt.NDArray[Any]:
    """Map an array into memory, after its checksum has been verified; read it where it cannot be mapped."""
    with archive.open(found.info) as member:
        while member.read(_block_bytes):
            pass
    with path.open("rb") as file:
        # Name and extra field of the member's own header are of other lengths than those in the table of contents.
        file.seek(found.info.header_offset + 26)
        own = sum(struct.unpack("<HH", file.read(4)))
        size = os.fstat(file.fileno()).st_size
    offset = found.info.header_offset + 30 + own + found.start
    n_bytes = found.dtype.itemsize * math.prod(found.shape)
    if offset + n_bytes > size:
        raise ValueError(f"{found.info.filename} reaches beyond the end of the file")
    if offset % found.dtype.alignment or n_bytes == 0:
        return read_member(archive, found)
    order: Literal["C", "F"] = "F" if found.by_column else "C"
    array = np.memmap(path, found.dtype, "r", offset, found.shape, order)
    check_whole(array)  # notes the state of the file, for later checks
    return array


def _parsed(text: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the syntax of a damaged header
        values = ast.literal_eval(text.decode("latin-1").strip())
    if not isinstance(values, dict) or set(values) != {"descr", "fortran_order", "shape"}:
        raise ValueError(f"{name} has a damaged header")
    descr, by_column, shape = values["descr"], values["fortran_order"], values["shape"]
    if not isinstance(descr, str) or not _dtype.fullmatch(descr):
        raise ValueError(f"{name} has the dtype {descr!r}, which Wavelens does not write")
    if not isinstance(by_column, bool) or not isinstance(shape, tuple) or len(shape) > 8:
        raise ValueError(f"{name} has a damaged header")
    if not all(type(n) is int and 0 <= n < 2**62 for n in shape):
        raise ValueError(f"{name} has the shape {shape!r}")
    return shape, by_column, np.dtype(descr)


def check_total(members: list[Member], file_size: int) -> None:
    """Refuse an archive whose arrays overlap: together they would take more memory than the file has bytes."""
    total = sum(each.info.file_size for each in members)
    if total > file_size:
        raise ValueError(f"its arrays claim {total} bytes together, and the file has {file_size}")
