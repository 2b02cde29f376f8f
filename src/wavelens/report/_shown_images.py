"""Which images a report shows: of very many, some drawn at random and those that its sections point at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from wavelens.patterns import PatternAnalysis, Spectrum
from wavelens.patterns._sample import sample_places, seen_through
from wavelens.report._neighbours import nearest_of_some
from wavelens.report._pattern_findings import Findings, Pair

__all__ = [
    "CLASSES_IN_FULL",
    "IMAGES_A_ROW",
    "PAIRS_IN_FOLDS",
    "PAIRS_IN_FULL",
    "at_both_ends",
    "at_the_border",
    "dots",
    "in_steps",
    "largest_classes",
    "seen_for_report",
    "simple_and_complex",
]

IMAGES_A_ROW = 8
CLASSES_IN_FULL = 12
PAIRS_IN_FULL = 3
PAIRS_IN_FOLDS = 9
_most_dots = 250
_share_looked_for = 0.6

_Places = npt.NDArray[np.intp]


def largest_classes(sizes: npt.NDArray[np.intp]) -> _Places:
    """Return the classes of which images are shown, in their order."""
    return np.sort(np.argsort(-sizes, kind="stable")[:CLASSES_IN_FULL])


def in_steps(spectrum: Spectrum, n: int = IMAGES_A_ROW) -> _Places:
    """Return images from one end of a spectrum to the other, in equal steps of their order."""
    steps = np.unique(np.linspace(0, len(spectrum.indices) - 1, n).round().astype(np.intp))
    return np.asarray(spectrum.indices[steps])


def dots(spectrum: Spectrum) -> _Places:
    """Return where in a spectrum the images are that its strip shows: of very many, some at equal steps."""
    n = len(spectrum.indices)
    if n <= _most_dots:
        return np.arange(n)
    return np.unique(np.linspace(0, n - 1, _most_dots).round().astype(np.intp))


def at_the_border(analysis: PatternAnalysis, pair: Pair, n: int = IMAGES_A_ROW) -> tuple[_Places, _Places]:
    """Return the images of either class of a pair that are nearest to the other class."""
    a, b = analysis.classes_[pair.first], analysis.classes_[pair.second]
    return analysis.borderline(a, b, n), analysis.borderline(b, a, n)


def at_both_ends(analysis: PatternAnalysis, pair: Pair, n: int = IMAGES_A_ROW) -> tuple[_Places, _Places]:
    """Return the images of either class of a pair that are farthest from the other class."""
    a, b = analysis.classes_[pair.first], analysis.classes_[pair.second]
    return analysis.extremes(a, b, n), analysis.extremes(b, a, n)


def simple_and_complex(
    complexity: npt.NDArray[np.floating], n: int = IMAGES_A_ROW
) -> tuple[_Places, _Places]:
    """Return the simplest and the most complex images, those at the end first."""
    order = np.argsort(complexity, kind="stable")
    n = min(n, max(1, len(order) // 2))
    return order[:n], order[::-1][:n]


def seen_for_report(analysis: PatternAnalysis, n: int, random_state: int = 0) -> PatternAnalysis:
    """Choose about `n` of very many images to show, and see the analysis through them.

    Parameters
    ----------
    analysis : PatternAnalysis
        Of all images.
    n : int
        As many as there is memory for.
    random_state : int, default 0
        Seed of those that are drawn at random.

    Returns
    -------
    PatternAnalysis
        As `seen_through` returns it: with the images drawn at random, at least 40 % of `n`; the odd ones, those on
        borders and at ends that the galleries show; the dots of the strips; and the images nearest to those of the
        galleries.
    """
    total = len(analysis.labels_)
    if n >= total:
        everyone = np.arange(total)
        return seen_through(analysis, everyone, np.ones(total, dtype=bool))
    most = max(1, int(_share_looked_for * n))
    found = Findings(analysis, tuple(map(str, analysis.classes_.tolist())))
    for in_a_row in range(IMAGES_A_ROW, 0, -1):
        pointed_at = np.unique(np.concatenate(list(_galleries(analysis, found, in_a_row))))
        if len(pointed_at) <= most:
            break
    looked_for = pointed_at
    loneliest = np.concatenate([analysis.isolated(label, 1) for label in analysis.classes_])
    looked_for = _with(looked_for, loneliest, most)
    for pair in found.pairs[:PAIRS_IN_FULL]:
        spectrum = analysis.spectrum(analysis.classes_[pair.second], analysis.classes_[pair.first])
        looked_for = _with(looked_for, spectrum.indices[dots(spectrum)], most)
    nearest = nearest_of_some(analysis, pointed_at)
    for k in range(nearest.same.indices.shape[1]):  # the nearest of all images first
        for side in (nearest.same, nearest.other):
            more = np.setdiff1d(side.indices[:, k], looked_for)
            looked_for = np.union1d(looked_for, more[more >= 0][: max(0, most - len(looked_for))])
    drawn = sample_places(analysis.labels_, max(2, n - len(looked_for)), random_state)
    places = np.union1d(drawn, looked_for)
    return seen_through(analysis, places, np.isin(places, drawn), nearest)


def _galleries(analysis: PatternAnalysis, found: Findings, n: int) -> Iterator[_Places]:
    """Give the images of each gallery, at most `n` each."""
    for i in largest_classes(found.sizes):
        yield analysis.isolated(analysis.classes_[i], n)
    yield from simple_and_complex(found.complexity, n)
    for pair in found.pairs[: PAIRS_IN_FULL + PAIRS_IN_FOLDS]:
        yield from at_the_border(analysis, pair, n)
    for pair in found.pairs[:PAIRS_IN_FULL]:
        yield from at_both_ends(analysis, pair, n)
        yield in_steps(analysis.spectrum(analysis.classes_[pair.second], analysis.classes_[pair.first]), n)


def _with(places: _Places, more: _Places, most: int) -> _Places:
    """Add places as long as there is room for all of them."""
    both = np.union1d(places, more)
    return both if len(both) <= most else places
