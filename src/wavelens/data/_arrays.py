"""Images that lie in an array, or in a memory map that looks like one."""

from __future__ import annotations

import copy
import hashlib
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import check_integer
from wavelens._mapped import (
    check_whole,
    contents_of,
    give_back,
    is_mapped,
    map_again,
    picked_rows,
    row_blocks,
)
from wavelens.data._decode import colour_share
from wavelens.data._magnitude import Magnitude
from wavelens.data._npz_archive import StoredMember
from wavelens.data._resize import Target, convert_images, converted_dtype
from wavelens.data._source import Codes, ImageChunk, ImageData, Images, ImageSource
from wavelens.exceptions import DataError

__all__ = ["ArraySource", "Positions", "check_images", "in_this_process"]

CHANNELS = (1, 3, 4)


class Positions(Sequence[str]):
    """The names ``"0"``, ``"1"``, ... of images that have no other."""

    def __init__(self, n: int, first: int = 0) -> None:
        self._range = range(first, first + n)

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            found = self._range[i]
            return Positions(len(found), found.start) if found.step == 1 else [str(each) for each in found]
        return str(self._range[i])


def check_images(images: object, name: str = "images") -> Images:
    """Return `images` as an array (n, height, width) or (n, height, width, 1|3|4); no copy of an array.

    Raises
    ------
    TypeError
        For complex, object and other dtypes that are not real numbers.
    ValueError
        For any other shape, the network layout (n, channels, height, width) among them, and for no images.
    """
    if hasattr(images, "toarray"):
        raise TypeError(f"`{name}` must be a dense array, got a sparse {type(images).__name__}")
    if isinstance(images, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must not be a masked array; fill the masked pixels first")
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise ValueError(f"`{name}` must be images of one size: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    shape = array.shape
    if array.ndim == 2:
        raise ValueError(
            f"`{name}` must have shape (n, height, width) or (n, height, width, channels), got {shape}; "
            "reshape flat images to their height and width"
        )
    if array.ndim not in (3, 4):
        raise ValueError(
            f"`{name}` must have shape (n, height, width) or (n, height, width, channels), got {shape}"
        )
    if array.ndim == 4 and shape[3] not in CHANNELS:
        if shape[1] in CHANNELS:
            raise ValueError(
                f"`{name}` of shape {shape} looks like the layout of networks, (n, channels, height, width); "
                f"pass `{name}.transpose(0, 2, 3, 1)`"
            )
        raise ValueError(f"`{name}` must have 1, 3 or 4 channels in its last dimension, got shape {shape}")
    if 0 in shape:
        raise ValueError(f"`{name}` must not be empty, got shape {shape}")
    return array


@dataclass(frozen=True)
class Arrays:
    """Images as they lie in an array or a file, with what is written beside them.

    Attributes
    ----------
    images : ndarray
        As `check_images` gives it.
    name : str
        Of the set.
    labels : ndarray of int or str, optional
        As `check_labels` gives it.
    class_names, image_names : sequence of str, optional
        Names that the file holds.
    notes : sequence of str
        What was chosen.
    again : callable, optional
        Reads the images once more, in another process; made to be pickled. Mapped files need none.
    member : StoredMember, optional
        Of an archive too large to be read twice: the checksum that is still to be compared.
    """

    images: Images
    name: str
    labels: npt.NDArray[Any] | None = None
    class_names: Sequence[str] | None = None
    image_names: Sequence[str] | None = None
    notes: Sequence[str] = ()
    again: Callable[[], Images] | None = None
    member: StoredMember | None = None


class ArraySource(ImageSource):
    """Images in an array.

    Parameters
    ----------
    arrays : Arrays
        The images, which are not copied (of a memory map only what is needed is read), and their names.
    labels : ndarray of int, shape (n,)
        Codes into `class_names`.
    class_names : tuple of str
        One for each class.
    rows : ndarray of int, optional
        Positions of the images to take, ascending; all by default.
    notes : sequence of str
        Notes to add to those of `arrays`.
    size : tuple of int, optional
        Height and width to resize to.
    keep_aspect : bool
        Resize without stretching, and repeat the outermost pixels.
    color : {"grey", "rgb"}, optional
        By default as many channels as the array has, without alpha.
    from_file : bool
        Whether what is wrong with the images is a `DataError` and not a `ValueError`.
    """

    random_access = True

    def __init__(
        self,
        arrays: Arrays,
        labels: Codes,
        class_names: tuple[str, ...],
        *,
        rows: Codes | None = None,
        notes: Sequence[str] = (),
        size: tuple[int, int] | None = None,
        keep_aspect: bool = False,
        color: str | None = None,
        from_file: bool = False,
    ) -> None:
        self.name = arrays.name
        self.labels = labels if rows is None else labels[rows]
        self.class_names = class_names
        names = arrays.image_names or Positions(len(labels))
        self.image_names = names if rows is None else [names[i] for i in rows]
        self.labelled = arrays.labels is not None
        self.notes = [*arrays.notes, *notes]
        self.skipped = []
        self._rows = rows
        self._from_file = from_file
        self._again = arrays.again
        self._member = arrays.member
        if arrays.images.ndim == 4 and arrays.images.shape[3] == 4:
            self.notes.append(f"The alpha channel was dropped in all {self.n_images} images.")
        self._images = images = _own_channels(arrays.images)
        in_colour = images.ndim == 4
        self._target = Target(
            size=size or (images.shape[1], images.shape[2]),
            keep_aspect=keep_aspect,
            colour=in_colour if color is None else color == "rgb",
        )
        self.image_shape = (*self._target.size, *((3,) if self._target.colour else ()))
        self._converts = self.image_shape != images.shape[1:]
        self.decodes = self._converts
        native = np.zeros((1, *images.shape[1:]), images.dtype.newbyteorder("="))
        self.dtype = converted_dtype(native, self._target) if self._converts else native.dtype
        self._note_changes()

    def _note_changes(self) -> None:
        images, target = self._images, self._target
        if images.shape[1:3] != target.size:
            how = (
                "keeping the aspect and repeating the outermost pixels"
                if target.keep_aspect
                else "by stretching"
            )
            self.notes.append(
                f"All images were resized from {images.shape[1]} × {images.shape[2]} to "
                f"{target.size[0]} × {target.size[1]} pixels {how}."
            )
        if images.ndim == 4 and not target.colour:
            self.notes.append("Colours were turned into grey (luminance of ITU-R 601).")
        elif images.ndim == 4:
            looked_at = images[np.linspace(0, len(images) - 1, min(len(images), 25)).astype(np.intp)]
            full = 255.0 if images.dtype == np.uint8 else float(np.ptp(looked_at.astype(np.float64))) or 1.0
            if all(colour_share(each, full) == 0 for each in looked_at):
                self.notes.append(
                    "The images have three channels but show no colour; `color='grey'` suffices."
                )

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Read `size` images at a time; see `ImageSource.chunks`.

        Of a mapped file the images are copied, and the pages that they came from given back: otherwise a pass
        over a file of any size would leave all of it in this process's memory.
        """
        check_integer(size, "size", low=1)
        check_integer(start, "start", low=0)
        checksum = self._begin_checksum(start)
        magnitude = Magnitude(self.dtype)
        for first in range(start, self.n_images, size):
            index = np.arange(first, min(first + size, self.n_images), dtype=np.intp)
            check_whole(self._images, self.name)
            images = (
                self._images[first : first + size] if self._rows is None else self._images[self._rows[index]]
            )
            if checksum is not None:
                images = np.array(images)
                checksum.add(images)
                if first + size >= self.n_images:  # before the last chunk is given out
                    checksum.compare()
            images = _native(images)
            if is_mapped(images):
                images = np.array(images)
            if is_mapped(self._images):
                give_back(self._images)
            self._check_finite(images, first)
            magnitude.add(images)
            self._check_magnitude(magnitude, all_seen=start == 0 and first + size >= self.n_images)
            if self._converts:
                images = convert_images(images, self._target)
            yield ImageChunk(images, self.labels[index], index)

    def _begin_checksum(self, start: int) -> _PassChecksum | None:
        """Verify the archive's checksum now, or return what does so during a pass over all of its bytes."""
        if self._member is None or self._member.is_verified:
            return None
        in_order = start == 0 and self._rows is None and self._images.flags.c_contiguous
        if in_order and self._images.nbytes == self._member.size - self._member.start:
            return _PassChecksum(self._member)
        self._verify()
        return None

    def _verify(self) -> None:
        if self._member is not None:
            self._member.verify()

    def read(self, positions: Codes) -> ImageChunk:
        """Read some images by their places; see `ImageSource.read`."""
        self._verify()
        check_whole(self._images, self.name)
        images = _native(
            picked_rows(self._images, positions if self._rows is None else self._rows[positions])
        )
        if self._converts:
            images = convert_images(images, self._target)
        return ImageChunk(images, self.labels[positions], positions)

    def part(self, first: int, last: int, labels: npt.NDArray[Any]) -> Callable[[], ImageSource]:
        """Name the file and where in it the images lie; see `ImageSource.part`."""
        self._verify()
        twin = self._twin(first, last, labels)
        twin._images, twin._again, twin._member = np.empty(0), None, None
        low, high = first, last
        if self._rows is not None:
            low, high = int(self._rows[first]), int(self._rows[last - 1]) + 1
            twin._rows = self._rows[first:last] - low
        if is_mapped(self._images):
            return partial(_with_images, twin, map_again(self._images[low:high]))
        if self._again is None:
            raise in_this_process(self.name)
        return partial(_with_images, twin, partial(_read_again, self._again, low, high))

    def fingerprint(self) -> dict[str, str]:
        """Add the file's size and time, or a sum over an array in memory; see `ImageSource.fingerprint`."""
        more = {"file" if is_mapped(self._images) else "images": contents_of(self._images)}
        if self._rows is not None:
            more["choice of images"] = hashlib.sha256(self._rows.tobytes()).hexdigest()
        if self._converts:
            more["way of resizing"] = "keeping the aspect" if self._target.keep_aspect else "stretching"
        return super().fingerprint() | more

    def load(self, *, progress: bool | None = None) -> ImageData:
        """Return the images; the array itself, not a copy, where nothing has to be changed."""
        if self._converts:
            return super().load(progress=progress)
        self._verify()
        images = _native(self._images if self._rows is None else self._images[self._rows])
        self._check_finite(images, 0)
        magnitude = Magnitude(images.dtype)
        for block in row_blocks(images):
            magnitude.add(block)
        self._check_magnitude(magnitude, all_seen=True)
        return self._gather(images, np.arange(len(images), dtype=np.intp))

    def _check_finite(self, images: Images, start: int) -> None:
        place = first_nonfinite(images)
        if place is None:
            return
        image = start + place[0]
        channel = f", channel {place[3]}" if len(place) == 4 else ""
        message = (
            f"must be finite, got {images[place]} in image {self.image_names[image]!r} "
            f"at row {place[1]}, column {place[2]}{channel}"
        )
        raise self._unfit(message)

    def _check_magnitude(self, magnitude: Magnitude, *, all_seen: bool) -> None:
        message = magnitude.problem(all_seen=all_seen)
        if message is not None:
            raise self._unfit(message)

    def _unfit(self, message: str) -> Exception:
        if self._from_file:
            return DataError(f"{self.name}: the images {message}")
        return ValueError(f"`images` {message}")


class _PassChecksum:
    """The checksum of an archive's member, summed up while the images are read."""

    def __init__(self, member: StoredMember) -> None:
        self._member = member
        self._crc, self._mark = member.begin()

    def add(self, images: Images) -> None:
        self._crc = zlib.crc32(images.reshape(-1).view(np.uint8).data, self._crc)

    def compare(self) -> None:
        self._member.compare(self._crc, self._mark)


def in_this_process(name: str) -> DataError:
    """Return the error that says why other processes cannot read the images."""
    return DataError(
        f"{name}: the images are in the memory of this process, from where they would all have to be sent. Give a "
        "file or folder that the workers see (.npy, .npz, .zarr, .h5), or a dask.array"
    )


def _with_images(twin: ArraySource, images: Callable[[], Images]) -> ArraySource:
    source = copy.copy(twin)
    source._images = images()
    return source


@lru_cache(maxsize=1)
def _all_again(again: Callable[[], Images]) -> Images:
    return _own_channels(again())


def _read_again(again: Callable[[], Images], low: int, high: int) -> Images:
    # One process reads many parts of the same file.
    with _again_lock:
        return _all_again(again)[low:high]


_again_lock = threading.Lock()


def _own_channels(images: Images) -> Images:
    """Drop alpha, and the axis of a single channel."""
    if images.ndim == 4 and images.shape[3] == 4:
        return images[..., :3]
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images


def first_nonfinite(images: npt.NDArray[Any]) -> tuple[int, ...] | None:
    """Return the first place that is NaN or infinite, in row order."""
    if images.dtype.kind != "f":
        return None
    # A block at a time, so that a map is read once and no large temporary is made.
    step = max(1, (1 << 24) // max(1, images[0].nbytes)) if len(images) else 1
    for start in range(0, len(images), step):
        block = images[start : start + step]
        flat = block.reshape(len(block), -1)
        if flat.dtype not in (np.float32, np.float64):
            flat = flat.astype(np.float64)
        place = _core.first_nonfinite(flat)
        if place is not None:
            inner = np.unravel_index(place[1], images.shape[1:])
            return (start + place[0], *(int(i) for i in inner))
    return None


def _native(images: Images) -> Images:
    """Return the array itself, a copy only where the bytes are in another order or at odd addresses."""
    if images.dtype.isnative and images.flags.aligned:
        return images
    return images.astype(images.dtype.newbyteorder("="), copy=True)
