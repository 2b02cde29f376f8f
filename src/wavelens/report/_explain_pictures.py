"""The pictures of a page of explanations, as small as a budget of bytes asks."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, features

__all__ = ["Quality", "as_bytes", "choose_quality", "encode", "mosaic"]

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]

_most_exact_pixels = 4096
_line = 96


@dataclass(frozen=True)
class Quality:
    """How pictures are stored: the longest side, the quality of what is kept and of what was shown (0: not)."""

    side: int
    kept: int
    seen: int

    @property
    def mask(self) -> int:
        """Quality of masks, whose points are as fine as noise."""
        return max(30, self.kept - 25)


# From the best to the smallest; pictures of noise take the most and need it least.
_ladder = (
    Quality(320, 84, 60),
    Quality(256, 80, 45),
    Quality(224, 75, 30),
    Quality(192, 70, 20),
    Quality(160, 65, 15),
    Quality(160, 60, 0),
    Quality(128, 50, 0),
    Quality(96, 40, 0),
)


def choose_quality(sample: Callable[[Quality], int], n: int, budget: int) -> Quality:
    """Return the best quality at which `n` images fit into `budget`; `sample` tells what one takes."""
    for each in _ladder[:-1]:
        if n * sample(each) <= budget:
            return each
    return _ladder[-1]


def as_bytes(values: Array) -> Pixels:
    """Return an image on the scale 0–1 as bytes, (h, w) or (h, w, 3)."""
    if values.ndim == 3 and values.shape[2] != 3:
        values = values[..., :3] if values.shape[2] > 3 else values.mean(axis=2)
    return np.clip(np.rint(np.nan_to_num(values) * 255.0), 0, 255).astype(np.uint8)


def encode(pixels: Pixels, side: int, quality: int) -> str:
    """Return a data URI: PNG for small pictures, which are exact then, else WebP, or JPEG where that is missing."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    buffer = io.BytesIO()
    if image.width * image.height <= _most_exact_pixels and max(image.size) <= side:
        kind = "png"
        image.save(buffer, "PNG", optimize=True)
    else:
        if max(image.size) > side:
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
        kind = "webp" if features.check("webp") else "jpeg"
        image.save(buffer, kind, quality=quality)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def mosaic(mask: Array, bands: tuple[Any, ...]) -> Pixels:
    """Lay the bands of a flat mask out as a picture: the coarsest in the top left corner, each finer around it.

    Horizontal edges go below, vertical ones to the right, diagonal ones into the corner.
    """
    first = bands[0]
    whole = _tile(mask, first)
    for level in _levels(bands):
        tiles = {band.orientation: _tile(mask, band) for band in bands if _is_detail(band, level)}
        height = max(len(tiles["horizontal"]), len(tiles["diagonal"]))
        width = max(tiles["vertical"].shape[1], tiles["diagonal"].shape[1])
        top = max(len(whole), len(tiles["vertical"]))
        left = max(whole.shape[1], tiles["horizontal"].shape[1])
        sheet = np.full((top + 1 + height, left + 1 + width), _line, dtype=np.uint8)
        for tile, y, x in (
            (whole, 0, 0),
            (tiles["horizontal"], top + 1, 0),
            (tiles["vertical"], 0, left + 1),
            (tiles["diagonal"], top + 1, left + 1),
        ):
            sheet[y : y + len(tile), x : x + tile.shape[1]] = tile
        whole = sheet
    return whole


def _levels(bands: tuple[Any, ...]) -> Iterator[int]:
    """Levels from the coarsest to the finest."""
    yield from sorted({band.level for band in bands}, reverse=True)


def _is_detail(band: Any, level: int) -> bool:
    return bool(band.level == level and band.channel == 0 and band.orientation != "approximation")


def _tile(mask: Array, band: Any) -> Pixels:
    return as_bytes(mask[band.slice].reshape(band.shape))
