"""The three passes over a dataset that does not fit in memory, as steps on one chunk of images each.

======  ====================================================================  ================================
pass    of each chunk                                                         kept of all chunks
======  ====================================================================  ================================
first   all p coefficients of its images                                      a sketch of their rows (d × p),
                                                                              and for each class the columns
                                                                              that are not zero in it
second  the m chosen coefficients                                             a triangular factor (m × m) for
                                                                              each class
third   the m chosen coefficients, their rows of UΣ                           nothing: the rows go to disk
======  ====================================================================  ================================

A step knows nothing of files, threads or the chunks before: it takes arrays and returns a state, and two states
of disjoint chunks merge into that of both. So one machine can add chunk after chunk, and several can each take
some and merge. Merged in the same order, the result is the same bit for bit; in another order, within rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._threads import blas_threads
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD
from wavelens.linalg.streaming import RowSketch, TriangularFactor
from wavelens.patterns._coefficients import Basis

__all__ = [
    "FactorState",
    "SketchState",
    "chosen_coefficients",
    "embed_chunk",
    "factor_chunk",
    "sketch_chunk",
]

_Codes = npt.NDArray[np.intp]


@dataclass
class SketchState:
    """What the first pass keeps: a sketch of all coefficients, and what else the choice among them asks for.

    Attributes
    ----------
    sketch : RowSketch
    nonzero : array of bool, shape (n_classes, n_coefficients)
        Whether a coefficient is other than zero in some image of a class.
    counts : array of int, shape (n_classes,)
        Images of each class.
    ranges : list of [int, int]
        Positions of the images that could be read, as half-open ranges, ascending.
    """

    sketch: RowSketch
    nonzero: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    ranges: list[list[int]] = field(default_factory=list)

    @classmethod
    def empty(
        cls,
        n_coefficients: int,
        n_classes: int,
        sketch_rows: int,
        random_state: int,
        dtype: npt.DTypeLike = np.float64,
    ) -> Self:
        """Return the state of no images."""
        return cls(
            RowSketch(n_coefficients, sketch_rows, random_state=random_state, dtype=dtype),
            np.zeros((n_classes, n_coefficients), dtype=bool),
            np.zeros(n_classes, dtype=np.int64),
        )

    def add(self, coefficients: FloatArray, classes: _Codes, positions: _Codes) -> Self:
        """Take in the coefficients of some images, of these classes and at these positions in the source."""
        breaks = np.flatnonzero(np.diff(positions) != 1) + 1
        for part in np.split(np.arange(len(positions)), breaks):
            first, last = int(positions[part[0]]), int(positions[part[-1]]) + 1
            # The number of a row decides on its signs, so that chunks need not come in order.
            self.sketch.partial_fit(coefficients[part[0] : part[-1] + 1], first_row=first)
            self.ranges.append([first, last])
        self._join()
        self.counts += np.bincount(classes, minlength=len(self.counts))
        for i in np.unique(classes):
            missing = np.flatnonzero(~self.nonzero[i])
            if len(missing):
                rows = coefficients[classes == i]
                self.nonzero[i, missing] = (rows if len(missing) == rows.shape[1] else rows[:, missing]).any(
                    axis=0
                )
        return self

    def merge(self, other: SketchState) -> Self:
        """Take in what another state has seen of other images."""
        self.sketch.merge(other.sketch)
        self.nonzero |= other.nonzero
        self.counts += other.counts
        self.ranges += [list(each) for each in other.ranges]
        self._join()
        return self

    def _join(self) -> None:
        joined: list[list[int]] = []
        for first, last in sorted(self.ranges):
            if joined and first < joined[-1][1]:
                raise ValueError(f"images {first} to {joined[-1][1] - 1} were taken in twice")
            if joined and first == joined[-1][1]:
                joined[-1][1] = last
            else:
                joined.append([first, last])
        self.ranges = joined

    def to_arrays(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {
            "sketch": np.frombuffer(self.sketch.to_bytes(), dtype=np.uint8),
            "nonzero": np.packbits(self.nonzero, axis=1),
            "counts": self.counts,
            "ranges": np.array(self.ranges, dtype=np.int64).reshape(-1, 2),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], n_coefficients: int) -> Self:
        """Return the state that `to_arrays` was called on."""
        return cls(
            RowSketch.from_bytes(arrays["sketch"].tobytes()),
            np.unpackbits(arrays["nonzero"], axis=1, count=n_coefficients).astype(bool),
            arrays["counts"],
            arrays["ranges"].tolist(),
        )


@dataclass
class FactorState:
    """What the second pass keeps: a triangular factor of the chosen coefficients of each class.

    Attributes
    ----------
    factors : list of TriangularFactor or None
        None for a class of which there was no image yet.
    """

    factors: list[TriangularFactor | None]

    @classmethod
    def empty(cls, n_classes: int) -> Self:
        """Return the state of no images."""
        return cls([None] * n_classes)

    def add(self, chosen: FloatArray, classes: _Codes) -> Self:
        """Take in the chosen coefficients of some images of these classes."""
        with blas_threads(1):
            for i in np.unique(classes).tolist():
                rows = chosen[classes == i]
                factor = self.factors[i]
                if factor is None:
                    factor = self.factors[i] = TriangularFactor.empty(rows.shape[1], rows.dtype)
                factor.partial_fit(rows)
        return self

    def merge(self, other: FactorState) -> Self:
        """Take in what another state has seen of other images."""
        with blas_threads(1):
            for i, theirs in enumerate(other.factors):
                ours = self.factors[i]
                if ours is None:
                    self.factors[i] = theirs
                elif theirs is not None:
                    ours.merge(theirs)
        return self

    def to_arrays(self) -> dict[str, Any]:
        """Return the state as functions that make an array each: with many classes, one is much smaller than all."""

        def bytes_of(factor: TriangularFactor) -> npt.NDArray[np.uint8]:
            return np.frombuffer(factor.to_bytes(), dtype=np.uint8)

        return {
            f"factor{i}": partial(bytes_of, each) for i, each in enumerate(self.factors) if each is not None
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], n_classes: int) -> Self:
        """Return the state whose arrays were written; they are taken out of `arrays` one by one."""
        state = cls.empty(n_classes)
        for i in range(n_classes):
            if f"factor{i}" in arrays:
                state.factors[i] = TriangularFactor.from_bytes(arrays.pop(f"factor{i}").tobytes())
        return state


def sketch_chunk(
    images: npt.NDArray[Any],
    classes: _Codes,
    positions: _Codes,
    *,
    basis: Basis,
    n_classes: int,
    sketch_rows: int,
    random_state: int,
) -> SketchState:
    """Return the first pass's state of one chunk."""
    coefficients = basis.forward(images)
    state = SketchState.empty(basis.n_coefficients, n_classes, sketch_rows, random_state, coefficients.dtype)
    return state.add(coefficients, classes, positions)


def chosen_coefficients(images: npt.NDArray[Any], *, basis: Basis, columns: _Codes) -> FloatArray:
    """Return the chosen coefficients of one chunk, what the second and the third pass go by."""
    return basis.forward(images)[:, columns]


def factor_chunk(chosen: FloatArray, classes: _Codes, *, n_classes: int) -> FactorState:
    """Return the second pass's state of one chunk."""
    return FactorState.empty(n_classes).add(chosen, classes)


def embed_chunk(chosen: FloatArray, *, gsvd: HOGSVD, dtype: npt.DTypeLike) -> FloatArray:
    """Return the rows of UΣ of one chunk."""
    rows = gsvd.transform(chosen)
    with np.errstate(over="ignore"):
        found = rows.astype(dtype, copy=False)
    if not np.isfinite(found).all():
        raise DataError(f"rows of UΣ are beyond the range of {np.dtype(dtype)}; scale the images")
    return found
