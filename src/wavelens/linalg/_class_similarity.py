"""Mean Gaussian similarity of rows to classes, exact or, of very many rows, near enough and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, check_choice, check_integer, check_progress
from wavelens._mapped import is_mapped, picked_rows, table_beside
from wavelens.linalg._bandwidth import (
    Codes,
    Doubles,
    as_bandwidths,
    as_labels,
    class_bandwidths,
    overall_bandwidth,
)
from wavelens.linalg._feature_sums import FeatureSums
from wavelens.linalg._landmark_sums import LandmarkSums
from wavelens.linalg._pairwise import Progress, as_pair, lifted
from wavelens.linalg._similarity_error import SimilarityError
from wavelens.linalg._similarity_sums import exact_sums, parts_of

__all__ = ["ClassSimilarity", "class_similarity"]

# Of an exact comparison: pairs times (columns + the cost of an exponential in columns). Some four seconds on
# two cores of 2024, a pair of rows (30,000 × 200 take three, 60,000 × 200 eleven).
EXACT_WORK, EXPONENTIAL = 2.5e11, 100
WORTHWHILE = 3  # how much cheaper an approximation has to be


@dataclass(frozen=True, eq=False)
class ClassSimilarity:
    """Mean Gaussian similarity of rows to classes.

    Attributes
    ----------
    similarity : ndarray, shape (n, n_classes)
        In [0, 1]; NaN where the row is the only one of the class, which leaves nothing to be similar to.
    classes : ndarray, shape (n_classes,)
        The labels, sorted: the meaning of the columns.
    counts : ndarray of int, shape (n_classes,)
        Rows in each class.
    bandwidth : ndarray of float64, shape (n_classes,)
        That was used for each class, in the unit of the data.
    method : {"exact", "landmarks", "features"}
        How they were found.
    n_features : int
        Landmarks or features; 0 for "exact".
    error : SimilarityError or None
        How far off they are, from rows that were compared with all others; None for "exact".
    """

    similarity: FloatArray
    classes: npt.NDArray[Any]
    counts: npt.NDArray[np.intp]
    bandwidth: Doubles
    method: str = "exact"
    n_features: int = 0
    error: SimilarityError | None = None

    def in_words(self) -> str:
        """Say how the similarities were found and how far off they are.

        Returns
        -------
        str
            One or two sentences.
        """
        if self.error is None:
            return "Each image was compared with every other."
        how = {
            "landmarks": f"Mean similarities were found exactly at {self.n_features:,} images (landmarks) and "
            "interpolated at the others by the Gaussian itself (Nyström’s method).",
            "features": f"Mean similarities were approximated by {self.n_features:,} random Fourier features.",
        }
        return f"{how[self.method]} {self.error.in_words()}"


def class_similarity(
    x: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    y: npt.ArrayLike | None = None,
    bandwidth: float | str | npt.ArrayLike = "median",
    method: str = "auto",
    n_features: int = 2048,
    n_checked: int = 500,
    random_state: int = 0,
    progress: Progress | None = None,
) -> ClassSimilarity:
    """Mean Gaussian similarity of each row to each class, without the matrix of similarities.

    Parameters
    ----------
    x : array_like, shape (n, d)
        The labelled rows, as in `pairwise_distances`.
    labels : array_like, shape (n,)
        Their classes.
    y : array_like, shape (m, d), optional
        New rows to compare with the classes of `x`. Without it the rows of `x` are compared, and a row does
        not count itself among its own class.
    bandwidth : number, "median", "per class" or array_like of shape (n_classes,), default "median"
        h of exp(−d²/(2h²)), in the unit of the data. "median" is `median_bandwidth` of `x`. "per class"
        uses for the similarity to a class the median distance inside it; an array gives these numbers, in
        the order of `classes`.
    method : {"auto", "exact", "landmarks", "features"}, default "auto"
        "exact" compares each row with every other. "landmarks" does so for `n_features` of the rows and
        interpolates (`LandmarkSums`); "features" takes random Fourier features (`FeatureSums`). "auto"
        is exact up to n²·(d + 100) = 5e11, some five seconds on two cores (40,000 rows of 200 columns),
        and where landmarks would not cost less than a third; else it takes landmarks, whose error is 3 to
        50 times less than that of as many features on all data measured.
    n_features : int, default 2048
        Landmarks or features.
    n_checked : int, default 500
        Rows to compare with every other, to measure the error; at least 1.
    random_state : int, default 0
        Seed of landmarks, features and rows to check.
    progress : callable, optional
        Is called some twenty times a second with the share of the work that is done.

    Returns
    -------
    ClassSimilarity
        `similarity` of shape (n, n_classes), or (m, n_classes) with `y`, the `classes`, `counts`,
        `bandwidth`, and for approximations the `error`.

    Raises
    ------
    ValueError
        As `gaussian_similarity`; if `labels` has another length than `x`; for an unknown `method`.
    TypeError
        For a dtype that is not real.

    Notes
    -----
    Exact: n²·d flops for one bandwidth, 2n²·d for several, 2·n·m·d with `y`; besides the result at
    most some 45 MiB and a few vectors of length n. Sums are float64, in a fixed order: bitwise the same for
    any number of threads.

    Of an `x` in a mapped file only some MB are in memory at a time, by either method; compared with one another
    its rows take 2n²·d flops, so that "auto" is exact up to half the number of pairs. A result beyond 256 MB is
    then a map of a nameless file beside it.

    Landmarks, L of them: 4·n·L·d + 2·n·L·n_classes + L³/3 flops, 2·n·n_checked·d for the check, and
    some 16·L² bytes. Features, D of them: 2·n·D·d + 2·n·D·n_classes flops. The check rows and the landmarks get
    their exact similarities. With "per class" or several bandwidths, n·L·d flops more for each.

    Landmarks: C. Williams and M. Seeger, *Using the Nyström method to speed up kernel machines*, NIPS 2000;
    of kernel means, A. Chatalic, N. Schreuder, A. Rudi, L. Rosasco, *Nyström kernel mean embeddings*, ICML
    2022. Features: A. Rahimi and B. Recht, NIPS 2007; F. X. Yu and others, *Orthogonal random features*,
    NIPS 2016.

    Examples
    --------
    >>> from wavelens.linalg import class_similarity
    >>> result = class_similarity([[0.0], [1.0], [5.0]], ["near", "near", "far"], bandwidth=1)
    >>> result.classes.tolist()
    ['far', 'near']
    >>> result.similarity.round(4)
    array([[0.000e+00, 6.065e-01],
           [3.000e-04, 6.065e-01],
           [      nan, 2.000e-04]])
    """
    first, second = as_pair(x, y)
    check_choice(method, "method", ("auto", "exact", "landmarks", "features"))
    n_features = check_integer(n_features, "n_features", low=1)
    n_checked = check_integer(n_checked, "n_checked", low=1)
    random_state = check_integer(random_state, "random_state", low=0)
    check_progress(progress)
    classes, codes = as_labels(labels, len(first), "labels", "x")
    bandwidths = _class_bandwidths(first, codes, len(classes), bandwidth)
    if method == "auto":
        method = _chosen(first, second, len(np.unique(bandwidths)), n_features + n_checked)
    if method == "exact":
        exact = _exact_in_parts if is_mapped(first) else _exact
        return exact(first, second, codes, classes, bandwidths, progress)
    return _approximate(
        first, second, codes, classes, bandwidths, method, n_features, n_checked, random_state, progress
    )


def _chosen(x: FloatArray, y: FloatArray | None, n_bandwidths: int, anchors: int) -> str:
    """Return the exact method where it takes but seconds, or landmarks would hardly take less."""
    n, m = len(x), len(x) if y is None else len(y)
    each = x.shape[1] + EXPONENTIAL
    halved = y is None and n_bandwidths == 1 and not is_mapped(x)  # each pair is compared once
    exact = n * m * each / (2 if halved else 1)
    landmarks = (n + n_bandwidths * m) * anchors * each
    return "exact" if exact <= EXACT_WORK or exact < WORTHWHILE * landmarks else "landmarks"


def _exact(
    x: FloatArray,
    y: FloatArray | None,
    codes: Codes,
    classes: npt.NDArray[Any],
    bandwidths: Doubles,
    progress: Progress | None,
) -> ClassSimilarity:
    counts = np.bincount(codes, minlength=len(classes))
    if y is None and (bandwidths == bandwidths[0]).all():
        # Compared with one another for half the work.
        up, _, (raised,) = lifted(x, None, bandwidths)
        with np.errstate(over="ignore"):
            factors = np.full(len(x), 1 / raised[0])
        sums = _core.class_sums(up, None, codes, len(classes), factors, factors, True, progress)
    elif y is None:
        sums = exact_sums(x, None, codes, bandwidths, progress)
    else:
        sums = exact_sums(x, y, codes, bandwidths, progress)
    means = means_of(sums, counts, None if y is not None else codes)
    return ClassSimilarity(means.astype(x.dtype, copy=False), classes, counts, bandwidths)


def _exact_in_parts(
    x: FloatArray,
    y: FloatArray | None,
    codes: Codes,
    classes: npt.NDArray[Any],
    bandwidths: Doubles,
    progress: Progress | None,
) -> ClassSimilarity:
    """Compare exactly with the rows of a mapped file, of which only some are in memory at a time."""
    counts = np.bincount(codes, minlength=len(classes))
    compared = x if y is None else y
    found = table_beside(x, (len(compared), len(classes)))
    done = 0
    for here, some in parts_of(compared):
        sums = np.zeros((len(some), len(classes)))
        for there, rows in parts_of(x):
            sums += exact_sums(rows, some, codes[there], bandwidths, None)
            done += len(some) * len(rows)
            if progress is not None:
                progress(done / (len(compared) * len(x)))
        own = None if y is not None else codes[here]
        if own is not None:
            sums[np.arange(len(own)), own] -= 1  # the row itself
        found[here] = means_of(sums, counts, own).clip(0, 1)
    return ClassSimilarity(found, classes, counts, bandwidths)


def means_of(sums: Doubles, counts: npt.NDArray[np.intp], own: Codes | None) -> Doubles:
    """Divide sums by the numbers of rows in each class, a row itself not counted; NaN where none is left."""
    others = np.broadcast_to(counts, sums.shape).astype(np.float64)
    if own is not None:
        others[np.arange(len(own)), own] -= 1
    means = np.full(sums.shape, np.nan)
    np.divide(sums, others, out=means, where=others > 0)
    return means


def _approximate(
    x: FloatArray,
    y: FloatArray | None,
    codes: Codes,
    classes: npt.NDArray[Any],
    bandwidths: Doubles,
    method: str,
    n_features: int,
    n_checked: int,
    random_state: int,
    progress: Progress | None,
) -> ClassSimilarity:
    rng = np.random.default_rng(random_state)
    counts = np.bincount(codes, minlength=len(classes))
    places = (
        _draw_landmarks(codes, counts, n_features, rng) if method == "landmarks" else np.empty(0, np.intp)
    )
    others = np.setdiff1d(np.arange(len(x)), places) if y is None else np.arange(len(y))
    check = np.sort(rng.choice(others, min(n_checked, len(others)), replace=False))
    rows = x if y is None else y
    own = codes if y is None else None
    given = picked_rows(rows, check) if len(check) else None  # none where all rows are landmarks
    check_labels = None if own is None or given is None else classes[codes[check]]
    if method == "landmarks":
        sums: LandmarkSums | FeatureSums = LandmarkSums(
            picked_rows(x, places), classes, bandwidths, check=given, check_labels=check_labels
        )
    else:
        sums = FeatureSums(
            x.shape[1],
            classes,
            bandwidths,
            n_features=n_features,
            random_state=random_state,
            origin=picked_rows(x, rng.integers(0, len(x), min(1024, len(x)))).mean(axis=0, dtype=np.float64),
            dtype=x.dtype,
            check=given,
            check_labels=check_labels,
        )
    for part, some in parts_of(x):
        share = part.start / len(x), part.stop / len(x)
        sums.partial_fit(some, classes[codes[part]], progress=_part(progress, share[0] / 2, share[1] / 2))
    found = table_beside(x, (len(rows), len(classes)))
    for part, some in parts_of(rows):
        labels = None if own is None else classes[own[part]]
        share = part.start / len(rows), part.stop / len(rows)
        found[part] = sums.similarity(
            some, labels, progress=_part(progress, 0.5 + share[0] / 2, 0.5 + share[1] / 2)
        )
    error = sums.error(check)
    found[check] = error.exact
    if own is not None and isinstance(sums, LandmarkSums):
        found[places] = sums.exact_at_landmarks(classes[codes[places]])
    kept = len(places) if method == "landmarks" else sums.n_features
    return ClassSimilarity(found, classes, counts, bandwidths, method, kept, error)


def _draw_landmarks(
    codes: Codes, counts: npt.NDArray[np.intp], n_landmarks: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Draw rows, half of them evenly over the classes, so that a small class is among them as a whole."""
    drawn = []
    base = n_landmarks // (2 * len(counts))
    for code in range(len(counts)):
        members = np.flatnonzero(codes == code)
        drawn.append(rng.choice(members, min(base, len(members)), replace=False))
    even = np.concatenate(drawn)
    rest = np.setdiff1d(np.arange(len(codes)), even)
    more = rng.choice(rest, min(n_landmarks - len(even), len(rest)), replace=False)
    return np.sort(np.concatenate([even, more]))


def _part(progress: Progress | None, begin: float, end: float) -> Progress | None:
    if progress is None:
        return None
    return lambda share: progress(begin + (end - begin) * share)


def _class_bandwidths(x: FloatArray, codes: Codes, n_classes: int, bandwidth: object) -> Doubles:
    if not isinstance(bandwidth, str):
        return np.array(as_bandwidths(bandwidth, n_classes, "bandwidth", "classes"))
    check_choice(bandwidth, "bandwidth", ("median", "per class"))
    if bandwidth == "median":
        return np.full(n_classes, overall_bandwidth(x))
    return class_bandwidths(x, codes, n_classes)
