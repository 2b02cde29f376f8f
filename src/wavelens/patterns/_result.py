"""The result of a fit: arrays and what belongs to them, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.linalg import HOGSVD
from wavelens.patterns._basis import Basis
from wavelens.patterns._options import FitOptions
from wavelens.patterns._value_range import check_squares

__all__ = ["FitResult", "OutOfCore"]

_Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class OutOfCore:
    """How a fit went that read its images in chunks.

    Attributes
    ----------
    work_dir : Path or None
        Where the rows of UΣ lie; None if they go with the analysis.
    chunk : int
        Images at a time.
    planned_memory : int
        Bytes that the process, or a worker for each of its threads, was planned to take at its peak.
    n_read, n_left_out : int
        Images read, and those that could not be.
    cached : bool
        Whether the selected coefficients were kept on disk between the passes.
    seconds : mapping of str to float
        Of each pass, as far as this process ran it.
    workers : int
        Workers of the cluster when the fit ended; 0 where this machine did it alone.
    """

    work_dir: Path | None
    chunk: int
    planned_memory: int
    n_read: int
    n_left_out: int
    cached: bool
    seconds: Mapping[str, float]
    workers: int = 0


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a fit found, however the images were read.

    Attributes
    ----------
    options : FitOptions
    classes : array of shape (n_classes,)
        Labels, sorted.
    labels : array of int, shape (n_images,)
        Index into `classes` of each image that could be read.
    positions : array of int, shape (n_images,)
        Positions of these images in what was given to `fit`.
    basis : WaveletTransform or PixelTransform
    columns : array of int, shape (m,)
        The selected coefficients, most influential first.
    ranks : array of int, shape (n_classes,)
        Numerical rank of each class in them.
    gsvd : HOGSVD
        Its left factors are those of the images' rows where the fit was in memory, else of triangular factors.
    embedding : array of shape (n_images, n_patterns)
        Rows of UΣ, in memory or a read-only map of a file.
    bandwidth : float
        Of the Gaussian similarity, in the units of the rows of UΣ.
    out_of_core : OutOfCore or None
    class_pictures : array of shape (n_classes, n, n_all_coefficients), or None
        What sets each class apart from the others, in all coefficients (`_class_pictures`); None where the source
        cannot read some images by their positions.
    """

    options: FitOptions
    classes: npt.NDArray[Any]
    labels: _Codes
    positions: _Codes
    basis: Basis
    columns: _Codes
    ranks: _Codes
    gsvd: HOGSVD
    embedding: FloatArray
    bandwidth: float
    out_of_core: OutOfCore | None = None
    class_pictures: FloatArray | None = None

    @property
    def sigma(self) -> FloatArray:
        """Generalized singular values, shape (n_classes, n_patterns)."""
        return self.gsvd.sigma

    @property
    def n_patterns(self) -> int:
        """Number of patterns."""
        return int(self.gsvd.sigma.shape[1])

    @property
    def strength(self) -> FloatArray:
        """Root of Σ_i σ_i²: 1 in the "csd" normalization, the norm of the unscaled pattern in "unit"."""
        return np.asarray(np.sqrt((check_squares(self.sigma, self.gsvd.v) ** 2).sum(axis=0)))

    def selected_coefficients(self, images: npt.NDArray[Any]) -> FloatArray:
        """Return the selected coefficients of images of the basis's shape."""
        return self.basis.forward(images)[:, self.columns]

    def images_of(self, selected: FloatArray) -> FloatArray:
        """Return the images that have these selected coefficients and no others."""
        full = np.zeros((len(selected), self.basis.n_coefficients), dtype=selected.dtype)
        full[:, self.columns] = selected
        return self.basis.inverse(full)

    def pattern_images(self, indices: npt.ArrayLike) -> FloatArray:
        """Return some patterns in pixel space, shape (n, height, width[, channels])."""
        return self.images_of(self.gsvd.v[:, np.asarray(indices, dtype=np.intp)].T)
