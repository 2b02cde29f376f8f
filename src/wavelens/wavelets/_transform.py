"""Images to flat vectors of wavelet coefficients and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pywt

from wavelens._arguments import FloatArray, as_images, check_choice, check_integer
from wavelens._threads import num_threads

__all__ = ["Band", "WaveletTransform", "float_type"]

_orientations = ("horizontal", "vertical", "diagonal")
_images_per_task = 64


@dataclass(frozen=True)
class Band:
    """One band of the transform: where it lies in the flat vector and what it answers to.

    Attributes
    ----------
    level : int
        1 is the finest; the approximation carries the coarsest level.
    orientation : str
        "approximation", or the edges that the band answers to: "horizontal", "vertical", "diagonal".
    channel : int
        Channel of the image; 0 for grey images.
    slice : slice
        Place in the flat vector of coefficients.
    shape : tuple of int
        Rows and columns of the band.
    """

    level: int
    orientation: str
    channel: int
    slice: slice
    shape: tuple[int, int]


class WaveletTransform:
    """Discrete wavelet transform of a batch of images, as flat vectors.

    The flat vector of an image holds, for each channel, the approximation of the coarsest level, then from
    the coarsest level to the finest the horizontal, vertical and diagonal details, each row by row. `bands`
    says where each of them lies.

    Parameters
    ----------
    shape : tuple of int
        ``(height, width)`` or ``(height, width, channels)`` of one image, in pixels.
    wavelet : str, default "db3"
        A discrete wavelet of PyWavelets (`pywt.wavelist(kind="discrete")`).
    level : int or None, default None
        Number of levels. None takes the deepest level at which the filter is still shorter than the band, at
        least one.
    mode : str, default "periodization"
        How the image goes on past its edge (`pywt.Modes.modes`). "periodization" keeps the number of
        coefficients at the number of pixels where sizes are even.

    Attributes
    ----------
    shape, wavelet, level, mode
        As given, `level` resolved.
    n_coefficients : int
        Length of the flat vector, all channels.
    bands : tuple of Band

    Raises
    ------
    ValueError
        If a name is unknown or the image is too small for the level.

    Notes
    -----
    Cost: O(pixels) an image, in threads. float32 stays float32, all else becomes float64.

    Source: I. Daubechies, *Ten Lectures on Wavelets*, SIAM 1992; S. Mallat, IEEE PAMI 11 (1989).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.wavelets import WaveletTransform
    >>> images = np.random.default_rng(0).random((5, 32, 24))
    >>> transform = WaveletTransform((32, 24), "db2")
    >>> coefficients = transform.forward(images)
    >>> coefficients.shape
    (5, 768)
    >>> bool(np.allclose(transform.inverse(coefficients), images))
    True
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        wavelet: str = "db3",
        level: int | None = None,
        mode: str = "periodization",
    ) -> None:
        if len(shape) not in (2, 3):
            raise ValueError(f"`shape` must be (height, width) or (height, width, channels), got {shape}")
        self.shape = tuple(check_integer(size, "shape", low=1) for size in shape)
        check_choice(mode, "mode", tuple(pywt.Modes.modes))
        if wavelet not in pywt.wavelist(kind="discrete"):
            raise ValueError(
                f"`wavelet` must be a discrete wavelet such as 'haar', 'db3' or 'sym4', got {wavelet!r}"
            )
        self.wavelet = wavelet
        self.mode = mode
        self._filters = pywt.Wavelet(wavelet)
        shortest = min(self.shape[:2])
        if shortest < 2:
            raise ValueError(f"`shape` must have at least 2 rows and 2 columns, got {shape}")
        deepest = max(1, (shortest - 1).bit_length())
        if level is None:
            level = max(1, pywt.dwt_max_level(shortest, self._filters.dec_len))
        self.level = check_integer(
            level, "level", low=1, high=deepest, why=f"the shorter side has {shortest} pixels"
        )
        shapes = [part.shape[1:] for part in self._decompose(np.zeros((1, *self.shape[:2])))]
        self.bands = tuple(_layout(shapes, self.level, self._n_channels))
        self.n_coefficients = self.bands[-1].slice.stop

    def __repr__(self) -> str:
        names = ("shape", "wavelet", "level", "mode")
        return f"WaveletTransform({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    @property
    def _n_channels(self) -> int:
        return self.shape[2] if len(self.shape) == 3 else 1

    def forward(self, images: npt.ArrayLike) -> FloatArray:
        """Transform images.

        Parameters
        ----------
        images : array of shape (n_images, *shape)
            Any real dtype; finite.

        Returns
        -------
        array of shape (n_images, n_coefficients), float32 or float64
        """
        pixels = as_images(images, "images", shape=self.shape)
        out = np.empty((len(pixels), self.n_coefficients), dtype=float_type(pixels.dtype))
        per_channel = self.n_coefficients // self._n_channels

        def transform(start: int, stop: int) -> None:
            for channel in range(self._n_channels):
                batch = pixels[start:stop] if pixels.ndim == 3 else pixels[start:stop, ..., channel]
                batch = batch.astype(out.dtype, copy=False)
                for band, part in zip(self.bands, self._decompose(batch), strict=False):
                    place = slice(
                        band.slice.start + channel * per_channel, band.slice.stop + channel * per_channel
                    )
                    out[start:stop, place] = part.reshape(len(batch), -1)

        _in_threads(transform, len(pixels))
        return out

    def inverse(self, coefficients: npt.ArrayLike) -> FloatArray:
        """Rebuild images from their coefficients.

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
        flat = flat.astype(float_type(flat.dtype), copy=False)
        out = np.empty((len(flat), *self.shape), dtype=flat.dtype)
        per_channel = len(self.bands) // self._n_channels

        def transform(start: int, stop: int) -> None:
            for channel in range(self._n_channels):
                bands = self.bands[channel * per_channel : (channel + 1) * per_channel]
                parts = [flat[start:stop, band.slice].reshape(-1, *band.shape) for band in bands]
                levels = [tuple(parts[i : i + 3]) for i in range(1, len(parts), 3)]
                image = pywt.waverec2([parts[0], *levels], self.wavelet, self.mode, axes=(1, 2))
                image = image[:, : self.shape[0], : self.shape[1]]
                if out.ndim == 3:
                    out[start:stop] = image
                else:
                    out[start:stop, ..., channel] = image

        _in_threads(transform, len(flat))
        return out

    def _decompose(self, batch: FloatArray) -> list[FloatArray]:
        """Bands of a batch of one channel, in the order of the flat vector."""
        details: list[FloatArray] = []
        for _ in range(self.level):
            batch, finer = pywt.dwt2(batch, self._filters, self.mode, axes=(1, 2))
            details = [*finer, *details]
        return [batch, *details]

    def band_of(self, index: int) -> Band:
        """Return the band that coefficient `index` belongs to."""
        index = check_integer(index, "index", low=0, high=self.n_coefficients - 1)
        return next(band for band in self.bands if index < band.slice.stop)

    def support(self, index: int) -> npt.NDArray[np.bool_]:
        """Return the pixels that a coefficient touches.

        A pixel is touched if changing the coefficient changes the rebuilt image there.

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
        """Count, for each pixel, how many of the given coefficients touch it (in any channel).

        Parameters
        ----------
        indices : array of int
            Places in the flat vector.

        Returns
        -------
        array of int, shape (height, width)
        """
        chosen = np.zeros(self.n_coefficients, dtype=np.int64)
        chosen[np.asarray(indices, dtype=np.intp)] = 1
        total = np.zeros(self.shape[:2], dtype=np.int64)
        rows, columns = self._supports
        for band in self.bands:
            part = chosen[band.slice].reshape(band.shape)
            if part.any():
                vertical = rows[band.level, band.orientation in ("horizontal", "diagonal")]
                across = columns[band.level, band.orientation in ("vertical", "diagonal")]
                total += vertical.T @ part @ across
        return total

    @cached_property
    def _supports(self) -> tuple[_Supports, _Supports]:
        return self._supports_along(self.shape[0]), self._supports_along(self.shape[1])

    def _supports_along(self, size: int) -> _Supports:
        """Supports along one side, (level, high pass): (coefficients, pixels); the pixels' are products."""
        lengths: list[int] = []
        for _ in range(self.level):
            lengths.append(pywt.dwt_coeff_len(lengths[-1] if lengths else size, self._filters, self.mode))
        supports = {}
        for level in range(1, self.level + 1):
            for high in (False, True):
                rebuilt = np.eye(lengths[level - 1])
                for step in range(level, 0, -1):
                    parts = (None, rebuilt) if high and step == level else (rebuilt, None)
                    rebuilt = pywt.idwt(*parts, self._filters, self.mode, axis=1)
                    rebuilt = rebuilt[:, : lengths[step - 2] if step > 1 else size]
                supports[level, high] = (np.abs(rebuilt) > 1e-10 * np.abs(rebuilt).max()).astype(np.int64)
        return supports


_Supports = dict[tuple[int, bool], npt.NDArray[np.int64]]


def _layout(shapes: list[tuple[int, int]], level: int, n_channels: int) -> Iterator[Band]:
    start = 0
    for channel in range(n_channels):
        for i, shape in enumerate(shapes):
            orientation = "approximation" if i == 0 else _orientations[(i - 1) % 3]
            stop = start + shape[0] * shape[1]
            yield Band(level - max(i - 1, 0) // 3, orientation, channel, slice(start, stop), shape)
            start = stop


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32 if dtype in (np.float32, np.float16) else np.float64)


def _in_threads(work: Callable[[int, int], None], n_images: int) -> None:
    """Call work(start, stop) on batches of images; PyWavelets releases the GIL."""
    starts = range(0, n_images, _images_per_task)
    if len(starts) <= 1 or num_threads() == 1:
        for start in starts:
            work(start, min(start + _images_per_task, n_images))
        return
    with ThreadPoolExecutor(num_threads()) as pool:
        list(pool.map(lambda start: work(start, min(start + _images_per_task, n_images)), starts))
