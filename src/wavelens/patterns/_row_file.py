"""A matrix on disk, written and read some rows at a time without a map, so that none of it stays in memory."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wavelens._mapped import check_whole
from wavelens._utils._atomic_write import sync_folder

__all__ = ["RowFile", "map_rows"]


class RowFile:
    """A ``.npy`` file of `shape` that is filled from the top. It bears its name only once it is whole.

    Parameters
    ----------
    path : Path
        Until `finish`, the rows are in a file of this name and ".partial".
    shape : tuple of int
        Rows and columns.
    dtype : dtype
    n_done : int
        How many rows an earlier run wrote and forced to disk; they are kept, what follows is not.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: npt.DTypeLike, n_done: int = 0) -> None:
        self._path, self._partial = path, path.with_name(path.name + ".partial")
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._row_bytes = shape[1] * self._dtype.itemsize
        self._file = _opened(self._partial, anew=not n_done)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        )
        self._start = self._file.tell()
        self._file.truncate(self._start + n_done * self._row_bytes)
        self.n_done = n_done

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the rows."""
        return self._dtype

    @classmethod
    def holds(cls, path: Path, n_rows: int, n_columns: int, dtype: npt.DTypeLike) -> bool:
        """Tell whether so many rows of an unfinished file are there."""
        partial = path.with_name(path.name + ".partial")
        return partial.exists() and partial.stat().st_size >= n_rows * n_columns * np.dtype(dtype).itemsize

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write the next rows."""
        self._file.seek(self._start + self.n_done * self._row_bytes)
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self.n_done += len(rows)

    def read(self, first: int, last: int) -> npt.NDArray[Any]:
        """Return rows that were written."""
        rows = np.empty((last - first, self._shape[1]), self._dtype)
        self._file.seek(self._start + first * self._row_bytes)
        if self._file.readinto(rows.data) != rows.nbytes:
            raise OSError(f"{self._partial} has become shorter")
        return rows

    def blocks(self, n_rows: int, start: int = 0) -> Iterator[npt.NDArray[Any]]:
        """Read all rows from `start` on, so many at a time."""
        for first in range(start, self._shape[0], n_rows):
            yield self.read(first, min(first + n_rows, self._shape[0]))

    def sync(self) -> None:
        """Force what was written to disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Give the file its name."""
        if self.n_done != self._shape[0]:
            raise ValueError(f"{self.n_done} of {self._shape[0]} rows were written")
        self.sync()
        self.close()
        self._partial.replace(self._path)
        sync_folder(self._path.parent)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _opened(path: Path, *, anew: bool) -> io.BufferedRandom:
    """Open the unfinished file, which is never a link to another."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    if anew:
        path.unlink(missing_ok=True)
        flags |= os.O_CREAT | os.O_EXCL
    return io.BufferedRandom(io.FileIO(os.open(path, flags, 0o666), "r+"))


def map_rows(path: Path) -> npt.NDArray[Any]:
    """Map a finished file, for reading."""
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    check_whole(array)  # notes the state of the file, for later checks
    return array
