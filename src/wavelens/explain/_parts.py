"""One image as the parts that an explanation orders or masks: wavelet coefficients, or pixels.

A mask s in [0, 1]^k is shared by the channels. What it leaves out is replaced by noise, Gaussian with mean and
standard deviation of each band (pixels: of the image), or by that mean alone, or by nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.wavelets import WaveletTransform

__all__ = ["ImageParts"]

Array = npt.NDArray[Any]


class ImageParts:
    """An image of shape (channels, height, width) in [0, 1] in the basis of `transform`; None: its pixels."""

    def __init__(self, plane: Array, transform: WaveletTransform | None) -> None:
        self.plane = np.asarray(plane, np.float32)
        self.transform = transform
        channels = len(self.plane)
        self.coefficients = self._analyze(self.plane)
        self.size = self.coefficients.shape[1]
        bands = [slice(0, self.size)] if transform is None else [band.slice for band in transform.bands]
        self.mean = np.empty(self.size, np.float32)
        self.deviation = np.empty(self.size, np.float32)
        levels = [None] if transform is None else [_group(band) for band in transform.bands]
        for level in dict.fromkeys(levels):
            own = [band for band, each in zip(bands, levels, strict=True) if each == level]
            values = np.concatenate([self.coefficients[:, band].ravel() for band in own])
            for band in own:
                self.mean[band], self.deviation[band] = values.mean(), values.std()
        self._shape = (channels, *self.plane.shape[1:])

    def _analyze(self, plane: Array) -> Array:
        if self.transform is None:
            return plane.reshape(len(plane), -1)
        return np.asarray(self.transform.forward(plane))

    def synthesize(self, coefficients: Array) -> Array:
        """Return images from coefficients (..., k); wavelets' are cut to [0, 1], as the published methods do."""
        if self.transform is None:
            return coefficients.reshape(*coefficients.shape[:-1], *self.plane.shape[1:])
        return np.clip(self.transform.inverse(coefficients), 0, 1)

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n times the coefficients of noise, (n, channels, k)."""
        drawn = rng.standard_normal((n, *self.coefficients.shape), np.float32)
        return self.mean + self.deviation * drawn

    def obscure(self, masks: Array, noise: Array) -> Array:
        """Return the image with what masks (m, k) leave out replaced by noise (m, channels, k)."""
        kept = np.asarray(masks, np.float32)[:, None]
        return self.synthesize(noise + kept * (self.coefficients - noise))

    def insert(self, masks: Array) -> Array:
        """Return the image with what masks (m, k) leave out replaced by the mean of its band."""
        kept = np.asarray(masks, np.float32)[:, None]
        return self.synthesize(self.mean + kept * (self.coefficients - self.mean))

    def keep(self, masks: Array) -> Array:
        """Return what masks (m, k) keep, the rest zero."""
        return self.synthesize(np.asarray(masks, np.float32)[:, None] * self.coefficients)

    def pull_back(self, obscured: Array, gradient: Array, noise: Array) -> Array:
        """Return the gradient by the mask (m, k) of scores with gradient (m, c, h, w) at the obscured images."""
        if self.transform is None:
            back = gradient.reshape(*gradient.shape[:2], -1)
        else:
            inside = (obscured > 0) & (obscured < 1)
            back = self.transform.inverse_adjoint(np.where(inside, gradient, 0).astype(np.float32))
        return np.einsum("mck,mck->mk", back, self.coefficients - noise, dtype=np.float64)


def _group(band: Any) -> tuple[int, bool]:
    """Bands that share a mean and a deviation: the three orientations of a level; the approximation alone."""
    return band.level, band.orientation == "approximation"
