"""A fit, written once: sketch → select → factor → decompose → embed.

Where the images are and who reads them is an executor's affair (`_in_memory`, `_in_chunks`, `_on_cluster`). An executor
reads every image, checks that later passes see the same images at the same positions with the same content, and
returns states; it knows nothing of what they mean. What a run has done is kept by a `Progress`: in a work folder, or
nowhere where all is over in one go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._mapped import picked_rows
from wavelens._progress import progress_share
from wavelens.data import ImageSource
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD, ho_gsvd, median_bandwidth
from wavelens.linalg._bandwidth import SAMPLE
from wavelens.linalg.streaming import TriangularFactor
from wavelens.patterns._class_pictures import class_pictures
from wavelens.patterns._options import FitOptions
from wavelens.patterns._persistence import gsvd_arrays, gsvd_from_arrays, left_arrays
from wavelens.patterns._result import FitResult, OutOfCore
from wavelens.patterns._selection import RankError, full_rank_columns, leading_factor
from wavelens.patterns._value_range import check_squares
from wavelens.patterns.fit._input import check_counts
from wavelens.patterns.fit._job import Job
from wavelens.patterns.fit._ledger import Ledger
from wavelens.patterns.fit._passes import FactorState, Selection

__all__ = ["Decomposition", "Executor", "Progress", "changed", "check_ledger", "read_some", "run_fit"]

_read_at_once = 256


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The patterns of the classes.

    Attributes
    ----------
    columns : array of int, shape (m,)
        The selected coefficients: as many as leave every class with full rank.
    ranks : array of int, shape (n_classes,)
    gsvd : HOGSVD
    """

    columns: npt.NDArray[np.intp]
    ranks: npt.NDArray[np.intp]
    gsvd: HOGSVD

    def to_arrays(self) -> dict[str, Any]:
        """Return the decomposition as arrays."""
        arrays = {"columns": self.columns, "ranks": self.ranks}
        return {**arrays, **gsvd_arrays(self.gsvd), **left_arrays(self.gsvd)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Self:
        """Return the decomposition whose `to_arrays` these are."""
        ranks = arrays["ranks"].astype(np.intp)
        return cls(arrays["columns"].astype(np.intp), ranks, gsvd_from_arrays(arrays))


class Executor(Protocol):
    """Who reads the images."""

    def select(self) -> Selection:
        """Read all images for the first time and select coefficients."""

    def factor(self, selection: Selection) -> FactorState:
        """Read them for the second time; return the factors of their selected coefficients."""

    def embed(self, selection: Selection, found: Decomposition) -> FloatArray:
        """Read them for the third time; return their rows of UΣ."""

    def read(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[Any] | None:
        """Return some images by their positions, ascending; None where that would take another pass."""

    def about(self, selection: Selection) -> OutOfCore | None:
        """Return how it went, if there is anything to say."""


class Progress(Protocol):
    """What has been done of a run."""

    def selection(self) -> Selection | None:
        """Return the outcome of the first pass if it is over."""

    def keep_selection(self, selection: Selection) -> None:
        """Keep it."""

    def decomposition(self) -> Decomposition | None:
        """Return the decomposition if it is there."""

    def keep_decomposition(self, found: Decomposition) -> None:
        """Keep it."""

    def finish(self, selection: Selection, found: Decomposition, bandwidth: float) -> None:
        """Keep what is left to know, and forget what only the passes needed."""


def run_fit(job: Job, executor: Executor, progress: Progress) -> FitResult:
    """Fit.

    Parameters
    ----------
    job : Job
    executor : Executor
    progress : Progress
        What it knows already is not done again.

    Returns
    -------
    FitResult

    Raises
    ------
    ValueError, DataError
        As `PatternAnalysis.fit`.
    """
    source = job.given.source
    selection = progress.selection()
    if selection is None:
        selection = executor.select()
        check_counts(source.name, job.given.classes, selection.counts)
        progress.keep_selection(selection)
    _take_skipped(job, selection)
    found = progress.decomposition()
    if found is None:
        selection, found = _decompose(job, executor, progress, selection)
        progress.keep_decomposition(found)
    embedding = executor.embed(selection, found)
    bandwidth = _find_bandwidth(embedding, job.options)
    progress.finish(selection, found, bandwidth)
    positions = selection.ledger.positions
    result = FitResult(
        options=job.options,
        classes=job.given.classes,
        labels=job.given.codes[positions],
        positions=positions,
        basis=job.basis,
        columns=found.columns,
        ranks=found.ranks,
        gsvd=found.gsvd,
        embedding=embedding,
        bandwidth=bandwidth,
        out_of_core=executor.about(selection),
    )
    return replace(result, class_pictures=_class_pictures(result, executor))


def _class_pictures(result: FitResult, executor: Executor) -> FloatArray | None:
    try:
        check_squares(result.sigma, result.gsvd.v)
    except DataError:  # what needs the pictures will say so
        return None
    if executor.read(result.positions[:1]) is None:
        return None

    def read(indices: npt.NDArray[np.intp]) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[Any]]]:
        for first in range(0, len(indices), _read_at_once):
            some = indices[first : first + _read_at_once]
            images = executor.read(result.positions[some])
            assert images is not None
            yield some, images

    return class_pictures(result, read)


