"""Fits an analysis to a dataset, in memory or in chunks, and reads the images that a report shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._bytes import parse_bytes
from wavelens._freed import give_back_freed
from wavelens.data import ImageData, ImageSource, image_groups, load
from wavelens.data._source import check_classes, physical_memory
from wavelens.exceptions import DataError, WavelensError
from wavelens.patterns import PatternAnalysis
from wavelens.patterns._memory import fits_in_memory, memory_of
from wavelens.patterns._options import FitOptions
from wavelens.patterns._sample import seen_through
from wavelens.report._shown_images import seen_for_report
from wavelens.workflows._argument_names import argument_names
from wavelens.workflows._progress import WorkflowProgress
from wavelens.workflows._watched_source import watched

__all__ = ["FittedDataset", "RunPlace", "checked_options", "fit_dataset", "resume_note"]

_most_shown = 10_000
_share_of_memory = 8
# Python, its libraries and the engine.
_process_bytes = 200_000_000

_fit_names = {
    "n_coefficients": "`coefficients` (`n_coefficients` of PatternAnalysis)",
    "random_state": "`seed`",
    "memory_limit": "`memory`",
    "X": "`source`",
    "y": "`labels`",
}


@dataclass(frozen=True, kw_only=True)
class RunPlace:
    """Where and how a dataset is fitted that does not fit in memory.

    Attributes
    ----------
    work_dir : Path or None
        Keeps the run, so that it can be resumed; None: a temporary folder.
    resume : bool
        Continue the run in `work_dir`.
    restart : bool
        Delete an unfinished run in `work_dir`.
    scheduler : object
        A Dask cluster, or None.
    """

    work_dir: Path | None = None
    resume: bool = False
    restart: bool = False
    scheduler: Any = None

    def is_large(self, analysis: PatternAnalysis, source: ImageSource) -> bool:
        """Decide whether the images are read in chunks. Everything else follows from this one decision."""
        if self.scheduler is not None or (self.resume and has_unfinished_run(self.work_dir)):
            return True
        sizes, options = np.bincount(source.labels), checked_options(analysis)
        with argument_names(**_fit_names):
            return not fits_in_memory(options, source.n_images, source.image_shape, source.dtype, sizes)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedDataset:
    """A dataset with the analysis of all its images, and the images that a report shows.

    Attributes
    ----------
    analysis : PatternAnalysis
        Fitted to all images.
    shown : PatternAnalysis
        `analysis` restricted to the images of `data`; `analysis` itself where these are all.
    data : ImageData
        The images shown.
    drawn : array of int or None
        Indices into `data` of the images drawn at random; None where all images are shown.
    groups : array or None
        Group of each image of `analysis`.
    """

    analysis: PatternAnalysis
    shown: PatternAnalysis
    data: ImageData
    drawn: npt.NDArray[np.intp] | None
    groups: npt.NDArray[Any] | None

    @property
    def drawn_groups(self) -> npt.NDArray[Any] | None:
        """Group of each image drawn at random, or of all where all are shown."""
        if self.groups is None or self.drawn is None:
            return self.groups
        sampled = self.shown.sampled_from_
        assert sampled is not None
        return self.groups[sampled.places[self.drawn]]


def checked_options(analysis: PatternAnalysis) -> FitOptions:
    """Return the options of an analysis, after checking everything that needs no images."""
    with argument_names(**_fit_names):
        return FitOptions.checked(analysis.get_params(deep=False))


def has_unfinished_run(work_dir: Path | None) -> bool:
    """Return whether a folder holds a run that can be resumed."""
    return work_dir is not None and (work_dir / "run.json").is_file()


@contextmanager
def resume_note(work_dir: Path | None, progress: WorkflowProgress) -> Iterator[None]:
    """Note how to go on where work is stopped and its run is kept in `work_dir`."""
    try:
        yield
    except (KeyboardInterrupt, OSError):
        if has_unfinished_run(work_dir):
            progress.note(f"what is done is kept in {work_dir}: `resume=True` goes on from there")
        raise


def fit_dataset(
    analysis: PatternAnalysis,
    source: ImageSource,
    groups: object,
    place: RunPlace | None,
    progress: WorkflowProgress,
) -> FittedDataset:
    """Fit an analysis to the images of a source: in chunks at `place`, or in memory where it is None."""
    if place is None:
        return _fit_in_memory(analysis, source, groups, progress)
    return _fit_in_chunks(analysis, source, groups, place, progress)


def _fit_in_memory(
    analysis: PatternAnalysis, source: ImageSource, groups: object, progress: WorkflowProgress
) -> FittedDataset:
    data = load(source, progress=progress.bars)
    _report_reading(data, progress)
    found = _groups_of(groups, data.image_names)
    shape = " x ".join(map(str, data.images.shape[1:]))
    progress.step(
        f"finding the patterns of {data.n_images:,} images ({shape}) in {len(data.class_names)} classes"
    )
    with argument_names(**_fit_names):
        sizes = np.bincount(data.labels)
        need = memory_of(
            checked_options(analysis), data.n_images, data.images.shape[1:], data.images.dtype, sizes
        )
        progress.note(f"about {need} of memory will be needed")
        analysis.fit(data.images, data.labels)
    return FittedDataset(analysis=analysis, shown=analysis, data=data, drawn=None, groups=found)


def _fit_in_chunks(
    analysis: PatternAnalysis,
    source: ImageSource,
    groups: object,
    place: RunPlace,
    progress: WorkflowProgress,
) -> FittedDataset:
    if not source.labelled:
        raise DataError(f"{source.name}: no labels: pass `labels`, one for each image")
    check_classes(source)
    _announce(source, place, progress)
    if has_unfinished_run(place.work_dir) and place.restart and not place.resume:
        assert place.work_dir is not None
        shutil.rmtree(place.work_dir)
    run: dict[str, Any] = {"work_dir": place.work_dir, "resume": place.resume and place.work_dir is not None}
    with argument_names(**_fit_names):
        if place.scheduler is None:
            analysis.fit(watched(source, progress), source.labels, **run)
        else:
            analysis.fit(source, source.labels, **run, scheduler=place.scheduler)
    _report_run(analysis, progress)
    _report_reading(source, progress)
    give_back_freed()
    n = len(analysis.labels_)
    progress.step(f"comparing {n:,} images with the classes by {analysis.sigma_.shape[1]:,} patterns")
    progress.note(analysis.class_similarity_.in_words())
    progress.step("looking for odd images, images on borders, and those nearest to them")
    shown = seen_for_report(analysis, _n_shown(analysis, source), analysis.random_state)
    data, shown = _read_shown(shown, source, progress)
    give_back_freed()
    names = [source.image_names[i] for i in analysis.image_positions_.tolist()]
    sampled = shown.sampled_from_
    assert sampled is not None
    return FittedDataset(
        analysis=analysis,
        shown=shown,
        data=data,
        drawn=np.flatnonzero(sampled.drawn),
        groups=_groups_of(groups, names, source.n_images, analysis.image_positions_),
    )


def _announce(source: ImageSource, place: RunPlace, progress: WorkflowProgress) -> None:
    continued = place.resume and has_unfinished_run(place.work_dir)
    shape = " x ".join(map(str, source.image_shape))
    what = "continuing with" if continued else "finding the patterns of"
    where = "in chunks" if place.scheduler is None else f"on the cluster of {place.scheduler}"
    progress.step(
        f"{what} {source.n_images:,} images ({shape}) in {len(source.class_names)} classes, {where}"
    )
    if not continued and place.work_dir is not None:
        progress.note(
            f"what is done is kept in {place.work_dir}: if this is stopped, `resume=True` goes on from there"
        )


def _report_run(analysis: PatternAnalysis, progress: WorkflowProgress) -> None:
    about = analysis.out_of_core_
    assert about is not None
    if about.workers:
        progress.note(f"workers of the cluster: {about.workers}")
    for name, seconds in about.seconds.items():
        progress.note(f"{name.lower()} took {seconds:,.0f} s")


def _report_reading(read: ImageData | ImageSource, progress: WorkflowProgress) -> None:
    for note in read.notes:
        progress.note(note)
    for each in read.skipped:
        progress.note(f"left out {each}")


def _groups_of(
    groups: object,
    image_names: Any,
    n_source: int | None = None,
    positions: npt.NDArray[np.intp] | None = None,
) -> npt.NDArray[Any] | None:
    """Return the group of each image that was read, from a specification or from one entry for each image."""
    if groups is None:
        return None
    if isinstance(groups, str | os.PathLike):
        found = image_groups(os.fspath(groups), image_names)
    else:
        found = np.asarray(groups)
        if positions is not None and found.shape == (n_source,):
            found = found[positions]
        if found.shape != (len(image_names),):
            raise ValueError(
                f"`groups` must have one entry for each of the {len(image_names):,} images, got shape {found.shape}"
            )
    if len(np.unique(found)) < 2:
        raise WavelensError(f"`groups` puts all images into one group, {str(found[0])!r}")
    return found


def _n_shown(analysis: PatternAnalysis, source: ImageSource) -> int:
    """Return how many images a report shows: as many as a part of the memory holds."""
    limit = analysis.memory_limit
    memory = physical_memory() if limit is None else parse_bytes(limit, "memory")
    free = max(memory - _process_bytes, memory / _share_of_memory)
    # An image as it is and as numbers, all of its coefficients, and its row of UΣ with copies.
    pixels = int(np.prod(source.image_shape))
    each = pixels * (source.dtype.itemsize + 16) + 48 * analysis.sigma_.shape[1] + 1000
    return int(max(4, min(_most_shown, free / 3 / each)))


def _read_shown(
    shown: PatternAnalysis, source: ImageSource, progress: WorkflowProgress
) -> tuple[ImageData, PatternAnalysis]:
    """Read the images to show; return them, and the analysis restricted to those that can still be read."""
    sampled = shown.sampled_from_
    assert sampled is not None
    chunk = watched(source, progress).read(shown.image_positions_)
    readable = np.isin(shown.image_positions_, chunk.positions)
    if not readable.all():
        shown = seen_through(
            sampled.whole, sampled.places[readable], sampled.drawn[readable], sampled.nearest
        )
    n_drawn = int(np.count_nonzero(sampled.drawn[readable]))
    note = _sample_note(len(sampled.whole.labels_), n_drawn, len(chunk.positions) - n_drawn)
    data = ImageData(
        images=chunk.images,
        labels=chunk.labels,
        class_names=source.class_names,
        image_names=tuple(source.image_names[i] for i in chunk.positions),
        name=source.name,
        skipped=tuple(source.skipped),
        notes=(note, *source.notes),
    )
    return data, shown


def _sample_note(n_all: int, n_drawn: int, n_selected: int) -> str:
    selected = (
        f", and {n_selected:,} that were looked for among all, being odd, on a border or near to such ones"
        if n_selected
        else ""
    )
    return (
        f"Patterns, their tie to the classes, complexity, similarity and places between classes come from all "
        f"{n_all:,} images, read in chunks. Shown are {n_drawn + n_selected:,}: {n_drawn:,} drawn at random (half of "
        f"them dealt evenly over the classes, half by their size){selected}. Whether the data is sound, a score of "
        "held-out images and a comparison with pixels go by those drawn at random. The file all-images.csv holds the "
        "numbers of every image."
    )
