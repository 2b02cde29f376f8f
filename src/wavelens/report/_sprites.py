"""Many small pictures in few files: sheets of tiles, as large as a budget of bytes allows."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Sprites", "make_sprites"]

_sides = (192, 160, 128, 112, 96, 80, 64, 56, 48, 40, 32, 24, 20, 16)
_sheet_side = 1400
_sampled = 48
_most_exact_pixels = 1200

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sprites:
    """Sheets of tiles, row by row.

    `width` and `height` are those of a picture, `cell_width` and `cell_height` the distance of tiles, which
    is a whole number of JPEG's blocks, so that no picture bleeds into its neighbour.
    """

    width: int
    height: int
    cell_width: int
    cell_height: int
    columns: int
    rows: int
    sheets: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as the page's script expects it."""
        return {
            "size": [self.width, self.height],
            "cell": [self.cell_width, self.cell_height],
            "grid": [self.columns, self.rows],
            "sheets": self.sheets,
        }


def make_sprites(
    images: npt.NDArray[Any], to_pixels: Callable[[npt.NDArray[Any]], Pixels], budget: int
) -> Sprites | None:
    """Put all images on sheets that take at most about `budget` characters as data URIs.

    `to_pixels` turns a batch of images into bytes. The largest size that a sample says will fit is taken;
    None if not even the smallest fits.
    """
    n, (height, width) = len(images), images.shape[1:3]
    sample = np.unique(np.linspace(0, n - 1, min(n, _sampled)).round().astype(np.intp))
    pixels = to_pixels(images[sample])
    largest = max(height, width)
    kinds = ["PNG"] if height * width <= _most_exact_pixels else []
    choices = [(largest, kind) for kind in (*kinds, "JPEG") if largest <= _sides[0]]
    choices += [(side, "JPEG") for side in _sides if side < largest]
    choices.append((min(largest, _sides[-1]), "coarse JPEG"))
    for side, kind in choices:
        scale = side / largest
        layout = _Layout(max(1, round(width * scale)), max(1, round(height * scale)), pixels.ndim == 4, kind)
        # A sheet's headers count little in a full one, so what one picture more takes is measured.
        half = len(sample) // 2
        whole, part = len(layout.encode(pixels)), len(layout.encode(pixels[: len(sample) - half]))
        if n * (whole - part) / max(half, 1) <= budget or n <= len(sample):
            return layout.all(images, to_pixels)
    return None


class _Layout:
    def __init__(self, width: int, height: int, color: bool, kind: str) -> None:
        block = 1 if kind == "PNG" else 16 if color else 8
        self.size = (width, height)
        self.cell = (-(-width // block) * block, -(-height // block) * block)
        self.columns, self.rows = (max(1, _sheet_side // side) for side in self.cell)
        self.kind = kind

    def all(self, images: npt.NDArray[Any], to_pixels: Callable[[npt.NDArray[Any]], Pixels]) -> Sprites:
        step = self.columns * self.rows
        starts = range(0, len(images), step)
        sheets = tuple(self.encode(to_pixels(images[start : start + step])) for start in starts)
        return Sprites(*self.size, *self.cell, self.columns, self.rows, sheets)

    def encode(self, pixels: Pixels) -> str:
        """Return the pictures as one sheet in a data URI."""
        width, height = self.cell
        columns = min(self.columns, len(pixels))
        rows = -(-len(pixels) // columns)
        sheet = np.zeros((rows * height, columns * width, *pixels.shape[3:]), dtype=np.uint8)
        pad = ((0, height - self.size[1]), (0, width - self.size[0]), *[(0, 0)] * (pixels.ndim - 3))
        for i, picture in enumerate(pixels):
            if picture.shape[1::-1] != self.size:
                small = Image.fromarray(np.ascontiguousarray(picture)).resize(
                    self.size, Image.Resampling.LANCZOS
                )
                picture = np.asarray(small)
            top, left = height * (i // columns), width * (i % columns)
            sheet[top : top + height, left : left + width] = np.pad(picture, pad, mode="edge")
        buffer = io.BytesIO()
        if self.kind == "PNG":
            Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
        else:
            quality = 72 if self.kind == "JPEG" else 45
            Image.fromarray(sheet).save(buffer, "JPEG", quality=quality, optimize=True)
        text = base64.b64encode(buffer.getvalue()).decode("ascii")
        return f"data:image/{self.kind.split()[-1].lower()};base64,{text}"
