"""Tests of a fitted dataset: association of patterns with classes, held-out images, wavelets against pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from wavelens._arguments import check_integer
from wavelens._freed import give_back_freed
from wavelens.data import ImageData
from wavelens.exceptions import DataError
from wavelens.patterns import (
    AssociationCurve,
    AssociationResult,
    BasisComparison,
    HeldOutScore,
    PatternAnalysis,
    compare_bases,
)
from wavelens.quality import QualityReport, check_images
from wavelens.quality._among import among
from wavelens.workflows._analysis_fit import FittedDataset
from wavelens.workflows._progress import WorkflowProgress

__all__ = ["AnalysisTests", "TestResults"]

_default_splits = 5


@dataclass(frozen=True, kw_only=True)
class TestResults:
    """What the tests found; None where a test was not asked for or not possible."""

    quality: QualityReport
    association: AssociationResult | None
    association_curve: AssociationCurve | None
    held_out: HeldOutScore | None
    comparison: BasisComparison | None


@dataclass(frozen=True, kw_only=True)
class AnalysisTests:
    """Which tests to run.

    Attributes
    ----------
    permutations : int
        Of the labels; 0 leaves the test out.
    held_out : int or None
        Splits; None: 5 with groups, else none.
    compare_basis : bool
        Whether to compare wavelets with pixels.
    seed : int
    """

    permutations: int
    held_out: int | None
    compare_basis: bool
    seed: int

    def __post_init__(self) -> None:
        check_integer(self.permutations, "permutations", low=0)
        if self.held_out is not None and check_integer(self.held_out, "held_out", low=0) == 1:
            raise ValueError("`held_out` must be 0, or at least 2 splits, got 1")

    def run(self, fitted: FittedDataset, progress: WorkflowProgress) -> TestResults:
        """Run them: the permutation test on all images, the others on those drawn at random."""
        association, curve = self._permute(fitted, progress)
        sample = _drawn_images(fitted)
        splits = self._splits(fitted)
        held_out = comparison = None
        if splits or self.compare_basis:
            tested = fitted.analysis
            if fitted.drawn is not None:
                tested = _fit_to_sample(fitted.analysis, sample, progress)
            if splits:
                held_out = self._hold_out(splits, tested, sample, fitted.drawn_groups, progress)
            if self.compare_basis:
                progress.step("comparing wavelets with pixels")
                comparison = compare_bases(sample.images, sample.labels, tested, random_state=self.seed)
        return TestResults(
            quality=self._check(fitted, sample, progress),
            association=association,
            association_curve=curve,
            held_out=held_out,
            comparison=comparison,
        )

    def _permute(
        self, fitted: FittedDataset, progress: WorkflowProgress
    ) -> tuple[AssociationResult | None, AssociationCurve | None]:
        if not self.permutations:
            return None, None
        progress.step(f"shuffling the labels {self.permutations:,} times")
        analysis, blocks = fitted.analysis, fitted.groups
        if blocks is not None and not _is_pure(blocks, analysis.labels_):
            progress.note("groups have images of several classes: labels are shuffled image by image")
            blocks = None
        try:
            return (
                analysis.association_test(self.permutations, self.seed, groups=blocks),
                analysis.association_curve(n_repeats=2, random_state=self.seed),
            )
        except DataError as error:
            # Too little memory for this test is no reason to discard hours of reading images in chunks.
            if fitted.drawn is None:
                raise
            progress.note(f"left out: {error}")
            return None, None

    def _splits(self, fitted: FittedDataset) -> int:
        if self.held_out is not None:
            return self.held_out
        return _default_splits if fitted.groups is not None else 0

    def _hold_out(
        self,
        wanted: int,
        analysis: PatternAnalysis,
        data: ImageData,
        groups: npt.NDArray[Any] | None,
        progress: WorkflowProgress,
    ) -> HeldOutScore | None:
        """Score held-out images in `wanted` splits, or in as many as there can be."""
        unit = "images" if groups is None else "groups"
        units = np.arange(data.n_images) if groups is None else groups
        most = min(len(np.unique(units[data.labels == i])) for i in range(len(data.class_names)))
        if most < 2:
            progress.note(f"a class has fewer than two {unit}: held-out images cannot be scored")
            return None
        if most < wanted:
            progress.note(f"a class has only {most} {unit}: {most} splits in place of {wanted}")
        splits = min(wanted, most)
        progress.step(f"scoring held-out images in {splits} splits")
        if groups is None:
            progress.note(
                "without `groups`, images nearly the same as held-out ones may be learnt from: the score may be too "
                "high"
            )
        return analysis.held_out_score(data.images, data.labels, groups, splits, self.seed)

    def _check(self, fitted: FittedDataset, sample: ImageData, progress: WorkflowProgress) -> QualityReport:
        which = "the data is" if fitted.drawn is None else f"{sample.n_images:,} images drawn at random are"
        progress.step(f"checking whether {which} sound")
        found = check_images(sample, random_state=self.seed, progress=progress.bars)
        if fitted.drawn is None:
            return found
        data = fitted.data
        counts = np.bincount(fitted.analysis.labels_, minlength=len(data.class_names))
        return among(found, fitted.drawn, data.image_names, data.labels, counts)


def _drawn_images(fitted: FittedDataset) -> ImageData:
    data, drawn = fitted.data, fitted.drawn
    if drawn is None:
        return data
    give_back_freed()
    return replace(
        data,
        images=data.images[drawn],
        labels=data.labels[drawn],
        image_names=tuple(data.image_names[i] for i in drawn),
    )


def _fit_to_sample(analysis: PatternAnalysis, data: ImageData, progress: WorkflowProgress) -> PatternAnalysis:
    """Return an analysis of the sample alone, with as many coefficients, for what holds out or takes pixels."""
    smallest = int(np.bincount(data.labels).min())
    m = len(analysis.coefficients_)
    sample: PatternAnalysis = clone(analysis).set_params(memory_limit=None, progress=False)
    if analysis.rank == "full" and m > smallest:
        sample.set_params(n_coefficients=None)
        progress.note(
            f"in the sample the smallest class has {smallest:,} images: tests go by fewer coefficients"
        )
    else:
        sample.set_params(n_coefficients=m)
    try:
        return sample.fit(data.images, data.labels)
    except ValueError:
        return sample.set_params(n_coefficients=None).fit(data.images, data.labels)  # type: ignore[no-any-return]


def _is_pure(groups: npt.NDArray[Any], labels: npt.NDArray[np.intp]) -> bool:
    """Return whether every group has images of one class only."""
    pairs = set(zip(groups.tolist(), labels.tolist(), strict=True))
    return len(pairs) == len({group for group, _ in pairs})
