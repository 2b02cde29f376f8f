"""What the passes over the images gather: states of some images that merge into those of all.

======  ====================================================================  ================================
pass    of each chunk                                                         kept of all chunks
======  ====================================================================  ================================
first   all p coefficients of its images                                      a sketch of their rows (d × p),
                                                                              and for each class the columns
                                                                              that are not zero in it
second  the m selected coefficients                                           a triangular factor (m × m) for
                                                                              each class
third   the m selected coefficients, their rows of UΣ                         nothing: the rows go to disk
======  ====================================================================  ================================

Every state has a `Ledger` of the images that it has seen. A step knows nothing of files, threads or the chunks before:
it takes arrays and returns a state. Merged in the same order, the result is the same bit for bit; in another order,
within rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._threads import blas_threads
from wavelens.data import SkippedFile
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD
from wavelens.linalg.streaming import RowSketch, TriangularFactor
from wavelens.patterns._options import FitOptions
from wavelens.patterns._selection import select_from_sketch
from wavelens.patterns.fit._ledger import Ledger

__all__ = ["Chunk", "FactorState", "Selection", "SketchState", "embed_rows", "select"]

_Codes = npt.NDArray[np.intp]


@dataclass(eq=False)
class Chunk:
    """Some images, as a pass gets them.

    Attributes
    ----------
    coefficients : array of shape (n, p) or (n, m)
        All coefficients in the first pass, the selected ones later.
    classes, positions : array of int, shape (n,)
    checksums : array of uint64, shape (n,)
        Of the images' bytes as they were read.
    """

    coefficients: FloatArray
    classes: _Codes
    positions: _Codes
    checksums: npt.NDArray[np.uint64]


@dataclass(eq=False)
class SketchState:
    """What the first pass keeps: a sketch of all coefficients, and what else the selection among them asks for.

    Attributes
    ----------
    sketch : RowSketch
    nonzero : array of bool, shape (n_classes, n_coefficients)
        Whether a coefficient is other than zero in some image of a class.
    counts : array of int, shape (n_classes,)
        Images of each class.
    ledger : Ledger
        Of the images that could be read.
    """

    sketch: RowSketch
    nonzero: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    ledger: Ledger = field(default_factory=Ledger)

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

    def add(self, chunk: Chunk) -> Self:
        """Add the images of a chunk."""
        positions, coefficients = chunk.positions, chunk.coefficients
        self.ledger.add(positions, chunk.checksums)
        add_rows(self.sketch, coefficients, positions)
        self.counts += np.bincount(chunk.classes, minlength=len(self.counts))
        update_nonzero(self.nonzero, coefficients, chunk.classes)
        return self

    def merge(self, other: SketchState) -> Self:
        """Add what another state has seen of other images."""
        self.sketch.merge(other.sketch)
        self.nonzero |= other.nonzero
        self.counts += other.counts
        self.ledger.merge(other.ledger)
        return self

    def copy(self) -> SketchState:
        """Return an independent copy."""
        return SketchState(self.sketch.copy(), self.nonzero.copy(), self.counts.copy(), self.ledger.copy())

    def to_arrays(self) -> dict[str, Any]:
        """Return the state as arrays."""
        return {
            "sketch": np.frombuffer(self.sketch.to_bytes(), dtype=np.uint8),
            "nonzero": np.packbits(self.nonzero, axis=1),
            "counts": self.counts,
            **self.ledger.to_arrays("images"),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], n_coefficients: int) -> Self:
        """Return the state whose `to_arrays` these are."""
        return cls(
            RowSketch.from_bytes(arrays["sketch"].tobytes()),
            np.unpackbits(arrays["nonzero"], axis=1, count=n_coefficients).astype(bool),
            arrays["counts"],
            Ledger.from_arrays(arrays, "images"),
        )


def add_rows(sketch: RowSketch, coefficients: FloatArray, positions: _Codes) -> None:
    """Add the coefficients of images at these positions to a sketch.

    Raises
    ------
    DataError
        If their squares are beyond the range of the sketch's dtype.
    """
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    for part in np.split(np.arange(len(positions)), breaks):
        try:
            # The number of a row decides on its signs, so that chunks need not come in order.
            sketch.partial_fit(coefficients[part[0] : part[-1] + 1], first_row=int(positions[part[0]]))
        except ValueError as error:
            largest = float(np.abs(coefficients).max(initial=0.0))
            # Sums of squares have less room than a square alone.
            if not np.sqrt(float(np.finfo(coefficients.dtype).max)) / 1e12 < largest < np.inf:
                raise
            raise DataError(
                f"the values of the images are too large for {coefficients.dtype}, in which their squares cannot be "
                f"represented: multiply the images by 1e{-round(np.log10(largest)):+d}"
            ) from error


def update_nonzero(nonzero: npt.NDArray[np.bool_], coefficients: FloatArray, classes: _Codes) -> None:
    """Mark the coefficients that are other than zero in some image of a class."""
    for i in np.unique(classes):
        missing = np.flatnonzero(~nonzero[i])
        if len(missing):
            rows = coefficients[classes == i]
            nonzero[i, missing] = (rows if len(missing) == rows.shape[1] else rows[:, missing]).any(axis=0)


@dataclass(frozen=True, eq=False)
class Selection:
    """The outcome of the first pass.

    Attributes
    ----------
    columns : array of int
        The selected coefficients, most influential first, and some in reserve; none where a class has too few
        readable images.
    n_factored : int
        How many of them the second pass is for: the reserve is only read where a class needs it.
    counts : array of int, shape (n_classes,)
        Images of each class that could be read.
    ledger : Ledger
        Of the images that could be read: later passes must see the same.
    skipped : list of SkippedFile
        Files that could not be read.
    """

    columns: _Codes
    n_factored: int
    counts: npt.NDArray[np.int64]
    ledger: Ledger
    skipped: list[SkippedFile]

    @property
    def factored(self) -> _Codes:
        """The coefficients that the second pass is for."""
        return self.columns[: self.n_factored]

    def to_state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the selection as a header that JSON knows, and arrays."""
        arrays = {"columns": self.columns, "counts": self.counts, **self.ledger.to_arrays("images")}
        return {"skipped": skipped_to_json(self.skipped), "n_factored": self.n_factored}, arrays

    @classmethod
    def from_state(cls, header: dict[str, Any], arrays: dict[str, Any]) -> Self:
        """Return the selection whose `to_state` this is."""
        return cls(
            arrays["columns"].astype(np.intp),
            int(header["n_factored"]),
            arrays["counts"],
            Ledger.from_arrays(arrays, "images"),
            skipped_from_json(header["skipped"]),
        )


