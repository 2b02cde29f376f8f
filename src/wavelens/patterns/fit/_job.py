"""What a fit is of, and with which options: all that is known before the first image is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wavelens.linalg._ho_gsvd import check_options
from wavelens.patterns._basis import Basis, make_basis
from wavelens.patterns._options import FitOptions
from wavelens.patterns._selection import most_coefficients, sketch_rows
from wavelens.patterns.fit._input import Labelled

__all__ = ["Job", "coefficient_dtype"]


@dataclass(frozen=True, eq=False)
class Job:
    """A dataset, the options, and what follows from both.

    Attributes
    ----------
    options : FitOptions
    given : Labelled
        The images and their classes.
    basis : WaveletTransform or PixelTransform
    dtype : dtype
        Of the coefficients: float32 where images are float32 or float16, else float64.
    most : int
        How many coefficients to select at most.
    sketch_rows : int
        Rows of the sketch that the selection goes by.
    """

    options: FitOptions
    given: Labelled
    basis: Basis
    dtype: np.dtype[np.floating]
    most: int
    sketch_rows: int

    @classmethod
    def of(cls, options: FitOptions, given: Labelled) -> Job:
        """Check the options against the images' number, shape and classes; no image is read.

        Raises
        ------
        ValueError, TypeError
            Naming the option.
        """
        source = given.source
        basis = make_basis(source.image_shape, options.basis, options.wavelet, options.level, options.mode)
        dtype = coefficient_dtype(source.dtype)
        check_options(options.ridge, options.weights, options.normalization, len(given.classes), dtype)
        counts = np.bincount(given.codes, minlength=len(given.classes))
        most = most_coefficients(options, counts, basis.n_coefficients)
        return cls(options, given, basis, dtype, most, sketch_rows(options, source.n_images, most))

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.given.classes)

    @property
    def n_images(self) -> int:
        """Number of images, those that cannot be read included."""
        return self.given.source.n_images


def coefficient_dtype(images: npt.DTypeLike) -> np.dtype[np.floating]:
    """Return the dtype that images of a dtype are computed in."""
    dtype = np.dtype(images)
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)
