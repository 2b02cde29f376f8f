"""Rate and distortion of masks, and the gradient, for some images at once.

What an image's objective is does not depend on the images beside it, nor on how many samples go through the model
at once: noise is keyed by the image's own pixels, and sums run in a fixed order.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens.exceptions import DataError
from wavelens.explain._basis import Basis
from wavelens.explain._distortion import Distortion, output_cotangent, probabilities_of
from wavelens.explain._noise import Noise

__all__ = ["ModelAnswerError", "ModelLike", "Objective", "image_keys"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Words = npt.NDArray[np.uint32]


class ModelLike(Protocol):
    """What of a model is needed; `wavelens.models` has adapters."""

    outputs: str
    has_gradient: bool

    def predict(self, x: Floats, /) -> Any:
        """Turn (n, c, h, w) in [0, 1] into (n, n_outputs)."""


class ModelAnswerError(DataError):
    """A model gave something that is no answer; `images` says for which of the images it was asked."""

    def __init__(self, message: str, images: Index) -> None:
        super().__init__(message)
        self.images = images


def image_keys(planes: Floats) -> npt.NDArray[np.uint32]:
    """Return the key of each image's noise: a checksum of its pixels."""
    return np.array([zlib.crc32(np.ascontiguousarray(each).data) for each in planes], dtype=np.uint32)


