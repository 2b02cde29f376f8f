"""Pictures of what sets classes apart: the mean of a class's images, weighted by their scores, in all coefficients.

A filter says how to tell a class, not what it looks like; its forward picture does. For the scores s_i of the images of
a class, in all coefficients X_i and not only the selected ones,

    picture = Σ s_i (X_i − mean of the rest) / Σ s_i².

It is a mean, for which a sample of images suffices: at most 4,096, whichever executor the fit had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._mapped import row_blocks
from wavelens.patterns._class_patterns import (
    N_PATTERNS,
    ClassPatternTest,
    Filters,
    Moments,
    class_filters,
    n_pattern_coefficients,
)
from wavelens.patterns._result import FitResult
from wavelens.patterns._results import ClassPatterns
from wavelens.patterns._sample import sample_places
from wavelens.patterns._value_range import check_squares

__all__ = ["class_moments", "class_patterns", "class_pictures"]

MOST_IMAGES = 4096
_most_numbers = 8_000_000
_at_once = 256

_Codes = npt.NDArray[np.intp]


def class_moments(result: FitResult) -> Moments:
    """Return the moments of each class in the coefficients that its patterns are made of; O(n m r).

    Raises
    ------
    DataError
        If the squares of the coefficients cannot be represented.
    """
    check_squares(result.sigma, result.gsvd.v)
    m = n_pattern_coefficients(len(result.labels), len(result.columns))
    n_classes = len(result.classes)
    counts = np.bincount(result.labels, minlength=n_classes).astype(np.float64)
    sums, products = np.zeros((n_classes, m)), np.zeros((n_classes, m, m))
    v, first, origin = result.gsvd.v[:m].T, 0, np.zeros(m)
    for block in row_blocks(result.embedding):
        rows = np.asarray(block @ v, dtype=np.float64)
        if not first:
            origin = rows.mean(axis=0)
        rows -= origin
        codes = result.labels[first : first + len(block)]
        first += len(block)
        for i in np.unique(codes).tolist():
            own = rows[codes == i]
            sums[i] += own.sum(axis=0)
            products[i] += own.T @ own
    return Moments(origin, counts, sums, products)


def one_against_rest(moments: Moments, n: int = N_PATTERNS) -> list[Filters]:
    """Return the filters of each class against all others."""
    found = [class_filters(moments, i, n=n) for i in range(len(moments.counts))]
    return [each for each in found if each is not None]


def sampled_positions(result: FitResult) -> _Codes:
    """Return the images that pictures are made from, as indices of the fit's images, ascending."""
    if len(result.labels) <= MOST_IMAGES:
        return np.arange(len(result.labels), dtype=np.intp)
    return sample_places(result.labels, MOST_IMAGES, result.options.random_state)


def class_pictures(
    result: FitResult, read: Callable[[_Codes], Iterator[tuple[_Codes, npt.NDArray[np.generic]]]]
) -> FloatArray:
    """Return the pictures of the patterns of each class against the rest, in all coefficients.

    Parameters
    ----------
    result : FitResult
    read : callable
        Takes indices of the fit's images, and gives some of them at a time with their indices.

    Returns
    -------
    array of shape (n_classes, n, n_all_coefficients)
        Fewer than eight patterns of each class where there are very many classes of large images.
    """
    n_classes, p = len(result.classes), result.basis.n_coefficients
    moments = class_moments(result)
    n = max(1, min(N_PATTERNS, moments.sums.shape[1], _most_numbers // (n_classes * p)))
    filters = one_against_rest(moments, n)
    m = moments.sums.shape[1]
    weighted = np.zeros((n_classes, n, p))
    scores, squares = np.zeros((n_classes, n)), np.zeros((n_classes, n))
    sums, counts = np.zeros((n_classes, p)), np.zeros(n_classes)
    for indices, images in read(sampled_positions(result)):
        for first in range(0, len(indices), _at_once):
            coefficients = result.basis.forward(images[first : first + _at_once]).astype(
                np.float64, copy=False
            )
            codes = result.labels[indices[first : first + _at_once]]
            for i in np.unique(codes).tolist():
                own = coefficients[codes == i]
                s = filters[i].scores(own[:, result.columns[:m]])
                weighted[i] += s.T @ own
                scores[i] += s.sum(axis=0)
                squares[i] += (s * s).sum(axis=0)
                sums[i] += own.sum(axis=0)
                counts[i] += len(own)
    means = sums / np.maximum(counts, 1)[:, None]
    shares = moments.counts[:, None] * means
    rest = (shares.sum(axis=0) - shares) / (moments.counts.sum() - moments.counts)[:, None]
    found = weighted - scores[:, :, None] * rest[:, None, :]
    found /= np.maximum(squares, np.finfo(np.float64).tiny)[:, :, None]
    return np.asarray(found, dtype=result.sigma.dtype)


def class_patterns(
    result: FitResult, moments: Moments, test: ClassPatternTest, class_: int, other: int | None
) -> ClassPatterns:
    """Return the patterns of a class against another or all others, beside the evidence for them."""
    others = np.delete(np.arange(len(result.classes)), class_) if other is None else np.array([other])
    filters = class_filters(moments, class_, others)
    assert filters is not None  # a fit has at least two images of each class
    pictures = result.class_pictures
    complete = other is None and pictures is not None and pictures.shape[1] == filters.filters.shape[1]
    shown = pictures[class_] if complete else restricted_pictures(result, moments, filters, class_)  # type: ignore[index]
    mean = moments.sums[class_] / moments.counts[class_]
    full = np.zeros((1, result.basis.n_coefficients))
    full[0, result.columns[: len(mean)]] = mean + moments.origin - filters.center
    row = class_ if other is None else 0
    return ClassPatterns(
        class_=result.classes[class_].item(),
        against=None if other is None else result.classes[other].item(),
        images=result.basis.inverse(np.asarray(shown, dtype=np.float64)),
        strength=filters.strength,
        held_out=test.held_out[row],
        interval=test.interval[row],
        specific=test.specific[row],
        by_chance=float(test.by_chance[row]),
        mean_share=filters.mean_share,
        difference=result.basis.inverse(full)[0],
        complete=complete,
        test=test,
        _filters=filters,
        _result=result,
    )


def restricted_pictures(result: FitResult, moments: Moments, filters: Filters, class_: int) -> FloatArray:
    """Return the pictures in the coefficients that the patterns are made of alone, shape (n, n_all_coefficients)."""
    m = len(filters.center)
    count, mean = moments.counts[class_], moments.sums[class_] / moments.counts[class_]
    center = filters.center - moments.origin
    cross = np.outer(mean, center)
    own = moments.products[class_] / count - cross - cross.T + np.outer(center, center)
    # Scores are in units of the others' root mean square.
    covariance = own @ filters.filters / filters.scale
    power = np.einsum("ij,ij->j", filters.filters, own @ filters.filters) / filters.scale**2
    found = np.zeros((filters.filters.shape[1], result.basis.n_coefficients))
    found[:, result.columns[:m]] = (covariance / np.maximum(power, np.finfo(np.float64).tiny)).T
    return found
