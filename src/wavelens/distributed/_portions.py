"""Consecutive images as the task that reads them gets them: described, not held."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.data import ImageChunk, ImageSource, SkippedFile
from wavelens.data._arrays import first_nonfinite
from wavelens.distributed._images import DaskImages
from wavelens.exceptions import DataError

__all__ = ["Portion", "bounds_of", "cut"]

_most_bytes = 4_000_000
_fewest, _most = 16, 10_000  # portions


@dataclass(frozen=True, eq=False)
class Portion:
    """Some consecutive images of a source, as a worker reads them.

    Attributes
    ----------
    first, last : int
        Positions of the first image and of that after the last.
    codes : array of int, shape (last - first,)
        Class of each image, in the smallest type that holds it.
    name : str
        Of the source.
    shape, dtype : tuple of int, dtype
        Of an image.
    open : callable or None
        Returns the source of these images; None if Dask makes them, as `blocks`.
    blocks : list
        Delayed arrays that hold the images one after the other. They do not travel with the portion: Dask
        computes them where it is read.
    """

    first: int
    last: int
    codes: npt.NDArray[Any]
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    open: Callable[[], ImageSource] | None = None
    blocks: list[Any] = field(default_factory=list)

    def chunks(self, size: int, blocks: Sequence[Any], skipped: list[SkippedFile]) -> Iterator[ImageChunk]:
        """Read the images, at most so many at a time.

        Parameters
        ----------
        size : int
        blocks : sequence of array
            What became of `blocks`.
        skipped : list
            Files that cannot be read are added to it.

        Yields
        ------
        ImageChunk
            With positions in the whole source, and `codes` as labels.

        Raises
        ------
        DataError
            If images are not what the source said they are.
        """
        read = self._opened(size, skipped) if self.open is not None else self._cut(size, blocks)
        for images, places in read:
            if images.shape[1:] != self.shape:
                raise DataError(
                    f"{self.name}: images from place {self.first + int(places[0]):,} on have shape "
                    f"{images.shape[1:]}, expected {self.shape}"
                )
            yield ImageChunk(images, self.codes[places].astype(np.intp), places + self.first)

    def _opened(
        self, size: int, skipped: list[SkippedFile]
    ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.intp]]]:
        assert self.open is not None
        try:
            source = self.open()
        except OSError as error:
            raise DataError(
                f"{self.name}: a worker cannot open {error.filename or 'the images'} ({error.strerror or error}); "
                "all workers must see the files under the same path"
            ) from error
        try:
            for chunk in source.chunks(size):
                yield chunk.images, chunk.positions
        finally:
            skipped += source.skipped

    def _cut(
        self, size: int, blocks: Sequence[Any]
    ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.intp]]]:
        done = 0
        for block in blocks:
            images = np.asarray(block)
            if images.shape[1:] != self.shape or images.dtype != self.dtype:
                raise DataError(
                    f"{self.name}: the chunk from image {self.first + done:,} on has shape {images.shape} and dtype "
                    f"{images.dtype}, expected images of shape {self.shape} and dtype {self.dtype}"
                )
            # What came over the network lies anywhere in the message that brought it.
            images = np.require(images, self.dtype.newbyteorder("="), "A")
            place = first_nonfinite(images)
            if place is not None:
                raise DataError(
                    f"{self.name}: image {self.first + done + place[0]:,} must be finite, got {images[place]}"
                )
            if done + len(images) > self.last - self.first:
                break
            for start in range(0, len(images), size):
                part = images[start : start + size]
                yield part, np.arange(done + start, done + start + len(part), dtype=np.intp)
            done += len(images)
        if done != self.last - self.first:
            raise DataError(
                f"{self.name}: the chunks of images {self.first:,} to {self.last - 1:,} hold another number of "
                "images than was said"
            )


def bounds_of(source: ImageSource, wanted: int) -> list[int]:
    """Return where portions of about so many images begin, and where the last one ends.

    They depend on the source and on `wanted` alone, so that a cluster of any size finds the same to the bit.
    """
    n = source.n_images
    size = min(max(wanted, -(-n // _most)), max(1, -(-n // _fewest)))
    if not isinstance(source, DaskImages):
        return [*range(0, n, size), n]
    bounds = [0]
    for edge in source.edges:  # a chunk is never cut, or it would be made twice
        if edge - bounds[-1] >= size or edge == n:
            bounds.append(edge)
    return bounds


def cut(source: ImageSource, codes: npt.NDArray[np.intp], wanted: int) -> list[Portion]:
    """Divide a source into portions of about equal size.

    Parameters
    ----------
    source : ImageSource
    codes : array of int, shape (n_images,)
        Class of each image.
    wanted : int
        Images in a portion; fewer where there would be fewer than 16, more where there would be more than
        10,000.

    Returns
    -------
    list of Portion
        In their order.

    Raises
    ------
    DataError
        If the images are nowhere but in this process.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.data import open_source
    >>> from wavelens.distributed import cut
    >>> portions = cut(open_source("digits"), np.zeros(1797, dtype=int), 100)
    >>> len(portions), portions[1].first, portions[1].last
    (18, 100, 200)
    """
    small = codes.astype(np.min_scalar_type(int(codes.max())))
    bounds = bounds_of(source, wanted)
    portions = []
    for first, last in pairwise(bounds):
        given = small[first:last]
        described = given, source.name, tuple(source.image_shape), source.dtype
        if isinstance(source, DaskImages):
            portion = Portion(first, last, *described, blocks=source.blocks(first, last))
        else:
            # The codes stand in the source too; pickle writes them once.
            portion = Portion(first, last, *described, source.part(first, last, given))
            if first == 0 and (size := len(pickle.dumps(portion))) > _most_bytes:
                raise DataError(
                    f"{source.name}: {last:,} images are described in {size / 1e6:.0f} MB: their pixels would pass "
                    "through the scheduler; give a file or folder that the workers see, or a dask.array"
                )
        portions.append(portion)
    return portions
