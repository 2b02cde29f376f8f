"""What `PatternAnalysis.fit` takes, as a source of images and a class for each."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_images, check_integer
from wavelens._mapped import check_whole, contents_of, give_back, is_mapped, map_again, picked_rows
from wavelens._progress import progress_bar
from wavelens.data import ImageChunk, ImageSource, open_source
from wavelens.data._arrays import Positions, in_this_process
from wavelens.exceptions import DataError
from wavelens.patterns._class_labels import check_labels

__all__ = [
    "GivenImages",
    "Labelled",
    "check_counts",
    "check_unchanged",
    "is_dask",
    "is_source",
    "labelled",
    "read_all",
]


@dataclass(frozen=True, eq=False)
class Labelled:
    """A source, and the classes that its images are of.

    Attributes
    ----------
    source : ImageSource
    classes : array of shape (n_classes,)
        Labels, sorted.
    codes : array of int, shape (n_images,)
        Place in `classes` of each image, those included that cannot be read.
    """

    source: ImageSource
    classes: npt.NDArray[Any]
    codes: npt.NDArray[np.intp]

    def checksum_of_codes(self) -> str:
        """Return a checksum of the class of each image."""
        return hashlib.sha256(np.ascontiguousarray(self.codes, dtype=np.int64).data).hexdigest()


class GivenImages(ImageSource):
    """An array of images, in memory or mapped, as it was given to `fit`."""

    decodes = False
    random_access = True

    def __init__(self, images: npt.NDArray[Any], codes: npt.NDArray[np.intp], n_classes: int) -> None:
        self.name, self.labelled = "images", True
        self.labels, self.class_names = codes, tuple(map(str, range(n_classes)))
        self.image_names = Positions(len(images))
        self.image_shape, self.dtype = images.shape[1:], images.dtype
        self.notes, self.skipped = [], []
        self._images = images

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Give views of an array, copies of parts of a map; see `ImageSource.chunks`."""
        check_integer(size, "size", low=1)
        for first in range(start, self.n_images, size):
            check_whole(self._images, self.name)
            images = self._images[first : first + size]
            if is_mapped(images):
                images = np.array(images)
                give_back(self._images)
            index = np.arange(first, first + len(images), dtype=np.intp)
            yield ImageChunk(images, self.labels[index], index)

    def read(self, positions: npt.NDArray[np.intp]) -> ImageChunk:
        """Read some images; see `ImageSource.read`."""
        check_whole(self._images, self.name)
        return ImageChunk(picked_rows(self._images, positions), self.labels[positions], positions)

    def part(self, first: int, last: int, labels: npt.NDArray[Any]) -> Callable[[], ImageSource]:
        """Name the mapped file; see `ImageSource.part`."""
        if not is_mapped(self._images):
            raise in_this_process("`X`")
        twin = self._twin(first, last, labels)
        twin._images = np.empty(0)
        return partial(_with_images, twin, map_again(self._images[first:last]))

    @property
    def in_memory(self) -> bool:
        """Whether the images are in memory: `fingerprint` then reads all of them."""
        return not is_mapped(self._images)

    @property
    def images(self) -> npt.NDArray[Any]:
        """The array."""
        return self._images

    def fingerprint(self) -> dict[str, str]:
        """Add a checksum of the images, or the size and time of their file; see `ImageSource.fingerprint`."""
        return super().fingerprint() | {"images": contents_of(self._images)}


def _with_images(twin: GivenImages, images: Callable[[], npt.NDArray[Any]]) -> GivenImages:
    source = copy.copy(twin)
    source._images = images()
    return source


def is_source(X: object) -> bool:
    """Tell whether `X` is a source, a path or a function, rather than an array."""
    return isinstance(X, ImageSource | str | os.PathLike) or callable(X) or hasattr(X, "__next__")


def is_dask(X: object) -> bool:
    """Tell whether `X` is a dask.array or a dask.bag."""
    return type(X).__module__.partition(".")[0] == "dask"


def labelled(X: Any, y: Any) -> Labelled:
    """Return what is given as a source with classes; nothing is read yet.

    Raises
    ------
    ValueError, TypeError, DataError
        If it cannot be opened, nothing says which class an image belongs to, there are fewer than two classes,
        or a class has fewer than two images.
    """
    if is_dask(X):
        from wavelens.distributed import DaskImages

        made = DaskImages(X, y)
        classes, codes = check_labels(made.given_labels, made.n_images)
        return Labelled(made, classes, codes)
    if not is_source(X):
        images = as_images(X, "X", finite=False)
        classes, codes = check_labels(y, len(images))
        return Labelled(GivenImages(images, codes, len(classes)), classes, codes)
    opened = isinstance(X, ImageSource)
    source = open_source(X) if opened or y is None or callable(X) else open_source(X, y)
    if y is not None and not isinstance(y, str | os.PathLike) and np.ndim(y) > 0:
        classes, codes = check_labels(y, source.n_images)
        return Labelled(source, classes, codes)
    if not source.labelled:
        raise DataError(
            f"{source.name}: nothing says which class an image belongs to; give `y`, one label for each image"
        )
    names = np.array(source.class_names)
    order = np.argsort(names, kind="stable")
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    counts = np.bincount(source.labels, minlength=len(names))
    check_counts(source.name, names, counts)
    return Labelled(source, names[order], place[source.labels])


def check_counts(name: str, classes: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
    """Refuse fewer than two classes, and a class with fewer than two images.

    Raises
    ------
    DataError
    """
    if len(classes) < 2:
        raise DataError(f"{name}: all images are of one class, {str(classes[0])!r}; at least two are needed")
    if counts.min() < 2:
        few = str(classes[int(counts.argmin())])
        raise DataError(
            f"{name}: the class {few!r} has {int(counts.min())} images that can be read; every class needs at "
            "least two"
        )


def read_all(given: Labelled, progress: bool | None) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Read all images of a source into memory; return them and their positions."""
    source = given.source
    if isinstance(source, GivenImages):
        return source.images, np.arange(source.n_images, dtype=np.intp)
    before = source.fingerprint()
    images = source._allocate()
    positions = np.empty(source.n_images, dtype=np.intp)
    done = 0
    with progress_bar(source.n_images, "Reading the images", progress) as bar:
        for chunk in source.chunks(1024):
            after = done + len(chunk.positions)
            images[done:after], positions[done:after] = chunk.images, chunk.positions
            bar.update(after - done)
            done = after
    check_unchanged(source, before)
    return images[:done], positions[:done]


def check_unchanged(source: ImageSource, before: Mapping[str, str]) -> None:
    """Refuse a source whose files are no longer what they were; arrays in memory are not read again for it.

    Raises
    ------
    DataError
    """
    if isinstance(source, GivenImages) and source.in_memory:
        return
    now = source.fingerprint()
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if changed:
        raise DataError(
            f"{source.name}: the {' and the '.join(changed)} changed while the images were read; begin anew once the "
            "source no longer changes"
        )
