"""An analysis of very many images, seen through some of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._mapped import picked_rows
from wavelens.linalg import Nearest

if TYPE_CHECKING:
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = ["NearestOfSome", "SampledFrom", "sample_places", "seen_through"]


@dataclass(frozen=True, eq=False)
class NearestOfSome:
    """The nearest images of some images, looked for among all.

    Attributes
    ----------
    images : array of int, shape (q,)
        Places of the images in the data given to `fit`.
    same, other : Nearest
        Places and distances of the nearest images of the same class and of other classes, (q, k), nearest first; −1
        and NaN where there are fewer.
    """

    images: npt.NDArray[np.intp]
    same: Nearest
    other: Nearest


@dataclass(frozen=True, eq=False)
class SampledFrom:
    """What the images of a sample are among all images.

    Attributes
    ----------
    whole : PatternAnalysis
        Of all images.
    places : array of int, shape (n,)
        Their places there, ascending.
    drawn : array of bool, shape (n,)
        Whether an image was drawn at random, so that it stands for others; the rest were looked for, being odd,
        on a border, or near to such ones.
    nearest : NearestOfSome or None
        Of some of them; places are those among all images.
    """

    whole: PatternAnalysis
    places: npt.NDArray[np.intp]
    drawn: npt.NDArray[np.bool_]
    nearest: NearestOfSome | None = None

    def find(self, places: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return where in the sample places among all images are, and which of `places` these are."""
        at = np.searchsorted(self.places, places).clip(max=len(self.places) - 1)
        known = np.flatnonzero(self.places[at] == places)
        return at[known], known


def sample_places(labels: npt.NDArray[np.intp], n: int, random_state: int = 0) -> npt.NDArray[np.intp]:
    """Draw about n images, of each class in proportion to its size but at least as many as make an even share.

    Small classes would vanish in a plain draw, so half of the sample is dealt evenly over the classes and half by
    size.
    """
    check_integer(n, "n", low=2)
    rng = np.random.default_rng(random_state)
    counts = np.bincount(labels)
    even, by_size = n / 2 / len(counts), n / 2 * counts / counts.sum()
    drawn = []
    for i, count in enumerate(counts):
        wanted = max(2, round(even + by_size[i]))
        members = np.flatnonzero(labels == i)
        drawn.append(rng.choice(members, wanted, replace=False, shuffle=False) if wanted < count else members)
    return np.sort(np.concatenate(drawn))


def seen_through(
    analysis: PatternAnalysis,
    places: npt.NDArray[np.intp],
    drawn: npt.NDArray[np.bool_],
    nearest: NearestOfSome | None = None,
) -> PatternAnalysis:
    """Return an analysis whose images are some of the given one's; all else is that of all.

    Not only patterns and strengths: the similarities of these images to the classes are those to all images of
    the classes, and their places between two classes are those among all images.
    """
    part = copy.copy(analysis)
    part.result_ = replace(
        analysis.result_,
        embedding=picked_rows(analysis.embedding_, places),
        labels=analysis.labels_[places],
        positions=analysis.image_positions_[places],
    )
    part.embedding_, part.labels_ = part.result_.embedding, part.result_.labels
    part.image_positions_ = part.result_.positions
    compared = analysis.class_similarity_
    part._class_similarity = replace(compared, similarity=picked_rows(compared.similarity, places))
    part.sampled_from_ = SampledFrom(analysis, places, drawn, nearest)
    return part
