"""Similarity of images to classes: exact, or of very many images approximate, with the ends looked at again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_array, check_choice, check_integer
from wavelens._mapped import is_mapped, picked_rows, row_blocks
from wavelens._progress import progress_share
from wavelens.linalg import ClassSimilarity, Nearest, class_similarity, k_nearest
from wavelens.linalg._similarity_error import upper_bound
from wavelens.patterns._place import middle_between, place_between
from wavelens.patterns._result import FitResult
from wavelens.patterns._results import Spectrum
from wavelens.patterns.fit._plan import PROGRAM

__all__ = ["images_to_classes", "nearest_images", "spectrum_between"]

_rechecked = 2048  # images in all, at most _rechecked_a_class of a class
_rechecked_a_class = 64
_landmarks, _least_landmarks = 2048, 256
_strips = (
    110_000_000  # bytes: parts of the rows, their similarities to the landmarks, and what the engine takes
)


def images_to_classes(result: FitResult) -> ClassSimilarity:
    """Compare all images with all classes; the images that seem most isolated are compared exactly."""
    with progress_share("Comparing images", result.options.progress) as progress:
        found = class_similarity(
            result.embedding,
            result.labels,
            bandwidth=result.bandwidth,
            method=result.options.similarity_method,
            n_features=_landmarks_that_fit(result),
            random_state=result.options.random_state,
            progress=progress,
        )
    if found.error is not None:
        _recheck(result, found.similarity)
    return replace(found, classes=result.classes)


def _landmarks_that_fit(result: FitResult) -> int:
    """Return how many landmarks to take: fewer where the images are on disk and little memory is allowed.

    It does not depend on what the process takes at the moment, so that a run that is continued finds the same.
    """
    if result.options.memory_limit is None or not is_mapped(result.embedding):
        return _landmarks
    n, m = result.embedding.shape
    free = result.options.memory_limit - PROGRAM - _strips
    free -= min(256_000_000, n * len(result.classes) * result.embedding.itemsize)
    # L landmarks take 16·L² bytes for their similarities and twice their rows.
    rows = 2 * m * result.embedding.itemsize
    fitting = (np.sqrt(rows**2 + 64 * max(free, 0)) - rows) / 32
    return int(np.clip(fitting, _least_landmarks, _landmarks))


def _recheck(result: FitResult, similarity: FloatArray) -> None:
    """Put exact numbers in the rows of the images least similar to their own class."""
    n_classes = len(result.classes)
    most = min(_rechecked_a_class, max(1, _rechecked // n_classes))
    chosen = []
    for i in range(n_classes):
        members = np.flatnonzero(result.labels == i)
        least = np.argsort(similarity[members, i], kind="stable")[:most]
        chosen.append(members[least])
    rows = np.concatenate(chosen)
    own = np.arange(len(rows)), result.labels[rows]
    exact = class_similarity(
        result.embedding,
        result.labels,
        y=picked_rows(result.embedding, rows),
        bandwidth=result.bandwidth,
        method="exact",
    )
    counts = exact.counts[result.labels[rows]]
    means = exact.similarity.astype(np.float64)
    means[own] = (means[own] * counts - 1) / (counts - 1)  # not counting the image itself
    similarity[rows] = means.clip(0, 1)


def spectrum_between(result: FitResult, found: ClassSimilarity, i: int, j: int) -> Spectrum:
    """Place the images of classes i and j between them; see `PatternAnalysis.spectrum`."""
    members = np.flatnonzero((result.labels == i) | (result.labels == j))
    near, far = found.similarity[members, i], found.similarity[members, j]
    middle = middle_between(near, far, result.labels[members] == i)
    values = place_between(near, far, middle)
    order = np.argsort(values, kind="stable")
    error = 0.0
    if found.error is not None and len(found.error.rows):
        checked = np.isin(found.error.rows, members)
        told, true = (
            place_between(side[checked, i], side[checked, j], middle)
            for side in (found.error.found, found.error.exact)
        )
        error = upper_bound(np.abs(told - true))
    return Spectrum(members[order], values[order], found.method, error)


def nearest_images(result: FitResult, images: npt.ArrayLike, n: int, of: str) -> Nearest:
    """Find the images nearest to some; see `PatternAnalysis.nearest_images`."""
    check_choice(of, "of", ("any", "same", "other"))
    places = np.atleast_1d(as_array(images, "images"))
    total = len(result.labels)
    if places.dtype.kind not in "iu" or places.ndim != 1 or not len(places):
        raise ValueError("`images` must be places of images in the data given to `fit`")
    if places.min() < 0 or places.max() >= total:
        raise ValueError(
            f"`images` must be from 0 to {total - 1}, got {places[(places < 0) | (places >= total)][0]}"
        )
    labels = result.labels
    counts = np.bincount(labels)[labels[places]]
    choice = {"any": np.full(len(places), total - 1), "same": counts - 1, "other": total - counts}[of]
    n = check_integer(n, "n", low=1, high=int(choice.min()), why="an image has no more to choose from")
    # An image is its own nearest, unless others with the same coefficients come before it.
    k = n if of == "other" else n + 1
    if is_mapped(result.embedding):
        found = _nearest_in_parts(result, places, k, of)
    else:
        sides = {} if of == "any" else {"labels": labels[places], "y_labels": labels}
        found = k_nearest(picked_rows(result.embedding, places), result.embedding, k, of=of, **sides)
    if of == "other":
        return found
    itself = found.indices == places[:, None]
    itself[~itself.any(axis=1), -1] = True
    return Nearest(
        found.indices[~itself].reshape(len(places), n), found.distances[~itself].reshape(len(places), n)
    )


def _nearest_in_parts(result: FitResult, places: npt.NDArray[np.intp], k: int, of: str) -> Nearest:
    """Find the k nearest rows of a mapped file, of which only some are in memory at a time."""
    rows, own = picked_rows(result.embedding, places), result.labels[places]
    indices = np.full((len(places), k), -1, dtype=np.int64)
    distances = np.full((len(places), k), np.inf, dtype=rows.dtype)
    first = 0
    for block in row_blocks(result.embedding):
        labels = result.labels[first : first + len(block)]
        for code in [None] if of == "any" else np.unique(own).tolist():
            asking = np.arange(len(places)) if code is None else np.flatnonzero(own == code)
            there = (
                np.arange(len(block)) if code is None else np.flatnonzero((labels == code) == (of == "same"))
            )
            if not len(there):
                continue
            some = block if len(there) == len(block) else block[there]
            found = k_nearest(rows[asking], some, min(k, len(there)))
            both = np.concatenate([distances[asking], found.distances], axis=1)
            which = np.concatenate([indices[asking], first + there[found.indices]], axis=1)
            # Stable: of equal distances the earlier image stays first.
            order = np.argsort(both, axis=1, kind="stable")[:, :k]
            distances[asking] = np.take_along_axis(both, order, axis=1)
            indices[asking] = np.take_along_axis(which, order, axis=1)
        first += len(block)
    return Nearest(indices, distances)