@dataclass(eq=False)
class Objective:
    """E[d(Φ(S(s∘h + (1 − s)∘v)))] + λ·mean(s) + spatial·mean|S(s∘W(grey))|, image by image.

    Attributes
    ----------
    model : ModelLike
    basis : Basis
    distortion : callable
    planes : (n, channels, height, width) array of float32
    coefficients : (n, channels, k) array of float32
    noise : Noise
    probabilities : (n, n_outputs) array of float64
        Of the images themselves.
    targets : (n,) array of int
    spatial : float
    seed : int
    samples_at_once : int
        Largest number of masked images that are in memory at once.
    n_evaluations : (n,) array of int
        Masked images of each image that the model has seen.
    empty : dict of int to float
        Distortion of the empty mask, for images whose masks have been judged.
    """

    model: ModelLike
    basis: Basis
    distortion: Distortion
    planes: Floats
    coefficients: Floats
    noise: Noise
    probabilities: Doubles
    targets: Index
    spatial: float
    seed: int
    samples_at_once: int
    n_evaluations: Index = field(init=False)
    empty: dict[int, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.n_evaluations = np.zeros(len(self.planes), dtype=np.intp)
        self._keys = image_keys(self.planes)
        self._grey = self.basis.analyze(np.ascontiguousarray(self.planes.mean(axis=1, keepdims=True)))[:, 0]
        if self.noise.deviation is None:
            self.random = False
        else:
            self.random = bool(self.noise.deviation.any())

    @property
    def k(self) -> int:
        """Length of a mask."""
        return self.basis.k

    def distortions(self, images: Index, masks: Floats, stream: int, n_samples: int) -> Doubles:
        """Return the distortion of each of the samples 0 … n_samples - 1 of a stream: (len(images), n_samples)."""
        np.add.at(self.n_evaluations, images, n_samples)
        return self.answers(images, masks, stream, n_samples)[0]

    def answers(self, images: Index, masks: Floats, stream: int, n_samples: int) -> tuple[Doubles, Doubles]:
        """Return distortions and probabilities of the target, both (len(images), n_samples); not counted."""
        values, own = np.empty((len(images), n_samples)), np.empty((len(images), n_samples))
        for rows, first, last in self._chunks(len(images), n_samples):
            at = images[rows]
            _, pictures = self._mixed(at, masks[rows], stream, first, last)
            stack = pictures.reshape(-1, *pictures.shape[2:])
            p = probabilities_of(
                self._checked(self.model.predict(stack), at, last - first), self.model.outputs
            )
            values[rows, first:last] = self._compare(p, at, last - first)[0]
            picked = p.reshape(len(at), last - first, -1)
            own[rows, first:last] = picked[np.arange(len(at)), :, self.targets[at]]
        return values, own

    def gradients(
        self, images: Index, masks: Floats, stream: int, n_samples: int, *, count: bool = True
    ) -> tuple[Doubles, Floats]:
        """Return distortions (len(images), n_samples), and gradients of their means by the masks (len(images), k)."""
        values = np.empty((len(images), n_samples))
        sums = np.zeros((len(images), self.k), dtype=np.float32)
        for rows, first, last in self._chunks(len(images), n_samples):
            at, n = images[rows], last - first
            buffer, pictures = self._mixed(at, masks[rows], stream, first, last)
            stack = pictures.reshape(-1, *pictures.shape[2:])
            outputs, pullback = self.model.forward(stack)  # type: ignore[attr-defined]
            p = probabilities_of(self._checked(outputs, at, n), self.model.outputs)
            found, cotangent = self._compare(p, at, n)
            values[rows, first:last] = found
            gradient = np.array(pullback(cotangent), dtype=np.float32, order="C").reshape(stack.shape)
            if self.basis.clamp:
                _core.mask_gate(stack, gradient)
            adjoint = self.basis.adjoint(gradient, buffer.reshape(len(stack), -1, self.k))
            part = sums[rows]
            _core.mask_reduce(
                *self._engine(at, masks[rows], stream), first, adjoint.reshape(buffer.shape), part
            )
            sums[rows] = part
        sums /= np.float32(n_samples)
        bad = ~np.isfinite(sums).all(axis=1)
        if bad.any():
            raise ModelAnswerError("the model's gradient is not finite", images[bad])
        if count:
            self.n_evaluations[images] += n_samples
        return values, sums

    def penalties(self, images: Index, masks: Floats, lam: float) -> Doubles:
        """Return λ·mean(s), and the spatial penalty with it."""
        values = lam * masks.mean(axis=1, dtype=np.float64)
        if self.spatial:
            pictures = self.basis.pictures((masks * self._grey[images])[:, None])
            values = values + self.spatial * np.abs(pictures).mean(axis=(1, 2, 3), dtype=np.float64)
        return np.asarray(values)

    def add_spatial_gradient(self, images: Index, masks: Floats, gradients: Floats) -> None:
        """Add the spatial penalty's gradient: spatial/pixels·W(grey)∘Sᵀ sign(S(s∘W(grey)))."""
        if not self.spatial:
            return
        kept = (masks * self._grey[images])[:, None]
        signs = np.sign(self.basis.pictures(kept)) * np.float32(self.spatial / np.prod(self.basis.size))
        gradients += self._grey[images] * self.basis.adjoint(signs, np.empty_like(kept))[:, 0]

    def importance(self, images: Index) -> Floats:
        """Return Σ_channels |∂(−log p)/∂coefficient| at the images themselves: (len(images), k)."""
        planes = self.planes[images]
        found = np.empty((len(images), self.k), dtype=np.float32)
        for begin in range(0, len(images), self.samples_at_once):
            rows = slice(begin, begin + self.samples_at_once)
            at = images[rows]
            outputs, pullback = self.model.forward(planes[rows])  # type: ignore[attr-defined]
            p = probabilities_of(self._checked(outputs, at, 1), self.model.outputs)
            by_p = np.zeros_like(p)
            own = np.arange(len(at)), self.targets[at]
            by_p[own] = -1 / np.maximum(p[own], 1e-30)
            gradient = np.array(
                pullback(output_cotangent(p, by_p, self.model.outputs)), dtype=np.float32, order="C"
            )
            buffer = np.empty((len(at), planes.shape[1], self.k), dtype=np.float32)
            adjoint = self.basis.adjoint(gradient.reshape(planes[rows].shape), buffer)
            found[rows] = np.abs(adjoint).sum(axis=1)
        self.n_evaluations[images] += 1
        return found

    def obfuscations(self, image: int, mask: Floats, stream: int, n_samples: int) -> Floats:
        """Return samples of a masked image: (n_samples, channels, height, width)."""
        one = np.array([image])
        return np.array(self._mixed(one, mask[None], stream, 0, n_samples)[1][0])

    def _chunks(self, n_images: int, n_samples: int) -> list[tuple[slice, int, int]]:
        """Cut images and samples so that no more than `samples_at_once` are together."""
        most = self.samples_at_once
        if n_samples > most:
            return [
                (slice(i, i + 1), first, min(first + most, n_samples))
                for i in range(n_images)
                for first in range(0, n_samples, most)
            ]
        step = most // n_samples
        return [(slice(i, min(i + step, n_images)), 0, n_samples) for i in range(0, n_images, step)]

    def _engine(
        self, images: Index, masks: Floats, stream: int
    ) -> tuple[Floats, Floats, Floats, Floats | None, int, Words, Words]:
        deviation = self.noise.deviation
        return (
            np.ascontiguousarray(masks),
            self.coefficients[images],
            self.noise.mean[images],
            None if deviation is None else deviation[images],
            self.seed,
            self._keys[images],
            np.full(len(images), stream, dtype=np.uint32),
        )

    def _mixed(
        self, images: Index, masks: Floats, stream: int, first: int, last: int
    ) -> tuple[Floats, Floats]:
        """Return the buffer (images, samples, channels, k) and the pictures (images, samples, channels, h, w)."""
        channels = self.coefficients.shape[1]
        buffer = np.empty((len(images), last - first, channels, self.k), dtype=np.float32)
        _core.mask_mix(*self._engine(images, masks, stream), first, buffer)
        pictures = self.basis.pictures(buffer.reshape(-1, channels, self.k))
        if self.basis.clamp:
            _core.mask_clamp(pictures)
        return buffer, pictures.reshape(*buffer.shape[:3], *self.basis.size)

    def _checked(self, outputs: Any, images: Index, n_samples: int) -> npt.NDArray[Any]:
        found = np.asarray(outputs)
        expected = (len(images) * n_samples, self.probabilities.shape[1])
        if found.shape != expected:
            raise DataError(f"the model must return an array of shape {expected}, got {found.shape}")
        bad = ~np.isfinite(found).reshape(len(images), -1).all(axis=1)
        if bad.any():
            raise ModelAnswerError("the model returned NaN or infinity", images[bad])
        return found

    def _compare(self, p: Doubles, images: Index, n_samples: int) -> tuple[Doubles, npt.NDArray[np.float32]]:
        values, gradient = np.empty(len(p)), np.empty_like(p)
        for row, image in enumerate(images):
            part = slice(row * n_samples, (row + 1) * n_samples)
            values[part], gradient[part] = self.distortion(
                p[part], self.probabilities[image], int(self.targets[image])
            )
        return values.reshape(len(images), n_samples), output_cotangent(p, gradient, self.model.outputs)
