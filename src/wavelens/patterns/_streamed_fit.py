"""`PatternAnalysis.fit` for images that do not fit in memory: three passes, each of which can be continued.

Of the images, only chunks are ever in memory; see `_passes` for what is kept of them, `_memory_plan` for how much
memory that takes, and `_work_folder` for what is on disk. While one chunk is sketched or factored, the next is
being transformed and the one after it read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._progress import progress_share
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD
from wavelens.patterns._checks import check_bandwidth
from wavelens.patterns._coefficients import Basis, make_basis
from wavelens.patterns._fit import Fit
from wavelens.patterns._input import Labelled, check_counts
from wavelens.patterns._memory import parse_bytes
from wavelens.patterns._memory_plan import Plan
from wavelens.patterns._out_of_core import (
    PASSES,
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
from wavelens.patterns._passes import FactorState, SketchState, chosen_coefficients, embed_chunk
from wavelens.patterns._persistence import gsvd_from_arrays
from wavelens.patterns._pipeline import ahead
from wavelens.patterns._remaining import Remaining, told_remaining
from wavelens.patterns._row_file import RowFile
from wavelens.patterns._streamed_choice import choose_from_sketch
from wavelens.patterns._work_folder import WorkFolder

if TYPE_CHECKING:
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = ["fit_in_folder", "fit_streamed"]

_Codes = npt.NDArray[np.intp]

seconds_between_checkpoints = 10.0
_share_of_checkpoints = 0.05


def fit_in_folder(
    analysis: PatternAnalysis,
    given: Labelled,
    work_dir: str | os.PathLike[str] | None,
    resume: bool = False,
    cache: bool | None = None,
    chunk_size: int | None = None,
) -> Fit:
    """Fit in a folder, or in one that vanishes once nothing needs it any more; see `fit_streamed`."""
    return in_folder(
        work_dir, lambda folder: fit_streamed(analysis, given, folder, resume, cache, chunk_size)
    )


def fit_streamed(
    analysis: PatternAnalysis,
    given: Labelled,
    work_dir: Path,
    resume: bool,
    cache: bool | None,
    chunk_size: int | None,
) -> Fit:
    """Fit an analysis to images read in chunks.

    Parameters
    ----------
    analysis : PatternAnalysis
        For its parameters; not changed.
    given : Labelled
    work_dir : Path
    resume : bool
        Go on with what `work_dir` holds.
    cache : bool or None
        Keep the chosen coefficients on disk for the third pass; None: if reading is work and there is room.
    chunk_size : int or None
        Images at a time; None: as many as fit.

    Raises
    ------
    DataError
        If memory or disk do not suffice, the folder holds another run, or the source changes underway.
    """
    check_bandwidth(analysis.bandwidth)
    source = given.source
    basis = make_basis(source.image_shape, analysis.basis, analysis.wavelet, analysis.level, analysis.mode)
    plan, base = _planned(analysis, given, basis, chunk_size)
    with WorkFolder(work_dir).opened() as folder:
        plan = Plan(**folder.begin(told_of_run(analysis, given), plan.to_dict(), resume))
        _check_kept_plan(analysis, plan, base)
        cached = _decide_cache(folder, plan, cache, source.decodes)
        work = work_of_passes(plan, cached)
        with told_remaining(plan.n_images, work, analysis.progress) as clock:
            return _Run(analysis, given, basis, plan, folder, cached, clock, base).run()


class _Run:
    """The three passes of one fit."""

    def __init__(
        self,
        analysis: PatternAnalysis,
        given: Labelled,
        basis: Basis,
        plan: Plan,
        folder: WorkFolder,
        cached: bool,
        clock: Remaining,
        base: int,
    ) -> None:
        self._analysis, self._given, self._basis, self._plan = analysis, given, basis, plan
        self._folder, self._cached, self._clock, self._base = folder, cached, clock, base
        self._n_classes = len(given.classes)
        self._kept = np.ones(given.source.n_images, dtype=bool)

    def run(self) -> Fit:
        """Do what is left to do."""
        found = self._folder.load("decomposition")
        if found is None or not found[0]["whole"]:
            sketch = self._first_pass()
            self._keep_only(sketch.ranges)
            if found is None:
                classes = self._given.classes
                found = decompose(self._analysis, self._folder, classes, *self._second_pass(sketch))
            arrays = found[1]
            if not rows_path(self._folder).exists():
                self._third_pass(gsvd_from_arrays(arrays), arrays["columns"], rows_path(self._folder))
            found = finish(self._analysis, self._folder, arrays, np.array(sketch.ranges))
        return fit_of(
            self._given,
            self._basis,
            self._folder,
            found,
            chunk=self._plan.chunk,
            planned_memory=self._base + self._plan.peak,
            cached=self._cached,
            seconds=dict(self._clock.seconds),
        )

    # The passes

    def _first_pass(self) -> SketchState:
        n, p = self._plan.n_images, self._basis.n_coefficients
        found = self._folder.load("sketch")
        if found is None:
            seed = self._analysis.random_state
            empty = SketchState.empty(p, self._n_classes, self._plan.sketch_rows, seed, self._number)
            state, start = empty, 0
        else:
            state, start = SketchState.from_arrays(found[1], p), int(found[0]["next"])
        if start >= n:
            return state
        self._clock.begin(PASSES[0], start)
        due = _Due()
        with ExitStack() as stack:
            for coefficients, classes, positions in self._transformed(stack, start, None):
                state.add(coefficients, classes, positions)
                del coefficients  # the next chunk takes its place
                done = self._end_of(positions)
                self._clock.update(done)
                if due():
                    self._folder.save("sketch", {"next": done}, state.to_arrays())
                    due.done()
        check_counts(self._given.source.name, self._given.classes, state.counts)
        self._folder.save("sketch", {"next": n}, state.to_arrays())
        return state

    def _second_pass(self, sketch: SketchState) -> tuple[FactorState, _Codes]:
        n = self._plan.n_images
        found = self._folder.load("factors")
        if found is None:
            with progress_share("Choosing coefficients", self._analysis.progress) as progress:
                columns = choose_from_sketch(self._analysis, sketch, self._plan.n_kept, progress)
            state, start, n_rows = FactorState.empty(self._n_classes), 0, 0
            self._folder.save("factors", {"next": 0, "rows": 0}, {"columns": columns})
        else:
            header, arrays = found
            columns = arrays["columns"].astype(np.intp)
            state = FactorState.from_arrays(arrays, self._n_classes)
            start, n_rows = int(header["next"]), int(header["rows"])
        if start >= n:
            return state, columns
        del sketch, found
        self._clock.begin(PASSES[1], start)
        due = _Due()
        with ExitStack() as stack:
            cache = self._cache(len(columns), n_rows)
            if cache is not None:
                stack.enter_context(cache)
            for chosen, classes, positions in self._transformed(stack, start, columns):
                state.add(chosen, classes)
                if cache is not None:
                    cache.append(chosen)
                n_rows += len(chosen)
                done = self._end_of(positions)
                self._clock.update(done)
                if due() and done < n:
                    self._save_factors(state, columns, done, n_rows, cache)
                    due.done()
            self._check_all_came(n_rows)
            self._save_factors(state, columns, n, n_rows, cache)
        return state, columns

    def _save_factors(
        self, state: FactorState, columns: _Codes, done: int, n_rows: int, cache: RowFile | None
    ) -> None:
        if cache is not None:
            cache.sync()
        self._folder.save(
            "factors", {"next": done, "rows": n_rows}, {"columns": columns, **state.to_arrays()}
        )

    def _third_pass(self, gsvd: HOGSVD, columns: _Codes, path: Path) -> None:
        n_rows, r = int(self._kept.sum()), gsvd.sigma.shape[1]
        dtype = gsvd.sigma.dtype if self._plan.small_rows else np.dtype(np.float32)
        found = self._folder.load("rows")
        start, written = (0, 0) if found is None else (int(found[0]["next"]), int(found[0]["rows"]))
        if not RowFile.holds(path, written, r, dtype):
            start = written = 0
        self._clock.begin(PASSES[2], start)
        due = _Due()
        with ExitStack() as stack, RowFile(path, (n_rows, r), dtype, written) as rows:
            for chosen, done in self._chosen(stack, start, written, columns):
                rows.append(embed_chunk(chosen, gsvd=gsvd, dtype=dtype))
                self._clock.update(done)
                if due():
                    rows.sync()
                    self._folder.save("rows", {"next": done, "rows": rows.n_done}, {})
                    due.done()
            self._check_all_came(rows.n_done)
            rows.finish()

    # Chunks

    def _read(self, start: int) -> Iterator[tuple[npt.NDArray[Any], _Codes, _Codes]]:
        """Read chunk after chunk, with classes and positions."""
        source, size = self._given.source, self._plan.chunk
        # A kind of source that knows of no `start` can still be read from the beginning.
        chunks = source.chunks(size, start) if start else source.chunks(size)
        for images, _, positions in chunks:
            if images.shape[1:] != source.image_shape:
                raise DataError(
                    f"{source.name}: images from {source.image_names[int(positions[0])]!r} on have shape "
                    f"{images.shape[1:]}, expected {source.image_shape}"
                )
            yield images, self._given.codes[positions], positions

    def _transformed(
        self, stack: ExitStack, start: int, columns: _Codes | None
    ) -> Iterator[tuple[FloatArray, _Codes, _Codes]]:
        """Give the coefficients of chunk after chunk, all or some, read and transformed ahead."""
        raw = stack.enter_context(ahead(self._read(start)))
        return stack.enter_context(ahead(self._transform(raw, columns)))

    def _transform(
        self, raw: Iterator[tuple[npt.NDArray[Any], _Codes, _Codes]], columns: _Codes | None
    ) -> Iterator[tuple[FloatArray, _Codes, _Codes]]:
        for images, classes, positions in raw:
            if columns is not None:
                self._check_same(positions)
            try:
                if columns is None:
                    coefficients = self._basis.forward(images)
                else:
                    coefficients = chosen_coefficients(images, basis=self._basis, columns=columns)
            except ValueError as error:
                first = self._given.source.image_names[int(positions[0])]
                raise ValueError(f"{len(images)} images from {first!r} on: {error}") from error
            del images
            yield coefficients, classes, positions
            del coefficients

    def _chosen(
        self, stack: ExitStack, start: int, n_rows: int, columns: _Codes
    ) -> Iterator[tuple[FloatArray, int]]:
        """Give the chosen coefficients and the position up to which they go, from the cache if there is one."""
        if not self._cached:
            for chosen, _, positions in self._transformed(stack, start, columns):
                yield chosen, self._end_of(positions)
            return
        header, arrays = self._folder.load("factors") or ({}, {})
        if not header:
            raise DataError(f"{self._folder.path}: factors.npz is missing")
        width = len(arrays["columns"])
        del arrays
        places = np.flatnonzero(self._kept)
        cache = stack.enter_context(self._existing_cache(width))
        blocks = stack.enter_context(ahead(cache.blocks(self._plan.chunk, n_rows)))
        done = n_rows
        for block in blocks:
            done += len(block)
            # Fewer than were factored, where a class is short of rank.
            yield block[:, : len(columns)], int(places[done - 1]) + 1

    def _cache(self, width: int, n_rows: int) -> RowFile | None:
        if not self._cached:
            return None
        if not RowFile.holds(self._cache_path, n_rows, width, self._number) and n_rows:
            raise DataError(f"{self._cache_path}: the chosen coefficients of some images are missing")
        return RowFile(self._cache_path, (int(self._kept.sum()), width), self._number, n_rows)

    def _existing_cache(self, width: int) -> RowFile:
        found = self._cache(width, int(self._kept.sum()))
        assert found is not None
        return found

    @property
    def _cache_path(self) -> Path:
        return self._folder.path / "chosen.npy"

    @property
    def _number(self) -> np.dtype[Any]:
        return np.dtype(np.float32 if self._plan.number_bytes == 4 else np.float64)

    # What was read

    def _end_of(self, positions: _Codes) -> int:
        """Return where the chunk ends that these positions are of."""
        size = self._plan.chunk
        return min(self._plan.n_images, (int(positions[-1]) // size + 1) * size)

    def _keep_only(self, ranges: list[list[int]]) -> None:
        self._kept[:] = False
        for first, last in ranges:
            self._kept[first:last] = True

    def _check_same(self, positions: _Codes) -> None:
        """Refuse images that could be read before and cannot now, or the other way round."""
        size = self._plan.chunk
        first = int(positions[0]) // size * size
        before = np.flatnonzero(self._kept[first : first + size]) + first
        if not np.array_equal(before, positions):
            place = int(np.setxor1d(before, positions)[0])
            raise self._changed(f"the image {self._given.source.image_names[place]!r}")

    def _check_all_came(self, n_rows: int) -> None:
        if n_rows != int(self._kept.sum()):
            raise self._changed(f"{abs(int(self._kept.sum()) - n_rows):,} images")

    def _changed(self, what: str) -> DataError:
        return DataError(
            f"{self._given.source.name}: {what} could be read in one pass and not in another; begin anew once "
            "the source no longer changes"
        )


class _Due:
    """Whether it is time for a checkpoint: at intervals, and so that they take a small share of the time."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._asked = self._last
        self._cost = 0.0

    def __call__(self) -> bool:
        self._asked = time.perf_counter()
        return self._asked - self._last >= max(
            seconds_between_checkpoints, self._cost / _share_of_checkpoints
        )

    def done(self) -> None:
        """Tell that the checkpoint has been written."""
        self._last = time.perf_counter()
        self._cost = self._last - self._asked if seconds_between_checkpoints else 0.0


