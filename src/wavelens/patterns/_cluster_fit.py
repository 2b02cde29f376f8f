"""`PatternAnalysis.fit` on a Dask cluster: the three passes of `_passes`, with portions of the images on workers.

=========  =====================================================================  ==============================
pass       on the workers                                                         at the client
=========  =====================================================================  ==============================
first      a sketch of each portion, merged in a tree; the choice, where the      the chosen columns, which
           merged sketch is                                                       images could be read
second     a triangular factor for each class and portion, merged in a tree       the merged factors; HO-GSVD
third      the rows of UΣ of each portion, into files of their own in the work    one file of all rows
           folder; or to the client, where a worker does not see that folder
=========  =====================================================================  ==============================

The work folder is that of a fit out of core on one machine (`_work_folder`), with two things more: ``chosen.npz``,
the outcome of the first pass, and ``parts``, the rows of the portions that are done. The states of the workers are
kept nowhere else: a run whose client or scheduler was stopped goes on with the pass that it was in, and in the third
pass with the portions that are left.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from wavelens._arguments import FloatArray
from wavelens.data import SkippedFile
from wavelens.linalg import HOGSVD
from wavelens.patterns._checks import check_bandwidth
from wavelens.patterns._cluster_steps import (
    TOKEN,
    Note,
    choose,
    embed_portion,
    factor_portion,
    merge_factored,
    merge_sketched,
    part_path,
    sketch_portion,
    write_part,
)
from wavelens.patterns._coefficients import Basis, make_basis
from wavelens.patterns._fit import Fit
from wavelens.patterns._input import Labelled, check_counts, labelled
from wavelens.patterns._memory import parse_bytes
from wavelens.patterns._memory_plan import Plan
from wavelens.patterns._out_of_core import (
    PASSES,
    State,
    check_room,
    decompose,
    finish,
    fit_of,
    in_folder,
    made_plan,
    rows_path,
    told_of_run,
    work_of_passes,
)
from wavelens.patterns._passes import FactorState
from wavelens.patterns._persistence import gsvd_from_arrays
from wavelens.patterns._remaining import Remaining, told_remaining
from wavelens.patterns._row_file import RowFile
from wavelens.patterns._work_folder import PARTS, WorkFolder

if TYPE_CHECKING:
    from wavelens.distributed import Cluster, Portion
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = ["fit_on_cluster"]

_Codes = npt.NDArray[np.intp]

_worker_programme = 250_000_000
_bytes_of_rows = 16_000_000


def fit_on_cluster(
    analysis: PatternAnalysis,
    X: Any,
    y: Any,
    work_dir: str | os.PathLike[str] | None,
    resume: bool,
    chunk_size: int | None,
    scheduler: Any,
) -> tuple[npt.NDArray[Any], Fit]:
    """Fit an analysis to images that the workers of a cluster read.

    Parameters
    ----------
    analysis : PatternAnalysis
        For its parameters; not changed. `memory_limit` is that of a worker; None: 60 % of what Dask gives it.
    X, y, work_dir, resume, chunk_size, scheduler
        As in `PatternAnalysis.fit`.

    Returns
    -------
    tuple
        Classes, and the fit.

    Raises
    ------
    ImportError
        If Dask is not installed.
    DataError
        As `fit_streamed`; also if the cluster cannot be reached or is lost.
    """
    from wavelens.distributed import Cluster, connected

    check_bandwidth(analysis.bandwidth)
    with connected(scheduler) as client, client.as_current():
        given, cluster = labelled(X, y), Cluster(client)
        return given.classes, in_folder(
            work_dir, lambda folder: _fit_in(analysis, given, folder, resume, chunk_size, cluster)
        )


def _fit_in(
    analysis: PatternAnalysis,
    given: Labelled,
    work_dir: Path,
    resume: bool,
    chunk_size: int | None,
    cluster: Cluster,
) -> Fit:
    source = given.source
    basis = make_basis(source.image_shape, analysis.basis, analysis.wavelet, analysis.level, analysis.mode)
    with WorkFolder(work_dir).opened() as folder:
        plan = _planned(analysis, given, basis, chunk_size, cluster)
        plan = Plan(**folder.begin(told_of_run(analysis, given), plan.to_dict(), resume))
        check_room(folder, 2 * plan.disk + 5 * plan.n_classes * plan.n_kept**2 * plan.number_bytes)
        with told_remaining(plan.n_images, work_of_passes(plan, False), analysis.progress) as clock:
            return _Run(analysis, given, basis, plan, folder, clock, cluster).run()


class _Run:
    """The three passes of one fit."""

    def __init__(
        self,
        analysis: PatternAnalysis,
        given: Labelled,
        basis: Basis,
        plan: Plan,
        folder: WorkFolder,
        clock: Remaining,
        cluster: Cluster,
    ) -> None:
        self._analysis, self._given, self._basis, self._plan = analysis, given, basis, plan
        self._folder, self._clock, self._cluster = folder, clock, cluster
        self._note = Note(
            basis=(given.source.image_shape, analysis.basis, analysis.wavelet, analysis.level, analysis.mode),
            chunk=plan.chunk,
            n_classes=len(given.classes),
            sketch_rows=plan.sketch_rows,
            random_state=analysis.random_state,
            number="float32" if plan.number_bytes == 4 else "float64",
        )

    def run(self) -> Fit:
        """Do what is left to do."""
        found = self._folder.load("decomposition")
        if found is None or not found[0]["whole"]:
            columns, ranges = self._first_pass()
            self._note = replace(self._note, kept=ranges)
            if found is None:
                found = self._decompose(*self._second_pass(columns))
            arrays = found[1]
            if not rows_path(self._folder).exists():
                self._third_pass(gsvd_from_arrays(arrays), arrays["columns"], rows_path(self._folder))
            found = finish(self._analysis, self._folder, arrays, ranges)
        return fit_of(
            self._given,
            self._basis,
            self._folder,
            found,
            chunk=self._plan.chunk,
            planned_memory=_worker_programme + max(self._plan.parts.values()),
            cached=False,
            seconds=dict(self._clock.seconds),
            workers=len(self._cluster.threads),
        )

    def _first_pass(self) -> tuple[_Codes, npt.NDArray[np.int64]]:
        """Return the chosen columns, and the ranges of the images that could be read."""
        found = self._folder.load("chosen")
        if found is not None:
            header, arrays = found
            self._tell_skipped([SkippedFile(Path(path), reason) for path, reason in header["skipped"]])
            return arrays["columns"].astype(np.intp), arrays["ranges"]
        update = self._begin(0)
        # A merge costs an eighth of the sketching then, and less time on the way than the images themselves.
        portions = self._cut(8 * self._plan.sketch_rows)
        sketched = self._cluster.merged(
            "sketch", sketch_portion, portions, self._note, merge_sketched, update
        )
        # Without what workers have no use for, and cannot show.
        bare = clone(self._analysis).set_params(progress=False, memory_limit=None)
        chosen = self._cluster.fetch(self._cluster.apply("choose", choose, bare, self._plan.n_kept, sketched))
        self._tell_skipped(chosen.skipped)
        check_counts(self._given.source.name, self._given.classes, chosen.counts)
        assert chosen.columns is not None
        ranges = np.array(chosen.ranges, dtype=np.int64).reshape(-1, 2)
        header = {"skipped": [(str(each.path), each.reason) for each in chosen.skipped]}
        self._folder.save("chosen", header, {"columns": chosen.columns, "ranges": ranges})
        return chosen.columns, ranges

    def _second_pass(self, columns: _Codes) -> tuple[FactorState, _Codes]:
        found = self._folder.load("factors")
        if found is not None and found[0]["next"] >= self._plan.n_images:
            columns = found[1].pop("columns").astype(np.intp)
            return FactorState.from_arrays(found[1], self._note.n_classes), columns
        update = self._begin(1)
        # A merge costs as much as one or two times m rows of each class.
        portions = self._cut(16 * self._note.n_classes * len(columns))
        note = replace(self._note, columns=columns)
        state = self._cluster.fetch(
            self._cluster.merged("factor", factor_portion, portions, note, merge_factored, update)
        ).state
        header = {"next": self._plan.n_images, "rows": self._n_rows}
        self._folder.save("factors", header, {"columns": columns, **state.to_arrays()})
        return state, columns

    def _decompose(self, state: FactorState, columns: _Codes) -> State:
        shutil.rmtree(self._folder.path / PARTS, ignore_errors=True)  # of another decomposition
        return decompose(self._analysis, self._folder, self._given.classes, state, columns)

    def _third_pass(self, gsvd: HOGSVD, columns: _Codes, path: Path) -> None:
        r = gsvd.sigma.shape[1]
        dtype = gsvd.sigma.dtype if self._plan.small_rows else np.dtype(np.float32)
        parts = self._folder.path / PARTS
        parts.mkdir(exist_ok=True)
        token = uuid.uuid4().hex
        (parts / TOKEN).write_text(token)
        note = replace(
            self._note,
            columns=columns,
            gsvd=replace(gsvd, u=()),
            dtype=str(dtype),
            folder=str(parts.resolve()),
            token=token,
        )
        portions = self._cut(max(256, _bytes_of_rows // (r * dtype.itemsize)))
        left = [each for each in portions if not part_path(parts, each).exists()]
        done = self._plan.n_images - sum(each.last - each.first for each in left)
        update = self._begin(2, done)
        for portion, rows in self._cluster.each("embed", embed_portion, left, note):
            if isinstance(rows, np.ndarray):
                write_part(part_path(parts, portion), rows)
            done += portion.last - portion.first
            update(done)
        with RowFile(path, (self._n_rows, r), dtype) as file:
            for portion in portions:
                file.append(_rows_of(part_path(parts, portion)))
            file.finish()

    def _begin(self, which: int, done: int = 0) -> Callable[[int], object]:
        self._clock.begin(PASSES[which], done)
        return self._clock.update

    def _cut(self, wanted: int) -> list[Portion]:
        from wavelens.distributed import cut

        whole = -(-wanted // self._plan.chunk) * self._plan.chunk
        return cut(self._given.source, self._given.codes, whole)

    @property
    def _n_rows(self) -> int:
        assert self._note.kept is not None
        return int((self._note.kept[:, 1] - self._note.kept[:, 0]).sum())

    def _tell_skipped(self, skipped: list[SkippedFile]) -> None:
        known = set(self._given.source.skipped)
        self._given.source.skipped += [each for each in skipped if each not in known]


def _rows_of(path: Path) -> FloatArray:
    rows: FloatArray = np.load(path, allow_pickle=False)
    return rows


def _planned(
    analysis: PatternAnalysis, given: Labelled, basis: Basis, chunk_size: int | None, cluster: Cluster
) -> Plan:
    """Plan for the worker that has least memory, which holds what the tables of `_memory_plan` say for each task."""
    wanted = None if analysis.memory_limit is None else parse_bytes(analysis.memory_limit, "memory_limit")
    limit = cluster.memory_of_a_task(_worker_programme, wanted)
    if limit is not None:
        limit += 40 * given.source.n_images  # what the images' labels take, the client holds
    return made_plan(analysis, given, basis, limit, chunk_size, base=_worker_programme)[0]
