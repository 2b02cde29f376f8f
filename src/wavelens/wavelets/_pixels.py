"""Images to flat vectors of their pixels and back: the transform that does nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_images, check_integer
from wavelens.wavelets._transform import float_type

__all__ = ["PixelTransform"]


class PixelTransform:
    """Pixels as coefficients, with the face of `WaveletTransform`, to compare wavelets with.

    The flat vector of an image holds its first channel row by row, then the next one.

    Parameters
    ----------
    shape : tuple of int
        ``(height, width)`` or ``(height, width, channels)`` of one image, in pixels.

    Attributes
    ----------
    shape
        As given.
    n_coefficients : int
        Length of the flat vector: pixels times channels.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.wavelets import PixelTransform
    >>> images = np.random.default_rng(0).random((5, 32, 24))
    >>> pixels = PixelTransform((32, 24))
    >>> bool(np.array_equal(pixels.inverse(pixels.forward(images)), images))
    True
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        if len(shape) not in (2, 3):
            raise ValueError(f"`shape` must be (height, width) or (height, width, channels), got {shape}")
        self.shape = tuple(check_integer(size, "shape", low=1) for size in shape)
        self.n_coefficients = int(np.prod(self.shape))

    def __repr__(self) -> str:
        return f"PixelTransform(shape={self.shape!r})"

    def forward(self, images: npt.ArrayLike) -> FloatArray:
        """Return the pixels of images as rows.

        Parameters
        ----------
        images : array of shape (n_images, *shape)
            Any real dtype; finite.

        Returns
        -------
        array of shape (n_images, n_coefficients), float32 or float64
        """
        pixels = as_images(images, "images", shape=self.shape)
        if pixels.ndim == 4:
            pixels = np.moveaxis(pixels, 3, 1)
        return np.array(pixels, dtype=float_type(pixels.dtype), order="C").reshape(len(pixels), -1)

    def inverse(self, coefficients: npt.ArrayLike) -> FloatArray:
        """Return rows of pixels as images.

        Parameters
        ----------
        coefficients : array of shape (n_images, n_coefficients)

        Returns
        -------
        array of shape (n_images, *shape), float32 or float64
        """
        flat = np.asarray(coefficients)
        if flat.ndim != 2 or flat.shape[1] != self.n_coefficients:
            raise ValueError(
                f"`coefficients` must have shape (n_images, {self.n_coefficients}), got {flat.shape}"
            )
        flat = np.array(flat, dtype=float_type(flat.dtype), order="C")
        if len(self.shape) == 2:
            return flat.reshape(-1, *self.shape)
        height, width, channels = self.shape
        return np.ascontiguousarray(np.moveaxis(flat.reshape(-1, channels, height, width), 1, 3))

    def support(self, index: int) -> npt.NDArray[np.bool_]:
        """Return the pixel that a coefficient is, as a mask of shape (height, width).

        Parameters
        ----------
        index : int
            Place in the flat vector.

        Returns
        -------
        array of bool, shape (height, width)
        """
        return (
            self.coverage(np.array([check_integer(index, "index", low=0, high=self.n_coefficients - 1)])) > 0
        )

    def coverage(self, indices: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Count, for each pixel, in how many channels it is among the given coefficients.

        Parameters
        ----------
        indices : array of int
            Places in the flat vector.

        Returns
        -------
        array of int, shape (height, width)
        """
        chosen = np.zeros(self.n_coefficients, dtype=np.intp)
        chosen[np.asarray(indices, dtype=np.intp)] = 1
        return np.asarray(chosen.reshape(-1, *self.shape[:2]).sum(axis=0))
