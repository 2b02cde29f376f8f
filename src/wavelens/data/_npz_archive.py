"""``.npz`` archives: members mapped or read one by one, sizes and checksums verified."""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._utils._text_arrays import check_characters
from wavelens.data._npy_header import NpyHeader, read_npy_header, refuse_objects, short_reason
from wavelens.data._source import physical_memory, printable
from wavelens.exceptions import DataError

__all__ = ["Archive", "StoredMember"]

# A member beyond this many bytes is verified during the first pass over its images, and not before it.
VERIFIED_AT_ONCE = 1 << 30
_block = 1 << 22

# What zipfile and the decompressors raise on damaged archives.
_damages = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
)


@dataclass(frozen=True)
class StoredMember:
    """A member that is not compressed: where its bytes lie in the file, and their checksum.

    Attributes
    ----------
    path : Path
        Of the archive, absolute.
    key : str
        Name of the array.
    offset : int
        Where the member begins in the file: its npy header.
    start : int
        Bytes of that header.
    size : int
        Bytes of the member.
    crc : int
        CRC-32 that the archive gives.
    """

    path: Path
    key: str
    offset: int
    start: int
    size: int
    crc: int

    def verify(self) -> None:
        """Compare the checksum; once for each state of the file in this process.

        The file is read and not mapped, so that no page of it stays in this process's memory.

        Raises
        ------
        DataError
            If bytes have changed since the archive was written.
        """
        mark = self._mark()
        with _lock:
            if mark in _verified:
                return
        crc, left = 0, self.size
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                while left:
                    block = file.read(min(_block, left))
                    if not block:
                        raise DataError(f"{self._where()} is cut off: {left:,} bytes are missing")
                    crc = zlib.crc32(block, crc)
                    left -= len(block)
        except OSError as error:
            raise DataError(
                f"{printable(str(self.path))}: cannot be read: {error.strerror or error}"
            ) from error
        self.compare(crc, mark)

    @property
    def is_verified(self) -> bool:
        """Whether this state of the file has been verified in this process."""
        with _lock:
            return self._mark() in _verified

    def begin(self) -> tuple[int, object]:
        """Return the checksum of the npy header, which a pass over the values goes on from, and the file's state."""
        mark = self._mark()
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return zlib.crc32(file.read(self.start)), mark

    def compare(self, crc: int, mark: object) -> None:
        """Raise `DataError` unless `crc`, of all bytes of the member as it was at `mark`, is right."""
        if crc != self.crc:
            raise DataError(
                f"{self._where()} is damaged: its bytes have the CRC-32 {crc:08x}, the archive says {self.crc:08x}"
            )
        with _lock:
            _verified.add(mark)

    def _where(self) -> str:
        return f"{printable(str(self.path))}: the array {self.key!r}"

    def _mark(self) -> object:
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise DataError(
                f"{printable(str(self.path))}: cannot be read: {error.strerror or error}"
            ) from error
        return (
            str(self.path),
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            self.offset,
            self.crc,
        )


_verified: set[object] = set()
_lock = threading.Lock()


