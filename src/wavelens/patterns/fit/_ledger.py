"""Which rows have been read or written, and a checksum of what they held.

Two passes over the same images must have seen the same images, each at its position and with the same pixels; the rows
that a run goes on with must be those that it wrote. A `Ledger` tells: it holds the positions, and for each block of
1,024 positions the sum, modulo 2⁶⁴, of a checksum of every row mixed with its position. Sums do not depend on the
order, so ledgers of disjoint rows, from chunks of any size and from any worker, merge; a row that is missing, moved,
exchanged or changed changes the sum of its block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wavelens import _core

__all__ = ["BLOCK", "Ledger", "positions_in", "row_checksums"]

BLOCK = 1024

_Codes = npt.NDArray[np.intp]
_Sums = npt.NDArray[np.uint64]


def row_checksums(rows: npt.NDArray[Any]) -> _Sums:
    """Return a 64-bit checksum of the bytes of each row (or image), shape (n,)."""
    row_bytes = rows.dtype.itemsize * math.prod(rows.shape[1:])
    if not rows.size:
        return _core.row_checksums(np.empty((len(rows), row_bytes), np.uint8))
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return _core.row_checksums(flat.view(np.uint8))


def positions_in(ranges: npt.ArrayLike, first: int, last: int) -> _Codes:
    """Return the positions from `first` to before `last` that lie in the half-open ranges, ascending."""
    inside = np.clip(np.asarray(ranges, dtype=np.intp).reshape(-1, 2), first, last)
    parts = [np.arange(low, high, dtype=np.intp) for low, high in inside.tolist() if low < high]
    return np.concatenate(parts) if parts else np.empty(0, np.intp)


class Ledger:
    """The positions of some rows, and checksums of their content.

    Attributes
    ----------
    ranges : list of [int, int]
        Their positions, as half-open ranges, ascending and apart.
    """

    def __init__(self) -> None:
        self.ranges: list[list[int]] = []
        self._first = 0  # the block that _sums begins with
        self._sums: _Sums = np.zeros(0, np.uint64)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return sum(last - first for first, last in self.ranges)

    @property
    def positions(self) -> _Codes:
        """Positions of all rows, ascending."""
        return positions_in(self.ranges, 0, self.ranges[-1][1]) if self.ranges else np.empty(0, np.intp)

    def add(self, positions: _Codes, checksums: _Sums) -> Self:
        """Add rows at these positions, ascending, that have these checksums.

        Raises
        ------
        ValueError
            If a position is there already.
        """
        if not len(positions):
            return self
        breaks = np.flatnonzero(np.diff(positions) != 1) + 1
        parts = np.split(positions, breaks)
        self._join([[int(each[0]), int(each[-1]) + 1] for each in parts])
        blocks = positions // BLOCK
        low, high = int(blocks[0]), int(blocks[-1]) + 1
        self._cover(low, high)
        np.add.at(self._sums, blocks - self._first, _mixed(checksums, positions))
        return self

    def merge(self, other: Ledger) -> Self:
        """Add the rows of another ledger.

        Raises
        ------
        ValueError
            If a position is in both.
        """
        self._join(other.ranges)
        if len(other._sums):
            self._cover(other._first, other._first + len(other._sums))
            at = other._first - self._first
            self._sums[at : at + len(other._sums)] += other._sums
        return self

    def copy(self) -> Ledger:
        """Return an independent copy."""
        twin = Ledger()
        twin.ranges, twin._first = [list(each) for each in self.ranges], self._first
        twin._sums = self._sums.copy()
        return twin

    def other_position(self, other: Ledger) -> int | None:
        """Return the first position that is in one of two ledgers only; None if there is none."""
        ours, theirs = iter(self.ranges), iter(other.ranges)
        for mine in ours:
            its = next(theirs, None)
            if its is None or mine[0] != its[0]:
                return mine[0] if its is None else min(mine[0], its[0])
            if mine[1] != its[1]:
                return min(mine[1], its[1])
        rest = next(theirs, None)
        return None if rest is None else rest[0]

    def other_content(self, other: Ledger) -> tuple[int, int] | None:
        """Return first and last position of the first block whose rows are not the same; None if all are."""
        ours, theirs = self._by_block(), other._by_block()
        for block in sorted(ours.keys() | theirs.keys()):
            if ours.get(block, 0) != theirs.get(block, 0):
                end = max(each.ranges[-1][1] for each in (self, other) if each.ranges)
                return block * BLOCK, min((block + 1) * BLOCK, end) - 1
        return None

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return the ledger as arrays whose names begin with `prefix`."""
        return {
            f"{prefix}_ranges": np.array(self.ranges, dtype=np.int64).reshape(-1, 2),
            f"{prefix}_first_block": np.array(self._first, dtype=np.int64),
            f"{prefix}_sums": self._sums.copy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Self:
        """Return the ledger whose `to_arrays` these are.

        Raises
        ------
        KeyError, ValueError
            If they are no ledger.
        """
        ranges = np.asarray(arrays[f"{prefix}_ranges"])
        sums = np.asarray(arrays[f"{prefix}_sums"])
        first = np.asarray(arrays[f"{prefix}_first_block"])
        flat = ranges.reshape(-1)
        if (
            ranges.dtype.kind != "i"
            or ranges.shape[1:] != (2,)
            or (np.diff(flat) <= 0).any()
            or (flat < 0).any()
        ):
            raise ValueError(f"`{prefix}_ranges` are no ranges")
        if (
            sums.dtype != np.uint64
            or sums.ndim != 1
            or first.shape != ()
            or first.dtype.kind != "i"
            or first < 0
        ):
            raise ValueError(f"`{prefix}_sums` are no sums")
        ledger = cls()
        ledger.ranges, ledger._first, ledger._sums = ranges.tolist(), int(first), sums.copy()
        return ledger

    def _by_block(self) -> dict[int, int]:
        found = np.flatnonzero(self._sums)
        return dict(zip((found + self._first).tolist(), self._sums[found].tolist(), strict=True))

    def _join(self, more: list[list[int]]) -> None:
        joined: list[list[int]] = []
        for first, last in sorted([*self.ranges, *more]):
            if joined and first < joined[-1][1]:
                raise ValueError(f"rows {first} to {min(last, joined[-1][1]) - 1} have been added before")
            if joined and first == joined[-1][1]:
                joined[-1][1] = last
            else:
                joined.append([first, last])
        self.ranges = joined

    def _cover(self, low: int, high: int) -> None:
        """Make room for the sums of blocks `low` to `high` - 1."""
        if not len(self._sums):
            self._first, self._sums = low, np.zeros(high - low, np.uint64)
            return
        end = self._first + len(self._sums)
        if low < self._first or high > end:
            first = min(low, self._first)
            sums = np.zeros(max(high, end) - first, np.uint64)
            sums[self._first - first : end - first] = self._sums
            self._first, self._sums = first, sums


def _mixed(checksums: _Sums, positions: _Codes) -> _Sums:
    """Return a checksum of each checksum and its position together."""
    pairs = np.stack([checksums, positions.astype(np.uint64)], axis=1)
    return _core.row_checksums(pairs.view(np.uint8))
