"""What a set of labelled images is: `ImageSource` before it is read, `ImageData` once it is in memory."""

from __future__ import annotations

import copy
import hashlib
import math
import os
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens.exceptions import DataError

__all__ = ["ImageChunk", "ImageData", "ImageSource", "SkippedFile", "natural_key"]

Images = npt.NDArray[Any]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class SkippedFile:
    """A file that was left out, and why.

    Attributes
    ----------
    path : Path
        Where it lies.
    reason : str
        Why it could not be read, in words.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ImageChunk(NamedTuple):
    """Some images of a source, in its order.

    Attributes
    ----------
    images : ndarray of shape (m, height, width) or (m, height, width, 3)
    labels : ndarray of int, shape (m,)
        Codes into the source's `class_names`.
    positions : ndarray of int, shape (m,)
        Positions in the source's `image_names`. Not always contiguous: files that could not be read are
        missing.
    """

    images: Images
    labels: Codes
    positions: Codes


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images in memory (or in a memory map).

    Attributes
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, 3)
        In the source's dtype; files of 8 bits give uint8, a set with deeper ones float32.
    labels : ndarray of int, shape (n,)
        Codes into `class_names`.
    class_names : tuple of str
        One for each class. After `wavelens.data.load` every class has at least two images.
    image_names : tuple of str
        File names relative to the source, or positions as text.
    name : str
        Name of the source, for titles.
    skipped : tuple of SkippedFile
        Files that could not be read.
    notes : tuple of str
        What was done to the images on the way and what looked odd, each one sentence.
    original_sizes : ndarray of int, shape (n, 2), or None
        Height and width of each file's image (upright, as EXIF says) before resizing.
    original_modes : tuple of str or None
        Pillow's mode of each file: ``"L"``, ``"RGB"``, ``"RGBA"``, ...
    """

    images: Images
    labels: Codes
    class_names: tuple[str, ...]
    image_names: tuple[str, ...]
    name: str = "images"
    skipped: tuple[SkippedFile, ...] = ()
    notes: tuple[str, ...] = ()
    original_sizes: npt.NDArray[np.intp] | None = field(default=None, repr=False)
    original_modes: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width) or (height, width, 3)."""
        return tuple(self.images.shape[1:])

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of images of each class."""
        return _counts(self.labels, self.class_names)

    def __repr__(self) -> str:
        classes = ", ".join(f"{name}: {count}" for name, count in list(self.class_counts.items())[:10])
        more = ", ..." if len(self.class_names) > 10 else ""
        shape = " × ".join(map(str, self.image_shape))
        what = f"{self.n_images} images of {shape}, {self.images.dtype}"
        return f"<ImageData {self.name!r}: {what} ({classes}{more})>"


