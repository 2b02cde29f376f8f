"""Which of the masks that a search has met is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wavelens.explain._search import Searcher

__all__ = ["CHOICE_STREAM", "DEAR", "LOST", "Candidate", "choose", "thresholds", "unseen"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

CHOICE_STREAM = 2**31

_kept_shares = (0.003, 0.01, 0.03, 0.1, 0.3)
LOST = 0.5
DEAR = 2.0
_n_look = 4
_n_choice = 16
_most_seen = 64.0


@dataclass(eq=False)
class Candidate:
    """Masks of all images, and the mean distortion that steps beside them have shown, over how many samples."""

    masks: Floats
    distortions: Doubles
    seen: Doubles


def unseen(masks: Floats) -> Candidate:
    """Return a candidate of which nothing is known."""
    return Candidate(masks, np.zeros(len(masks)), np.zeros(len(masks)))


def thresholds(start: Floats) -> list[Floats]:
    """Return masks that keep only the start's largest entries, some shares of them."""
    k = start.shape[1]
    ordered = np.sort(start, axis=1)
    found = []
    for share in _kept_shares:
        least = ordered[:, [max(0, k - 1 - int(share * k))]]
        found.append((start > least).astype(np.float32))
    return found


def choose(searcher: Searcher, lam: Doubles, empty: Doubles, everyone: list[Candidate]) -> None:
    """Keep the best of the masks on the same fresh noise: a few samples for all, more for the three best.

    Distortions have heavy tails: most samples keep the label, and a few lose it. A handful of fresh samples may
    therefore miss what a mask is worth, and what the search has seen of it on the way is counted in. The first mask is
    the one that the search ended with, and nearly always the best: another takes its place if it is better by more
    than the standard error of the difference.
    """
    o, n = searcher.objective, searcher.n
    scores = np.full((len(everyone), n), np.inf)
    errors = np.zeros((len(everyone), n))
    lost = np.zeros((len(everyone), n), dtype=bool)

    def weigh(images: Index, wanted: npt.NDArray[np.bool_], n_samples: int) -> None:
        ended = np.zeros((n, n_samples))
        for i in np.flatnonzero(wanted.any(axis=1)):
            rows = images[wanted[i]]
            masks = everyone[i].masks[rows]
            fresh = o.distortions(rows, masks, CHOICE_STREAM, n_samples)
            if i == 0:
                ended[rows] = fresh
            seen = np.minimum(everyone[i].seen[rows], _most_seen)
            values = (fresh.sum(axis=1) + seen * everyone[i].distortions[rows]) / (n_samples + seen)
            lost[i, rows] = values > LOST * empty[rows]
            scores[i, rows] = values + o.penalties(rows, masks, 0.0) + lam[rows] * masks.mean(axis=1)
            errors[i, rows] = (fresh - ended[rows]).std(axis=1) / np.sqrt(n_samples)

    def first(images: Index) -> None:
        # Where a mask is the same as an earlier one it is not weighed again.
        wanted = np.ones((len(everyone), len(images)), dtype=bool)
        for i in range(len(everyone)):
            for j in range(i):
                wanted[i] &= (everyone[i].masks[images] != everyone[j].masks[images]).any(axis=1)
        weigh(images, wanted, _n_look if o.random else 1)

    def second(images: Index) -> None:
        prices = scores[:, images] * np.where(lost[:, images], DEAR, 1.0)
        best = np.argsort(prices, axis=0, kind="stable")[:3]
        wanted = np.zeros(prices.shape, dtype=bool)
        np.put_along_axis(wanted, best, True, axis=0)
        wanted[0] = True
        wanted &= np.isfinite(prices)
        scores[:, images] = np.inf
        weigh(images, wanted, _n_choice)

    searcher.guarded(searcher.alive, first)
    if o.random:
        searcher.guarded(searcher.alive, second)
    # Masks that lose the label explain nothing, and come after those that keep it up to twice their price.
    scores = (scores + errors) * np.where(lost, DEAR, 1.0)
    for image in searcher.alive:
        searcher.masks[image] = everyone[int(scores[:, image].argmin())].masks[image]
