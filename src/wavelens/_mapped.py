"""Arrays that lie in mapped files: read without keeping their pages, and told apart without reading them."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from wavelens.exceptions import DataError

__all__ = [
    "check_whole",
    "contents_of",
    "give_back",
    "is_mapped",
    "map_again",
    "picked_rows",
    "row_blocks",
    "table_beside",
]

_block_bytes = 1 << 24
_largest_table = 256_000_000


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """Tell whether an array, or what it is a view of, is a mapped file."""
    return _map_of(array) is not None


def give_back(array: npt.NDArray[Any]) -> None:
    """Drop the pages of a mapped file from this process's memory; the system keeps them as long as it likes."""
    found = _map_of(array)
    # Of a private map, changed pages are nowhere else.
    if found is not None and found.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        buffer = found._mmap  # type: ignore[attr-defined]
        if buffer is not None:
            buffer.madvise(mmap.MADV_DONTNEED)


def row_blocks(array: npt.NDArray[Any], n_rows: int | None = None) -> Iterator[npt.NDArray[Any]]:
    """Give some rows after the other; of a mapped file as copies, and none of it stays in memory.

    Without `n_rows`, some 16 MB at a time.
    """
    mapped = is_mapped(array)
    if mapped:
        check_whole(array)
    if n_rows is None:
        n_rows = max(1, _block_bytes // max(1, array[:1].nbytes))
    for first in range(0, len(array), n_rows):
        rows = array[first : first + n_rows]
        if mapped:
            check_whole(array)
            rows = np.array(rows)
            give_back(array)
        yield rows


def picked_rows(array: npt.NDArray[Any], places: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Return some rows; of a mapped file few at a time, as each brings neighbours into memory with it."""
    if not is_mapped(array):
        return np.asarray(array[places])
    rows = np.empty((len(places), *array.shape[1:]), array.dtype)
    for first in range(0, len(places), 256):
        check_whole(array)
        rows[first : first + 256] = array[places[first : first + 256]]
        give_back(array)
    return rows


def table_beside(array: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Return room for a table of the dtype of `array`, to be filled from the top.

    Of more than 256 MB, and where `array` is mapped, it lies in a nameless file in the same folder, which goes
    with it.
    """
    found = _map_of(array)
    size = shape[0] * shape[1] * array.dtype.itemsize
    if found is None or size <= _largest_table or not isinstance(found.filename, str | os.PathLike):
        return np.empty(shape, array.dtype)
    with tempfile.TemporaryFile(dir=os.path.dirname(os.path.abspath(found.filename))) as file:
        if hasattr(os, "posix_fallocate"):  # a full disk is told of here, not by a signal later
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.memmap(file, array.dtype, "r+", shape=shape)


def check_whole(array: npt.NDArray[Any], name: str = "") -> None:
    """Refuse a mapped file that was truncated or changed in place after it was mapped; for use before each read.

    Reading past the end of a file that has become shorter would kill the process with a signal (SIGBUS). A file
    that was removed, or replaced by another of the same name, does no harm: the map shows the old one.
    What cannot be excluded is that the file becomes shorter between this check and the reading of the block, or
    that a network file system loses it.

    Raises
    ------
    DataError
        If the file is too short, has been written to, or can no longer be read; names it.
    """
    found = _map_of(array)
    if found is None or not isinstance(found.filename, str | os.PathLike):
        return
    stat: os.stat_result | None
    where = f"{name}: {found.filename}" if name else str(found.filename)
    buffer: mmap.mmap = found._mmap  # type: ignore[attr-defined]
    try:
        size = buffer.size()  # of the file that is mapped, whatever its name is by now
        stat = os.stat(found.filename)
    except FileNotFoundError:
        stat = None
    except OSError as error:
        raise DataError(f"{where} can no longer be read: {error.strerror}") from error
    if size < found.offset + found.nbytes:
        raise DataError(f"{where} has become shorter since it was opened: it has {size:,} bytes")
    if stat is None or found.mode not in ("r", "c"):
        return  # it was removed, or this process may write to it
    state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    before = _states.setdefault(buffer, state)
    if state[:2] == before[:2] and state != before:
        raise DataError(f"{where} has been changed since it was opened")


# Files as they were when they were first looked at, for as long as they are mapped.
_states: WeakKeyDictionary[mmap.mmap, tuple[int, int, int, int]] = WeakKeyDictionary()


def contents_of(array: npt.NDArray[Any]) -> str:
    """Return what tells an array from another: size and time of its file, or else a sum over its bytes."""
    found = _map_of(array)
    if found is not None and isinstance(found.filename, str | os.PathLike):
        stat = os.stat(found.filename)
        return f"{os.path.basename(found.filename)}, {stat.st_size} bytes, time {stat.st_mtime_ns}"
    total = hashlib.blake2b(digest_size=16)
    step = max(1, (1 << 24) // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        total.update(np.ascontiguousarray(array[start : start + step]).data)
    return total.hexdigest()


def map_again(array: npt.NDArray[Any]) -> Callable[[], npt.NDArray[Any]]:
    """Return what maps the same part of the same file in another process; small, and made to be pickled.

    Raises
    ------
    DataError
        If the array has been changed in memory and not in the file, or nothing says which file it is.
    """
    found = _map_of(array)
    if found is None or found.mode == "c" or not isinstance(found.filename, str | os.PathLike):
        raise DataError(
            "a changed copy of a mapped file lies in this process alone; save it to a file of its own"
        )
    spans = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
    low = sum(min(0, each) for each in spans)
    high = sum(max(0, each) for each in spans) + array.itemsize
    begin = array.__array_interface__["data"][0] - found.__array_interface__["data"][0] + low
    place = found.offset + begin
    path = os.path.abspath(found.filename)
    return partial(_mapped_part, path, place, high - low, -low, array.shape, array.dtype, array.strides)


def _mapped_part(
    path: str,
    place: int,
    n_bytes: int,
    start: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    strides: tuple[int, ...],
) -> npt.NDArray[Any]:
    try:
        whole = np.memmap(path, np.uint8, "r", place, (n_bytes,))
    except ValueError as error:
        raise DataError(f"{path}: is shorter here than where the analysis was begun") from error
    return np.ndarray(shape, dtype, whole, start, strides)


def _map_of(array: object) -> np.memmap[Any, Any] | None:
    """Return the outermost memory map under an array."""
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            found = array
        array = array.base
    return found
