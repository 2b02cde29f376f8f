"""Images to flat vectors of wavelet coefficients and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pywt

from wavelens import _core
from wavelens._arguments import (
    FloatArray,
    as_image_stack,
    check_choice,
    check_integer,
    refuse_nonfinite_image,
)

__all__ = ["Band", "WaveletTransform", "check_out", "float_type"]

_orientations = ("horizontal", "vertical", "diagonal")
_pixels_at_once = 2**20
_overlap_work = 100_000  # candidates that are tried; enough for all views but contrived ones


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
    Cost: O(pixels × filter length) an image, in threads; results do not depend on their number, on the
    instruction set, nor on what other images there are. Images of uint8, float32 and float64 are read where
    they are, whatever their strides; of other dtypes some are converted at a time. float32 (float16 too)
    gives float32, all else float64. Coefficients are PyWavelets' up to rounding. In the mode "smooth" the
    straight lines past the edges grow with the filter's length, and rounding with them: with the longest
    filters float32 keeps three digits.

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
        self.bands = tuple(_layout(self._band_shapes(), self.level, self._n_channels))
        self.n_coefficients = self.bands[-1].slice.stop

    def _band_shapes(self) -> list[tuple[int, int]]:
        """Shapes of a channel's bands, in the order of the flat vector."""
        down, across = (self._lengths_along(size) for size in self.shape[:2])
        levels = list(zip(down, across, strict=True))
        return [levels[-1], *(shape for shape in reversed(levels) for _ in range(3))]

    def _lengths_along(self, size: int) -> list[int]:
        """Return how many coefficients a side has at each level, the finest first."""
        lengths: list[int] = []
        for _ in range(self.level):
            size = pywt.dwt_coeff_len(size, self._filters, self.mode)
            lengths.append(size)
        return lengths

    def __repr__(self) -> str:
        names = ("shape", "wavelet", "level", "mode")
        return f"WaveletTransform({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    @property
    def _n_channels(self) -> int:
        return self.shape[2] if len(self.shape) == 3 else 1

    def forward(self, images: npt.ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
        """Transform images.

        Parameters
        ----------
        images : array of shape (n_images, *shape) or (..., *shape)
            Any real dtype and strides; finite. Several leading axes are kept, so that a transform of
            ``(height, width)`` takes ``(batch, channels, height, width)`` as networks have it.
        out : array of shape (n_images, n_coefficients) or (..., n_coefficients), optional
            Array for the coefficients: C-contiguous, of the dtype that the result would have, and apart
            from `images` in memory.

        Returns
        -------
        array of shape (n_images, n_coefficients) or (..., n_coefficients), float32 or float64
            `out` if given.
        """
        pixels = as_image_stack(images, "images", self.shape)
        out, finite = self._analyze(pixels, out, _core.wavelet_forward)
        if not finite:
            refuse_nonfinite_image(pixels.reshape(-1, *self.shape), "images")
        return out

    def inverse(self, coefficients: npt.ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
        """Rebuild images from their coefficients.

        Parameters
        ----------
        coefficients : array of shape (n_images, n_coefficients) or (..., n_coefficients)
        out : array of shape (n_images, *shape) or (..., *shape), optional
            Array for the images: C-contiguous, of the dtype that the result would have, and apart from
            `coefficients` in memory.

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
        _check_apart(out, flat, "coefficients")
        flat = np.ascontiguousarray(flat, dtype=out.dtype)
        if out.size:
            _core.wavelet_inverse(self._by_plane(flat), *self._engine, self._as_planes(out))
        return out

    def inverse_adjoint(self, images: npt.ArrayLike, *, out: FloatArray | None = None) -> FloatArray:
        """Apply the adjoint of `inverse`: turn gradients by pixels into gradients by coefficients.

        For all coefficients c and images g, ``(inverse(c) * g).sum() == (c * inverse_adjoint(g)).sum()`` up
        to rounding, in every mode, for every wavelet and size. It equals `forward` for orthogonal wavelets
        in the mode "zero", and "periodization" where no level has an odd size; else the two differ at the
        edges, and for biorthogonal wavelets everywhere.

        Parameters
        ----------
        images : array of shape (n_images, *shape) or (..., *shape)
            As in `forward`, but whether they are finite is not looked at: NaN in one image does not reach
            the others' coefficients.
        out : array of shape (n_images, n_coefficients) or (..., n_coefficients), optional
            As in `forward`.

        Returns
        -------
        array of shape (n_images, n_coefficients) or (..., n_coefficients), float32 or float64
            `out` if given.

        Notes
        -----
        Filters the images, extended by zeros, with the time-reversed synthesis filters (periodization: by
        period, an odd size made even by a zero). Cost as `forward`.

        Examples
        --------
        >>> import numpy as np
        >>> from wavelens.wavelets import WaveletTransform
        >>> transform = WaveletTransform((21, 34), "bior2.2", mode="symmetric")
        >>> rng = np.random.default_rng(0)
        >>> c, g = rng.random((1, transform.n_coefficients)), rng.random((1, 21, 34))
        >>> bool(np.isclose(np.vdot(transform.inverse(c), g), np.vdot(c, transform.inverse_adjoint(g))))
        True
        """
        pixels = as_image_stack(images, "images", self.shape)
        return self._analyze(pixels, out, _core.wavelet_inverse_adjoint)[0]

    def _analyze(
        self, pixels: npt.NDArray[Any], out: FloatArray | None, run: Callable[..., bool | None]
    ) -> tuple[FloatArray, bool]:
        """Run the engine; tell whether all coefficients of the coarsest approximations are finite."""
        lead = pixels.shape[: -len(self.shape)]
        out = check_out(out, (*lead, self.n_coefficients), float_type(pixels.dtype))
        _check_apart(out, pixels, "images")
        if pixels.dtype == np.bool_:
            pixels = pixels.view(np.uint8)
        if _fits(pixels, out.dtype, bytes_too=run is _core.wavelet_forward):
            return out, bool(run(self._as_planes(pixels), *self._engine, self._by_plane(out)))
        # Converted some images at a time, not all at once.
        stack, rows = pixels.reshape(-1, *self.shape), out.reshape(-1, self.n_coefficients)
        step = max(1, _pixels_at_once // math.prod(self.shape))
        finite = True
        for start in range(0, len(stack), step):
            part = np.ascontiguousarray(stack[start : start + step], dtype=out.dtype)
            to = self._by_plane(rows[start : start + step])
            finite &= bool(run(self._as_planes(part), *self._engine, to))
        return out, finite

    @cached_property
    def _engine(self) -> tuple[list[list[float]], int, str]:
        filters = self._filters
        taps = [filters.dec_lo, filters.dec_hi, filters.rec_lo, filters.rec_hi]
        return [list(map(float, each)) for each in taps], self.level, self.mode

    def _as_planes(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View (..., *shape) as (images, channels, height, width)."""
        if images.ndim == 4 and len(self.shape) == 2:
            return images
        stack = images.reshape(-1, *self.shape)
        return stack[:, None] if len(self.shape) == 2 else np.moveaxis(stack, 3, 1)

    def _by_plane(self, flat: FloatArray) -> FloatArray:
        """View (..., n_coefficients) as (images, channels, coefficients), in step with `_as_planes`."""
        if flat.ndim == 3 and len(self.shape) == 2:
            return flat
        return flat.reshape(-1, self._n_channels, self.n_coefficients // self._n_channels)

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
        lengths = self._lengths_along(size)
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
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64)


def check_out(out: FloatArray | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> FloatArray:
    """Return `out` if a result of that shape and dtype can be written to it, a new array if it is None."""
    if out is None:
        return np.empty(shape, dtype=dtype)
    if isinstance(out, np.ma.MaskedArray | np.matrix):
        raise TypeError(f"`out` must be a plain array, got {type(out).__name__}")
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        came = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"`out` must be an array of {dtype} and shape {shape}, got {came}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError("`out` must be C-contiguous, aligned and writeable")
    return out


def _check_apart(out: FloatArray, source: npt.NDArray[Any], name: str) -> None:
    """Raise `ValueError` if writing to `out` would change `source`, from which the result is computed."""
    try:
        shared = np.shares_memory(out, source, max_work=_overlap_work)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        shared = True
    if shared:
        raise ValueError(f"`out` must not share memory with `{name}`")


def _fits(pixels: npt.NDArray[Any], wanted: np.dtype[Any], *, bytes_too: bool) -> bool:
    """Whether the engine reads the array as it is."""
    of_bytes = bytes_too and pixels.dtype == np.uint8
    return (
        (of_bytes or pixels.dtype == wanted)
        and pixels.flags.aligned
        and not any(stride % pixels.itemsize for stride in pixels.strides)
    )
