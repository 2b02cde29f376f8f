"""Rows on disk whose checksums are kept, so that a run that goes on notices what happened to them meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._mapped import row_blocks
from wavelens.exceptions import DataError
from wavelens.patterns._row_file import RowFile, map_rows
from wavelens.patterns.fit._ledger import Ledger, row_checksums
from wavelens.patterns.fit._work_folder import WorkFolder

__all__ = ["RowStore", "embedding_path", "finished_embedding"]

_ROWS = "rows"
_block_bytes = 1 << 24


class RowStore(RowFile):
    """A `RowFile` that keeps a ledger of its rows.

    Parameters
    ----------
    path, shape, dtype
        As `RowFile` takes them.
    ledger : Ledger or None
        Of the rows that have been written and are kept.
    compare : bool
        Whether to read and compare these rows: another process may have written them.

    Raises
    ------
    DataError
        If rows that were written are missing, or are not what was written.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        ledger: Ledger | None = None,
        *,
        compare: bool = True,
    ) -> None:
        self.ledger = Ledger() if ledger is None else ledger
        n_done = self.ledger.n_rows
        if n_done and not RowFile.holds(path, n_done, shape[1], dtype):
            raise DataError(f"{path}.partial is missing or too short: {n_done:,} rows had been written to it")
        super().__init__(path, shape, dtype, n_done)
        if not (compare and n_done):
            return
        found = Ledger()
        step = max(1, _block_bytes // max(1, shape[1] * np.dtype(dtype).itemsize))
        for first in range(0, n_done, step):
            _add_rows(found, self.read(first, min(first + step, n_done)))
        _check_rows(f"{path}.partial", self.ledger, found)

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write the next rows."""
        stored = np.ascontiguousarray(rows, dtype=self.dtype)
        super().append(stored)
        _add_rows(self.ledger, stored)


def embedding_path(folder: WorkFolder) -> Path:
    """Return where the rows of UΣ are."""
    return folder.path / "embedding.npy"


def finished_embedding(folder: WorkFolder, shape: tuple[int, int]) -> FloatArray | None:
    """Return a map of the rows of UΣ once all have been written, after reading and comparing them; else None.

    Raises
    ------
    DataError
        If they are not what was written.
    """
    path = embedding_path(folder)
    if not path.exists():
        return None
    state = "decomposition" if folder.stage == "whole" else _ROWS
    found = folder.load(state)
    if found is None:
        raise DataError(f"{folder.path}: {state}.npz is missing, which the run has written")
    try:
        expected = Ledger.from_arrays(found[1], _ROWS)
    except (KeyError, ValueError, TypeError) as error:
        raise folder.damaged(f"{state}.npz", error) from error
    try:
        rows: FloatArray = map_rows(path)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if rows.shape != shape or rows.dtype.kind != "f":
        raise DataError(
            f"{path} is damaged: it holds {rows.dtype} {rows.shape}, expected rows of shape {shape}"
        )
    seen = Ledger()
    for block in row_blocks(rows):
        _add_rows(seen, block)
    _check_rows(str(path), expected, seen)
    return rows


def _add_rows(ledger: Ledger, rows: npt.NDArray[Any]) -> None:
    first = ledger.n_rows
    ledger.add(np.arange(first, first + len(rows), dtype=np.intp), row_checksums(rows))


def _check_rows(name: str, expected: Ledger, found: Ledger) -> None:
    if expected.other_position(found) is not None:
        raise DataError(f"{name} is damaged: it holds {found.n_rows:,} rows, expected {expected.n_rows:,}")
    block = expected.other_content(found)
    if block is not None:
        raise DataError(f"{name} is damaged: rows {block[0]:,} to {block[1]:,} are not what was written")
