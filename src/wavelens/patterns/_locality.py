"""How local patterns are: which share of the image area they take, and how scattered they are within it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wavelens._arguments import FloatArray
from wavelens.patterns._result import FitResult

__all__ = ["Locality", "locality", "locality_of"]

_bytes_a_chunk = 64_000_000


@dataclass(frozen=True)
class Locality:
    """How local each pattern is, by its energy e = |pattern|² at each pixel (summed over channels).

    Attributes
    ----------
    area : array of shape (n_patterns,)
        Smallest share of the pixels that holds 90 % of the energy.
    participation : array of shape (n_patterns,)
        (Σe)² / (N Σe²) over N pixels: 1 for an even spread, 1/N for a single pixel.
    spread : array of shape (n_patterns,)
        Root mean square distance of the energy from its centre, relative to that of an even spread over the
        image: near 0 for a pattern in one place, near 1 for one all over.
    agreement : array of shape (n_patterns,)
        Σ p(x)·p(x') over neighbouring pixels, relative to Σ p²: 1 for a smooth pattern, 0 for scattered pixels
        or noise, negative for one that alternates.
    """

    area: FloatArray
    participation: FloatArray
    spread: FloatArray
    agreement: FloatArray


def locality(result: FitResult) -> Locality:
    """Measure all patterns of a fit, some at a time."""
    r = result.sigma.shape[1]
    step = max(1, _bytes_a_chunk // (8 * int(np.prod(result.basis.shape))))
    parts = [locality_of(result.pattern_images(np.arange(k, min(k + step, r)))) for k in range(0, r, step)]
    names = ("area", "participation", "spread", "agreement")
    return Locality(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def locality_of(patterns: FloatArray) -> Locality:
    """Measure patterns (n, height, width[, channels])."""
    p = patterns.astype(np.float64)
    if p.ndim == 3:
        p = p[..., None]
    n, height, width, _ = p.shape
    energy = (p * p).sum(axis=3)
    total = energy.sum(axis=(1, 2))
    safe = np.where(total > 0, total, 1.0)
    flat = energy.reshape(n, -1)
    falling = np.cumsum(-np.sort(-flat, axis=1), axis=1)
    area = ((falling < 0.9 * total[:, None]).sum(axis=1) + 1) / flat.shape[1]
    squares = (flat * flat).sum(axis=1)
    participation = np.divide(total**2, flat.shape[1] * squares, out=np.zeros(n), where=squares > 0)
    variance = np.zeros(n)
    for axis, size in ((1, height), (2, width)):
        along = energy.sum(axis=3 - axis) / safe[:, None]
        place = np.arange(size)
        mean = along @ place
        variance += along @ place**2 - mean**2
    even = (height**2 - 1 + width**2 - 1) / 12
    spread = np.sqrt(np.maximum(variance, 0) / even) if even > 0 else np.zeros(n)
    across = (p[:, :, 1:] * p[:, :, :-1]).sum(axis=(1, 2, 3))
    down = (p[:, 1:] * p[:, :-1]).sum(axis=(1, 2, 3))
    # Σ p² over the pairs, half from either pixel, so that an even pattern has just 1.
    inner = (energy[:, :, 1:] + energy[:, :, :-1]).sum(axis=(1, 2)) + (energy[:, 1:] + energy[:, :-1]).sum(
        axis=(1, 2)
    )
    agreement = np.divide(2 * (across + down), inner, out=np.zeros(n), where=inner > 0)
    return Locality(area, participation, spread, agreement)
