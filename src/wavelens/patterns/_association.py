"""Whether the patterns of a dataset are tied to its classes: the same patterns' spread under shuffled labels.

The rows of UΣ, each column scaled to norm 1 over all images, are an orthonormal basis Y of the chosen
coefficients that no label had a part in: shuffled labels only deal its rows out anew. So a permutation needs
neither the images nor a QR, only B_i = Y_iᵀY_i of the rows that each class is dealt and an eigenproblem of the
size of the patterns:

- two classes: the share s of the first class in each pattern is an eigenvalue of B_1 (of weighted classes,
  w_1²s / (w_1²s + w_2²(1 − s))): O(nm² + m³), eigenvalues only;
- N classes: G_i = L⁻¹ w_i²B_i L⁻ᵀ with LLᵀ = Σ w_i²B_i, eigenvectors z_k of T = (1/N) Σ (G_i + πI)⁻¹, and shares
  σ_ik² = z_kᵀG_i z_k: O(nm² + Nm³).

The shares of a pattern over the N classes are the squares of a unit vector. Its angle from the even one,
arccos(Σ_i σ_ik / √N), is |atan2(σ_1, σ_2) − π/4| for two classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, check_integer
from wavelens.patterns._association_problem import ISOLATED_ANGLE, AssociationProblem, measure_all
from wavelens.patterns._groups import check_groups, group_labels
from wavelens.patterns._result import FitResult

__all__ = ["ISOLATED_ANGLE", "AssociationCurve", "AssociationResult", "association_curve", "association_test"]

_Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class AssociationResult:
    """Whether patterns are tied to classes more than they are to shuffled labels.

    Attributes
    ----------
    statistic : float
        Root mean square over the patterns of the angle, in radians, between a pattern's σ over the classes
        and even shares: 0 if all classes share every pattern alike, arccos(1/√N) (π/4 for two classes) if
        every pattern is one class's alone.
    null : array of shape (n_permutations,)
        The same under shuffled labels.
    pvalue : float
        (1 + number of `null` at least `statistic`) / (1 + n_permutations).
    effect_size : float
        (statistic − mean of `null`) / standard deviation of `null`; NaN if `null` does not vary.
    difference : float
        statistic − mean of `null`, in radians.
    isolated : float
        Share of the patterns that are isolated or nearly so: σ of one class at least 6.3 times that of any
        other.
    isolated_null : array of shape (n_permutations,)
        The same under shuffled labels.
    isolated_pvalue, isolated_difference : float
        As `pvalue` and `difference`, of `isolated`.
    n_images, n_classes, n_patterns : int
    n_groups : int or None
        How many groups of images the labels were shuffled between; None: each image on its own.
    """

    statistic: float
    null: FloatArray
    pvalue: float
    effect_size: float
    difference: float
    isolated: float
    isolated_null: FloatArray
    isolated_pvalue: float
    isolated_difference: float
    n_images: int
    n_classes: int
    n_patterns: int
    n_groups: int | None = None

    @property
    def n_permutations(self) -> int:
        """How often the labels were shuffled."""
        return len(self.null)

    @property
    def smallest_pvalue(self) -> float:
        """The smallest p-value that so many permutations can give."""
        return 1 / (1 + self.n_permutations)

    def in_words(self) -> str:
        """Say whether the dataset carries class information that could be learnt, and what that leaves open.

        Returns
        -------
        str
            The sentences of `finding` and `caveat`.
        """
        return f"{self.finding()} {self.caveat()}".strip()

    def finding(self) -> str:
        """Say whether the dataset carries class information that could be learnt.

        Returns
        -------
        str
            A few sentences.
        """
        observed, chance = np.degrees(self.statistic), np.degrees(self.null.mean())
        units = "images" if self.n_groups is None else "groups"
        between = "" if self.n_groups is None else f" between {self.n_groups:,} groups of images"
        numbers = (
            f"On root mean square, patterns lie {observed:.1f}° from being shared evenly; over "
            f"{self.n_permutations:,} shufflings of the labels{between} it is {chance:.1f}° "
            f"(p = {self.pvalue:.2g})."
        )
        if self.smallest_pvalue > 0.05:
            return (
                f"{numbers} So few shufflings are too few to tell anything: p cannot fall below "
                f"{self.smallest_pvalue:.2g}."
            )
        if self.pvalue > 0.05:
            return (
                "The patterns are tied to the classes no more than chance ties them: no class information that "
                f"could be learnt was found. {numbers} What shows but faintly in the strength of patterns may "
                "have been missed; fewer coefficients leave less room to chance."
            )
        text = (
            "The patterns are tied to the classes more than chance ties them: the labels carry information that "
            f"could be learnt from these images. {numbers}"
        )
        if chance > observed / 2:
            text += (
                f" Most of that distance is chance: with so many patterns for so few {units}, labels of no "
                "meaning give patterns to classes as well. Fewer coefficients show the tie more clearly."
            )
        return text

    def caveat(self) -> str:
        """Say what class information may be other than knowledge of the subject.

        Returns
        -------
        str
            A sentence or two; empty if no information was found.
        """
        if self.pvalue > 0.05:
            return ""
        text = (
            "Class information need not be knowledge of the subject: anything that differs between the classes "
            "counts, such as a scanner, a file format, a crop or a mark in the images."
        )
        if self.n_groups is None:
            return (
                f"{text} So do images that belong together, such as neighbouring slices of one patient, because "
                "the labels were shuffled image by image."
            )
        return f"{text} Images of one group were shuffled together, so that their likeness does not count."


@dataclass(frozen=True, eq=False)
class AssociationCurve:
    """How the tie between patterns and classes fades as labels are shuffled.

    Attributes
    ----------
    shares : array of shape (n_shares,)
        Share of the labels that were shuffled among themselves, ascending.
    statistic, isolated : array of shape (n_shares, n_repeats)
        As in `AssociationResult`, for each repeat.
    """

    shares: FloatArray
    statistic: FloatArray
    isolated: FloatArray


def association_test(
    result: FitResult,
    n_permutations: int = 200,
    random_state: int = 0,
    groups: npt.ArrayLike | None = None,
    progress: bool | None = None,
) -> AssociationResult:
    """See `PatternAnalysis.association_test`."""
    n_permutations = check_integer(n_permutations, "n_permutations", low=1)
    seeds = _seeds(random_state, n_permutations)
    problem = AssociationProblem(result)
    labels = result.labels
    if groups is None:
        n_groups = None
        deals = [partial(_shuffled, labels, seed) for seed in seeds]
    else:
        codes = check_groups(groups, len(labels))
        n_groups = int(codes.max()) + 1
        labels_of_groups = group_labels(codes, labels, len(result.classes))
        deals = [partial(_shuffled_groups, codes, labels_of_groups, seed) for seed in seeds]
    statistic, isolated = problem.measure(labels)
    found = measure_all(problem, deals, "Shuffling labels", progress)
    null, isolated_null = found[:, 0], found[:, 1]
    spread = float(null.std(ddof=1)) if n_permutations > 1 else 0.0
    difference = statistic - float(null.mean())
    # What comes from rounding alone is no effect.
    varies = spread > 1e3 * np.finfo(problem.dtype).eps
    return AssociationResult(
        statistic=statistic,
        null=null,
        pvalue=_pvalue(statistic, null),
        effect_size=difference / spread if varies else np.nan,
        difference=difference,
        isolated=isolated,
        isolated_null=isolated_null,
        isolated_pvalue=_pvalue(isolated, isolated_null),
        isolated_difference=isolated - float(isolated_null.mean()),
        n_images=len(labels),
        n_classes=len(result.classes),
        n_patterns=problem.n_patterns,
        n_groups=n_groups,
    )


def association_curve(
    result: FitResult,
    shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    n_repeats: int = 5,
    random_state: int = 0,
    progress: bool | None = None,
) -> AssociationCurve:
    """See `PatternAnalysis.association_curve`."""
    n_repeats = check_integer(n_repeats, "n_repeats", low=1)
    values = np.asarray(shares, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"`shares` must be numbers between 0 and 1, got {shares}")
    values = np.sort(values)
    problem = AssociationProblem(result)
    # Without shuffling all repeats are the same.
    shuffled = [share for share in values if share > 0]
    seeds = _seeds(random_state, len(shuffled) * n_repeats)
    deals = [
        partial(_shuffled, result.labels, seed, share)
        for seed, share in zip(seeds, np.repeat(shuffled, n_repeats), strict=True)
    ]
    found = np.empty((len(values) * n_repeats, 2))
    found[: len(found) - len(deals)] = problem.measure(result.labels)
    if deals:
        found[len(found) - len(deals) :] = measure_all(problem, deals, "Shuffling shares of labels", progress)
    statistic, isolated = np.moveaxis(found.reshape(len(values), n_repeats, 2), 2, 0)
    return AssociationCurve(values, statistic, isolated)


# Labels


def _seeds(random_state: int, n: int) -> list[np.random.SeedSequence]:
    return np.random.SeedSequence(check_integer(random_state, "random_state", low=0)).spawn(n)


def _shuffled(labels: _Codes, seed: np.random.SeedSequence, share: float = 1.0) -> _Codes:
    """Shuffle the labels of a random share of the images among them."""
    rng = np.random.default_rng(seed)
    if share >= 1:
        return rng.permutation(labels)
    dealt = labels.copy()
    some = rng.choice(len(labels), round(share * len(labels)), replace=False)
    dealt[some] = labels[rng.permutation(some)]
    return dealt


def _shuffled_groups(codes: _Codes, labels_of_groups: _Codes, seed: np.random.SeedSequence) -> _Codes:
    return np.asarray(np.random.default_rng(seed).permutation(labels_of_groups)[codes])


def _pvalue(value: float, null: FloatArray) -> float:
    # Shufflings that give the same labels up to their names give the same value up to rounding.
    return float((1 + np.count_nonzero(null >= value - 1e-9)) / (1 + len(null)))
