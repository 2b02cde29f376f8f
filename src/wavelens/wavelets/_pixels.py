"""Images to flat vectors of their pixels and back: the transform that does nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_image_stack, check_integer, refuse_nonfinite_image
from wavelens.wavelets._transform import check_out, float_type

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

    def forward(self, images: npt.ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
        """Return the pixels of images as rows.

        Parameters
        ----------
        images : array of shape (n_images, *shape) or (..., *shape)
            Any real dtype; finite. Several leading axes are kept.
        out : array of shape (n_images, n_coefficients) or (..., n_coefficients), optional
            Where the pixels go: C-contiguous and of the dtype that the result would have.

        Returns
        -------
        array of shape (n_images, n_coefficients) or (..., n_coefficients), float32 or float64
            `out` if given.
        """
        pixels = as_image_stack(images, "images", self.shape)
        stack = pixels.reshape(-1, *self.shape)
        if pixels.dtype.kind == "f" and not np.isfinite(pixels.sum(dtype=np.float64)):
            refuse_nonfinite_image(stack, "images")
        lead = pixels.shape[: -len(self.shape)]
        out = check_out(out, (*lead, self.n_coefficients), float_type(pixels.dtype))
        if len(self.shape) == 3:
            stack = np.moveaxis(stack, 3, 1)
        np.copyto(out.reshape(stack.shape), stack)
        return out

    def inverse(self, coefficients: npt.ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
        """Return rows of pixels as images.

        Parameters
        ----------
        coefficients : array of shape (n_images, n_coefficients) or (..., n_coefficients)
        out : array of shape (n_images, *shape) or (..., *shape), optional
            Where the images go: C-contiguous and of the dtype that the result would have.

        Returns
        -------
        array of shape (n_images, *shape) or (..., *shape), float32 or float64
            `out` if given.
        """
        flat = np.asarray(coefficients)
        if flat.ndim < 2 or flat.shape[-1] != self.n_coefficients:
            raise ValueError(
                f"`coefficients` must have shape (n_images, {self.n_coefficients}), got {flat.shape}"
            )
        out = check_out(out, (*flat.shape[:-1], *self.shape), float_type(flat.dtype))
        to = out.reshape(-1, *self.shape)
        if len(self.shape) == 3:
            to = np.moveaxis(to, 3, 1)
        np.copyto(to, flat.reshape(to.shape))
        return out

    def inverse_adjoint(self, images: npt.ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
        """Apply the adjoint of `inverse`, which is `forward`.

        Parameters
        ----------
        images : array of shape (n_images, *shape) or (..., *shape)
            As in `forward`.
        out : array of shape (n_images, n_coefficients) or (..., n_coefficients), optional
            As in `forward`.

        Returns
        -------
        array of shape (n_images, n_coefficients) or (..., n_coefficients), float32 or float64
            `out` if given.
        """
        return self.forward(images, out=out)

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
