"""The executor of images that do not fit in memory: three passes on this machine, each of which can be continued.

Of the images, only chunks are ever in memory; see `_passes` for what is kept of them, `_plan` for how much memory that
takes, and `_work_folder` for what is on disk. While one chunk is sketched or factored, the next is being transformed
and the one after it read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._progress import progress_share
from wavelens.exceptions import DataError
from wavelens.patterns._result import OutOfCore
from wavelens.patterns.fit._input import check_unchanged
from wavelens.patterns.fit._job import Job
from wavelens.patterns.fit._ledger import Ledger, positions_in, row_checksums
from wavelens.patterns.fit._passes import (
    Chunk,
    FactorState,
    Selection,
    SketchState,
    embed_rows,
    select,
    skipped_from_json,
    skipped_to_json,
)
from wavelens.patterns.fit._plan import Plan
from wavelens.patterns.fit._progress_estimate import PASSES, ProgressEstimator
from wavelens.patterns.fit._read_ahead import ahead
from wavelens.patterns.fit._row_store import RowStore, embedding_path, finished_embedding
from wavelens.patterns.fit._sequence import Decomposition, changed, check_ledger, read_some
from wavelens.patterns.fit._work_folder import SELECTED, WorkFolder

__all__ = ["InChunks"]

_Codes = npt.NDArray[np.intp]

seconds_between_checkpoints = 10.0
_share_of_checkpoints = 0.05


class InChunks:
    """Three passes over the chunks of a source.

    Parameters
    ----------
    job : Job
    plan : Plan
    folder : WorkFolder
        Open, with the run begun.
    cached : bool
        Whether to keep the selected coefficients on disk for the third pass.
    clock : ProgressEstimator
    planned_memory : int
        Bytes, for `about`.
    """

    def __init__(
        self,
        job: Job,
        plan: Plan,
        folder: WorkFolder,
        cached: bool,
        clock: ProgressEstimator,
        planned_memory: int,
    ) -> None:
        self._job, self._plan, self._folder, self._cached = job, plan, folder, cached
        self._clock, self._planned_memory = clock, planned_memory
        self._source = job.given.source
        self._fingerprint = self._source.fingerprint()
        self._wrote_selected = False  # all of them, in this process

    def read(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[Any] | None:
        """Return some images by their positions; see `read_some`."""
        return read_some(self._source, positions)

    def about(self, selection: Selection) -> OutOfCore:
        """Return how it went."""
        n_read = selection.ledger.n_rows
        return OutOfCore(
            work_dir=self._folder.path,
            chunk=self._plan.chunk,
            planned_memory=self._planned_memory,
            n_read=n_read,
            n_left_out=self._job.n_images - n_read,
            cached=self._cached,
            seconds=dict(self._clock.seconds),
        )

    # The passes

    def select(self) -> Selection:
        """Sketch all images, and select coefficients by the sketch."""
        job, n = self._job, self._job.n_images
        found = self._folder.load("sketch")
        if found is None:
            state = SketchState.empty(
                job.basis.n_coefficients,
                job.n_classes,
                self._plan.sketch_rows,
                job.options.random_state,
                job.dtype,
            )
            start = 0
        else:
            header, arrays = found
            try:
                state, start = SketchState.from_arrays(arrays, job.basis.n_coefficients), int(header["next"])
                self._restore_skipped(header["skipped"])
            except (KeyError, ValueError, TypeError) as error:
                raise self._folder.damaged("sketch.npz", error) from error
        del found
        if start < n:
            self._clock.begin(PASSES[0], start)
            timer = _CheckpointTimer()
            with ExitStack() as stack:
                for chunk in self._transformed(stack, start, None, None):
                    state.add(chunk)
                    done = self._end_of(chunk.positions)
                    del chunk  # the next one takes its place
                    self._clock.update(done)
                    if timer.is_due():
                        self._save_sketch(state, done)
                        timer.done()
            check_unchanged(self._source, self._fingerprint)
            self._save_sketch(state, n)
        with progress_share("Selecting coefficients", job.options.progress) as progress:
            return select(job.options, state, self._plan.n_selected, list(self._source.skipped), progress)

    def factor(self, selection: Selection) -> FactorState:
        """Factor the selected coefficients of each class."""
        n, found = self._job.n_images, self._folder.load("factors")
        kept_rows: Ledger | None = None
        if found is None:
            state, start = FactorState.empty(self._job.n_classes), 0
        else:
            header, arrays = found
            try:
                start = int(header["next"])
                kept_rows = Ledger.from_arrays(arrays, "selected") if self._cached else None
                state = FactorState.from_arrays(arrays, self._job.n_classes)
            except (KeyError, ValueError, TypeError) as error:
                raise self._folder.damaged("factors.npz", error) from error
        del found
        if start >= n:
            return state
        self._clock.begin(PASSES[1], start)
        timer = _CheckpointTimer()
        with ExitStack() as stack:
            rows = stack.enter_context(self._selected_rows(selection, kept_rows)) if self._cached else None
            for chunk in self._transformed(stack, start, selection.factored, selection.ledger):
                state.add(chunk)
                if rows is not None:
                    rows.append(chunk.coefficients)
                done = self._end_of(chunk.positions)
                del chunk
                self._clock.update(done)
                if timer.is_due() and done < n:
                    self._save_factors(state, done, rows)
                    timer.done()
            check_ledger(self._source.name, selection.ledger, state.ledger)
            check_unchanged(self._source, self._fingerprint)
            self._save_factors(state, n, rows)
        self._wrote_selected = start == 0
        return state

    def embed(self, selection: Selection, found: Decomposition) -> FloatArray:
        """Write the rows of UΣ to disk, and return a map of them."""
        n_rows, r = selection.ledger.n_rows, found.gsvd.sigma.shape[1]
        path = embedding_path(self._folder)
        whole = finished_embedding(self._folder, (n_rows, r))
        if whole is not None:
            return whole
        dtype = found.gsvd.sigma.dtype if self._plan.small_rows else np.dtype(np.float32)
        state, written, read, start = self._folder.load("rows"), Ledger(), Ledger(), 0
        if state is not None:
            header, arrays = state
            try:
                start = int(header["next"])
                written, read = Ledger.from_arrays(arrays, "rows"), Ledger.from_arrays(arrays, "images")
            except (KeyError, ValueError, TypeError) as error:
                raise self._folder.damaged("rows.npz", error) from error
        del state
        self._clock.begin(PASSES[2], start)
        timer = _CheckpointTimer()
        with ExitStack() as stack, RowStore(path, (n_rows, r), dtype, written) as rows:
            for selected, done in self._selected(stack, start, rows.n_done, selection, found.columns, read):
                rows.append(embed_rows(selected, found.gsvd, dtype))
                del selected
                self._clock.update(done)
                if timer.is_due():
                    self._save_rows(rows, read, done)
                    timer.done()
            if not self._cached:
                check_ledger(self._source.name, selection.ledger, read)
                check_unchanged(self._source, self._fingerprint)
            self._save_rows(rows, read, self._job.n_images)
            rows.finish()
        whole = finished_embedding(self._folder, (n_rows, r))
        assert whole is not None
        return whole

    def _save_sketch(self, state: SketchState, done: int) -> None:
        header = {"next": done, "skipped": skipped_to_json(self._source.skipped)}
        self._folder.save("sketch", header, state.to_arrays())
        self._folder.reach("sketching")

    def _save_factors(self, state: FactorState, done: int, rows: RowStore | None) -> None:
        arrays = state.to_arrays()
        if rows is not None:
            rows.sync()
            arrays |= rows.ledger.to_arrays("selected")
        self._folder.save("factors", {"next": done}, arrays)
        self._folder.reach("factoring")

    def _save_rows(self, rows: RowStore, read: Ledger, done: int) -> None:
        rows.sync()
        arrays = rows.ledger.to_arrays("rows") | read.to_arrays("images")
        self._folder.save("rows", {"next": done}, arrays)
        self._folder.reach("embedding")

    # Chunks

    def _read(self, start: int) -> Iterator[tuple[npt.NDArray[Any], _Codes]]:
        """Read chunk after chunk, with positions."""
        source, size = self._source, self._plan.chunk
        # A kind of source that knows of no `start` can still be read from the beginning.
        for images, _, positions in source.chunks(size, start) if start else source.chunks(size):
            if images.shape[1:] != source.image_shape:
                raise DataError(
                    f"{source.name}: images from {source.image_names[int(positions[0])]!r} on have shape "
                    f"{images.shape[1:]}, expected {source.image_shape}"
                )
            yield images, positions

    def _transformed(
        self, stack: ExitStack, start: int, columns: _Codes | None, expected: Ledger | None
    ) -> Iterator[Chunk]:
        """Give chunk after chunk, read and transformed ahead, with all coefficients or some."""
        raw = stack.enter_context(ahead(self._read(start)))
        return stack.enter_context(ahead(self._transform(raw, columns, expected)))

    def _transform(
        self,
        raw: Iterator[tuple[npt.NDArray[Any], _Codes]],
        columns: _Codes | None,
        expected: Ledger | None,
    ) -> Iterator[Chunk]:
        for images, positions in raw:
            if expected is not None:
                self._check_positions(positions, expected)
            try:
                coefficients = self._job.basis.forward(images)
            except ValueError as error:
                first = self._source.image_names[int(positions[0])]
                raise ValueError(f"{len(images)} images from {first!r} on: {error}") from error
            if columns is not None:
                coefficients = coefficients[:, columns]
            checksums = row_checksums(images)
            del images
            yield Chunk(coefficients, self._job.given.codes[positions], positions, checksums)
            del coefficients

    def _selected(
        self,
        stack: ExitStack,
        start: int,
        n_rows: int,
        selection: Selection,
        columns: _Codes,
        read: Ledger,
    ) -> Iterator[tuple[FloatArray, int]]:
        """Give the coefficients of the patterns, and the position up to which they go; from disk if they are there."""
        if not self._cached:
            for chunk in self._transformed(stack, start, columns, selection.ledger):
                read.add(chunk.positions, chunk.checksums)
                yield chunk.coefficients, self._end_of(chunk.positions)
            return
        state = self._folder.load("factors")
        if state is None:
            raise DataError(f"{self._folder.path}: factors.npz is missing, which the run has written")
        try:
            kept_rows = Ledger.from_arrays(state[1], "selected")
        except (KeyError, ValueError, TypeError) as error:
            raise self._folder.damaged("factors.npz", error) from error
        del state
        positions = selection.ledger.positions
        store = stack.enter_context(self._selected_rows(selection, kept_rows))
        blocks = stack.enter_context(ahead(store.blocks(self._plan.chunk, n_rows)))
        # Fewer than were factored, where a class is short of rank.
        order = np.argsort(selection.factored)
        taken = order[np.searchsorted(selection.factored, columns, sorter=order)]
        done = n_rows
        for block in blocks:
            done += len(block)
            yield block[:, taken], int(positions[done - 1]) + 1

    def _selected_rows(self, selection: Selection, written: Ledger | None) -> RowStore:
        shape = selection.ledger.n_rows, selection.n_factored
        path = self._folder.path / SELECTED
        return RowStore(path, shape, self._job.dtype, written, compare=not self._wrote_selected)

    # What was read

    def _end_of(self, positions: _Codes) -> int:
        """Return where the chunk ends that these positions are of."""
        size = self._plan.chunk
        return min(self._job.n_images, (int(positions[-1]) // size + 1) * size)

    def _check_positions(self, positions: _Codes, expected: Ledger) -> None:
        """Refuse images that could be read before and cannot now, or the other way round, at once."""
        size = self._plan.chunk
        first = int(positions[0]) // size * size
        before = positions_in(expected.ranges, first, first + size)
        if not np.array_equal(before, positions):
            position = int(np.setxor1d(before, positions)[0])
            name = self._source.image_names[position]
            raise changed(self._source.name, f"image {name!r} could be read in one pass and not in another")

    def _restore_skipped(self, skipped: list[list[str]]) -> None:
        known = {(str(each.path), each.reason) for each in self._source.skipped}
        self._source.skipped += [
            each for each in skipped_from_json(skipped) if (str(each.path), each.reason) not in known
        ]


class _CheckpointTimer:
    """Says when a checkpoint is due: at intervals, and so that they take a small share of the time."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._asked = self._last
        self._cost = 0.0

    def is_due(self) -> bool:
        """Tell whether it is time for one."""
        self._asked = time.perf_counter()
        interval = max(seconds_between_checkpoints, self._cost / _share_of_checkpoints)
        return self._asked - self._last >= interval

    def done(self) -> None:
        """Note that it has been written."""
        self._last = time.perf_counter()
        self._cost = self._last - self._asked if seconds_between_checkpoints else 0.0
