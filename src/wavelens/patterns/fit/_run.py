"""From what `PatternAnalysis.fit` is given to a result: who reads the images is decided here, once."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from wavelens import _core
from wavelens._arguments import check_integer
from wavelens._threads import blas_libraries
from wavelens.exceptions import DataError
from wavelens.patterns._memory import fits_in_memory, refuse_beyond
from wavelens.patterns._options import FitOptions
from wavelens.patterns._result import FitResult
from wavelens.patterns._selection import sketch_rows
from wavelens.patterns.fit._folder_progress import FolderProgress, NoProgress
from wavelens.patterns.fit._in_chunks import InChunks
from wavelens.patterns.fit._in_memory import InMemory
from wavelens.patterns.fit._input import GivenImages, is_dask, labelled
from wavelens.patterns.fit._job import Job
from wavelens.patterns.fit._plan import Plan, make_plan
from wavelens.patterns.fit._progress_estimate import PASSES, estimated_progress
from wavelens.patterns.fit._row_store import embedding_path
from wavelens.patterns.fit._sequence import run_fit
from wavelens.patterns.fit._work_folder import SELECTED, WorkFolder

__all__ = [
    "check_room",
    "environment",
    "fit_images",
    "in_folder",
    "make_job_plan",
    "pass_costs",
    "run_fingerprint",
]


def fit_images(
    options: FitOptions,
    X: Any,
    y: Any,
    *,
    work_dir: str | os.PathLike[str] | None,
    resume: bool,
    cache: bool | None,
    chunk_size: int | None,
    scheduler: Any,
) -> FitResult:
    """Fit in memory, in chunks, or on a cluster; see `PatternAnalysis.fit`."""
    if resume and work_dir is None:
        raise ValueError("`resume` needs `work_dir`, the folder of the run to continue")
    if cache is not None and not isinstance(cache, bool | np.bool_):
        raise TypeError(f"`cache` must be True, False or None, got {cache!r}")
    if chunk_size is not None:
        chunk_size = check_integer(chunk_size, "chunk_size", low=1)
    if scheduler is not None or is_dask(X):
        if cache:
            raise ValueError("`cache` must be None or False on a cluster: workers share no disk for it")
        from wavelens.distributed import Cluster, connected
        from wavelens.patterns.fit._on_cluster import fit_on_cluster

        with connected(scheduler) as client, client.as_current():
            job, cluster = Job.of(options, labelled(X, y)), Cluster(client)
            return in_folder(
                work_dir, lambda folder: fit_on_cluster(job, folder, resume, chunk_size, cluster)
            )
    job = Job.of(options, labelled(X, y))
    if work_dir is not None or _is_large(job):
        return in_folder(work_dir, lambda folder: _fit_in_chunks(job, folder, resume, cache, chunk_size))
    return run_fit(job, InMemory(job), NoProgress())


def _is_large(job: Job) -> bool:
    """Tell whether to read in chunks what could be held in memory; an array that is in memory stays there."""
    source = job.given.source
    sizes = np.bincount(job.given.codes)
    if isinstance(source, GivenImages) and source.in_memory:
        refuse_beyond(job.options, source.n_images, source.image_shape, source.dtype, sizes)
        return False
    return not fits_in_memory(job.options, source.n_images, source.image_shape, source.dtype, sizes)


def _fit_in_chunks(
    job: Job, work_dir: Path, resume: bool, cache: bool | None, chunk_size: int | None
) -> FitResult:
    options, source = job.options, job.given.source
    largest = 2 * int(getattr(source, "largest_chunk", 0))
    plan, base = make_job_plan(job, options.memory_limit, chunk_size, source_bytes=largest)
    with WorkFolder(work_dir).opened() as folder:
        plan = Plan(**folder.begin(run_fingerprint(job), environment(), plan.to_dict(), resume))
        if options.memory_limit is not None and base + plan.peak > options.memory_limit:
            raise DataError(
                f"the run was begun with more memory than `memory_limit` ({options.memory_limit:,} bytes) allows: it "
                f"takes {(base + plan.peak) / 1e6:,.0f} MB"
            )
        cached = _decide_cache(folder, plan, cache, source.decodes)
        with estimated_progress(plan.n_images, pass_costs(plan, cached), options.progress) as clock:
            executor = InChunks(job, plan, folder, cached, clock, base + plan.peak)
            return run_fit(job, executor, FolderProgress(folder))


def _decide_cache(folder: WorkFolder, plan: Plan, cache: bool | None, decodes: bool) -> bool:
    """Decide whether the selected coefficients are kept; refuse where there is no room for the result."""
    if folder.stage not in ("begun", "sketching", "selected"):  # the run has decided already
        return (folder.path / f"{SELECTED}.partial").exists()
    states = (2 * plan.sketch_rows * plan.n_all + 6 * plan.n_classes * plan.n_selected**2) * plan.number_bytes
    free = check_room(folder, plan.disk + states)
    selected = plan.n_images * plan.n_selected * plan.number_bytes
    if cache is None:
        return decodes and free > 1.1 * (plan.disk + states + selected)
    return bool(cache)


def in_folder(work_dir: str | os.PathLike[str] | None, fit_in: Callable[[Path], FitResult]) -> FitResult:
    """Have a fit made in a folder, or in one that vanishes once nothing needs it any more."""
    if work_dir is not None:
        return fit_in(Path(work_dir))
    folder = tempfile.mkdtemp(prefix="wavelens-")
    try:
        fit = fit_in(Path(folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(fit.embedding, shutil.rmtree, folder, ignore_errors=True)
    assert fit.out_of_core is not None
    return replace(fit, out_of_core=replace(fit.out_of_core, work_dir=None))


def make_job_plan(job: Job, limit: int | None, chunk_size: int | None, **more: Any) -> tuple[Plan, int]:
    """Return the plan for a job, and the program's own bytes; see `make_plan`."""
    source = job.given.source
    return make_plan(
        limit,
        chunk_size,
        rows_of_sketch=lambda m: sketch_rows(job.options, job.n_images, m),
        n_selected=job.most,
        n_images=job.n_images,
        n_classes=job.n_classes,
        n_all=job.basis.n_coefficients,
        image_bytes=int(np.prod(source.image_shape)) * source.dtype.itemsize,
        number_bytes=job.dtype.itemsize,
        **more,
    )


