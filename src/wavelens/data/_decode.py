"""Reading one image file, whatever is in it, and reading many in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from wavelens._threads import num_threads
from wavelens.data._resize import Target, resize_float, resize_uint8
from wavelens.data._source import SkippedFile

__all__ = [
    "Decoded",
    "Facts",
    "Header",
    "decode",
    "decode_through",
    "in_threads",
    "read_header",
    "shows_colour",
]

# Formats that hold pixels and are recognised by their first bytes, with their usual endings. EPS is not among
# them: it runs Ghostscript.
FORMATS = {
    "PNG": ".png .apng",
    "JPEG": ".jpg .jpeg .jpe .jfif .jif",
    "MPO": ".mpo",
    "GIF": ".gif",
    "BMP": ".bmp",
    "DIB": ".dib",
    "TIFF": ".tif .tiff",
    "WEBP": ".webp",
    "PPM": ".ppm .pgm .pbm .pnm .pfm",
    "JPEG2000": ".jp2 .j2k .jpx .jpf",
    "AVIF": ".avif .avifs",
    "QOI": ".qoi",
    "PSD": ".psd",
    "PCX": ".pcx",
    "SGI": ".sgi .rgb .rgba .bw",
    "ICO": ".ico",
    "ICNS": ".icns",
    "DDS": ".dds",
    "SUN": ".ras",
    "XBM": ".xbm",
    "XPM": ".xpm",
}
ENDINGS = frozenset(" ".join(FORMATS.values()).split())
# A JPEG much larger than wanted is decoded at a half, a quarter or an eighth of its size, as long as this
# many times the target is left to the Lanczos filter; pillow names 3 as the gap at which the difference
# cannot be told.
REDUCING_GAP = 3
# Chroma (largest minus smallest channel, of 255) above which a pixel counts as coloured, and the share of
# coloured pixels above which an image does: stained scans and a small coloured mark on a grey slice stay
# below.
COLOURED_CHROMA = 16
COLOURED_SHARE = 0.01

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Header:
    """What a file says before its pixels are decoded: upright (height, width) and pillow's mode."""

    size: tuple[int, int]
    mode: str

    @property
    def deep(self) -> bool:
        """More than 8 bits a channel."""
        return _is_deep(self.mode)

    @property
    def coloured(self) -> bool:
        """Able to hold colour."""
        return not self.deep and self.mode not in ("1", "L", "LA", "La")


@dataclass(frozen=True)
class Facts:
    """What was found in a file: upright (height, width), pillow's mode, and what was done."""

    size: tuple[int, int]
    mode: str
    deep: bool
    alpha: bool
    transparent: bool
    turned: bool
    animated: bool


@dataclass(frozen=True)
class Decoded:
    """One image at the target's size."""

    pixels: npt.NDArray[Any]
    facts: Facts


def read_header(path: Path) -> Header | SkippedFile:
    """Read size and mode; never raises for what a file may hold."""

    def read(image: Image.Image) -> Header:
        height, width = image.height, image.width
        # Asking a PNG without the tag for it would decode the whole image.
        lying = (image.format == "TIFF" or "exif" in image.info) and _orientation(image) >= 5
        # Newer pillow gives the upright size of a TIFF, older the stored one, whose width is in the tag 256.
        if lying and (image.format != "TIFF" or image.getexif().get(0x0100) == width):
            height, width = width, height
        return Header((height, width), image.mode)

    return _with_image(path, read)


def decode(path: Path, target: Target) -> Decoded | SkippedFile:
    """Decode the first frame, turn it upright, drop alpha, make it grey or colour, and bring it to size.

    8-bit images give uint8. 16-bit ones give float32 on the 8-bit scale (divided by 257), with their full
    precision; 32-bit integers and floats give float32 as they are.
    """

    def finish(plain: Image.Image, clip: bool) -> npt.NDArray[Any]:
        if plain.mode != "F":
            return resize_uint8(plain, target)
        values = resize_float(np.asarray(plain), target)
        return _in_channels(np.clip(values, 0, 255) if clip else values, target.colour)

    return _with_image(
        path, lambda image: _read(image, target.colour, finish, REDUCING_GAP * max(target.size))
    )


def decode_through(
    path: Path, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], *, colour: bool
) -> Decoded | SkippedFile:
    """Decode as `decode` does, but at the file's own size, and let `function` make of it what it wants."""

    def finish(plain: Image.Image, clip: bool) -> npt.NDArray[Any]:
        del clip  # nothing was resampled
        values = np.asarray(plain)
        return values if plain.mode != "F" else _in_channels(values, colour)

    decoded = _with_image(path, lambda image: _read(image, colour, finish, None))
    # Outside: what `function` raises is no fault of the file.
    return decoded if isinstance(decoded, SkippedFile) else replace(decoded, pixels=function(decoded.pixels))


