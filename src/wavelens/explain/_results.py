"""Masks that were found, and what is known of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens.explain._basis import Basis, PixelBasis, WaveletBasis
from wavelens.explain._noise import make_noise
from wavelens.wavelets import Band

__all__ = ["ExplanationPath", "Explanations", "ScaleEnergy"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScaleEnergy:
    """How much of an image a mask keeps, scale by scale.

    Attributes
    ----------
    scales : tuple of str
        "approximation", then "level 5", …, "level 1" (the finest), or "pixels".
    image : (n, n_scales) array
        Share of each scale in the squared coefficients of all channels; rows add up to 1.
    kept : (n, n_scales) array
        The part of it that the mask keeps; divided by `image`, the share kept of each scale.
    """

    scales: tuple[str, ...]
    image: Doubles
    kept: Doubles


@dataclass(frozen=True, eq=False)
class Explanations:
    """Masks of images, of `CartoonX` or `PixelRDE`.

    Attributes
    ----------
    method : str
        "cartoonx" or "pixel_rde".
    lam : float
        Weight λ of the rate.
    images : (n, height, width[, channels]) array of float32
        In [0, 1].
    masks : (n, k) array of float32
        In [0, 1]: one number for each wavelet coefficient of a plane, in the order of `WaveletTransform` of
        (height, width), or for each pixel, row by row; shared by the channels.
    targets : (n,) array of int
        The classes explained.
    probabilities : (n,) array
        What the model gives them on the images.
    rates : (n,) array
        Mean of each mask.
    distortions, distortion_errors : (n,) array
        Mean over fresh noise and its standard error.
    masked_probabilities : (n,) array
        What the model gives the target on the masked images, mean over the same noise.
    objectives : (n,) array
        Distortion plus λ times rate, and the spatial penalty.
    empty_distortions : (n,) array
        Distortion D(0) of the empty mask, on the same noise. Any optimum has rate ≤ D(0)/λ.
    residuals, residual_errors : (n,) array
        Optimality to first order: how much less the objective would be after the best small change that acts on
        blocks (a scale and a cell of a 7 × 7 grid; pixels, of a 14 × 14 one): values scaled by up to 5 %, zeros raised
        by up to 0.05 of the block's mean; and the standard error of that figure. It is measured on fresh noise, the
        change taken from one half of the samples and judged by the other, so that it is not noise that is seen: near
        an optimum it is 0 within the error. NaN for a model without gradient.
    n_evaluations : (n,) array of int
        Masked images that the model saw during the search (the figures above are from others).
    stopped : tuple of str
        "finished": all steps were taken; "settled": the mask did not change any more; "failed: …": the model gave
        no numbers, and the mask is the last one before.
    history : tuple of dict of str to array
        Of each image, step by step: "lam", "distortion" and "rate".
    distortion : str
        Name of the distortion, or "custom" for a function.
    gradient : str
        "exact", or how the search did without.
    noise, seed, header : str, int, dict
        What `obfuscations` and `save` need: the noise's name, its seed, and the transform's options.
    """

    method: str
    lam: float
    images: Floats
    masks: Floats
    targets: npt.NDArray[np.intp]
    probabilities: Doubles
    rates: Doubles
    distortions: Doubles
    distortion_errors: Doubles
    masked_probabilities: Doubles
    objectives: Doubles
    empty_distortions: Doubles
    residuals: Doubles
    residual_errors: Doubles
    n_evaluations: npt.NDArray[np.intp]
    stopped: tuple[str, ...]
    history: tuple[dict[str, Doubles], ...]
    distortion: str
    gradient: str
    noise: str
    seed: int
    header: dict[str, Any]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        failed = sum(each.startswith("failed") for each in self.stopped)
        parts = [f"{len(self)} images", f"lam={self.lam:g}", *([f"{failed} failed"] if failed else [])]
        if failed < len(self):
            parts.append(f"rates {_span(self.rates)}, distortions {_span(self.distortions)}")
        return f"Explanations({self.method!r}, {', '.join(parts)})"

    @property
    def rate_bounds(self) -> Doubles:
        """D(0)/λ, which no optimum's rate exceeds."""
        return self.empty_distortions / self.lam

    @cached_property
    def basis(self) -> Basis:
        """What the masks lie on; its `transform`, for CartoonX, is the `WaveletTransform` of a plane."""
        h = self.header
        if self.method == "pixel_rde":
            return PixelBasis((h["size"][0], h["size"][1]))
        return WaveletBasis((h["size"][0], h["size"][1]), h["wavelet"], h["level"], h["mode"])

    @property
    def planes(self) -> Floats:
        """The images as networks have them: (n, channels, height, width)."""
        stack = np.moveaxis(self.images, 3, 1) if self.images.ndim == 4 else self.images[:, None]
        return np.ascontiguousarray(stack)

    def pictures(self, *, color: bool = False) -> Floats:
        """Return what the masks keep, for the eye.

        Parameters
        ----------
        color : bool, default False
            Of the image itself instead of its grey version (the mean of the channels), as the article shows it.

        Returns
        -------
        array of shape (n, height, width), or with `color` that of `images`, float32
            In [0, 1]: clamp(S(s∘W(image))), or mask times image for pixels.
        """
        planes = self.planes
        if not color:
            planes = planes.mean(axis=1, keepdims=True)
        kept = self.basis.pictures(self.basis.analyze(planes) * self.masks[:, None]).clip(0, 1)
        if not color or self.images.ndim == 3:
            return np.asarray(kept[:, 0])
        return np.ascontiguousarray(np.moveaxis(kept, 1, 3))

    def obfuscations(self, n_samples: int = 1, random_state: int = 0) -> Floats:
        """Return masked images with noise in place of what the mask drops: what the model is shown.

        Parameters
        ----------
        n_samples : int, default 1
        random_state : int, default 0

        Returns
        -------
        array of shape (n, n_samples, height, width[, channels]), float32
        """
        from wavelens import _core
        from wavelens.explain._objective import image_keys

        n_samples = check_integer(n_samples, "n_samples", low=1)
        seed = check_integer(random_state, "random_state", low=0, high=2**64 - 1)
        planes, basis = self.planes, self.basis
        keys = image_keys(planes)
        out = np.empty((len(self), n_samples, *planes.shape[1:]), dtype=np.float32)
        for i in range(len(self)):
            one = slice(i, i + 1)
            h = basis.analyze(planes[one])
            noise = make_noise(self.noise, planes[one], h, basis)
            buffer = np.empty((1, n_samples, *h.shape[1:]), dtype=np.float32)
            streams = np.full(1, 2**32 - 1, dtype=np.uint32)
            masks = np.ascontiguousarray(self.masks[one])
            _core.mask_mix(masks, h, noise.mean, noise.deviation, seed, keys[one], streams, 0, buffer)
            out[i] = basis.pictures(buffer[0])
        if basis.clamp:
            _core.mask_clamp(out)
        return out[:, :, 0] if self.images.ndim == 3 else np.ascontiguousarray(np.moveaxis(out, 2, 4))

    def band_masks(self) -> tuple[tuple[Band, Floats], ...]:
        """Return the masks band by band.

        Returns
        -------
        tuple of (Band, (n, rows, cols) array)
            In the order of `WaveletTransform`; for pixels one band of level 0.
        """
        if isinstance(self.basis, WaveletBasis):
            bands: tuple[Band, ...] = self.basis.transform.bands
        else:
            bands = (Band(0, "pixels", 0, slice(0, self.basis.k), self.basis.size),)
        return tuple((band, self.masks[:, band.slice].reshape(-1, *band.shape)) for band in bands)

    def energy_by_scale(self) -> ScaleEnergy:
        """Return how much of each image's energy the mask keeps, by scale.

        Returns
        -------
        ScaleEnergy
        """
        squares = np.square(self.basis.analyze(self.planes), dtype=np.float64).sum(axis=1)
        total = np.maximum(squares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        kept = squares * np.square(self.masks, dtype=np.float64)
        scales = self.basis.scales
        names = ["pixels"]
        if self.method != "pixel_rde":
            names = ["approximation", *(f"level {level}" for level in range(len(scales) - 1, 0, -1))]
        sums = [[part[:, each].sum(axis=1) for each in scales] for part in (squares, kept)]
        image, mask = (np.stack(each, axis=1) / total for each in sums)
        return ScaleEnergy(tuple(names), image, mask)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file (npz with a JSON header; no pickle).

        Parameters
        ----------
        path : path-like
            As given; nothing is appended.
        """
        from wavelens.explain._persistence import save_explanations

        save_explanations(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Explanations:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        Explanations

        Raises
        ------
        DataError
            If the file is damaged, of another kind, or of a newer version.
        """
        from wavelens.explain._persistence import load_explanations

        return load_explanations(path)


@dataclass(frozen=True, eq=False)
class ExplanationPath:
    """Explanations of the same images for several λ.

    Attributes
    ----------
    lambdas : tuple of float
        The largest first.
    explanations : tuple of Explanations
        One for each λ.
    recommended : (n,) array of int
        For each image the place of the largest λ whose distortion, two standard errors added, is at most
        `tolerance` times that of the empty mask; of the smallest distortion where there is none.
    tolerance : float
    """

    lambdas: tuple[float, ...]
    explanations: tuple[Explanations, ...]
    recommended: npt.NDArray[np.intp]
    tolerance: float

    def __len__(self) -> int:
        return len(self.lambdas)

    def __repr__(self) -> str:
        listed = ", ".join(f"{lam:g}" for lam in self.lambdas)
        method = self.explanations[0].method
        return f"ExplanationPath({method!r}, {len(self.recommended)} images, lambdas=({listed}))"

    def __iter__(self) -> Iterator[Explanations]:
        return iter(self.explanations)

    @overload
    def __getitem__(self, i: int) -> Explanations: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Explanations, ...]: ...
    def __getitem__(self, i: int | slice) -> Explanations | tuple[Explanations, ...]:
        return self.explanations[i]


def _span(values: Doubles) -> str:
    low, high = np.nanmin(values), np.nanmax(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def recommend(explanations: tuple[Explanations, ...], tolerance: float) -> npt.NDArray[np.intp]:
    """Return the recommended λ of each image; see `ExplanationPath`."""
    upper = np.array([each.distortions + 2 * each.distortion_errors for each in explanations])
    limits = tolerance * np.array([each.empty_distortions for each in explanations])
    fits = upper <= limits
    least = np.argmin(np.nan_to_num(upper, nan=np.inf), axis=0)
    return np.asarray(np.where(fits.any(axis=0), fits.argmax(axis=0), least), dtype=np.intp)
