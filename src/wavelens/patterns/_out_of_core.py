"""What a fit out of core has of its own, on one machine and on a cluster: its plan, its folder, its end."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy

from wavelens import _core
from wavelens._arguments import FloatArray, check_integer
from wavelens._mapped import picked_rows
from wavelens._progress import progress_share
from wavelens.exceptions import DataError
from wavelens.linalg import ho_gsvd
from wavelens.linalg._bandwidth import SAMPLE
from wavelens.patterns._checks import find_bandwidth
from wavelens.patterns._coefficients import Basis
from wavelens.patterns._fit import Fit, OutOfCore
from wavelens.patterns._input import Labelled
from wavelens.patterns._memory_plan import Plan, make_plan
from wavelens.patterns._passes import FactorState
from wavelens.patterns._persistence import gsvd_arrays, gsvd_from_arrays, left_arrays
from wavelens.patterns._row_file import map_rows
from wavelens.patterns._streamed_choice import fitting_rank, most_coefficients
from wavelens.patterns._work_folder import WorkFolder

if TYPE_CHECKING:
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = [
    "PASSES",
    "State",
    "bandwidth_of",
    "check_room",
    "decompose",
    "finish",
    "fit_of",
    "in_folder",
    "made_plan",
    "rows_path",
    "told_of_run",
    "work_of_passes",
]

_Codes = npt.NDArray[np.intp]
State = tuple[dict[str, Any], dict[str, Any]]
"""What a file of the work folder holds: a header, and arrays."""

PASSES = ("Sketching", "Factoring", "Embedding")


def in_folder(work_dir: str | os.PathLike[str] | None, fit_in: Callable[[Path], Fit]) -> Fit:
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
    assert fit.about is not None
    return replace(fit, about=replace(fit.about, work_dir=None))


def told_of_run(analysis: PatternAnalysis, given: Labelled) -> dict[str, dict[str, str]]:
    """Tell what the result of a run depends on, so that nothing else is taken for its continuation."""
    return {"input": _input_told(given), "options": _options_told(analysis), "versions": _versions_told()}


def made_plan(
    analysis: PatternAnalysis,
    given: Labelled,
    basis: Basis,
    limit: int | None,
    chunk_size: int | None,
    **more: Any,
) -> tuple[Plan, int]:
    """Plan for the images of a source; see `make_plan`."""
    source, p = given.source, basis.n_coefficients
    return make_plan(
        limit,
        None if chunk_size is None else check_integer(chunk_size, "chunk_size", low=1),
        most_coefficients(analysis, np.bincount(given.codes, minlength=len(given.classes)), p),
        given=analysis.n_coefficients is not None,
        n_images=source.n_images,
        n_classes=len(given.classes),
        n_all=p,
        image_bytes=int(np.prod(source.image_shape)) * source.dtype.itemsize,
        number_bytes=4 if source.dtype.kind == "f" and source.dtype.itemsize <= 4 else 8,
        **more,
    )


def check_room(folder: WorkFolder, needed: int) -> int:
    """Refuse to begin where the disk has no room for the result; return the bytes that are free."""
    free = shutil.disk_usage(folder.path).free
    if not rows_path(folder).exists() and free < needed:
        raise DataError(
            f"{folder.path}: {needed / 1e9:.2f} GB are needed on this disk, {free / 1e9:.2f} GB are free"
        )
    return free


def work_of_passes(plan: Plan, cached: bool) -> dict[str, float]:
    """Guess the work of each pass for an image, in multiplications."""
    p, m = plan.n_all, plan.n_kept
    transform = 60.0 * p
    factor, embed = 2.0 * m * m, 1.0 * m * m
    again = m if cached else transform
    return dict(zip(PASSES, (transform + 40 * p, transform + factor, again + embed), strict=True))


def decompose(
    analysis: PatternAnalysis,
    folder: WorkFolder,
    classes: npt.NDArray[Any],
    state: FactorState,
    columns: _Codes,
) -> State:
    """Find the patterns of the classes' triangular factors, and keep them in the folder."""
    factors, columns, ranks = fitting_rank(analysis, state, columns, classes)
    with progress_share("Finding patterns", analysis.progress) as progress:
        gsvd = ho_gsvd(
            factors,
            ridge=analysis.ridge,
            weights=analysis.weights,
            normalization=analysis.normalization,
            progress=progress,
        )
    arrays = {"columns": columns, "ranks": ranks, **gsvd_arrays(gsvd), **left_arrays(gsvd)}
    folder.save("decomposition", {"whole": False}, arrays)
    return {"whole": False}, arrays


def finish(
    analysis: PatternAnalysis, folder: WorkFolder, arrays: dict[str, Any], ranges: npt.NDArray[np.int64]
) -> State:
    """Keep what is left to know once all rows are written, and forget what the passes needed."""
    arrays["ranges"] = ranges
    header = {"whole": True, "bandwidth": bandwidth_of(map_rows(rows_path(folder)), analysis)}
    folder.save("decomposition", header, arrays)
    folder.forget_passes()
    return header, arrays


def fit_of(
    given: Labelled,
    basis: Basis,
    folder: WorkFolder,
    found: State,
    **about: Any,
) -> Fit:
    """Return the fit that a finished run has left in its folder; `about` is what `OutOfCore` has beside."""
    header, arrays = found
    positions = np.concatenate([np.arange(first, last) for first, last in arrays["ranges"].tolist()])
    return Fit(
        basis=basis,
        labels=given.codes[positions],
        positions=positions,
        columns=arrays["columns"],
        ranks=arrays["ranks"],
        gsvd=gsvd_from_arrays(arrays),
        embedding=map_rows(rows_path(folder)),
        bandwidth=float(header["bandwidth"]),
        about=OutOfCore(
            work_dir=folder.path,
            n_read=len(positions),
            n_left_out=given.source.n_images - len(positions),
            **about,
        ),
    )


def rows_path(folder: WorkFolder) -> Path:
    """Return where the rows of UΣ are."""
    return folder.path / "embedding.npy"


def bandwidth_of(embedding: FloatArray, analysis: PatternAnalysis) -> float:
    """Find the bandwidth without reading more rows than the sample."""
    n = len(embedding)
    rows: FloatArray = embedding
    if n > SAMPLE:
        drawn = np.random.default_rng(analysis.random_state).choice(n, SAMPLE, replace=False, shuffle=False)
        rows = picked_rows(embedding, np.sort(drawn))
    return find_bandwidth(rows, analysis.bandwidth, analysis.random_state)


def _input_told(given: Labelled) -> dict[str, str]:
    classes = [str(each) for each in given.classes.tolist()]
    return given.source.fingerprint() | {
        "classes": ", ".join(classes[:8]) + (f" and {len(classes) - 8} more" if len(classes) > 8 else ""),
        "class of each image": _sum_of(given.codes),
    }


def _options_told(analysis: PatternAnalysis) -> dict[str, str]:
    told = analysis.get_params()
    for name in ("progress", "memory_limit"):
        del told[name]
    return {
        name: _sum_of(np.asarray(each)) if isinstance(each, np.ndarray | list | tuple) else str(each)
        for name, each in told.items()
    }


def _versions_told() -> dict[str, str]:
    return {
        "version of Wavelens": _core.version,
        "version of NumPy": np.__version__,
        "version of SciPy": scipy.__version__,
    }


def _sum_of(values: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