def check_ledger(name: str, expected: Ledger, found: Ledger) -> None:
    """Refuse images that are not those of the first pass, each at its position and with its content.

    Raises
    ------
    DataError
        Naming the first position that could be read in one pass only, or the images whose content differs.
    """
    position = expected.other_position(found)
    if position is not None:
        raise changed(name, f"image {position:,} could be read in one pass and not in another")
    block = expected.other_content(found)
    if block is not None:
        raise changed(
            name, f"images {block[0]:,} to {block[1]:,} have changed: they are not the same in two passes"
        )


def read_some(source: ImageSource, positions: npt.NDArray[np.intp]) -> npt.NDArray[Any] | None:
    """Return some images of a source, if it can read them without all that lie before.

    Raises
    ------
    DataError
        If some can no longer be read.
    """
    if not source.random_access:
        return None
    chunk = source.read(positions)
    if not np.array_equal(chunk.positions, positions):
        position = int(np.setxor1d(chunk.positions, positions)[0])
        raise changed(source.name, f"image {source.image_names[position]!r} can no longer be read")
    return chunk.images


def changed(name: str, what: str) -> DataError:
    """Return the error that says that a source has changed underway."""
    return DataError(f"{name}: {what}; begin anew once the source no longer changes")


def _take_skipped(job: Job, selection: Selection) -> None:
    """Add the files that the first pass could not read to those that the source knows of."""
    source = job.given.source
    known = {(str(each.path), each.reason) for each in source.skipped}
    source.skipped += [each for each in selection.skipped if (str(each.path), each.reason) not in known]
    if source.strict and source.skipped:
        listed = "\n".join(f"  {each}" for each in source.skipped[:10])
        more = f"\n  and {len(source.skipped) - 10} more" if len(source.skipped) > 10 else ""
        raise DataError(
            f"{source.name}: {len(source.skipped)} files cannot be read:\n{listed}{more}\nWithout `strict` (--strict) "
            "they are left out"
        )


def _decompose(
    job: Job, executor: Executor, progress: Progress, selection: Selection
) -> tuple[Selection, Decomposition]:
    """Factor and decompose; where a class lacks rank, once more with the coefficients in reserve."""
    options, wanted = job.options, job.options.n_coefficients
    factors = [each for each in executor.factor(selection).factors if each is not None]
    try:
        taken, ranks = full_rank_columns(options, factors, job.given.classes, wanted)
    except RankError:
        if selection.n_factored == len(selection.columns):
            raise
        selection = replace(selection, n_factored=len(selection.columns))
        progress.keep_selection(selection)
        factors = [each for each in executor.factor(selection).factors if each is not None]
        taken, ranks = full_rank_columns(options, factors, job.given.classes, wanted)
    if len(taken) < selection.n_factored:
        factors = [TriangularFactor(leading_factor(np.asarray(f.r), taken), f.n_rows) for f in factors]
    with progress_share("Finding patterns", options.progress) as share:
        gsvd = ho_gsvd(
            factors,
            ridge=options.ridge,
            weights=options.weights,
            normalization=options.normalization,  # type: ignore[arg-type]
            progress=share,
        )
    return selection, Decomposition(selection.factored[taken], ranks, gsvd)


def _find_bandwidth(embedding: FloatArray, options: FitOptions) -> float:
    """Return the bandwidth as a number, without reading more rows than the sample."""
    if options.bandwidth != "median":
        return float(options.bandwidth)
    rows, n = embedding, len(embedding)
    if n > SAMPLE:
        drawn = np.random.default_rng(options.random_state).choice(n, SAMPLE, replace=False, shuffle=False)
        rows = picked_rows(embedding, np.sort(drawn))
    try:
        return float(median_bandwidth(rows, random_state=options.random_state))
    except ValueError as error:
        raise ValueError(
            "`X` must hold images that differ: more than half of the pairs of images are the same in the selected "
            "coefficients, so that their median distance is 0; pass a number as `bandwidth`"
        ) from error
