"""Images that Dask makes: the chunks of a dask.array, the partitions of a dask.bag."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.bag import Bag

from wavelens._arguments import check_integer
from wavelens.data import ImageChunk, ImageSource
from wavelens.data._arrays import Positions, check_images
from wavelens.exceptions import DataError

__all__ = ["DaskImages"]

_most_bytes = 4_000_000


class DaskImages(ImageSource):
    """The images of a dask.array or a dask.bag, which are made on the workers whenever they are read.

    They are read three times; ``x.persist()`` keeps them in the workers' memory where it suffices.

    Parameters
    ----------
    images : dask.array.Array or dask.bag.Bag
        An array (n_images, height, width[, channels]) of real numbers, in chunks of whole images. A bag of
        images of one shape and dtype, or of pairs (image, label); opening it makes all of it once, to learn how
        many images each partition holds, and the labels.
    labels : array, dask.array or None
        One label for each image, unless the bag holds them.

    Attributes
    ----------
    given_labels : array or None
        The labels as they were given.
    edges : list of int
        Where chunks end.

    Raises
    ------
    ValueError, TypeError
        If the images are not what they should be.
    DataError
        If the pixels lie in the graph and so would pass through the scheduler, or partitions of a bag do not
        agree.

    Examples
    --------
    >>> import dask.array as da
    >>> from wavelens.distributed import DaskImages
    >>> images = DaskImages(da.ones((100, 8, 8), chunks=(30, 8, 4)), [0, 1] * 50)
    >>> images.n_images, images.image_shape, images.edges
    (100, (8, 8), [30, 60, 90, 100])
    """

    def __init__(self, images: Any, labels: Any = None) -> None:
        self.name = "dask images"
        array, self.given_labels = _from_bag(images, labels) if isinstance(images, Bag) else (images, labels)
        if not isinstance(array, da.Array):
            raise TypeError(f"`X` must be a dask.array or a dask.bag, got {type(array).__name__}")
        if array.dtype.kind not in "fiub" or array.ndim not in (3, 4):
            raise ValueError(
                "`X` must hold real numbers of shape (n_images, height, width) or (n_images, height, width, "
                f"channels), got {array.dtype} {array.shape}"
            )
        if np.isnan(array.shape).any():
            raise ValueError(
                f"`X` must have chunks of known sizes, got shape {array.shape}; `X.compute_chunk_sizes()` finds them"
            )
        if 0 in array.shape:
            raise ValueError(f"`X` must hold images, got shape {array.shape}")
        self._array = array.rechunk(dict.fromkeys(range(1, array.ndim), -1))
        self.edges: list[int] = np.cumsum(self._array.chunks[0]).tolist()
        self._check_graph()
        if isinstance(self.given_labels, da.Array):
            self.given_labels = self.given_labels.compute()
        n = int(array.shape[0])
        # Which classes there are is for those to say who know what the labels mean.
        self.labels, self.class_names, self.labelled = np.zeros(n, dtype=np.intp), ("images",), False
        self.image_names, self.image_shape = Positions(n), tuple(map(int, array.shape[1:]))
        self.dtype = np.dtype(array.dtype)
        self.notes, self.skipped = [], []

    def _check_graph(self) -> None:
        block = self._array.blocks[0]
        (graph,) = dask.optimize(block)
        size = len(cloudpickle.dumps(dict(graph.__dask_graph__())))
        if size > _most_bytes and size > block.nbytes / 4:
            raise DataError(
                f"`X` holds its images in its graph ({size / 1e6:.0f} MB for the first chunk): they would all pass "
                "through the scheduler. Have the workers read them (dask.array.from_zarr, a path to a .npy file), "
                "or send them once with X.persist()"
            )

    def blocks(self, first: int, last: int) -> list[Any]:
        """Return the chunks of the images from `first` to `last`, both edges, to be computed."""
        low, high = (bisect_left(self.edges, each + 1) for each in (first, last - 1))
        # Of these alone, with the part of the graph that they need.
        delayed = self._array.blocks[low : high + 1].to_delayed()
        return list(delayed.reshape(-1))

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Fetch `size` images at a time into this process; see `ImageSource.chunks`."""
        check_integer(size, "size", low=1)
        for first in range(start, self.n_images, size):
            images = np.asarray(self._array[first : first + size].compute())
            index = np.arange(first, first + len(images), dtype=np.intp)
            yield ImageChunk(images, self.labels[index], index)

    def fingerprint(self) -> dict[str, str]:
        """Add the array's name, which Dask makes from what it is made of; see `ImageSource.fingerprint`."""
        return super().fingerprint() | {"array": str(self._array.name), "chunks": str(self.edges[:100])}


def _from_bag(bag: Bag, labels: Any) -> tuple[da.Array, Any]:
    """Return the images of a bag as an array of known chunks, and the labels."""
    pairs = labels is None
    partitions = bag.to_delayed()
    look, stack = dask.delayed(_look, pure=True), dask.delayed(_stack, pure=True)
    found = dask.compute(*(look(each, pairs, i) for i, each in enumerate(partitions)))
    kept = [(each, part) for each, part in zip(found, partitions, strict=True) if each[0]]
    if not kept:
        raise DataError("the bag holds no images")
    _, shape, dtype, _ = kept[0][0]
    for i, (n, other, kind, _) in enumerate(found):
        if n and (other, kind) != (shape, dtype):
            raise DataError(
                f"partition {i} of the bag holds images of {kind} {other}, those before are {dtype} {shape}"
            )
    array = da.concatenate(
        [da.from_delayed(stack(part, pairs), (each[0], *shape), np.dtype(dtype)) for each, part in kept]
    )
    if not pairs:
        return array, labels
    given = [np.asarray(each[3]) for each, _ in kept]
    if len({each.dtype.kind in "US" for each in given}) > 1:
        raise DataError("the labels in some partitions of the bag are numbers, in others text")
    return array, np.concatenate(given)


def _look(items: Any, pairs: bool, number: int) -> tuple[int, tuple[int, ...], str, list[Any]]:
    """Return number, shape, dtype and labels of the images of a partition."""
    items = list(items)
    if not items:
        return 0, (), "", []
    if pairs and not all(isinstance(each, tuple | list) and len(each) == 2 for each in items):
        raise DataError(
            f"partition {number} of the bag must hold pairs (image, label), got {type(items[0]).__name__}; or give `y`"
        )
    if pairs and any(each[1] is None for each in items):
        raise DataError(f"partition {number} of the bag holds images without a label")
    try:
        images = check_images(_stack(items, pairs))
    except (TypeError, ValueError) as error:
        raise DataError(f"partition {number} of the bag: {error}") from error
    return len(items), images.shape[1:], images.dtype.str, [each[1] for each in items] if pairs else []


def _stack(items: Any, pairs: bool) -> npt.NDArray[Any]:
    return np.stack([np.asarray(each[0] if pairs else each) for each in items])