def check_room(folder: WorkFolder, needed: int) -> int:
    """Refuse to begin where the disk has no room for the result; return the bytes that are free."""
    free = shutil.disk_usage(folder.path).free
    if not embedding_path(folder).exists() and free < needed:
        raise DataError(
            f"{folder.path}: {needed / 1e9:.2f} GB are needed on this disk, {free / 1e9:.2f} GB are free"
        )
    return free


def pass_costs(plan: Plan, cached: bool) -> dict[str, float]:
    """Estimate the cost of each pass for an image, in multiplications."""
    p, m = plan.n_all, plan.n_selected
    transform = 60.0 * p
    factor, embed = 2.0 * m * m, 1.0 * m * m
    again = m if cached else transform
    return dict(zip(PASSES, (transform + 40 * p, transform + factor, again + embed), strict=True))


def run_fingerprint(job: Job) -> dict[str, dict[str, str]]:
    """Return what the result of a run depends on, so that nothing else is taken for its continuation."""
    given = job.given
    names = [str(each) for each in given.classes.tolist()]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    about = {"classes": ", ".join(names[:8]) + more, "class of each image": given.checksum_of_codes()}
    return {
        "input": given.source.fingerprint() | about,
        "options": job.options.fingerprint(),
        "versions": _versions(),
    }


def environment() -> dict[str, str]:
    """Return what changes results in rounding only."""
    return {"instruction set": _core.isa(), "BLAS": ", ".join(blas_libraries())}


def _versions() -> dict[str, str]:
    import PIL
    import pywt

    return {
        "version of Wavelens": _core.version,
        "version of NumPy": np.__version__,
        "version of SciPy": scipy.__version__,
        "version of Pillow": PIL.__version__,
        "version of PyWavelets": pywt.__version__,
    }
