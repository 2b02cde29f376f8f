"""What the nearest images say: near-duplicates and doubtful labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.data._resize import lanczos_matrix, to_grey
from wavelens.linalg import Nearest, k_nearest
from wavelens.quality._report import LEAST_AGREEMENT

__all__ = [
    "K",
    "LabelDoubts",
    "near_limit",
    "near_pairs",
    "nearest_images",
    "question_labels",
    "thumbnails",
]

K = 5
_side = 16
_practically_same = 0.03  # distance of thumbnails whose correlation is 0.9995
_chance = 1e-3
_least_votes = 4

Indices = npt.NDArray[np.intp]


def thumbnails(images: npt.NDArray[Any], chosen: Indices) -> tuple[FloatArray, Indices]:
    """Return small grey copies of the chosen images, centred, of norm 1; and those that have any contrast."""
    height, width = images.shape[1:3]
    rows = lanczos_matrix(height, min(height, _side)).astype(np.float32)
    columns = lanczos_matrix(width, min(width, _side)).astype(np.float32)
    flat = np.empty((len(chosen), len(rows) * len(columns)), dtype=np.float32)
    step = max(1, (1 << 22) // (height * width))
    for start in range(0, len(chosen), step):
        part = images[chosen[start : start + step]]
        if part.ndim == 4:
            part = to_grey(part) if part.shape[3] >= 3 else part[..., 0]
        if part.dtype.itemsize > 1:
            # float32 would lose the contrast of images far from zero, and overflow for large ones.
            part = part.astype(np.float64)
            part -= part.mean(axis=(1, 2), keepdims=True)
            part /= np.maximum(np.abs(part).max(axis=(1, 2), keepdims=True), np.finfo(float).tiny)
        part = part.astype(np.float32, copy=False)
        m = len(part)
        # Two products for the whole part are much faster than two for each image.
        narrow = (part.reshape(-1, width) @ columns.T).reshape(m, height, -1).transpose(0, 2, 1)
        small = np.ascontiguousarray(narrow).reshape(-1, height) @ rows.T
        flat[start : start + m] = small.reshape(m, -1)
    scale = np.abs(flat).max(axis=1, initial=0)
    flat -= flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1)
    # A checkerboard has contrast that its thumbnail has not: only rounding is left of it.
    some = norm > 1e-5 * scale * np.sqrt(flat.shape[1])
    return flat[some] / norm[some, np.newaxis], chosen[some]


def nearest_images(thumbs: FloatArray, progress: Callable[[float], None] | None) -> Nearest:
    """Return the K nearest of each thumbnail; fewer where there are not as many."""
    k = min(K, len(thumbs) - 1)
    if k < 1:
        return Nearest(np.empty((len(thumbs), 0), np.int64), np.empty((len(thumbs), 0), np.float32))
    return k_nearest(thumbs, k=k, progress=progress)


def near_limit(nearest: Nearest, near: float) -> float:
    """Lower `near` where few degrees of freedom bring images as near by chance."""
    distances = nearest.distances.astype(np.float64)
    if distances.shape[1] < K or not np.median(distances[:, -1]) > 0:
        return near
    # The balls that reach to the 3rd and to the 4th neighbour hold shares of the 5th one's volume that are
    # Beta(3, 2) and Beta(4, 1). Groups of four copies shrink the first one; the larger counts.
    freedom = 0.0
    for j, median in ((2, 0.614), (3, 0.841)):
        ratio = float(np.median(distances[:, j] / np.maximum(distances[:, 4], np.finfo(float).tiny)))
        if ratio >= 1:
            return near
        if ratio > 0:
            freedom = max(freedom, float(np.log(median) / np.log(ratio)))
    if freedom == 0:
        return 0.0
    return min(near, float((_chance / (K - 1)) ** (1 / freedom)))


def near_pairs(
    thumbs: FloatArray, nearest: Nearest, limit: float, labels: Indices, n_classes: int
) -> tuple[Indices, FloatArray]:
    """Return pairs (m, 2) of near-duplicates, nearest first, and their distances."""
    n, k = nearest.indices.shape
    if k < 1 or limit <= 0:
        return np.empty((0, 2), np.intp), np.empty(0)
    # Of a handful of images none has a fifth neighbour to be measured by.
    scale = nearest.distances[:, -1] if k == K else np.zeros(n, dtype=np.float32)
    ceiling = min(_practically_same, limit * float(np.median(scale))) if k == K else _practically_same
    first = np.repeat(np.arange(n), k)
    second, distance = nearest.indices.ravel().astype(np.intp), nearest.distances.ravel()
    local = limit * np.minimum(scale[first], scale[second])
    found = (distance <= local) | (distance <= ceiling)
    crowded = np.flatnonzero(nearest.distances[:, -1] <= ceiling)
    first, second, distance = first[found], second[found], distance[found]
    if len(crowded) and n_classes > 1 and len(np.unique(labels)) > 1:
        # Those with many copies in their class may have more in others, which matter most.
        other = k_nearest(thumbs[crowded], thumbs, of="other", labels=labels[crowded], y_labels=labels)
        near = other.distances[:, 0] <= ceiling
        first = np.concatenate([first, crowded[near]])
        second = np.concatenate([second, other.indices[near, 0].astype(np.intp)])
        distance = np.concatenate([distance, other.distances[near, 0]])
    pairs = np.sort(np.stack([first, second], axis=1), axis=1)
    pairs, kept = np.unique(pairs, axis=0, return_index=True)
    distance = distance[kept].astype(np.float64)
    order = np.argsort(distance, kind="stable")
    return pairs[order], distance[order]


class LabelDoubts(NamedTuple):
    """Places of the doubted images, the class around each, and for each class how its neighbours agree."""

    places: Indices
    classes: Indices
    agreement: FloatArray


def question_labels(nearest: Nearest, labels: Indices, n_classes: int) -> LabelDoubts:
    """Find images that no neighbour agrees with, in classes whose images usually have their own around."""
    n, k = nearest.indices.shape
    agreement = np.full(n_classes, np.nan)
    nobody = np.empty(0, np.intp)
    if k < K or n_classes < 2:
        return LabelDoubts(nobody, nobody, agreement)
    around = labels[nearest.indices]
    same = (around == labels[:, np.newaxis]).mean(axis=1)
    sizes = np.bincount(labels, minlength=n_classes)
    told = np.zeros(n_classes, dtype=bool)
    for code in np.flatnonzero((sizes > 1) & (sizes < n)):
        chance = (sizes[code] - 1) / (n - 1)
        found = float(same[labels == code].mean())
        agreement[code] = (found - chance) / (1 - chance)
        error = np.sqrt(chance * (1 - chance) / (k * sizes[code]))
        told[code] = agreement[code] >= LEAST_AGREEMENT and found - chance > 4 * error
    lonely = np.flatnonzero((same == 0) & told[labels])
    votes = np.zeros((len(lonely), n_classes), dtype=np.intp)
    np.add.at(votes, (np.arange(len(lonely))[:, np.newaxis], around[lonely]), 1)
    sure = votes.max(axis=1, initial=0) >= _least_votes
    return LabelDoubts(lonely[sure], votes[sure].argmax(axis=1).astype(np.intp), agreement)