class ImageSource(ABC):
    """Labelled images that can be read in chunks or as a whole.

    A kind of source is a class that knows what it holds without reading the pixels (the attributes below) and
    reads them in order (`chunks`). Opened by `wavelens.data.open_source`.

    Attributes
    ----------
    name : str
        For titles: the file's or folder's name.
    labels : ndarray of int, shape (n_images,)
        Codes into `class_names`.
    class_names : tuple of str
        One for each class.
    image_names : sequence of str
        One for each image.
    image_shape : tuple of int
        (height, width) or (height, width, 3), after resizing.
    dtype : dtype
        Of the images that `chunks` gives.
    labelled : bool
        False if nothing says which class an image belongs to; then all are of one class called
        ``"unlabelled"``.
    notes : list of str
        What is done to the images and what looks odd. Reading may add to it.
    skipped : list of SkippedFile
        Files that cannot be read. Reading may add to it.
    decodes : bool
        Whether reading is work (files are decoded or unpacked) and not only a copy of bytes.
    strict : bool
        Whether a file that cannot be read is an error, rather than listed and left out.
    random_access : bool
        Whether `read` reads the images asked for alone, and not all that lie before.
    """

    decodes: bool = True
    strict: bool = False
    random_access: bool = False
    name: str
    labels: Codes
    class_names: tuple[str, ...]
    image_names: Sequence[str]
    image_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    labelled: bool
    notes: list[str]
    skipped: list[SkippedFile]

    @property
    def n_images(self) -> int:
        """Number of images, those included that turn out unreadable only when they are decoded."""
        return len(self.labels)

    @property
    def class_counts(self) -> dict[str, int]:
        """Number of images of each class."""
        return _counts(self.labels, self.class_names)

    @abstractmethod
    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Read the images in order, at most `size` at a time.

        Parameters
        ----------
        size : int
            At least 1. A chunk holds fewer images where files could not be read, and at the end.
        start : int, default 0
            Position of the first image. Chunks reach from `start` to `start + size` and so on, whichever
            images are missing.

        Yields
        ------
        ImageChunk
            Never an empty one.
        """

    def part(self, first: int, last: int, labels: npt.NDArray[Any]) -> Callable[[], ImageSource]:
        """Describe some consecutive images so that another process can read them: by paths, never by pixels.

        Parameters
        ----------
        first, last : int
            Positions of the first image and of that after the last.
        labels : ndarray of int, shape (last - first,)
            Codes that the images are to have there.

        Returns
        -------
        callable
            Small, and made to be pickled. Called, it returns a source of these images alone, whose positions
            begin at 0 and which has no `class_names`. Kinds of source that do not say otherwise send themselves.

        Raises
        ------
        DataError
            If the images are nowhere but in this process.
        """
        return partial(_Stretch, self, first, labels)

    def _twin(self, first: int, last: int, labels: npt.NDArray[Any]) -> Self:
        """Return a copy that knows only of some of the images, and of no classes."""
        twin = copy.copy(self)
        twin.labels, twin.class_names, twin.image_names = labels, (), self.image_names[first:last]
        twin.notes, twin.skipped = [], []
        return twin

    def fingerprint(self) -> dict[str, str]:
        """Tell two states of the source apart without reading the images, where files can tell.

        Returns
        -------
        dict of str to str
            By what a person would say has changed: "labels", "image size", "files". A kind of source that
            lies in files adds their sizes and times, one that does not, a sum over its contents.
        """
        named = hashlib.sha256("\0".join(self.class_names).encode("utf-8", "surrogateescape"))
        named.update(np.ascontiguousarray(self.labels, dtype=np.int64).tobytes())
        return {
            "kind of source": type(self).__name__,
            "number of images": str(self.n_images),
            "image size": f"{' x '.join(map(str, self.image_shape))}, {self.dtype}",
            "labels": named.hexdigest(),
        }

    def load(self, *, progress: bool | None = None) -> ImageData:
        """Read all images into memory.

        Parameters
        ----------
        progress : bool, optional
            Show a progress bar on stderr. By default, where stderr is a terminal and it takes over a second.

        Returns
        -------
        ImageData

        Raises
        ------
        DataError
            If nothing can be read, or not enough memory is there.
        """
        del progress  # for kinds of source that take long
        images = self._allocate()
        index = np.empty(self.n_images, np.intp)
        done = 0
        for chunk in self.chunks(1024):
            after = done + len(chunk.positions)
            images[done:after] = chunk.images
            index[done:after] = chunk.positions
            done = after
        return self._gather(images[:done], index[:done])

    def read(self, positions: Codes) -> ImageChunk:
        """Read some images by their places.

        Parameters
        ----------
        positions : ndarray of int
            Ascending.

        Returns
        -------
        ImageChunk
            Without those that cannot be read. Every kind of source can do this by reading all that lies
            before; those in files do it by reading these alone.
        """
        wanted = np.zeros(self.n_images, dtype=bool)
        wanted[positions] = True
        found = []
        last = int(positions[-1]) if len(positions) else -1
        for chunk in self.chunks(1024):
            keep = wanted[chunk.positions]
            if keep.any():
                found.append(chunk._replace(images=chunk.images[keep], positions=chunk.positions[keep]))
            if chunk.positions[-1] >= last:
                break
        images = [each.images for each in found] or [np.empty((0, *self.image_shape), self.dtype)]
        places = np.concatenate([each.positions for each in found] or [np.empty(0, np.intp)])
        return ImageChunk(np.concatenate(images), self.labels[places], places)

    def mapped(self, function: Callable[[Images], Images], size: int) -> Iterator[ImageChunk]:
        """Read the images in order, each through a function that sees it before any resizing.

        Parameters
        ----------
        function : callable
            Takes an image (height, width) or (height, width, 3) and returns an array, of one shape for all
            images. May be called in several threads at once.
        size : int
            At most so many at a time.

        Yields
        ------
        ImageChunk
            Whose `images` are what the function gave. Of a folder the images have the sizes of their files;
            of an array, the one that they have there.
        """
        for chunk in self.chunks(size):
            yield chunk._replace(images=np.stack([function(image) for image in chunk.images]))

    def _gather(self, images: Images, index: Codes) -> ImageData:
        """Put the images that were read, and their positions, together with all that belongs to them."""
        if not len(index):
            raise DataError(f"{self.name}: none of the images could be read{_examples(self.skipped)}")
        return ImageData(
            images=images,
            labels=self.labels[index],
            class_names=self.class_names,
            image_names=tuple(self.image_names[i] for i in index),
            name=self.name,
            skipped=tuple(self.skipped),
            notes=tuple(self.notes),
        )

    def _allocate(self) -> Images:
        needed = math.prod((self.n_images, *self.image_shape, self.dtype.itemsize))
        try:
            # Systems that promise more memory than they have would kill the process later.
            if needed > physical_memory():
                raise MemoryError
            return np.empty((self.n_images, *self.image_shape), self.dtype)
        except (MemoryError, ValueError) as error:
            raise DataError(
                f"{self.name}: {self.n_images} images of {' × '.join(map(str, self.image_shape))} need "
                f"{needed / 1e9:.1f} GB of memory; give a smaller `size` or a `limit`"
            ) from error


class _Stretch(ImageSource):
    """Some consecutive images of another source, which is asked for all that it has from there on."""

    def __init__(self, source: ImageSource, first: int, labels: npt.NDArray[Any]) -> None:
        self._source, self._first = source, first
        self.name, self.decodes, self.labelled = source.name, source.decodes, source.labelled
        self.labels, self.class_names = labels, ()
        self.image_names = source.image_names[first : first + len(labels)]
        self.image_shape, self.dtype = source.image_shape, source.dtype
        self.notes, self.skipped = [], source.skipped

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        first = self._first + start
        for chunk in self._source.chunks(size, first) if first else self._source.chunks(size):
            places = chunk.positions - self._first
            kept = places < len(self.labels)
            if not kept.any():
                return
            places = places[kept]
            yield ImageChunk(chunk.images[kept], self.labels[places], places)
            if not kept.all():
                return


def check_classes(data: ImageSource | ImageData) -> None:
    """Refuse what cannot be analysed: fewer than two classes, or a class with fewer than two images.

    Raises
    ------
    DataError
        Naming the classes that are in the way.
    """
    counts = data.class_counts
    left_out = _examples(data.skipped)
    empty = [name for name, count in counts.items() if count == 0]
    if empty:
        raise DataError(f"{data.name}: no readable image in {_classes(empty)}{left_out}")
    if len(counts) == 1:
        raise DataError(
            f"{data.name}: all {data.n_images} images belong to the one class {data.class_names[0]!r}; "
            "at least two classes are needed"
        )
    single = [name for name, count in counts.items() if count == 1]
    if single:
        raise DataError(
            f"{data.name}: only one image in {_classes(single)}; every class needs at least two{left_out}"
        )


def physical_memory() -> float:
    """Return the bytes of memory of this machine; infinity where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def pick(labels: Codes, limit: int | None, random_state: int) -> Codes | None:
    """Choose at most `limit` positions of each class at random, ascending; None means all of them."""
    if limit is None:
        return None
    rng = np.random.default_rng(check_integer(random_state, "random_state", low=0))
    chosen = []
    for code in np.unique(labels):
        members = np.flatnonzero(labels == code)
        chosen.append(rng.choice(members, limit, replace=False) if len(members) > limit else members)
    index = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.intp)
    return None if len(index) == len(labels) else index.astype(np.intp, copy=False)


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorting key under which ``"a 2"`` comes before ``"a 10"``, the same on every machine."""
    parts = re.split(r"([0-9]+)", unicodedata.normalize("NFC", name).casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)], name


def printable(name: str) -> str:
    """Write the bytes of a file name that are no UTF-8 as escapes, so that names stay apart in a report."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def listed(items: Sequence[object], most: int = 8) -> str:
    """Name the first few of many."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(str(each) for each in items[:most]) + more


def taken(count: int, total: int, limit: int | None) -> str:
    """Write the note on a limit."""
    return f"{count} of {total} images taken, at most {limit} of each class, at random."


def _counts(labels: Codes, class_names: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(class_names))
    return {name: int(count) for name, count in zip(class_names, counts, strict=True)}


def _classes(names: Sequence[str]) -> str:
    return ("class " if len(names) == 1 else "classes ") + listed([repr(name) for name in names])


def _examples(skipped: Sequence[SkippedFile]) -> str:
    if not skipped:
        return ""
    return f" ({len(skipped)} {'file' if len(skipped) == 1 else 'files'} left out: {listed(skipped, 3)})"