class Archive:
    """A ``.npz`` file whose arrays are read one by one.

    Arrays stored without compression (``np.savez``) are mapped into memory; compressed ones are loaded.
    Pickled objects are refused. Sizes are compared with the file's and checksums verified before any value is
    given out.

    Parameters
    ----------
    path : Path
        Of the file.

    Raises
    ------
    DataError
        If it is no archive of arrays, or the size of an array is not what its header says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said = printable(str(path))
        try:
            self._size = path.stat().st_size
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about two members of one name
                with zipfile.ZipFile(path) as archive:
                    names = Counter(each.filename for each in archive.infolist())
                    twice, count = max(names.items(), key=lambda each: each[1], default=("", 0))
                    if count > 1:
                        raise ValueError(f"it has {count} members called {twice!r}")
                    members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
                    self._members = {each.filename.removesuffix(".npy"): each for each in members}
                    self._headers = {key: self._header(archive, key) for key in self._members}
        except _damages as error:
            raise DataError(f"{self._said}: not a readable .npz archive: {short_reason(error)}") from error
        except OSError as error:
            raise DataError(f"{self._said}: cannot be read: {error.strerror or error}") from error
        if not self._members:
            raise DataError(f"{self._said}: the archive holds no arrays")

    @property
    def keys(self) -> list[str]:
        """Names of the arrays."""
        return list(self._members)

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of an array, without reading it."""
        return self._headers[key].shape

    def dtype(self, key: str) -> np.dtype[Any]:
        """Dtype of an array, without reading it."""
        return self._headers[key].dtype

    def describe(self) -> str:
        """Name the arrays with their shapes and dtypes."""
        return ", ".join(f"{key} {each.shape} {each.dtype}" for key, each in sorted(self._headers.items()))

    def read(self, key: str) -> npt.NDArray[Any]:
        """Map or load one array, and verify its checksum."""
        array, member = self.open(key)
        if member is not None:
            member.verify()
        return array

    def open(self, key: str) -> tuple[npt.NDArray[Any], StoredMember | None]:
        """Map or load one array.

        Returns
        -------
        array : ndarray
        member : StoredMember or None
            If the array is mapped and too large to be verified at once, what must be verified before a result
            is made of it.
        """
        if key not in self._members:
            raise DataError(f"{self._said}: no array {key!r}; it holds {self.describe()}")
        info, header = self._members[key], self._headers[key]
        if header.dtype.hasobject:
            raise refuse_objects(self.path, f"the array {key!r}")
        try:
            if info.compress_type == zipfile.ZIP_STORED and 0 not in header.shape and header.shape:
                member = self._stored(key)
                if member.size <= VERIFIED_AT_ONCE:
                    member.verify()
                array: npt.NDArray[Any] = np.memmap(
                    self.path,
                    header.dtype,
                    "r",
                    member.offset + member.start,
                    header.shape,
                    header.order,
                )
                check_characters(array, f"the array {key!r}")
                return array, None if member.size <= VERIFIED_AT_ONCE else member
            return self._load(info, header), None
        except _damages as error:
            raise DataError(f"{self._said}: the array {key!r} is damaged: {short_reason(error)}") from error
        except MemoryError as error:
            raise DataError(
                f"{self._said}: the array {key!r} of shape {header.shape} does not fit in memory; "
                "save it with np.save or np.savez (without compression) and it will be mapped"
            ) from error
        except OSError as error:
            raise DataError(f"{self._said}: cannot be read: {error.strerror or error}") from error

    def _header(self, archive: zipfile.ZipFile, key: str) -> NpyHeader:
        """Read the header of a member, and compare the sizes that header, archive and file give."""
        info = self._members[key]
        if info.flag_bits & 1:
            raise ValueError(f"the array {key!r} is encrypted")
        with archive.open(info) as file:
            try:
                header = read_npy_header(file)
            except ValueError as error:
                raise ValueError(f"the array {key!r}: {error}") from error
        if not header.dtype.hasobject and info.file_size != header.n_bytes:
            raise ValueError(
                f"the array {key!r} of shape {header.shape} and dtype {header.dtype} takes {header.n_bytes:,} "
                f"bytes, the archive holds {info.file_size:,} of it"
            )
        if info.compress_type == zipfile.ZIP_STORED and (
            info.compress_size != info.file_size or info.header_offset + info.file_size > self._size
        ):
            raise ValueError(f"the array {key!r} is cut off")
        return header

    def _stored(self, key: str) -> StoredMember:
        info, header = self._members[key], self._headers[key]
        offset = _data_offset(self.path, info)
        if offset + info.file_size > self._size:
            raise ValueError("it reaches beyond the end of the file")
        return StoredMember(self.path.resolve(), key, offset, header.start, info.file_size, info.CRC)

    def _load(self, info: zipfile.ZipInfo, header: NpyHeader) -> npt.NDArray[Any]:
        n_bytes = header.n_bytes - header.start
        if n_bytes > physical_memory():
            raise MemoryError
        with zipfile.ZipFile(self.path) as archive, archive.open(info) as file:
            file.read(header.start)
            flat = np.empty(n_bytes, np.uint8)
            buffer, done = flat.data, 0
            while done < n_bytes:
                block = file.read(min(_block, n_bytes - done))
                if not block:
                    raise EOFError(f"{n_bytes - done:,} bytes are missing")
                buffer[done : done + len(block)] = block
                done += len(block)
            while file.read(_block):  # at the end zipfile compares the checksums
                pass
        array = flat.view(header.dtype).reshape(header.shape, order=header.order)
        check_characters(array, "it")
        return array


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin in the file: behind its local header, whose length varies."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("its local header is missing")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    return int(member.header_offset + 30 + name_length + extra_length)
