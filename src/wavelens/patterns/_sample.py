"""An analysis of very many images, seen through some of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._mapped import picked_rows

if TYPE_CHECKING:
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = ["SampledFrom", "sample_places", "seen_through"]


@dataclass(frozen=True, eq=False)
class SampledFrom:
    """What a sample of images stands for.

    Attributes
    ----------
    n_images : int
        All that the analysis was fitted to.
    class_counts : array of int, shape (n_classes,)
    """

    n_images: int
    class_counts: npt.NDArray[np.intp]


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


def seen_through(analysis: PatternAnalysis, places: npt.NDArray[np.intp]) -> PatternAnalysis:
    """Return an analysis whose images are some of the given one's; its patterns and strengths are those of all."""
    part = copy.copy(analysis)
    part.embedding_ = picked_rows(analysis.embedding_, places)
    part.labels_ = analysis.labels_[places]
    part.image_positions_ = analysis.image_positions_[places]
    part._class_similarity = None
    counts = np.bincount(analysis.labels_, minlength=len(analysis.classes_))
    part.sampled_from_ = SampledFrom(len(analysis.labels_), counts)
    return part
