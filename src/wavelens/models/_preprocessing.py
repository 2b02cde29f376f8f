"""What an image must become before a network sees it: stated, applied, and told in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from wavelens._arguments import check_choice, check_integer

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Preprocessing"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's channels, in RGB order and on the scale 0–1."""

RESIZE = ("crop", "stretch", "none")
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
COLORS = ("rgb", "bgr", "grey")
LAYOUTS = ("nchw", "nhwc")
# Networks of photos are trained and tested on the middle 224 of 256 pixels.
CROP_MARGIN = 256 / 224
SMALLEST_PHOTO = 96

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image before the network.

    In this order: grey or colour; resizing; 0–255 to `value_range`; minus `mean`, divided by `std`; channels
    to where the network has them, and pixels into a row where it wants them so.

    Attributes
    ----------
    size : tuple of int
        Height and width that the network takes.
    resize : {"crop", "stretch", "none"}
        ``"crop"``: the shorter side to `shorter_side` pixels, aspect kept, and the middle of it.
        ``"stretch"``: to `size` without keeping the aspect. ``"none"``: images are of this size already.
    shorter_side : int or None
        For ``"crop"``. None takes 256/224 of the network's shorter side where that is at least 96 pixels,
        as is usual for photos, else the network's shorter side itself.
    filter : {"bilinear", "bicubic", "lanczos", "nearest"}
        Of resizing, with antialiasing where the image shrinks, as pillow does it.
    color : {"rgb", "bgr", "grey"}
        Channels and their order.
    value_range : tuple of float
        What black and white become.
    mean, std : tuple of float
        For each channel (in the order of `color`) or one for all, on the scale of `value_range`.
    layout : {"nchw", "nhwc"}
        Where the channels are.
    dtype : str
        Of the network's input.
    flat : bool
        Whether the network takes all values of an image in one row, in the order of `layout`.
    reasons : dict of str to str
        For each attribute where it comes from: ``"given"``, what in the file says so, or ``"assumed: …"``.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.models import Preprocessing
    >>> rule = Preprocessing(size=(8, 8), resize="stretch", value_range=(-1, 1))
    >>> white = np.full((16, 20, 3), 255, np.uint8)
    >>> rule(white).shape, float(rule(white).max())
    ((3, 8, 8), 1.0)
    """

    size: tuple[int, int]
    resize: str = "crop"
    shorter_side: int | None = None
    filter: str = "bilinear"
    color: str = "rgb"
    value_range: tuple[float, float] = (0.0, 255.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "nchw"
    dtype: str = "float32"
    flat: bool = False
    reasons: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        check_choice(self.resize, "resize", RESIZE)
        check_choice(self.filter, "filter", tuple(FILTERS))
        check_choice(self.color, "color", COLORS)
        check_choice(self.layout, "layout", LAYOUTS)
        _set(self, "flat", bool(self.flat))
        size = _numbers(self.size, "size", (2,))
        _set(self, "size", tuple(check_integer(int(each), "size", low=1) for each in size))
        low, high = _numbers(self.value_range, "value_range", (2,))
        if not low < high:
            raise ValueError(f"`value_range` must ascend, got {self.value_range}")
        _set(self, "value_range", (low, high))
        counts = tuple({1, self.n_channels})
        _set(self, "mean", _numbers(self.mean, "mean", counts))
        _set(self, "std", _numbers(self.std, "std", counts))
        if min(self.std) <= 0:
            raise ValueError(f"`std` must be above 0, got {self.std}")
        if self.shorter_side is not None:
            check_integer(self.shorter_side, "shorter_side", low=max(1, min(self.size)))
            if self.resize != "crop":
                raise ValueError(f"`shorter_side` is given, but `resize` is {self.resize!r}")

    @property
    def n_channels(self) -> int:
        """Channels of the network's input."""
        return 1 if self.color == "grey" else 3

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of one image in the order of `layout`, before it becomes a row."""
        if self.layout == "nchw":
            return (self.n_channels, *self.size)
        return (*self.size, self.n_channels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image as the network sees it."""
        return (math.prod(self.image_shape),) if self.flat else self.image_shape

    @property
    def side(self) -> int:
        """Shorter side of the resized image before the crop."""
        if self.shorter_side is not None:
            return self.shorter_side
        short = min(self.size)
        return round(short * CROP_MARGIN) if short >= SMALLEST_PHOTO else short

    def __call__(self, image: Array, full: tuple[float, float] = (0.0, 255.0)) -> Array:
        """Turn one image into what the network takes.

        Parameters
        ----------
        image : ndarray of shape (height, width) or (height, width, 3)
            Grey or RGB, of any size.
        full : tuple of float
            Black and white of `image`.

        Returns
        -------
        ndarray of shape `shape`
            Of `dtype`; writable, contiguous.

        Raises
        ------
        ValueError
            If the image is not of the network's size and `resize` is ``"none"``.
        """
        if self.color == "grey" and image.ndim == 3:
            image = np.asarray(image, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        if image.ndim == 2 and self.color != "grey":
            image = np.repeat(image[..., np.newaxis], 3, axis=2)
        resized = self._resized(image)
        if resized.ndim == 2:
            resized = resized[..., np.newaxis]
        if self.color == "bgr":
            resized = resized[..., ::-1]
        # One multiplication and one addition for all steps: (v − black)·s + low, minus mean, over std.
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        low, high = self.value_range
        factor = (high - low) / (full[1] - full[0])
        scaled = resized.astype(np.float32)
        scaled *= (factor / std).astype(np.float32)
        scaled += ((low - full[0] * factor - mean) / std).astype(np.float32)
        if np.dtype(self.dtype).kind in "iu":
            np.rint(scaled, out=scaled)
        if self.layout == "nchw":
            scaled = np.moveaxis(scaled, 2, 0)
        return np.ascontiguousarray(scaled, self.dtype).reshape(self.shape)

    def _resized(self, image: Array) -> Array:
        height, width = image.shape[:2]
        if self.resize == "none":
            if (height, width) != self.size:
                raise ValueError(
                    f"`resize` is 'none', but the network takes {self.size[0]} × {self.size[1]} pixels and "
                    f"an image has {height} × {width}"
                )
            return image
        if self.resize == "stretch":
            return _resample(image, self.size, self.filter)
        # Where the network's input is no square, the image must cover it in both directions.
        cover = self.side / min(self.size)
        factor = max(self.size[0] * cover / height, self.size[1] * cover / width)
        whole = (max(self.size[0], round(height * factor)), max(self.size[1], round(width * factor)))
        resized = _resample(image, whole, self.filter)
        top, left = ((whole[i] - self.size[i]) // 2 for i in (0, 1))
        return resized[top : top + self.size[0], left : left + self.size[1]]

    def replace(self, **changes: Any) -> Preprocessing:
        """Return the same with some attributes changed, whose reason is then ``"given"``.

        Parameters
        ----------
        **changes
            New values of attributes.

        Returns
        -------
        Preprocessing
        """
        reasons = dict(self.reasons or {}) | dict.fromkeys(changes, "given")
        return replace(self, **{"reasons": reasons, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes as JSON takes them.

        Returns
        -------
        dict
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["reasons"] = dict(self.reasons or {})
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def describe(self) -> str:
        """Tell in one line what is done.

        Returns
        -------
        str
        """
        height, width = self.size
        how = {
            "none": f"images of {height} × {width} as they are",
            "stretch": f"stretched to {height} × {width}, {self.filter}",
            "crop": f"shorter side to {self.side}, {self.filter}, the middle {height} × {width} of it",
        }[self.resize]
        low, high = self.value_range
        colour = {"rgb": "RGB", "bgr": "BGR", "grey": "grey"}[self.color]
        text = f"{how}; {colour}, values {low:g} to {high:g}"
        if set(self.mean) != {0.0} or set(self.std) != {1.0}:
            mean, std = (", ".join(f"{each:g}" for each in values) for values in (self.mean, self.std))
            text += f", minus ({mean}), divided by ({std})"
        where = self.layout.upper()
        if self.flat:
            colors = {"nchw": "channel after channel", "nhwc": "pixel after pixel"}
            where = f"{math.prod(self.shape):,} values in a row"
            where += "" if self.color == "grey" else f", {colors[self.layout]}"
        return f"{text}; {where}, {self.dtype}"


def _resample(image: Array, size: tuple[int, int], filter: str) -> Array:
    if image.shape[:2] == size:
        return image
    where, how = (size[1], size[0]), FILTERS[filter]
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(where, how))
    planes = image[..., np.newaxis] if image.ndim == 2 else image
    done = [
        np.asarray(Image.fromarray(np.ascontiguousarray(planes[..., i], np.float32)).resize(where, how))
        for i in range(planes.shape[2])
    ]
    return done[0] if image.ndim == 2 else np.stack(done, axis=2)


def _numbers(values: object, name: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    one = isinstance(values, int | float | np.number) and 1 in counts
    listed = (values,) if one else values
    if not isinstance(listed, Sequence | np.ndarray) or isinstance(listed, str) or len(listed) not in counts:
        expected = " or ".join(str(each) for each in sorted(counts))
        raise ValueError(f"`{name}` must hold {expected} numbers, got {values!r}")
    try:
        numbers = tuple(float(each) for each in listed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must hold numbers, got {values!r}") from error
    if not all(math.isfinite(each) for each in numbers):
        raise ValueError(f"`{name}` must be finite, got {values!r}")
    return numbers


def _set(instance: Preprocessing, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)
