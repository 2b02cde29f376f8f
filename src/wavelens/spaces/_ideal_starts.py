"""Where ideal inputs begin: means and nearest images of each class, with one look at the training images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.models import Model

__all__ = ["Starts", "gather_starts"]

Array = npt.NDArray[Any]
CHUNK = 2**24  # values of images at a time
QUARTER = 0.25


@dataclass(frozen=True, eq=False)
class Starts:
    """What the training images give.

    Attributes
    ----------
    ideal : ndarray of shape (n_classes, n_outputs)
        The ideal outputs.
    images, outputs, distances : dict of str to ndarray
        Of "avg", "min" and "avg-min": (n_classes, channels, height, width), their outputs, and the distances of these
        from the ideal ones.
    nearest : ndarray of int64, shape (n_classes,)
        Which image is "min".
    low, high : float
        Range of all values.
    """

    ideal: Array
    images: Mapping[str, Array]
    outputs: Mapping[str, Array]
    distances: Mapping[str, Array]
    nearest: npt.NDArray[np.int64]
    low: float
    high: float


def gather_starts(
    model: Model,
    images: Array,
    codes: npt.NDArray[np.int64],
    ideal: Array | Callable[[Array], Array],
    progress: Callable[[int], object],
) -> Starts:
    """Collect the candidates that need no training.

    Parameters
    ----------
    model : Model
        The network.
    images : ndarray
        As `Model.prepare` takes them.
    codes : ndarray of int64, shape (n,)
        The class of each; none is empty.
    ideal : ndarray or callable
        The ideal outputs, or how they follow from the outputs.
    progress : callable
        Is called with the number of images done.

    Returns
    -------
    Starts
    """
    k = model.n_outputs
    counts = np.bincount(codes, minlength=k)
    answers = np.empty((len(images), k))
    sums: Array | None = None
    low, high = np.inf, -np.inf
    for rows, planes in _chunks(model, images, np.arange(len(images))):
        answers[rows] = model.predict(planes)
        low, high = min(low, float(planes.min())), max(high, float(planes.max()))
        sums = np.zeros((k, *planes.shape[1:])) if sums is None else sums
        _add(sums, planes, codes[rows])
        progress(len(rows))
    assert sums is not None
    if not np.isfinite(answers).all():
        bad = int(np.argmin(np.isfinite(answers).all(axis=1)))
        raise ValueError(f"`images`: the outputs of {model.name} for image {bad} are not finite")
    goals = ideal(answers) if callable(ideal) else ideal
    distances = np.linalg.norm(answers - goals[codes], axis=1)
    nearest = np.empty(k, np.int64)
    quarter: list[Array] = []
    for c in range(k):
        own = np.flatnonzero(codes == c)
        order = own[np.argsort(distances[own], kind="stable")]
        nearest[c] = order[0]
        quarter.append(order[: max(1, int(QUARTER * len(order)))])
    chosen = np.sort(np.concatenate(quarter))
    near = np.zeros_like(sums)
    for rows, planes in _chunks(model, images, chosen):
        _add(near, planes, codes[rows])
    column = (-1, 1, 1, 1)
    found = {
        "avg": sums / counts.reshape(column),
        "min": model.prepare(images[nearest]).astype(np.float64),
        "avg-min": near / np.array([len(each) for each in quarter]).reshape(column),
    }
    outputs = {name: model.predict(each).astype(np.float64) for name, each in found.items()}
    apart = {name: np.linalg.norm(each - goals, axis=1) for name, each in outputs.items()}
    return Starts(goals, found, outputs, apart, nearest, low, high)


def _chunks(model: Model, images: Array, rows: Array) -> Iterator[tuple[Array, Array]]:
    each = int(np.prod([side or 224 for side in model.input_shape]))
    step = max(1, CHUNK // each)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        yield part, model.prepare(images[part])


def _add(sums: Array, planes: Array, codes: Array) -> None:
    for c in np.unique(codes):
        sums[c] += planes[codes == c].sum(axis=0, dtype=np.float64)