# Before the passes


def _planned(
    analysis: PatternAnalysis, given: Labelled, basis: Basis, chunk_size: int | None
) -> tuple[Plan, int]:
    limit = None if analysis.memory_limit is None else parse_bytes(analysis.memory_limit, "memory_limit")
    largest = 2 * int(getattr(given.source, "largest_chunk", 0))
    return made_plan(analysis, given, basis, limit, chunk_size, source_bytes=largest)


def _check_kept_plan(analysis: PatternAnalysis, plan: Plan, base: int) -> None:
    if analysis.memory_limit is None:
        return
    limit = parse_bytes(analysis.memory_limit, "memory_limit")
    if base + plan.peak > limit:
        raise DataError(
            f"the run was begun with more memory than `memory_limit` ({analysis.memory_limit}) allows: it takes "
            f"{(base + plan.peak) / 1e6:,.0f} MB"
        )


def _decide_cache(folder: WorkFolder, plan: Plan, cache: bool | None, decodes: bool) -> bool:
    """Say whether the chosen coefficients are kept; refuse where there is no room for the result."""
    exists = (folder.path / "factors.npz").exists()
    if exists:  # the run has decided already
        return (folder.path / "chosen.npy.partial").exists()
    states = 2 * (plan.sketch_rows * plan.n_all + 3 * plan.n_classes * plan.n_kept**2) * plan.number_bytes
    free = check_room(folder, plan.disk + states)
    chosen = plan.n_images * plan.n_kept * plan.number_bytes
    if cache is None:
        return decodes and free > 1.1 * (plan.disk + states + chosen)
    return bool(cache)
