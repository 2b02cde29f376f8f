"""What the pixels of each image say by themselves: copies, empty and saturated images."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray

__all__ = ["PixelFacts", "duplicate_groups", "measure_pixels"]

_nearly_constant_share = 0.01
_saturated_beyond_usual = 0.5

Flags = npt.NDArray[np.bool_]


class PixelFacts(NamedTuple):
    """One entry for each image; black and white are the darkest and brightest values of the whole set."""

    mean: FloatArray
    constant: Flags
    nearly_constant: Flags
    black: FloatArray
    white: FloatArray
    saturated: Flags


def duplicate_groups(images: npt.NDArray[Any]) -> tuple[tuple[int, ...], ...]:
    """Return the groups of images with the same pixels, each ascending, by their first image."""
    seen: dict[bytes, list[int]] = {}
    for i, image in enumerate(images):
        if image.dtype.kind == "f":
            # Minus zero and zero are the same pixel.
            image = image + 0
        seen.setdefault(blake2b(np.ascontiguousarray(image).data, digest_size=16).digest(), []).append(i)
    return tuple(tuple(group) for group in seen.values() if len(group) > 1)


def measure_pixels(images: npt.NDArray[Any]) -> PixelFacts:
    """Measure mean, contrast, and the shares of black and of white pixels.

    An image is nearly constant if its standard deviation is below 1 % of the range of the set, and saturated
    if the share of its pixels that are black, or white, exceeds the set's median by one half: a dark ground
    that all images have is no fault.
    """
    n = len(images)
    low, high = images.min(), images.max()
    # Squares of very large and very small numbers are out of range.
    unit = max(abs(float(low)), abs(float(high))) or 1.0
    mean, spread, black, white = (np.empty(n) for _ in range(4))
    constant = np.empty(n, dtype=bool)
    step = max(1, (1 << 22) // max(1, images[0].size))
    for start in range(0, n, step):
        part = images[start : start + step]
        here = slice(start, start + len(part))
        flat = part.reshape(len(part), -1, part.shape[3] if part.ndim == 4 else 1)
        constant[here] = (flat == flat[:, :1]).all(axis=(1, 2))
        black[here] = (flat == low).all(axis=2).mean(axis=1)
        white[here] = (flat == high).all(axis=2).mean(axis=1)
        values = flat / unit
        mean[here] = values.mean(axis=(1, 2), dtype=np.float64) * unit
        spread[here] = values.std(axis=1).max(axis=1)
    nearly = ~constant & (spread < _nearly_constant_share * (float(high) / unit - float(low) / unit))
    over = np.maximum(black - np.median(black), white - np.median(white)) >= _saturated_beyond_usual
    return PixelFacts(mean, constant, nearly, black, white, over & ~constant)
