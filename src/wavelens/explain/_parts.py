"""One image as the parts that an explanation orders or masks: wavelet coefficients, or pixels.

A mask s in [0, 1]^k is shared by the channels. What it leaves out is replaced by noise, Gaussian with mean and
standard deviation of each scale (pixels: of the image), or by that mean alone, or by nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens.explain._basis import Basis, PixelBasis, WaveletBasis
from wavelens.explain._noise import make_noise
from wavelens.wavelets import WaveletTransform

__all__ = ["ImageParts"]

Array = npt.NDArray[Any]


class ImageParts:
    """An image of shape (channels, height, width) in [0, 1] in the basis of `transform`; None: its pixels."""

    def __init__(self, plane: Array, transform: WaveletTransform | None) -> None:
        planes = np.ascontiguousarray(plane, np.float32)[None]
        size = (planes.shape[2], planes.shape[3])
        self.basis: Basis = PixelBasis(size)
        if transform is not None:
            self.basis = WaveletBasis(size, transform.wavelet, transform.level, transform.mode)
        self.size = self.basis.k
        self.coefficients = self.basis.analyze(planes)
        noise = make_noise("gaussian", planes, self.coefficients, self.basis)
        self.mean, self.deviation = noise.mean, noise.deviation

    def obscure(self, mask: Array, n_samples: int, seed: int, stream: int) -> Array:
        """Return n samples of the image with what a mask (k,) leaves out replaced by noise, (n, c, h, w).

        The noise depends on seed and stream alone.
        """
        kept = np.ascontiguousarray(mask, np.float32)[None]
        buffer = np.empty((1, n_samples, *self.coefficients.shape[1:]), np.float32)
        key, streams = np.zeros(1, np.uint32), np.full(1, stream, np.uint32)
        _core.mask_mix(kept, self.coefficients, self.mean, self.deviation, seed, key, streams, 0, buffer)
        return self._shown(buffer[0])

    def insert(self, masks: Array) -> Array:
        """Return the image with what masks (m, k) leave out replaced by the mean of its scale, (m, c, h, w)."""
        kept = np.asarray(masks, np.float32)[:, None]
        return self._shown(self.mean + kept * (self.coefficients - self.mean))

    def keep(self, mask: Array) -> Array:
        """Return what a mask (k,) keeps, the rest zero, (c, h, w)."""
        return np.asarray(self._shown(np.asarray(mask, np.float32) * self.coefficients)[0])

    def _shown(self, coefficients: Array) -> Array:
        pictures = self.basis.pictures(np.ascontiguousarray(coefficients, np.float32))
        if self.basis.clamp:
            _core.mask_clamp(pictures)
        return pictures
