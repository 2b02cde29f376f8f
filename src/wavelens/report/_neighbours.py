"""The images nearest to an image: of all images, or of very many for some of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._mapped import picked_rows
from wavelens._progress import progress_share
from wavelens.linalg import Nearest, k_nearest
from wavelens.patterns import PatternAnalysis
from wavelens.patterns._sample import NearestOfSome, SampledFrom

__all__ = ["nearest_of_some", "neighbours_of_all"]

_neighbours = 4

_Places = npt.NDArray[np.intp]


def neighbours_of_all(
    analysis: PatternAnalysis, own: FloatArray, spectrum: FloatArray
) -> tuple[Nearest, Nearest]:
    """Find the nearest images of the same class and of others, one row for each image.

    Parameters
    ----------
    analysis : PatternAnalysis
    own, spectrum : array of shape (n_images,)
        Similarity to its own class, and place between that and the class it resembles most.

    Returns
    -------
    same, other : Nearest
        Of very many images, −1 and NaN but for the most isolated and those farthest over a border; where a sample
        is shown, but for those of them that were chosen with it.
    """
    sampled = analysis.sampled_from_
    if sampled is not None and sampled.nearest is not None:
        here, known = sampled.find(sampled.nearest.images)
        sides = [_in_sample(sampled, each, known) for each in (sampled.nearest.same, sampled.nearest.other)]
    elif analysis.class_similarity_.error is not None:
        here = _most_isolated_or_beyond(analysis.labels_, own, spectrum)
        near = nearest_of_some(analysis, here)
        sides = [near.same, near.other]
    else:
        k = min(_neighbours, int(len(own) - np.bincount(analysis.labels_).max()))
        with progress_share("Finding nearest images", analysis.progress) as progress:
            other = k_nearest(
                analysis.embedding_, k=k, labels=analysis.labels_, of="other", progress=progress
            )
        return _nearest_of_same(analysis), other
    same, other = (_nothing(len(own), each.distances.dtype) for each in sides)
    for whole, some in zip((same, other), sides, strict=True):
        whole.indices[here], whole.distances[here] = some.indices, some.distances
    return same, other


def nearest_of_some(analysis: PatternAnalysis, images: _Places) -> NearestOfSome:
    """Find the images nearest to some, exactly and among all that the analysis was fitted to.

    Parameters
    ----------
    analysis : PatternAnalysis
    images : array of int, shape (q,)
        Their places.

    Returns
    -------
    NearestOfSome
        Four of their class and four of others, or as many as there are.
    """
    counts = np.bincount(analysis.labels_)[analysis.labels_[images]]
    sides = []
    for of, there in (("same", counts - 1), ("other", len(analysis.labels_) - counts)):
        side = _nothing(len(images), analysis.embedding_.dtype)
        size = np.minimum(there, _neighbours)
        for k in np.unique(size[size > 0]).tolist():
            rows = np.flatnonzero(size == k)
            found = analysis.nearest_images(images[rows], k, of)
            side.indices[rows, :k], side.distances[rows, :k] = found.indices, found.distances
        sides.append(side)
    return NearestOfSome(images, *sides)


def _nothing(n: int, dtype: npt.DTypeLike) -> Nearest:
    return Nearest(
        np.full((n, _neighbours), -1, dtype=np.int64), np.full((n, _neighbours), np.nan, dtype=dtype)
    )


def _in_sample(sampled: SampledFrom, nearest: Nearest, rows: _Places) -> Nearest:
    """Turn places among all images into places in the sample; −1 and NaN for those that it does not hold."""
    moved = _nothing(len(rows), nearest.distances.dtype)
    here, known = sampled.find(nearest.indices[rows].ravel())
    moved.indices.ravel()[known] = here
    moved.distances.ravel()[known] = nearest.distances[rows].ravel()[known]
    return moved


def _most_isolated_or_beyond(labels: _Places, own: FloatArray, spectrum: FloatArray) -> _Places:
    """Return the images of each class that are most isolated or farthest over the border, some 2,000 in all."""
    n_classes = int(labels.max()) + 1
    most = max(1, 1000 // n_classes)
    chosen = []
    for i in range(n_classes):
        members = np.flatnonzero(labels == i)
        chosen += [members[np.argsort(each[members], kind="stable")[:most]] for each in (own, spectrum)]
    return np.unique(np.concatenate(chosen))


def _nearest_of_same(analysis: PatternAnalysis) -> Nearest:
    """Find the nearest images of each image's class; classes of few images have fewer."""
    near = _nothing(len(analysis.labels_), analysis.embedding_.dtype)
    for i in range(len(analysis.classes_)):
        members = np.flatnonzero(analysis.labels_ == i)
        k = min(_neighbours, len(members) - 1)
        found = k_nearest(picked_rows(analysis.embedding_, members), k=k)
        near.indices[members, :k] = members[found.indices]
        near.distances[members, :k] = found.distances
    return near
