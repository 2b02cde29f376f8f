"""Which rows have been seen, as ranges."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

__all__ = ["RowRanges"]


class RowRanges:
    """A set of row numbers, kept as disjoint ranges [start, stop) in order."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges: list[tuple[int, int]] = []
        self.count = 0
        for start, stop in ranges:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)

    def overlap(self, start: int, stop: int) -> tuple[int, int] | None:
        """Return the first part of [start, stop) that is in the set, or None."""
        place = bisect_left(self._ranges, (start, start))
        for low, high in self._ranges[max(0, place - 1) : place + 1]:
            if max(low, start) < min(high, stop):
                return max(low, start), min(high, stop)
        return None

    def add(self, start: int, stop: int) -> None:
        """Add a range that does not overlap any; neighbours become one."""
        if start >= stop:
            return
        self.count += stop - start
        place = bisect_left(self._ranges, (start, start))
        if place < len(self._ranges) and self._ranges[place][0] == stop:
            stop = self._ranges.pop(place)[1]
        if place > 0 and self._ranges[place - 1][1] == start:
            place -= 1
            start = self._ranges.pop(place)[0]
        self._ranges.insert(place, (start, stop))