def _read(
    image: Image.Image,
    colour: bool,
    finish: Callable[[Image.Image, bool], npt.NDArray[Any]],
    enough: int | None,
) -> Decoded:
    """Decode; `finish` gets the upright image and whether its values end at 255."""
    stored = (image.height, image.width)
    mode, alpha = image.mode, not _is_deep(image.mode) and bool(image.has_transparency_data)
    if image.format == "JPEG" and enough is not None:
        image.draft(None, (enough, enough))
    image.load()
    if image.format == "TIFF":  # turned by pillow
        stored = (image.height, image.width)
    transparent = alpha and _has_transparent_pixel(image)
    orientation = _orientation(image)
    plain = _plain(image, colour, image.format)
    if orientation in TURNS:
        plain = plain.transpose(TURNS[orientation])
    pixels = finish(plain, plain.mode == "F" and _is_sixteen_bit(mode, image.format))
    facts = Facts(
        size=stored[::-1] if orientation >= 5 else stored,
        mode=mode,
        deep=plain.mode == "F",
        alpha=alpha,
        transparent=transparent,
        turned=orientation in TURNS,
        animated=_is_animated(image),
    )
    return Decoded(pixels, facts)


def shows_colour(path: Path) -> bool | None:
    """Whether more than 1 % of the pixels have channels over 16 (of 255) apart; None if it cannot be read."""

    def read(image: Image.Image) -> bool:
        if image.format == "JPEG":
            image.draft(None, (128, 128))
        small = _plain(image, True, image.format)
        small.thumbnail((128, 128), Image.Resampling.BOX)
        return colour_share(np.asarray(small)) > COLOURED_SHARE

    result = _with_image(path, read)
    return None if isinstance(result, SkippedFile) else result


def colour_share(image: npt.NDArray[Any], full: float = 255) -> float:
    """Share of the pixels of an image (height, width, 3) whose channels are clearly apart."""
    values = image.astype(np.float32)
    return float(np.mean(np.ptp(values, axis=-1) > COLOURED_CHROMA / 255 * full))


def in_threads(
    function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Generator[_Result, None, None]:
    """Apply `function` to the items in threads; results come in order, with a bounded number under way.

    Closing the iterator (or an exception, Ctrl-C included) drops what has not begun and waits for the few
    that have.
    """
    threads = num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="wavelens-decode")
    under_way: deque[Future[_Result]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) >= 16 * threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(each for each in FORMATS if each in Image.OPEN)


def _with_image(path: Path, read: Callable[[Image.Image], _Result]) -> _Result | SkippedFile:
    try:
        if path.stat().st_size == 0:
            return SkippedFile(path, "the file is empty")
        # Pillow gets the open file and not its name: by name it maps uncompressed TIFFs into memory, and
        # scrambles those that are stored lying on their side.
        with path.open("rb") as file, Image.open(file, formats=_formats()) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise Image.DecompressionBombError
            return read(image)
    # Pillow's readers raise anything on damaged files: struct.error, SyntaxError, IndexError, zlib.error, ...
    except Exception as error:
        return SkippedFile(path, _reason(path, error))


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS} pixels, pillow's limit (PIL.Image.MAX_IMAGE_PIXELS)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that can be read"
    if isinstance(error, FileNotFoundError):
        return "the link leads nowhere" if path.is_symlink() else "the file is gone"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = " ".join(str(error).split())
    return f"damaged: {text or type(error).__name__}"


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 is upright."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF is no reason to leave out a good image
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_deep(mode: str) -> bool:
    return mode == "F" or mode.startswith("I")


def _is_sixteen_bit(mode: str, file_format: str | None) -> bool:
    # Older pillow opens a 16-bit PNG with 32-bit integers.
    return mode.startswith("I;16") or (mode == "I" and file_format == "PNG")


def _plain(image: Image.Image, colour: bool, file_format: str | None) -> Image.Image:
    """Return the image in mode L or RGB, or F for more than 8 bits; alpha is dropped, not blended."""
    mode = image.mode
    if _is_deep(mode):
        values = np.asarray(image).astype(np.float32)
        if _is_sixteen_bit(mode, file_format):
            values /= 257
        if not np.isfinite(values).all():
            raise ValueError("holds NaN or infinite values")
        return Image.fromarray(values)
    if mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA")
    elif mode not in ("1", "L", "LA", "La", "RGB", "RGBA"):
        image = image.convert("RGB")
    # The colour that stands for transparency would be carried along by pillow; it is alpha, and dropped.
    image.info.pop("transparency", None)
    if image.mode == "La":
        image = image.convert("LA")
    grey = image.mode in ("1", "L", "LA")
    return image.convert("RGB" if colour and not grey else "L").convert("RGB" if colour else "L")


def _in_channels(values: npt.NDArray[Any], colour: bool) -> npt.NDArray[Any]:
    return np.repeat(values[..., np.newaxis], 3, axis=2) if colour else values


def _has_transparent_pixel(image: Image.Image) -> bool:
    if image.mode not in ("RGBA", "LA"):
        image = image.convert("RGBA")
    lowest = image.getchannel("A").getextrema()[0]
    return isinstance(lowest, int) and lowest < 255


def _is_animated(image: Image.Image) -> bool:
    # A phone's photo (MPO) has a second image, but that is a preview.
    if image.format not in ("GIF", "TIFF", "WEBP", "PNG", "AVIF"):
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # what follows the first frame is damaged, which is of no interest here
        return True
