"""What sets a class apart from the others: common spatial patterns of one class against the rest.

For the images x of a class c and of the rest, in the first m selected coefficients, with the mean μ of the *rest*:

    S_r = cov(rest),    S_c = mean over c of (x − μ)(x − μ)ᵀ,    A = S_r + ρ · tr(S_r)/m · I.

The filters w are the generalized eigenvectors of S_c w = λ A w with the largest λ; the score of an image is wᵀ(x − μ).
The strength of a pattern is the root mean square of the score over the class, over that of the rest (without the
ridge ρ, which only keeps directions that the rest hardly has from winning). A pattern is shown as its forward picture,
the mean of the class's images weighted by their scores, and not as its filter.

Strengths on the images that were fitted are always above 1. What counts is measured on held-out images: five folds, of
whole groups where there are any, refitted without each fold; and it is compared with the largest strength, over all
ranks and classes, that shuffled labels (of whole groups) reach in the same way.

Sources: J. Müller-Gerking, G. Pfurtscheller, H. Flyvbjerg, Clinical Neurophysiology 110 (1999); F. Lotte, C. Guan, IEEE
Trans. Biomed. Eng. 58 (2011) for the ridge; S. Haufe et al., NeuroImage 87 (2014) for patterns and filters. With ρ = 0
and the mean of all images it is the two-matrix GSVD of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from wavelens._arguments import FloatArray, check_integer
from wavelens._mapped import picked_rows
from wavelens._progress import progress_bar
from wavelens._threads import blas_threads, num_threads
from wavelens.patterns._groups import check_groups, group_labels
from wavelens.patterns._result import FitResult
from wavelens.patterns._sample import sample_places

__all__ = [
    "N_PATTERNS",
    "RIDGE",
    "ClassPatternTest",
    "Filters",
    "Moments",
    "class_filters",
    "class_pattern_test",
    "moments_of",
    "n_pattern_coefficients",
    "selected_rows",
]

RIDGE = 0.3
N_PATTERNS = 8
N_FOLDS = 5
MOST_IMAGES = 20_000
_uneven = 3.0  # ratio of class sizes from which on the log ratio is judged over its standard error

_Codes = npt.NDArray[np.intp]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Numbers, sums and sums of products of rows, by class.

    Attributes
    ----------
    origin : array of shape (m,)
        What has been subtracted from the rows, near their mean: sums of products of large numbers that hardly differ
        would lose what differs.
    counts : array of shape (n_classes,)
    sums : array of shape (n_classes, m)
    products : array of shape (n_classes, m, m)
    """

    origin: Doubles
    counts: Doubles
    sums: Doubles
    products: Doubles

    def __sub__(self, other: Moments) -> Moments:
        """Return the moments of the rows that are not among those of `other`, of the same origin."""
        return Moments(
            self.origin, self.counts - other.counts, self.sums - other.sums, self.products - other.products
        )


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters of one class against others.

    Attributes
    ----------
    filters : array of shape (m, n)
        Strongest first.
    center : array of shape (m,)
        Mean μ of the others.
    strength : array of shape (n,)
        Ratio of root mean square scores, on the images that were fitted.
    mean_share : array of shape (n,)
        Share of the class's mean square score that a shift of its mean explains; the rest is spread.
    scale : array of shape (n,)
        Root mean square scores of the others.
    """

    filters: Doubles
    center: Doubles
    strength: Doubles
    mean_share: Doubles
    scale: Doubles

    def scores(self, rows: FloatArray) -> Doubles:
        """Return the scores of rows of selected coefficients, in units of the others' root mean square."""
        return np.asarray((rows - self.center) @ self.filters / self.scale)