def skipped_to_json(skipped: list[SkippedFile]) -> list[list[str]]:
    """Return files that could not be read as JSON knows them."""
    return [[str(each.path), each.reason] for each in skipped]


def skipped_from_json(values: list[list[str]]) -> list[SkippedFile]:
    """Return the files whose `skipped_to_json` this is."""
    return [SkippedFile(Path(path), reason) for path, reason in values]


def select(
    options: FitOptions,
    state: SketchState,
    most: int,
    skipped: list[SkippedFile],
    progress: Callable[[float], object] | None,
) -> Selection:
    """Select coefficients from the first pass's state of all images."""
    # A class that has too few readable images is for the caller to name, who knows the names.
    columns = np.empty(0, np.intp)
    if state.counts.min() >= 2:
        matrix = np.asarray(state.sketch.matrix)
        columns = select_from_sketch(options, matrix, state.nonzero, state.counts, most, progress)
    return Selection(columns, min(most, len(columns)), state.counts, state.ledger, skipped)


@dataclass(eq=False)
class FactorState:
    """What the second pass keeps: a triangular factor of the selected coefficients of each class.

    Attributes
    ----------
    factors : list of TriangularFactor or None
        None for a class of which there was no image yet.
    ledger : Ledger
    """

    factors: list[TriangularFactor | None]
    ledger: Ledger = field(default_factory=Ledger)

    @classmethod
    def empty(cls, n_classes: int) -> Self:
        """Return the state of no images."""
        return cls([None] * n_classes)

    def add(self, chunk: Chunk) -> Self:
        """Add the images of a chunk."""
        self.ledger.add(chunk.positions, chunk.checksums)
        with blas_threads(1):
            for i in np.unique(chunk.classes).tolist():
                rows = chunk.coefficients[chunk.classes == i]
                factor = self.factors[i]
                if factor is None:
                    factor = self.factors[i] = TriangularFactor.empty(rows.shape[1], rows.dtype)
                factor.partial_fit(rows)
        return self

    def merge(self, other: FactorState) -> Self:
        """Add what another state has seen of other images."""
        self.ledger.merge(other.ledger)
        with blas_threads(1):
            for i, theirs in enumerate(other.factors):
                ours = self.factors[i]
                if ours is None:
                    self.factors[i] = theirs
                elif theirs is not None:
                    ours.merge(theirs)
        return self

    def copy(self) -> FactorState:
        """Return an independent copy."""
        return FactorState(
            [None if each is None else each.copy() for each in self.factors], self.ledger.copy()
        )

    def to_arrays(self) -> dict[str, Any]:
        """Return the state as arrays, or functions that make one: with many classes, one is much smaller than all."""

        def bytes_of(factor: TriangularFactor) -> npt.NDArray[np.uint8]:
            return np.frombuffer(factor.to_bytes(), dtype=np.uint8)

        made = {
            f"factor{i}": partial(bytes_of, each) for i, each in enumerate(self.factors) if each is not None
        }
        return {**made, **self.ledger.to_arrays("images")}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], n_classes: int) -> Self:
        """Return the state whose `to_arrays` these are; factors are taken out of `arrays` one by one."""
        state = cls.empty(n_classes)
        state.ledger = Ledger.from_arrays(arrays, "images")
        for i in range(n_classes):
            if f"factor{i}" in arrays:
                state.factors[i] = TriangularFactor.from_bytes(arrays.pop(f"factor{i}").tobytes())
        return state


def embed_rows(selected: FloatArray, gsvd: HOGSVD, dtype: npt.DTypeLike) -> FloatArray:
    """Return the rows of UΣ of some images.

    Raises
    ------
    DataError
        If they are beyond the range of `dtype`.
    """
    rows = gsvd.transform(selected)
    with np.errstate(over="ignore"):
        found = rows.astype(dtype, copy=False)
    if not np.isfinite(found).all():
        raise DataError(f"rows of UΣ are beyond the range of {np.dtype(dtype)}; scale the images")
    return found
