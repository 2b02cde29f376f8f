"""Mean representation of each class, summed up chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from wavelens._utils._labels import as_labels, join_labels, label_kind
from wavelens.hierarchy._features import Float64Array, IntArray, as_features, row_chunks

__all__ = ["ClassMeans"]


class ClassMeans:
    """Mean representation of each class, from images that come in any number of chunks.

    Sums are kept in float64, so that chunks in any order, or merged from several machines, give the same means
    to rounding. A chunk that is refused leaves everything as it was.

    Attributes
    ----------
    classes : array, shape (n_classes,)
        Labels as they came: sorted within a chunk, those of later chunks after those of earlier ones.
    counts : array of intp, shape (n_classes,)
        Number of images of each.
    sums : array of float64, shape (n_classes, n_features)
    means : array of float64, shape (n_classes, n_features)
    n_features : int or None
        Numbers that describe an image; None before the first chunk.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import ClassMeans
    >>> means = ClassMeans().partial_fit(np.array([[1.0, 2.0], [3.0, 4.0]]), ["cat", "cat"])
    >>> means.partial_fit(np.array([[5.0, 5.0]]), ["dog"]).means
    array([[2., 3.],
           [5., 5.]])
    """

    classes: npt.NDArray[Any]
    counts: IntArray
    sums: Float64Array

    def __init__(self) -> None:
        self.classes = np.empty(0, dtype=np.intp)
        self.counts = np.empty(0, dtype=np.intp)
        self.sums = np.empty((0, 0))

    def __repr__(self) -> str:
        return (
            f"ClassMeans(n_classes={len(self.classes)}, n_images={self.counts.sum()}, "
            f"n_features={self.n_features})"
        )

    @property
    def n_features(self) -> int | None:
        """Numbers that describe an image."""
        return int(self.sums.shape[1]) if len(self.classes) else None

    @property
    def means(self) -> Float64Array:
        """Mean of the images of each class, (n_classes, n_features)."""
        return self.sums / self.counts[:, None]

    def partial_fit(self, features: Any, labels: npt.ArrayLike) -> Self:
        """Add images.

        Parameters
        ----------
        features : (n_images, …) array_like of real numbers
            Flattened behind the first dimension; read some 4 MiB at a time, a memory map stays on disk.
        labels : (n_images,) array_like of numbers or strings

        Returns
        -------
        ClassMeans
            Itself.

        Raises
        ------
        ValueError
            If there is not one label for each image, images have another length than before, or an entry is
            NaN or infinite.
        TypeError
            If features are not real numbers, or labels of another kind than before.
        """
        return self.take(features, labels, ("features", "labels"))

    def merge(self, other: ClassMeans) -> Self:
        """Add the images that another one has seen, such as one on another machine.

        Parameters
        ----------
        other : ClassMeans

        Returns
        -------
        ClassMeans
            Itself.
        """
        if other.n_features is None:
            return self
        self._check(other.n_features, other.classes, "other")
        return self._add(other.classes, other.counts, other.sums)

    def copy(self) -> ClassMeans:
        """Return one that can go its own way."""
        same = ClassMeans()
        same.classes, same.counts, same.sums = self.classes.copy(), self.counts.copy(), self.sums.copy()
        return same

    def sorted(self) -> ClassMeans:
        """Return the same with `classes` ascending."""
        order = np.argsort(self.classes, kind="stable")
        same = ClassMeans()
        same.classes, same.counts, same.sums = self.classes[order], self.counts[order], self.sums[order]
        return same

    def take(self, features: Any, labels: npt.ArrayLike, names: tuple[str, str]) -> Self:
        """Add images; errors call features and labels by `names`."""
        given = as_features(features, names[0])
        codes_of = as_labels(labels, given.shape[0], names[1])
        width = int(np.prod(given.shape[1:]))
        self._check(width, codes_of, names[0])
        if not len(codes_of):
            return self
        classes, codes = np.unique(codes_of, return_inverse=True)
        sums = np.zeros((len(classes), width))
        for first, chunk in row_chunks(given, names[0]):
            here = codes[first : first + len(chunk)]
            pick = csr_array(
                (np.ones(len(here)), here, np.arange(len(here) + 1)), shape=(len(here), len(classes))
            )
            sums += pick.T @ chunk
        if not np.isfinite(sums).all():
            raise ValueError(f"`{names[0]}` must be small enough to be summed in float64; scale them down")
        counts = np.bincount(codes, minlength=len(classes)).astype(np.intp)
        return self._add(classes, counts, sums)

    def _check(self, width: int, labels: npt.NDArray[Any], name: str) -> None:
        if self.n_features is None:
            return
        if width != self.n_features:
            raise ValueError(
                f"`{name}` must have {self.n_features} numbers an image, as those before, got {width}"
            )
        if len(labels) and label_kind(labels) != label_kind(self.classes):
            raise TypeError(
                f"labels must be {label_kind(self.classes)}, as those before, got {label_kind(labels)}"
            )

    def _add(self, classes: npt.NDArray[Any], counts: IntArray, sums: Float64Array) -> Self:
        places = {label: i for i, label in enumerate(self.classes.tolist())}
        known = np.array([label in places for label in classes.tolist()], dtype=bool)
        old = np.array([places[label] for label in classes[known].tolist()], dtype=np.intp)
        if known.all():  # no copy of all sums for each chunk
            self.sums[old] += sums
            self.counts = self.counts.copy()
            self.counts[old] += counts
            return self
        totals = np.concatenate([self.sums, sums[~known]]) if len(places) else sums.copy()
        if len(old):
            totals[old] += sums[known]
        numbers = np.concatenate([self.counts, counts[~known]])
        numbers[old] += counts[known]
        self.classes = join_labels([self.classes, classes[~known]]) if len(places) else classes.copy()
        self.counts, self.sums = numbers, totals
        return self


def means_of(features: Any, labels: Any, names: tuple[str, str] = ("features", "labels")) -> ClassMeans:
    """Return the means of an array with its labels, or, with `labels` None, of an iterable of such pairs."""
    if labels is not None:
        return ClassMeans().take(features, labels, names)
    if hasattr(features, "shape") or not isinstance(features, Iterable):
        raise ValueError(
            f"`{names[1]}` must hold one label for each image; without it `{names[0]}` must be an iterable of pairs "
            f"(features, labels), got {type(features).__name__}"
        )
    result = ClassMeans()
    for i, pair in enumerate(features):
        try:
            chunk, of_chunk = pair
        except (TypeError, ValueError):
            raise ValueError(
                f"`{names[0]}` must be an iterable of pairs (features, labels) where `{names[1]}` is None, got a "
                f"{type(pair).__name__} as chunk {i}"
            ) from None
        try:
            result.partial_fit(chunk, of_chunk)
        except (TypeError, ValueError) as error:
            raise type(error)(f"chunk {i}: {error}") from error
    return result
