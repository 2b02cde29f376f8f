"""Bringing images to one size and to grey or colour.

Pixels of 8 bits go through pillow, everything else through the same Lanczos filter written as two matrices,
which keeps float64 exact to float64. Grey is the luminance of ITU-R 601, 0.299 R + 0.587 G + 0.114 B.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Target", "convert_images", "lanczos_matrix", "resize_float", "resize_uint8", "to_grey"]

LANCZOS_LOBES = 3


@dataclass(frozen=True)
class Target:
    """What every image becomes.

    Attributes
    ----------
    size : tuple of int
        Height and width.
    keep_aspect : bool
        Fit the image inside and fill the rest by repeating its outermost pixels, instead of stretching it.
    colour : bool
        Three channels, or one.
    """

    size: tuple[int, int]
    keep_aspect: bool
    colour: bool

    def inner(self, height: int, width: int) -> tuple[int, int]:
        """Size that an image of this size takes inside."""
        if not self.keep_aspect:
            return self.size
        scale = min(self.size[0] / height, self.size[1] / width)
        fit = (max(1, round(height * scale)), max(1, round(width * scale)))
        return min(fit[0], self.size[0]), min(fit[1], self.size[1])


def resize_uint8(image: Image.Image, target: Target) -> npt.NDArray[np.uint8]:
    """Resize an image of mode L or RGB with pillow's Lanczos filter, and pad it to the target's size."""
    height, width = target.inner(image.height, image.width)
    if (image.height, image.width) != (height, width):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return _pad(np.asarray(image), target.size)


def resize_float(images: npt.NDArray[Any], target: Target) -> npt.NDArray[Any]:
    """Resize floats of shape (..., height, width) with the same filter, and pad them to the target's size."""
    height, width = target.inner(*images.shape[-2:])
    if images.shape[-2:] == (height, width):
        resized = images
    else:
        rows = lanczos_matrix(images.shape[-2], height).astype(images.dtype)
        columns = lanczos_matrix(images.shape[-1], width).astype(images.dtype)
        resized = rows @ (images @ columns.T)
    return np.moveaxis(_pad(np.moveaxis(resized, (-2, -1), (0, 1)), target.size), (0, 1), (-2, -1))


@lru_cache(maxsize=64)
def lanczos_matrix(n_in: int, n_out: int) -> npt.NDArray[np.float64]:
    """Return the (n_out, n_in) matrix that resamples a line of pixels; its rows sum to one.

    The filter sinc(x)·sinc(x/3) is stretched by the factor of reduction, so that no frequency is folded. At
    the borders it is cut and normalised anew, as pillow does.
    """
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    centres = (np.arange(n_out) + 0.5) * scale
    offsets = (np.arange(n_in) + 0.5 - centres[:, np.newaxis]) / stretch
    weights = np.sinc(offsets) * np.sinc(offsets / LANCZOS_LOBES)
    weights[np.abs(offsets) >= LANCZOS_LOBES] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    weights.setflags(write=False)
    return weights


def to_grey(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the luminance of images (..., 3) in their dtype; for uint8 it is pillow's mode L bit for bit."""
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    grey: npt.NDArray[Any]
    if images.dtype == np.uint8:
        # Pillow's fixed-point weights; they sum to 2**16, so a grey image stays what it is.
        grey = red.astype(np.uint32) * 19595 + green.astype(np.uint32) * 38470 + blue.astype(np.uint32) * 7471
        return ((grey + 0x8000) >> 16).astype(np.uint8)
    if images.dtype.kind == "f":
        weights = np.array([0.299, 0.587, 0.114]).astype(images.dtype)
        grey = red * weights[0] + green * weights[1] + blue * weights[2]
        return grey
    grey = 0.299 * red.astype(np.float64) + 0.587 * green + 0.114 * blue
    return grey.astype(np.float32) if images.dtype.kind == "b" else np.rint(grey).astype(images.dtype)


def convert_images(images: npt.NDArray[Any], target: Target) -> npt.NDArray[Any]:
    """Bring an array (n, height, width) or (n, height, width, 3) to `target`; the array itself where it fits.

    uint8 and floats keep their dtype, other integers are rounded and clipped to their range, booleans become
    float32 as soon as they are mixed.
    """
    if images.ndim == 4 and not target.colour:
        images = to_grey(images)
    if images.shape[1:3] != target.size:
        images = _resize_array(images, target)
    if images.ndim == 3 and target.colour:
        images = np.repeat(images[..., np.newaxis], 3, axis=3)
    return images


def converted_dtype(images: npt.NDArray[Any], target: Target) -> np.dtype[Any]:
    """Return the dtype that `convert_images` gives."""
    return convert_images(images[:1], target).dtype


def _resize_array(images: npt.NDArray[Any], target: Target) -> npt.NDArray[Any]:
    if images.dtype == np.uint8:
        return np.stack(
            [resize_uint8(Image.fromarray(np.ascontiguousarray(each)), target) for each in images]
        )
    kind = images.dtype.kind
    working = np.float32 if kind == "b" or images.dtype in (np.float16, np.float32) else np.float64
    floats: npt.NDArray[Any] = images.astype(working, copy=False)
    if floats.ndim == 4:
        resized = np.moveaxis(resize_float(np.moveaxis(floats, 3, 1), target), 1, 3)
    else:
        resized = resize_float(floats, target)
    if kind in "iu":
        bounds = np.iinfo(images.dtype)
        resized = np.clip(np.rint(resized), bounds.min, bounds.max)
    if kind != "b":
        resized = resized.astype(images.dtype, copy=False)
    return resized


def _pad(image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    missing = [size[0] - image.shape[0], size[1] - image.shape[1]]
    if missing == [0, 0]:
        return image
    width = [(gap // 2, gap - gap // 2) for gap in missing] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, width, mode="edge")
