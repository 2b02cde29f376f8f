"""The sketch of a matrix whose rows come in chunks: what the choice of its columns needs, in little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, check_finite, check_integer
from wavelens.exceptions import DataError
from wavelens.linalg._chunks import as_chunk, checked_dtype
from wavelens.linalg._row_ranges import RowRanges
from wavelens.linalg._state_bytes import from_state_bytes, to_state_bytes

__all__ = ["RowSketch"]

_kind = "RowSketch"
_entries_a_row = 8
_most_rows = 2**60
_slab_bytes = 256  # a row of a slab


class RowSketch:
    """A sparse-sign sketch S = ΩA of the rows of A seen so far, from which `pivoted_qr` chooses columns.

    Rows come in chunks, from anywhere and in any order; sketches of disjoint rows are merged. A column of Ω is
    a function of the row's number in the whole of A and of `random_state` alone, so that every way of cutting
    and merging gives the same sketch up to the rounding of sums (for integers, in float64, to the bit).

    Up to `n_rows` rows are kept as they are; the sketch begins with the row that makes them more.

    Parameters
    ----------
    n_features : int
        Columns of A.
    n_rows : int, default 1024
        Rows of the sketch, rounded up to a multiple of 8. For a choice of k columns take 2k, so that lengths are
        known to some 10 % and what the columns leave out is within a few per cent of what those chosen from A
        itself do.
    random_state : int, default 0
        Seed of the signs.
    dtype : float64 or float32, default float64
        Of the sums. Chunks of either, or of uint8, are read where they lie.

    Attributes
    ----------
    n_features, n_rows, random_state, dtype
        As given (`n_rows` rounded up).
    n_rows_seen : int
        Rows of A added so far.

    Notes
    -----
    A row costs 8 additions for each of its entries. Memory: ``n_rows * n_features`` numbers. Where chunks come
    in order their sizes change no bit, nor does the number of threads.

    References
    ----------
    .. [1] J. Nelson, H. L. Nguyên, "OSNAP: faster numerical linear algebra algorithms via sparser subspace
       embeddings", FOCS (2013).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.linalg import RowSketch, pivoted_qr
    >>> a = np.random.default_rng(0).standard_normal((3000, 20)) * np.arange(1, 21)
    >>> first, second = RowSketch(20, n_rows=64), RowSketch(20, n_rows=64)
    >>> _ = first.partial_fit(a[:1000])
    >>> _ = second.partial_fit(a[1000:], first_row=1000)
    >>> whole = first.merge(RowSketch.from_bytes(second.to_bytes()))
    >>> whole.n_rows_seen, whole.matrix.shape
    (3000, (64, 20))
    >>> sorted(pivoted_qr(whole, 4).pivots.tolist())
    [16, 17, 18, 19]
    """

    def __init__(
        self,
        n_features: int,
        n_rows: int = 1024,
        *,
        random_state: int = 0,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        self.n_features = check_integer(n_features, "n_features", low=1)
        wanted = check_integer(n_rows, "n_rows", low=1)
        self.n_rows = -(-wanted // _entries_a_row) * _entries_a_row
        self.random_state = check_integer(random_state, "random_state", low=0, high=2**64 - 1)
        self.dtype = checked_dtype(dtype)
        self._seen = RowRanges()
        self._next_row = 0
        self._squares = np.zeros(self.n_features)
        self._held: list[tuple[int, FloatArray]] = []  # rows themselves, by the number of the first
        self._sums: FloatArray | None = None  # √8·ΩA in slabs of columns: (slabs, n_rows, slab)

    def __repr__(self) -> str:
        return (
            f"RowSketch(n_features={self.n_features}, n_rows={self.n_rows}, "
            f"random_state={self.random_state}, dtype={self.dtype}, n_rows_seen={self.n_rows_seen})"
        )

    @property
    def n_rows_seen(self) -> int:
        """Rows of A added so far."""
        return self._seen.count

    @property
    def sum_of_squares(self) -> npt.NDArray[np.float64]:
        """Sum of squares of each column of A, of the rows seen so far; (n_features,) array."""
        return self._squares.copy()

    @property
    def exact(self) -> bool:
        """Whether `matrix` holds the rows themselves, there being at most `n_rows`."""
        return self._sums is None

    @property
    def matrix(self) -> FloatArray:
        """S = ΩA, (n_rows, n_features); the rows themselves in their order while there are no more than that."""
        if self._sums is not None:
            return _core.row_sketch_matrix(self._sums, self.n_features, 1 / np.sqrt(_entries_a_row))
        if not self._held:
            return np.empty((0, self.n_features), self.dtype)
        return np.concatenate([rows for _, rows in sorted(self._held, key=lambda each: each[0])])

    def partial_fit(self, chunk: npt.ArrayLike, first_row: int | None = None) -> RowSketch:
        """Add rows of A.

        Parameters
        ----------
        chunk : (n, n_features) array_like
            Any number of rows, even none. uint8, float32 and float64 of any strides are read without a copy;
            other numbers are converted.
        first_row : int, optional
            Number of the first of them in the whole of A. By default they follow the last chunk added.

        Returns
        -------
        RowSketch
            Itself. After an error it is what it was.

        Raises
        ------
        TypeError
            If `chunk` does not hold real numbers or `first_row` is no integer.
        ValueError
            If `chunk` has another number of columns, holds NaN or infinities (the first position is named) or
            numbers beyond the range of the sketch's dtype, or if some of the rows have been added before.
        """
        array = as_chunk(chunk, self.n_features)
        first = (
            self._next_row
            if first_row is None
            else check_integer(first_row, "first_row", low=0, high=_most_rows - len(array))
        )
        stop = first + len(array)
        again = self._seen.overlap(first, stop)
        if again is not None:
            raise ValueError(
                f"rows {again[0]} to {again[1] - 1} have been added before: a row counts once (`first_row` says "
                f"where a chunk belongs, got {first_row})"
            )
        squares = self._checked_squares(array)
        if len(array) == 0:
            return self
        if self._sums is None and self.n_rows_seen + len(array) <= self.n_rows:
            self._held.append((first, array.astype(self.dtype, order="C", copy=True)))
        else:
            self._add(array, first, self._sums_with_held())
        self._squares = squares
        self._seen.add(first, stop)
        self._next_row = stop
        return self

    def merge(self, other: RowSketch) -> RowSketch:
        """Add the rows that another sketch has seen.

        Parameters
        ----------
        other : RowSketch
            With the same `n_features`, `n_rows`, `random_state` and `dtype`, of other rows. It is left as it is.

        Returns
        -------
        RowSketch
            Itself. After an error it is what it was.

        Raises
        ------
        TypeError
            If `other` is no RowSketch.
        ValueError
            If it was made with other parameters, or some rows are in both.
        """
        if not isinstance(other, RowSketch):
            raise TypeError(f"`other` must be a RowSketch, got {type(other).__name__}")
        for name in ("n_features", "n_rows", "random_state", "dtype"):
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                raise ValueError(f"`other` must have {name}={mine} like this sketch, got {its}")
        for start, stop in other._seen:
            again = self._seen.overlap(start, stop)
            if again is not None:
                raise ValueError(f"rows {again[0]} to {again[1] - 1} are in both sketches: a row counts once")
        if self.exact and other.exact and self.n_rows_seen + other.n_rows_seen <= self.n_rows:
            self._held += other._held  # never written to
        else:
            sums = self._sums_with_held()
            if other._sums is not None:
                sums += other._sums
            for first, rows in other._held:
                self._add(rows, first, sums)
        self._squares = self._squares + other._squares
        for start, stop in other._seen:
            self._seen.add(start, stop)
        self._next_row = max(self._next_row, other._next_row)
        return self

    def copy(self) -> RowSketch:
        """Return an independent copy.

        Returns
        -------
        RowSketch
        """
        twin = RowSketch(self.n_features, self.n_rows, random_state=self.random_state, dtype=self.dtype)
        twin._seen, twin._next_row = RowRanges(self._seen), self._next_row
        twin._squares, twin._held = self._squares.copy(), list(self._held)
        twin._sums = None if self._sums is None else self._sums.copy()
        return twin

    def to_bytes(self) -> bytes:
        """Return the sketch as bytes, for a file or another machine.

        Returns
        -------
        bytes
            A versioned header, numbers, a checksum; the same on every machine. No pickle.
        """
        fields = {
            "n_features": self.n_features,
            "n_rows": self.n_rows,
            "random_state": self.random_state,
            "exact": self.exact,
            "next_row": self._next_row,
            "dtype": self.dtype.name,
        }
        ranges = np.array(list(self._seen), dtype=np.int64).reshape(-1, 2)
        matrix = self.matrix if self._sums is None else self._sums
        arrays = {"ranges": ranges, "sum_of_squares": self._squares, "matrix": matrix}
        return to_state_bytes(_kind, fields, arrays)

    @staticmethod
    def from_bytes(data: bytes) -> RowSketch:
        """Return the sketch that `to_bytes` wrote.

        Parameters
        ----------
        data : bytes

        Returns
        -------
        RowSketch

        Raises
        ------
        TypeError
            If `data` is not bytes.
        DataError
            If it is damaged, cut short, something else, or from a later version.
        """
        fields, arrays = from_state_bytes(data, _kind)
        try:
            return _restored(fields, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"`data` is no valid {_kind}: {error}") from error

    def _checked_squares(self, array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the sums of squares with those of the chunk, if all its entries can be added."""
        squares = self._squares.copy()
        _core.row_sketch_squares(squares, array, self.dtype == np.float32)
        # A sum of n entries is at most √n times the root of the sum of their squares.
        largest = float(squares.max())
        limit = float(np.finfo(self.dtype).max) / np.sqrt(self.n_rows_seen + len(array) + 1)
        if np.isfinite(largest) and np.sqrt(largest) < limit:
            return squares
        if array.dtype.kind == "f":
            check_finite(array, "chunk")
        raise ValueError(
            f"`chunk` must stay within the range of {self.dtype} when squared or summed: scale it"
        )

    def _sums_with_held(self) -> FloatArray:
        """Return the sums, begun if they were not, with the rows that were held."""
        if self._sums is None:
            sums = np.zeros(self._sums_shape(), self.dtype)
            for first, rows in self._held:
                self._add(rows, first, sums)
            self._sums, self._held = sums, []
        return self._sums

    def _sums_shape(self) -> tuple[int, int, int]:
        slab = _slab_bytes // self.dtype.itemsize
        return -(-self.n_features // slab), self.n_rows, slab

    def _add(self, array: npt.NDArray[Any], first: int, sums: FloatArray) -> None:
        _core.row_sketch_add(sums, array, first, self.random_state)


def _restored(fields: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> RowSketch:
    ranges, matrix, squares = arrays["ranges"], arrays["matrix"], arrays["sum_of_squares"]
    if squares.shape != (fields["n_features"],) or ranges.dtype != np.int64:
        raise ValueError(f"sums of shape {squares.shape} and ranges of dtype {ranges.dtype}")
    if not (np.isfinite(matrix).all() and np.isfinite(squares).all() and (squares >= 0).all()):
        raise ValueError("entries that are not finite, or negative sums of squares")
    sketch = RowSketch(
        fields["n_features"], fields["n_rows"], random_state=fields["random_state"], dtype=fields["dtype"]
    )
    exact = bool(fields["exact"])
    for start, stop in ranges.reshape(-1, 2).tolist():
        if not 0 <= start < stop <= _most_rows or sketch._seen.overlap(start, stop):
            raise ValueError(f"rows {start} to {stop - 1}")
        sketch._seen.add(start, stop)
    seen = sketch.n_rows_seen
    shape = (seen, sketch.n_features) if exact else sketch._sums_shape()
    if matrix.shape != shape or matrix.dtype != sketch.dtype:
        raise ValueError(f"a matrix of shape {matrix.shape} and dtype {matrix.dtype}")
    if exact and seen > sketch.n_rows:
        raise ValueError(f"{seen} rows")
    sketch._squares = squares.astype(np.float64)
    sketch._next_row = check_integer(fields["next_row"], "next_row", low=0, high=_most_rows)
    if exact:
        at = 0
        for start, stop in sketch._seen:
            sketch._held.append((start, matrix[at : at + stop - start]))
            at += stop - start
    else:
        sketch._sums = matrix
    return sketch
