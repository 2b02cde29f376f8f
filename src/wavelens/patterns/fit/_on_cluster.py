"""The executor on a Dask cluster: the three passes on portions of the images, which workers read.

=========  =====================================================================  ==============================
pass       on the workers                                                         at the client
=========  =====================================================================  ==============================
first      a sketch of each portion, merged in a tree; the selection, where the   the selected columns, which
           merged sketch is                                                       images could be read
second     a triangular factor for each class and portion, merged in a tree       the merged factors; HO-GSVD
third      the rows of UΣ of each portion, into files of their own in the work    one file of all rows
           folder; or to the client, where a worker does not see that folder
=========  =====================================================================  ==============================

The work folder is that of a fit in chunks on one machine (`_work_folder`), with ``parts``, the rows of the portions
that are done. The states of the workers are kept nowhere else: a run whose client or scheduler was stopped goes on with
the pass that it was in, and in the third pass with the portions that are left.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.data import SkippedFile
from wavelens.patterns._result import FitResult, OutOfCore
from wavelens.patterns.fit._cluster_tasks import (
    TOKEN,
    TaskSpec,
    embed_portion,
    factor_portion,
    merge_factored,
    merge_sketched,
    part_path,
    read_part,
    select_on_worker,
    sketch_portion,
    write_part,
)
from wavelens.patterns.fit._folder_progress import FolderProgress
from wavelens.patterns.fit._input import check_unchanged
from wavelens.patterns.fit._job import Job
from wavelens.patterns.fit._ledger import Ledger
from wavelens.patterns.fit._passes import FactorState, Selection
from wavelens.patterns.fit._plan import Plan
from wavelens.patterns.fit._progress_estimate import PASSES, ProgressEstimator, estimated_progress
from wavelens.patterns.fit._row_store import RowStore, embedding_path, finished_embedding
from wavelens.patterns.fit._run import check_room, environment, make_job_plan, pass_costs, run_fingerprint
from wavelens.patterns.fit._sequence import Decomposition, check_ledger, read_some, run_fit
from wavelens.patterns.fit._work_folder import PARTS, WorkFolder

if TYPE_CHECKING:
    from wavelens.distributed import Cluster, Portion

__all__ = ["OnCluster", "fit_on_cluster"]

_worker_program = 250_000_000
_bytes_of_rows = 16_000_000


def fit_on_cluster(
    job: Job, work_dir: Path, resume: bool, chunk_size: int | None, cluster: Cluster
) -> FitResult:
    """Fit to images that the workers of a cluster read.

    Parameters
    ----------
    job : Job
        Its `memory_limit` is that of a worker; None: 60 % of what Dask gives it.
    work_dir : Path
    resume : bool
    chunk_size : int or None
    cluster : Cluster

    Raises
    ------
    DataError
        As a fit in chunks; also if the cluster is lost.
    """
    with WorkFolder(work_dir).opened() as folder:
        plan = _make_plan(job, chunk_size, cluster)
        plan = Plan(**folder.begin(run_fingerprint(job), environment(), plan.to_dict(), resume))
        check_room(folder, 2 * plan.disk + 5 * plan.n_classes * plan.n_selected**2 * plan.number_bytes)
        with estimated_progress(plan.n_images, pass_costs(plan, False), job.options.progress) as clock:
            return run_fit(job, OnCluster(job, plan, folder, clock, cluster), FolderProgress(folder))


class OnCluster:
    """Three passes over portions of a source.

    Parameters
    ----------
    job : Job
    plan : Plan
    folder : WorkFolder
        Open, with the run begun.
    clock : ProgressEstimator
    cluster : Cluster
    """

    def __init__(
        self, job: Job, plan: Plan, folder: WorkFolder, clock: ProgressEstimator, cluster: Cluster
    ) -> None:
        self._job, self._plan, self._folder = job, plan, folder
        self._clock, self._cluster = clock, cluster
        self._source = job.given.source
        self._fingerprint = self._source.fingerprint()
        options = job.options
        self._spec = TaskSpec(
            run=folder.run,
            basis=(self._source.image_shape, options.basis, options.wavelet, options.level, options.mode),
            chunk=plan.chunk,
            n_classes=job.n_classes,
            sketch_rows=plan.sketch_rows,
            random_state=options.random_state,
            dtype=str(job.dtype),
        )

    def read(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[Any] | None:
        """Return some images by their positions; see `read_some`."""
        return read_some(self._source, positions)

    def about(self, selection: Selection) -> OutOfCore:
        """Return how it went."""
        n_read = selection.ledger.n_rows
        return OutOfCore(
            work_dir=self._folder.path,
            chunk=self._plan.chunk,
            planned_memory=_worker_program + max(self._plan.parts.values()),
            n_read=n_read,
            n_left_out=self._job.n_images - n_read,
            cached=False,
            seconds=dict(self._clock.seconds),
            workers=len(self._cluster.threads),
        )

    def select(self) -> Selection:
        """Sketch all images, and select coefficients by the sketch."""
        update = self._begin(0)
        # A merge costs an eighth of the sketching then, and less time on the way than the images themselves.
        portions = self._divide(8 * self._plan.sketch_rows)
        sketched = self._cluster.merged(
            "sketch", sketch_portion, portions, self._spec, merge_sketched, update
        )
        selecting = self._cluster.apply(
            "select", select_on_worker, self._job.options, self._plan.n_selected, sketched
        )
        selection: Selection = self._cluster.fetch(selecting)
        check_unchanged(self._source, self._fingerprint)
        return replace(selection, skipped=_without_repeats([*self._source.skipped, *selection.skipped]))

    def factor(self, selection: Selection) -> FactorState:
        """Factor the selected coefficients of each class."""
        found = self._folder.load("factors")
        if found is not None and found[0].get("next") == self._plan.n_images:
            try:
                return FactorState.from_arrays(found[1], self._job.n_classes)
            except (KeyError, ValueError, TypeError) as error:
                raise self._folder.damaged("factors.npz", error) from error
        update = self._begin(1)
        # A merge costs as much as one or two times m rows of each class.
        portions = self._divide(16 * self._job.n_classes * selection.n_factored)
        spec = replace(self._spec, columns=selection.factored, ranges=_ranges(selection))
        merged = self._cluster.merged("factor", factor_portion, portions, spec, merge_factored, update)
        state: FactorState = self._cluster.fetch(merged).state
        check_ledger(self._source.name, selection.ledger, state.ledger)
        check_unchanged(self._source, self._fingerprint)
        self._folder.save("factors", {"next": self._plan.n_images}, state.to_arrays())
        self._folder.reach("factoring")
        return state

    def embed(self, selection: Selection, found: Decomposition) -> FloatArray:
        """Have the rows of UΣ written, put them into one file, and return a map of it."""
        gsvd = found.gsvd
        shape = selection.ledger.n_rows, gsvd.sigma.shape[1]
        whole = finished_embedding(self._folder, shape)
        if whole is not None:
            return whole
        dtype = gsvd.sigma.dtype if self._plan.small_rows else np.dtype(np.float32)
        parts = self._folder.path / PARTS
        parts.mkdir(exist_ok=True)
        portions = self._divide(max(256, _bytes_of_rows // (shape[1] * dtype.itemsize)))
        self._write_parts(parts, portions, selection, found, dtype)
        images = Ledger()
        with RowStore(embedding_path(self._folder), shape, dtype) as file:
            for portion in portions:
                read, rows = read_part(parts, portion, self._folder.run)
                images.merge(read)
                file.append(rows)
            check_ledger(self._source.name, selection.ledger, images)
            check_unchanged(self._source, self._fingerprint)
            file.sync()
            arrays = file.ledger.to_arrays("rows") | images.to_arrays("images")
            self._folder.save("rows", {"next": self._plan.n_images}, arrays)
            self._folder.reach("embedding")
            file.finish()
        shutil.rmtree(parts, ignore_errors=True)
        whole = finished_embedding(self._folder, shape)
        assert whole is not None
        return whole

    def _write_parts(
        self,
        parts: Path,
        portions: list[Portion],
        selection: Selection,
        found: Decomposition,
        dtype: np.dtype[np.floating],
    ) -> None:
        """Have the rows of the portions written that are not there yet."""
        token = uuid.uuid4().hex
        (parts / TOKEN).write_text(token)
        spec = replace(
            self._spec,
            columns=found.columns,
            ranges=_ranges(selection),
            gsvd=replace(found.gsvd, u=()),
            row_dtype=str(dtype),
            folder=str(parts.resolve()),
            token=token,
        )
        left = [each for each in portions if not part_path(parts, each).exists()]
        done = self._plan.n_images - sum(each.last - each.first for each in left)
        update = self._begin(2, done)
        for portion, part in self._cluster.each("embed", embed_portion, left, spec):
            if part.rows is not None:
                write_part(parts, portion, self._folder.run, part.images, part.rows)
            done += portion.last - portion.first
            update(done)

    def _begin(self, which: int, done: int = 0) -> Callable[[int], object]:
        self._clock.begin(PASSES[which], done)
        return self._clock.update

    def _divide(self, wanted: int) -> list[Portion]:
        from wavelens.distributed import cut

        whole = -(-wanted // self._plan.chunk) * self._plan.chunk
        return cut(self._source, self._job.given.codes, whole)


def _ranges(selection: Selection) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.array(selection.ledger.ranges, dtype=np.int64).reshape(-1, 2)


def _without_repeats(skipped: list[SkippedFile]) -> list[SkippedFile]:
    return list({(str(each.path), each.reason): each for each in skipped}.values())


def _make_plan(job: Job, chunk_size: int | None, cluster: Cluster) -> Plan:
    """Plan for the worker that has least memory, which holds what the tables of `_plan` say for each task."""
    limit = cluster.memory_of_a_task(_worker_program, job.options.memory_limit)
    if limit is not None:
        limit += 40 * job.n_images  # what the images' labels take, the client holds
    return make_job_plan(job, limit, chunk_size, base=_worker_program)[0]
