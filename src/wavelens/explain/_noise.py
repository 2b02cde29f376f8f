"""What takes the place of an image's coefficients where the mask is zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wavelens.explain._basis import Basis

__all__ = ["NOISES", "Noise", "make_noise"]

Floats = npt.NDArray[np.float32]

NOISES = ("gaussian", "global", "zero", "blur", "mean")
_blur_share = 0.05


@dataclass(frozen=True, eq=False)
class Noise:
    """Mean and standard deviation of the coefficients that replace an image's.

    Attributes
    ----------
    mean : (n, channels or 1, k) array of float32
    deviation : (n, 1, k) array of float32 or None
        None where the replacement is not random.
    """

    mean: Floats
    deviation: Floats | None


def make_noise(kind: str, planes: Floats, coefficients: Floats, basis: Basis) -> Noise:
    """Make the noise of images.

    Parameters
    ----------
    kind : {"gaussian", "global", "zero", "blur", "mean"}
    planes : (n, channels, height, width) array of float32
    coefficients : (n, channels, k) array of float32
    basis : Basis
    """
    n, _, k = coefficients.shape
    if kind == "zero":
        return Noise(np.zeros((n, 1, k), dtype=np.float32), None)
    if kind == "blur":
        return Noise(basis.analyze(_blurred(planes)), None)
    if kind == "mean":
        flat = np.broadcast_to(planes.mean(axis=(2, 3), dtype=np.float64, keepdims=True), planes.shape)
        return Noise(basis.analyze(np.ascontiguousarray(flat, dtype=np.float32)), None)
    parts: Sequence[slice] = basis.scales if kind == "gaussian" else (slice(0, k),)
    mean, deviation = np.empty((n, 1, k), dtype=np.float32), np.empty((n, 1, k), dtype=np.float32)
    for i in range(n):  # one by one: the order of a sum must not depend on the images beside it
        for part in parts:
            band = coefficients[i, :, part].astype(np.float64)
            mean[i, :, part] = band.mean()
            deviation[i, :, part] = band.std()
    return Noise(mean, deviation)


def _blurred(planes: Floats) -> Floats:
    from scipy.ndimage import gaussian_filter

    sigma = _blur_share * min(planes.shape[2:])
    return np.asarray(gaussian_filter(planes, sigma=(0, 0, sigma, sigma), mode="nearest"), dtype=np.float32)
