"""``wavelens analyze`` as a function: images in, their patterns out, in memory or in chunks."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from wavelens._bytes import parse_bytes
from wavelens._freed import give_back_freed
from wavelens.patterns import PatternAnalysis
from wavelens.report import image_table
from wavelens.workflows._analysis_fit import RunPlace, checked_options, fit_dataset, resume_note
from wavelens.workflows._analysis_report import AnalysisReport
from wavelens.workflows._association import AnalysisTests
from wavelens.workflows._image_options import ImageOptions, open_images, source_name
from wavelens.workflows._progress import WorkflowProgress, as_progress

__all__ = ["analyze"]


def analyze(
    source: object,
    labels: object = None,
    *,
    image_options: ImageOptions | None = None,
    wavelet: str = "db3",
    level: int | None = None,
    mode: str = "periodization",
    basis: Literal["wavelet", "pixel"] = "wavelet",
    compare_basis: bool = False,
    coefficients: int | None = None,
    rank: Literal["full", "any"] = "full",
    ridge: float = 1e-3,
    weights: str | npt.ArrayLike | None = None,
    bandwidth: float | str = "median",
    permutations: int = 50,
    groups: str | os.PathLike[str] | npt.ArrayLike | None = None,
    held_out: int | None = None,
    seed: int = 0,
    memory: int | str | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    scheduler: Any = None,
    progress: WorkflowProgress | bool | None = None,
) -> AnalysisReport:
    """Find the patterns of a labelled image dataset, and test how they are associated with the classes.

    Parameters
    ----------
    source : array, path, name or ImageSource
        The images, as `wavelens.data.load` takes them.
    labels : array or path, optional
        One label for each image; by default the source's.
    image_options : ImageOptions, optional
        How the images are read.
    wavelet : str, default "db3"
        A discrete wavelet, as PyWavelets names it.
    level : int or None, default None
        Levels of the transform; None: as deep as fits.
    mode : str, default "periodization"
        Boundary extension mode.
    basis : {"wavelet", "pixel"}, default "wavelet"
        What describes an image.
    compare_basis : bool, default False
        Analyze in both bases and report which serves better.
    coefficients : int or None, default None
        Coefficients that are selected; None: the most that leave every class with full column rank.
    rank : {"full", "any"}, default "full"
        "any" allows more coefficients than the smallest class has images.
    ridge : float, default 1e-3
        Of the HO-GSVD.
    weights : {"size"}, array or None, default None
        "size" balances classes of unequal size.
    bandwidth : float or "median", default "median"
        Of the similarity; "median": the median distance between two images.
    permutations : int, default 50
        Of the labels, for the permutation test of the association; 0 leaves it out.
    groups : str, path, array or None, default None
        Images that belong together, such as those of one patient: one entry for each image, or what
        `wavelens.data.image_groups` takes.
    held_out : int or None, default None
        Splits in which held-out images are scored, each with a fit of its own; 0 leaves it out. None: 5 with
        `groups`, else 0.
    seed : int, default 0
        Of all random choices.
    memory : int, str or None, default None
        Memory limit, such as "2GB"; images that do not fit are read in chunks. None: the machine's memory. With
        `scheduler`, the limit of each worker.
    work_dir : path or None, default None
        Folder for the state of a run that reads its images in chunks, so that it can be resumed; None: a temporary
        one.
    resume : bool, default False
        Continue the run in `work_dir`.
    force : bool, default False
        Delete an unfinished run in `work_dir` instead of refusing to begin.
    scheduler : str, distributed.Client, cluster or None, default None
        A Dask cluster whose workers read the images, such as ``"tcp://10.0.0.1:8786"`` (extra ``[dask]``).
    progress : WorkflowProgress, bool or None, default None
        Receives steps and notes. True shows progress bars, False none, None only on a terminal.

    Returns
    -------
    AnalysisReport

    Raises
    ------
    ValueError, TypeError
        If an argument is not possible.
    DataError
        If the images cannot be read or analyzed, or need more memory than `memory`.

    See Also
    --------
    wavelens.patterns.PatternAnalysis : The method, without the tests around it.

    Notes
    -----
    Where the images do not fit in memory, patterns and similarities come from all images, read in chunks; the report
    shows a sample of at most 10,000, and the checks of the data, held-out scores and the comparison of bases use the
    part of it that was drawn at random.

    Examples
    --------
    >>> import wavelens
    >>> from wavelens.workflows import ImageOptions
    >>> report = wavelens.analyze("digits", image_options=ImageOptions(limit=30), coefficients=10, permutations=5)
    >>> report
    <AnalysisReport 'digits': 300 images, 10 patterns>
    >>> print(report.summary().splitlines()[0])
    300 images of 10 classes in digits
    >>> report.save("digits-report")  # doctest: +SKIP
    """
    receiver = as_progress(progress)
    if memory is not None:
        parse_bytes(memory, "memory")
    if resume and work_dir is None:
        raise ValueError("`resume` needs `work_dir`, the folder of the run to continue")
    tests = AnalysisTests(
        permutations=permutations, held_out=held_out, compare_basis=compare_basis, seed=seed
    )
    place = RunPlace(
        work_dir=None if work_dir is None else Path(work_dir).expanduser(),
        resume=resume,
        restart=force,
        scheduler=scheduler,
    )
    if scheduler is not None:
        import_module("wavelens.distributed")  # An extra: better missed now than after looking at the images.
    analysis = PatternAnalysis(
        wavelet=wavelet,
        level=level,
        mode=mode,
        n_coefficients=coefficients,
        ridge=ridge,
        weights=weights,
        bandwidth=bandwidth,
        random_state=seed,
        progress=receiver.bars,
        basis=basis,
        rank=rank,
        memory_limit=memory,
    )
    checked_options(analysis)
    receiver.step(f"reading {source_name(source)}")
    opened = open_images(source, labels, image_options, seed, receiver)
    large = place.is_large(analysis, opened)
    with resume_note(place.work_dir if large else None, receiver):
        fitted = fit_dataset(analysis, opened, groups, place if large else None, receiver)
        found = tests.run(fitted, receiver)
        give_back_freed()
        receiver.step(f"comparing the images by {analysis.sigma_.shape[1]:,} patterns")
        table = image_table(fitted.shown)
    return AnalysisReport(
        source=source_name(source, opened.name),
        analysis=fitted.analysis,
        shown=fitted.shown,
        data=fitted.data,
        table=table,
        quality=found.quality,
        association=found.association,
        association_curve=found.association_curve,
        held_out=found.held_out,
        comparison=found.comparison,
        images_read=opened if large else None,
    )