@dataclass(frozen=True, eq=False)
class ClassPatternTest:
    """How strong the patterns of each class are on held-out images, beside chance.

    Attributes
    ----------
    held_out : array of shape (n_classes, n)
        Strength of the patterns by rank on held-out images; NaN where a class has too few images or groups.
    interval : array of shape (n_classes, n, 2)
        95 % interval of each.
    specific : array of bool, shape (n_classes, n)
        Whether a pattern and all before it are stronger than chance.
    by_chance : array of shape (n_classes,)
        What shuffled labels exceed in 5 % of the cases with any of their patterns of any class.
    null : array of shape (n_shuffles,)
        Largest statistic of each shuffle.
    statistic : {"ratio", "z"}
        Of what the null is: the strength, or where classes are of very different size, its logarithm over the standard
        error.
    n_images : int
        Images that were looked at: all, or a sample of them.
    n_groups : int or None
        Groups that folds and shuffles kept together.
    """

    held_out: Doubles
    interval: Doubles
    specific: npt.NDArray[np.bool_]
    by_chance: Doubles
    null: Doubles
    statistic: str
    n_images: int
    n_groups: int | None = None


def n_pattern_coefficients(n_images: int, n_selected: int) -> int:
    """Return how many of the selected coefficients the patterns of classes are made of: min(200, n/8, all)."""
    return max(1, min(200, n_images // 8, n_selected))


def selected_rows(result: FitResult, images: _Codes | None, m: int) -> Doubles:
    """Return the first m selected coefficients of some images, from their rows of UΣ; None: of all."""
    rows = result.embedding if images is None else picked_rows(result.embedding, images)
    return np.asarray(rows @ result.gsvd.v[:m].T, dtype=np.float64)


def moments_of(rows: Doubles, codes: _Codes, n_classes: int) -> Moments:
    """Return the moments of rows by class."""
    m = rows.shape[1]
    sums, products = np.zeros((n_classes, m)), np.zeros((n_classes, m, m))
    for i in range(n_classes):
        own = rows[codes == i]
        sums[i] = own.sum(axis=0)
        products[i] = own.T @ own
    counts = np.bincount(codes, minlength=n_classes).astype(np.float64)
    return Moments(np.zeros(m), counts, sums, products)


def class_filters(
    moments: Moments, class_: int, others: _Codes | None = None, n: int = N_PATTERNS, ridge: float = RIDGE
) -> Filters | None:
    """Return the filters of a class against others (None: all of them); None if either side has too few images.

    O(m³) for m coefficients.
    """
    if others is None:
        others = np.delete(np.arange(len(moments.counts)), class_)
    n_own, n_rest = moments.counts[class_], moments.counts[others].sum()
    if n_own < 1 or n_rest < 2:
        return None
    m = moments.sums.shape[1]
    center = moments.sums[others].sum(axis=0) / n_rest
    rest = moments.products[others].sum(axis=0) / n_rest - np.outer(center, center)
    mean = moments.sums[class_] / n_own
    shift = mean - center
    cross = np.outer(mean, center)
    own = moments.products[class_] / n_own - cross - cross.T + np.outer(center, center)
    size = float(np.trace(rest)) / m
    # Others that never vary leave nothing to compare with but rounding.
    rounding = 1e-12 * (float(np.trace(own)) + float(center @ center) + float(mean @ mean)) / m
    size = max(size, rounding, float(np.finfo(np.float64).tiny))
    rest[np.diag_indices(m)] += ridge * size
    n = min(n, m)
    filters = eigh(own, rest, subset_by_index=(m - n, m - 1), check_finite=False)[1]
    filters = filters[:, ::-1]
    rest[np.diag_indices(m)] -= ridge * size
    power = np.einsum("ij,ij->j", filters, own @ filters)
    # Filters have wᵀAw = 1: what is less than rounding of it is none.
    noise = np.maximum(np.einsum("ij,ij->j", filters, rest @ filters), m * np.finfo(np.float64).eps)
    along = shift @ filters
    filters = filters * np.where(along < 0, -1.0, 1.0)
    share = np.divide(along**2, power, out=np.zeros(n), where=power > 0)
    return Filters(
        filters,
        center + moments.origin,
        np.sqrt(np.maximum(power, 0) / noise),
        np.clip(share, 0, 1),
        np.sqrt(noise),
    )


def class_pattern_test(
    result: FitResult,
    groups: npt.ArrayLike | None = None,
    n_shuffles: int = 39,
    random_state: int = 0,
    n: int = N_PATTERNS,
    classes: tuple[int, int] | None = None,
    progress: bool | None = None,
) -> ClassPatternTest:
    """Judge the patterns of all classes, or of two, on held-out images beside shuffled labels.

    Parameters
    ----------
    result : FitResult
    groups : array of shape (n_images,) or None, default None
        Images that belong together; each group of one class.
    n_shuffles : int, default 39
        With 39 the second largest is the 5 % threshold exactly.
    random_state : int, default 0
    n : int, default 8
        Patterns of each class.
    classes : tuple of int or None, default None
        Two classes, to set against each other; None: each against the rest.
    progress : bool or None, default None

    Returns
    -------
    ClassPatternTest

    Notes
    -----
    Of more than 20,000 images a sample is looked at. 5 · n_classes eigenproblems of at most 200 for each shuffle.
    """
    n_shuffles = check_integer(n_shuffles, "n_shuffles", low=19)
    check_integer(random_state, "random_state", low=0)
    codes = result.labels
    units = None if groups is None else check_groups(groups, len(codes))
    images = None if classes is None else np.flatnonzero(np.isin(codes, classes))
    if len(codes if images is None else images) > MOST_IMAGES:
        some = sample_places(codes if images is None else codes[images], MOST_IMAGES, random_state)
        images = some if images is None else images[some]
    m = n_pattern_coefficients(len(codes), len(result.columns))
    rows = selected_rows(result, images, m)
    if images is not None:
        codes = codes[images]
        units = None if units is None else np.unique(units[images], return_inverse=True)[1]
    if classes is not None:
        codes = (codes == classes[1]).astype(np.intp)  # the first of the two is class 0
    n_classes = 2 if classes is not None else len(result.classes)
    of_units = None if units is None else group_labels(units, codes, n_classes)
    # No number depends on origin or scale; products of tiny or huge coefficients would leave the range.
    rows = rows - rows.mean(axis=0)
    rows /= np.abs(rows).max() or 1.0
    counts = np.bincount(codes, minlength=n_classes)
    uneven = counts.max() > _uneven * max(1, counts.min())

    def measured(codes: _Codes, seed: np.random.SeedSequence) -> tuple[Doubles, Doubles]:
        folds = _folds(codes, units, np.random.default_rng(seed))
        return _held_out(rows, codes, folds, units, n_classes, n)

    def statistic(ratio: Doubles, error: Doubles) -> Doubles:
        if not uneven:
            return ratio
        return np.divide(np.log(ratio), error, out=np.full_like(ratio, np.nan), where=error > 0)

    def shuffled(seed: np.random.SeedSequence) -> float:
        ours, folds = seed.spawn(2)
        rng = np.random.default_rng(ours)
        dealt = rng.permutation(codes)
        if units is not None and of_units is not None:
            dealt = rng.permutation(of_units)[units]
        found = statistic(*measured(dealt, folds))
        return float(np.nanmax(found)) if np.isfinite(found).any() else np.nan

    seeds = np.random.SeedSequence(random_state).spawn(n_shuffles + 1)
    ratio, error = measured(codes, seeds[0])
    null = _in_threads(shuffled, seeds[1:], progress)
    ordered = np.sort(null[np.isfinite(null)])
    # The k-th largest of n shuffles is exceeded with probability k / (n + 1) if labels mean nothing.
    k = max(1, int(0.05 * (n_shuffles + 1)))
    threshold = float(ordered[-k]) if len(ordered) >= k else np.inf
    beyond = statistic(ratio, error) > threshold
    by_chance = np.full(n_classes, threshold)
    if uneven:
        by_chance = np.exp(threshold * np.nan_to_num(error[:, 0], nan=np.inf))
    half = np.exp(1.96 * error)
    return ClassPatternTest(
        held_out=ratio,
        interval=np.stack([ratio / half, ratio * half], axis=2),
        specific=np.logical_and.accumulate(beyond, axis=1),
        by_chance=by_chance,
        null=null,
        statistic="z" if uneven else "ratio",
        n_images=len(rows),
        n_groups=None if of_units is None else len(of_units),
    )


def _in_threads(
    measure: Callable[[np.random.SeedSequence], float],
    seeds: list[np.random.SeedSequence],
    progress: bool | None,
) -> Doubles:
    found = np.empty(len(seeds))
    with (
        blas_threads(1),
        ThreadPoolExecutor(min(num_threads(), len(seeds))) as pool,
        progress_bar(len(seeds), "Shuffling labels", progress, unit=" shuffles") as bar,
    ):
        try:
            for i, value in enumerate(pool.map(measure, seeds)):
                found[i] = value
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _folds(codes: _Codes, units: _Codes | None, rng: np.random.Generator) -> _Codes:
    """Deal images, or whole groups, to folds, those of each class evenly."""
    folds = np.empty(len(codes), dtype=np.intp)
    if units is None:
        for i in np.unique(codes):
            members = rng.permutation(np.flatnonzero(codes == i))
            folds[members] = (np.arange(len(members)) + rng.integers(N_FOLDS)) % N_FOLDS
        return folds
    sizes = np.bincount(units)
    first = np.zeros(len(sizes), dtype=np.intp)
    first[units] = codes
    of_unit = np.empty(len(sizes), dtype=np.intp)
    for i in np.unique(first):
        members = rng.permutation(np.flatnonzero(first == i))
        filled = np.zeros(N_FOLDS)
        for unit in members[np.argsort(-sizes[members], kind="stable")]:
            fewest = np.flatnonzero(filled == filled.min())
            of_unit[unit] = rng.choice(fewest)
            filled[of_unit[unit]] += sizes[unit]
    return np.asarray(of_unit[units])


def _held_out(
    rows: Doubles, codes: _Codes, folds: _Codes, units: _Codes | None, n_classes: int, n: int
) -> tuple[Doubles, Doubles]:
    """Return the held-out strength by class and rank, and the standard error of its logarithm."""
    n = min(n, rows.shape[1])
    parts = [moments_of(rows[folds == f], codes[folds == f], n_classes) for f in range(N_FOLDS)]
    names = ("counts", "sums", "products")
    total = Moments(parts[0].origin, *(sum(getattr(p, name) for p in parts) for name in names))
    squares = np.full((n_classes, len(rows), n), np.nan)
    for f, part in enumerate(parts):
        here = np.flatnonzero(folds == f)
        training = total - part
        for i in range(n_classes):
            filters = class_filters(training, i, n=n) if len(here) else None
            if filters is not None:
                squares[i, here] = filters.scores(rows[here]) ** 2
    ratio, error = np.full((n_classes, n), np.nan), np.full((n_classes, n), np.nan)
    for i in range(n_classes):
        own, rest = codes == i, codes != i
        seen = np.isfinite(squares[i, :, 0])
        if np.count_nonzero(own & seen) < 2 or np.count_nonzero(rest & seen) < 2:
            continue
        near, near_error = _mean_and_error(squares[i], own & seen, units)
        far, far_error = _mean_and_error(squares[i], rest & seen, units)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio[i] = np.sqrt(near / far)
            error[i] = 0.5 * np.sqrt((near_error / near) ** 2 + (far_error / far) ** 2)
    return ratio, error


def _mean_and_error(
    squares: Doubles, which: npt.NDArray[np.bool_], units: _Codes | None
) -> tuple[Doubles, Doubles]:
    """Return the mean over some images, and its standard error, of sums over groups where there are any."""
    values = squares[which]
    mean = values.mean(axis=0)
    off = values - mean
    if units is not None:
        sums = np.zeros((int(units.max()) + 1, values.shape[1]))
        np.add.at(sums, units[which], off)
        off = sums
    return mean, np.sqrt((off**2).sum(axis=0)) / len(values)
