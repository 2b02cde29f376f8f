"""The coefficients that a mask lies on: wavelets or pixels, of (n, channels, height, width) images."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wavelens.wavelets import WaveletTransform

__all__ = ["Basis", "PixelBasis", "WaveletBasis"]

Floats = npt.NDArray[np.float32]


class Basis(Protocol):
    """Analysis W, synthesis S and its adjoint, plane by plane.

    Attributes
    ----------
    size : tuple of int
        Height and width.
    k : int
        Coefficients of a plane.
    clamp : bool
        Whether what S gives is clamped to [0, 1] before the model.
    scales : sequence of slice
        Coefficients of one scale: the approximation, then the details, coarsest first.
    """

    size: tuple[int, int]
    k: int
    clamp: bool
    scales: tuple[slice, ...]

    def analyze(self, planes: Floats) -> Floats:
        """Turn (n, c, h, w) into (n, c, k)."""

    def pictures(self, buffer: Floats) -> Floats:
        """Turn (n, c, k) into (n, c, h, w), which may share its memory."""

    def adjoint(self, gradient: Floats, buffer: Floats) -> Floats:
        """Turn (n, c, h, w) into (n, c, k), in `buffer` if it is needed."""

    def header(self) -> dict[str, Any]:
        """Return what a file has to say of it."""


class WaveletBasis:
    """Wavelet coefficients; see `Basis`."""

    clamp = True

    def __init__(self, size: tuple[int, int], wavelet: str, level: int | None, mode: str) -> None:
        self.size = size
        deepest = max(1, (min(size) - 1).bit_length())
        self.transform = WaveletTransform(size, wavelet, min(5, deepest) if level is None else level, mode)
        self.k = self.transform.n_coefficients
        bands = self.transform.bands
        groups = [bands[:1], *(bands[i : i + 3] for i in range(1, len(bands), 3))]
        self.scales: tuple[slice, ...] = tuple(
            slice(each[0].slice.start, each[-1].slice.stop) for each in groups
        )

    def analyze(self, planes: Floats) -> Floats:
        """Turn (n, c, h, w) into (n, c, k)."""
        return np.asarray(self.transform.forward(planes), dtype=np.float32)

    def pictures(self, buffer: Floats) -> Floats:
        """Turn (n, c, k) into (n, c, h, w)."""
        return np.asarray(self.transform.inverse(buffer), dtype=np.float32)

    def adjoint(self, gradient: Floats, buffer: Floats) -> Floats:
        """Turn (n, c, h, w) into (n, c, k)."""
        self.transform.inverse_adjoint(gradient, out=buffer)
        return buffer

    def header(self) -> dict[str, Any]:
        """Return what a file has to say of it."""
        t = self.transform
        return {"size": list(self.size), "wavelet": t.wavelet, "level": t.level, "mode": t.mode}


class PixelBasis:
    """Pixels; see `Basis`."""

    clamp = False

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.k = size[0] * size[1]
        self.scales: tuple[slice, ...] = (slice(0, self.k),)

    def analyze(self, planes: Floats) -> Floats:
        """Turn (n, c, h, w) into (n, c, k)."""
        return np.ascontiguousarray(planes).reshape(*planes.shape[:2], self.k)

    def pictures(self, buffer: Floats) -> Floats:
        """Turn (n, c, k) into (n, c, h, w)."""
        return buffer.reshape(*buffer.shape[:2], *self.size)

    def adjoint(self, gradient: Floats, buffer: Floats) -> Floats:
        """Turn (n, c, h, w) into (n, c, k)."""
        return gradient.reshape(buffer.shape)

    def header(self) -> dict[str, Any]:
        """Return what a file has to say of it."""
        return {"size": list(self.size)}
