"""The executor of images that fit in memory: all of them are one chunk, which is read once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_images
from wavelens._progress import progress_share
from wavelens.linalg.streaming import RowSketch, TriangularFactor
from wavelens.patterns._result import OutOfCore
from wavelens.patterns._selection import select_from_sketch
from wavelens.patterns.fit._input import read_all
from wavelens.patterns.fit._job import Job
from wavelens.patterns.fit._ledger import Ledger
from wavelens.patterns.fit._passes import FactorState, Selection, add_rows, update_nonzero
from wavelens.patterns.fit._sequence import Decomposition

__all__ = ["InMemory"]


class InMemory:
    """Holds the coefficients of all images from pass to pass."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._labels = np.empty(0, np.intp)
        self._images: npt.NDArray[Any] = np.empty(0)
        self._positions = np.empty(0, np.intp)
        self._selected: FloatArray | None = None

    def select(self) -> Selection:
        """Read all images and select coefficients; only these are held afterwards."""
        job, options = self._job, self._job.options
        images, positions = read_all(job.given, options.progress)
        self._images, self._positions = images, positions
        coefficients = job.basis.forward(as_images(images, "X"))
        self._labels = job.given.codes[positions]
        counts = np.bincount(self._labels, minlength=job.n_classes)
        ledger = _positions_only(positions)
        columns = np.empty(0, np.intp)
        if counts.min() >= 2:
            nonzero = np.zeros((job.n_classes, job.basis.n_coefficients), dtype=bool)
            update_nonzero(nonzero, coefficients, self._labels)
            with progress_share("Selecting coefficients", options.progress) as progress:
                columns = select_from_sketch(
                    options, self._sketch(coefficients, positions), nonzero, counts, job.most, progress
                )
        self._selected = coefficients[:, columns]
        n_factored = min(job.most, len(columns))
        return Selection(columns, n_factored, counts, ledger, list(job.given.source.skipped))

    def factor(self, selection: Selection) -> FactorState:
        """Return the rows of each class, which stand for their factors."""
        assert self._selected is not None
        selected = self._selected[:, : selection.n_factored]
        blocks = [selected[self._labels == i] for i in range(self._job.n_classes)]
        return FactorState([TriangularFactor(rows, len(rows)) for rows in blocks], selection.ledger)

    def embed(self, selection: Selection, found: Decomposition) -> FloatArray:
        """Return the rows of UΣ from the left factors, which are those of the images' rows."""
        self._selected = None
        gsvd = found.gsvd
        embedding = np.empty((len(self._labels), gsvd.sigma.shape[1]), dtype=gsvd.sigma.dtype)
        for i, left in enumerate(gsvd.u):
            embedding[self._labels == i] = left * (gsvd.sigma[i] / gsvd.weights[i].astype(gsvd.sigma.dtype))
        return embedding

    def read(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[Any] | None:
        """Return some images by their positions."""
        return np.asarray(self._images[np.searchsorted(self._positions, positions)])

    def about(self, selection: Selection) -> OutOfCore | None:
        """Return None: it was not out of core."""
        return None

    def _sketch(self, coefficients: FloatArray, positions: npt.NDArray[np.intp]) -> FloatArray:
        """Return the sketch of all rows; of few images these are the rows themselves, and nothing is copied."""
        job = self._job
        if len(coefficients) <= job.sketch_rows:
            return coefficients
        sketch = RowSketch(
            job.basis.n_coefficients,
            job.sketch_rows,
            random_state=job.options.random_state,
            dtype=coefficients.dtype,
        )
        add_rows(sketch, coefficients, positions)
        return np.asarray(sketch.matrix)


def _positions_only(positions: npt.NDArray[np.intp]) -> Ledger:
    """Return a ledger without content: the images are read once, so that there is nothing to compare."""
    return Ledger().add(positions, np.zeros(len(positions), np.uint64))
