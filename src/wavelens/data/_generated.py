"""Images that a function makes or fetches, some at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._utils._labels import join_labels
from wavelens.data._arrays import Positions, check_images, first_nonfinite
from wavelens.data._labels import check_labels, encode_labels
from wavelens.data._source import ImageChunk, Images, ImageSource
from wavelens.exceptions import DataError

__all__ = ["GeneratedSource"]


class GeneratedSource(ImageSource):
    """Images from a function that is called once for every reading.

    Opening it reads everything once, to know how many images there are and of which classes.

    Parameters
    ----------
    make : callable
        Takes nothing and returns an iterable of pairs (images, labels): images
        ``(m, height, width[, channels])`` with m of any size, one shape and dtype throughout, and one label
        (integer or string) for each. Every call must give the same.

    Attributes
    ----------
    largest_chunk : int
        Bytes of the largest chunk that the function gives.
    """

    def __init__(self, make: Callable[[], Iterable[tuple[Any, Any]]]) -> None:
        self._make = make
        self.name = getattr(make, "__name__", type(make).__name__)
        self.notes, self.skipped = [], []
        self.labelled = True
        self.largest_chunk = 0
        contents, labels, n = hashlib.blake2b(digest_size=16), [], 0
        shape: tuple[int, ...] | None = None
        for images, values in self._given():
            if shape is None:
                shape, self.dtype = images.shape[1:], images.dtype
            labels.append(values)
            n += len(values)
            self.largest_chunk = max(self.largest_chunk, images.nbytes)
            contents.update(np.ascontiguousarray(images).data)
        if shape is None:
            raise DataError(f"{self.name}: the function gives no images")
        try:
            joined = join_labels(labels)
        except (TypeError, ValueError) as error:
            raise DataError(f"{self.name}: the labels of some chunks are of another kind: {error}") from error
        self.image_shape = shape
        self.labels, self.class_names, notes = encode_labels(joined)
        self.notes += notes
        self.image_names = Positions(n)
        self._contents = contents.hexdigest()

    def part(self, first: int, last: int, labels: npt.NDArray[Any]) -> Callable[[], ImageSource]:
        """Refuse: a part would be all that the function makes; see `ImageSource.part`."""
        raise DataError(
            f"{self.name}: a function makes its images one after the other, which cannot be divided among "
            "processes; write them to a .npy or .zarr file, or give a dask.array or dask.bag"
        )

    def fingerprint(self) -> dict[str, str]:
        """Add a sum over all pixels; see `ImageSource.fingerprint`."""
        return super().fingerprint() | {"images": self._contents}

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Call the function and cut what it gives into chunks of `size`; see `ImageSource.chunks`."""
        check_integer(size, "size", low=1)
        check_integer(start, "start", low=0)
        done, first, kept, have = 0, start, list[Images](), 0
        for images, _ in self._given():
            before, done = done, done + len(images)
            if done > self.n_images:
                raise self._changed()
            part = images[max(0, start - before) :]
            while len(part):
                taken, part = part[: size - have], part[size - have :]
                kept.append(taken)
                have += len(taken)
                if have == size:
                    yield self._chunk(kept, first)
                    first, kept, have = first + size, [], 0
        if done != self.n_images:
            raise self._changed()
        if have:
            yield self._chunk(kept, first)

    def _chunk(self, parts: list[Images], first: int) -> ImageChunk:
        images = np.concatenate(parts)
        index = np.arange(first, first + len(images), dtype=np.intp)
        return ImageChunk(images, self.labels[index], index)

    def _changed(self) -> DataError:
        return DataError(
            f"{self.name}: the function gave {self.n_images:,} images when it was called first, and another "
            "number now; every call must give the same"
        )

    def _given(self) -> Iterator[tuple[Images, npt.NDArray[Any]]]:
        """Call the function and check each chunk that it gives."""
        shape: tuple[int, ...] | None = None
        dtype = None
        done = 0
        given = self._make()
        if iter(given) is given and getattr(self, "_seen", None) is given:
            raise DataError(
                f"{self.name}: the function returned an iterator that is used up; it must make a new one at "
                "every call"
            )
        self._seen = given
        for number, chunk in enumerate(given):
            where = f"{self.name}: chunk {number} (from image {done:,} on)"
            if not isinstance(chunk, tuple | list) or len(chunk) != 2:
                raise DataError(f"{where} must be a pair of images and labels, got {type(chunk).__name__}")
            try:
                images = check_images(chunk[0])
                if chunk[1] is None:
                    raise ValueError("has no labels")
                labels = check_labels(chunk[1], len(images))
            except (TypeError, ValueError) as error:
                raise DataError(f"{where}: {error}") from error
            if images.ndim == 4 and images.shape[3] in (1, 4):
                images = images[..., 0] if images.shape[3] == 1 else images[..., :3]
            if shape is not None and images.shape[1:] != shape:
                raise DataError(
                    f"{where} holds images of {_said(images.shape[1:])} pixels, those before are of "
                    f"{_said(shape)}"
                )
            if dtype is not None and images.dtype != dtype:
                raise DataError(f"{where} holds {images.dtype}, those before are {dtype}")
            place = first_nonfinite(images)
            if place is not None:
                raise DataError(f"{where}: image {done + place[0]:,} must be finite, got {images[place]}")
            shape, dtype = images.shape[1:], images.dtype
            yield images, labels
            done += len(images)


def _said(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
