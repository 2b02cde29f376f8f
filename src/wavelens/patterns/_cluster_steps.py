"""What a worker of a cluster does with a portion of the images, in each of the three passes of `_passes`.

All here runs on workers: module-level functions, which travel by name. What they take and return is made so that
its size is known to Dask, which moves the smaller to the larger and writes to disk what does not fit.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.data import ImageChunk, SkippedFile
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD
from wavelens.patterns._checkpoint import sync_folder
from wavelens.patterns._coefficients import Basis, make_basis
from wavelens.patterns._passes import (
    FactorState,
    SketchState,
    chosen_coefficients,
    embed_chunk,
)
from wavelens.patterns._persistence import gsvd_arrays, gsvd_from_arrays
from wavelens.patterns._pipeline import ahead
from wavelens.patterns._streamed_choice import choose_from_sketch

if TYPE_CHECKING:
    from wavelens.distributed import Portion
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = [
    "TOKEN",
    "Chosen",
    "Factored",
    "Note",
    "Sketched",
    "choose",
    "embed_portion",
    "factor_portion",
    "merge_factored",
    "merge_sketched",
    "part_path",
    "sketch_portion",
]

_Codes = npt.NDArray[np.intp]

TOKEN = "token"
"""File by which a worker knows the client's folder."""


@dataclass(frozen=True, eq=False)
class Note:
    """What all tasks of a pass need.

    Attributes
    ----------
    basis : tuple
        Arguments of `make_basis`.
    chunk, n_classes, sketch_rows, random_state : int
        As in `Plan` and `PatternAnalysis`.
    number : str
        Dtype of the coefficients.
    columns : array of int or None
        The chosen coefficients, from the second pass on.
    kept : array of int or None
        Ranges of the images that the first pass could read.
    gsvd : HOGSVD or None
        For the third pass, without left factors.
    dtype : str
        Of the rows of UΣ.
    folder, token : str
        Where the rows go if a file of this name is there with this content: the same folder as the client's.
    """

    basis: tuple[Any, ...]
    chunk: int
    n_classes: int
    sketch_rows: int
    random_state: int
    number: str
    columns: _Codes | None = None
    kept: npt.NDArray[np.int64] | None = None
    gsvd: HOGSVD | None = None
    dtype: str = "float64"
    folder: str = ""
    token: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: value for name, value in vars(self).items() if name != "gsvd"}
        return _note_of, (fields, None if self.gsvd is None else gsvd_arrays(self.gsvd))


def _note_of(fields: dict[str, Any], gsvd: dict[str, Any] | None) -> Note:
    """Return a note that has come over the network, with arrays as the engine takes them."""

    def aligned(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: np.require(each, None, "A") if isinstance(each, np.ndarray) else each
            for name, each in values.items()
        }

    return Note(**aligned(fields), gsvd=None if gsvd is None else gsvd_from_arrays(aligned(gsvd), ()))


@dataclass(eq=False)
class Sketched:
    """The first pass's state, and files that could not be read. It travels as the bytes that go to disk, too."""

    state: SketchState
    skipped: list[SkippedFile] = field(default_factory=list)

    def __sizeof__(self) -> int:
        sketch = self.state.sketch
        rows = min(sketch.n_rows, sketch.n_rows_seen)
        return rows * sketch.n_features * sketch.dtype.itemsize + self.state.nonzero.nbytes + 200

    def __reduce__(self) -> tuple[Any, ...]:
        return _sketched_of, (self.state.to_arrays(), self.state.sketch.n_features, self.skipped)


def _sketched_of(arrays: dict[str, Any], n_coefficients: int, skipped: list[SkippedFile]) -> Sketched:
    return Sketched(SketchState.from_arrays(arrays, n_coefficients), skipped)


@dataclass(eq=False)
class Factored:
    """The second pass's state."""

    state: FactorState

    def __sizeof__(self) -> int:
        held = [each for each in self.state.factors if each is not None]
        rows = (min(each.n_rows, each.n_features + 256) for each in held)
        return 200 + sum(n * f.n_features * f.dtype.itemsize for n, f in zip(rows, held, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        arrays = {name: make() for name, make in self.state.to_arrays().items()}
        return _factored_of, (arrays, len(self.state.factors))


def _factored_of(arrays: dict[str, Any], n_classes: int) -> Factored:
    return Factored(FactorState.from_arrays(arrays, n_classes))


@dataclass(frozen=True, eq=False)
class Chosen:
    """What the client learns of the first pass."""

    columns: _Codes | None
    ranges: list[list[int]]
    counts: npt.NDArray[np.int64]
    skipped: list[SkippedFile]


def sketch_portion(portion: Portion, blocks: Sequence[Any], note: Note) -> Sketched:
    """Return the first pass's state of a portion."""
    basis = _basis(note)
    skipped: list[SkippedFile] = []
    state = SketchState.empty(
        basis.n_coefficients, note.n_classes, note.sketch_rows, note.random_state, note.number
    )
    for chunk in _read(portion, blocks, note, skipped):
        state.add(_transformed(basis, chunk, portion, None), chunk.labels, chunk.positions)
    return Sketched(state, skipped)


def merge_sketched(low: Sketched, high: Sketched) -> Sketched:
    """Return the state of the images of both; they stay as they are, for Dask may ask for them again."""
    ours = low.state
    twin = SketchState(ours.sketch.copy(), ours.nonzero.copy(), ours.counts.copy(), list(ours.ranges))
    return Sketched(twin.merge(high.state), [*low.skipped, *high.skipped])


def choose(analysis: PatternAnalysis, most: int, sketched: Sketched) -> Chosen:
    """Choose coefficients where the sketch is, so that it need not travel."""
    state = sketched.state
    # A class that has too few readable images is for the client to name.
    columns = None if state.counts.min() < 2 else choose_from_sketch(analysis, state, most, None)
    return Chosen(columns, state.ranges, state.counts, sketched.skipped)


def factor_portion(portion: Portion, blocks: Sequence[Any], note: Note) -> Factored:
    """Return the second pass's state of a portion."""
    state = FactorState.empty(note.n_classes)
    for chosen, classes in _chosen(portion, blocks, note):
        state.add(chosen, classes)
    return Factored(state)


def merge_factored(low: Factored, high: Factored) -> Factored:
    """Return the state of the images of both; they stay as they are."""
    twin = FactorState([None if each is None else each.copy() for each in low.state.factors])
    return Factored(twin.merge(high.state))


def embed_portion(portion: Portion, blocks: Sequence[Any], note: Note) -> FloatArray | int:
    """Write the rows of UΣ of a portion into a file, or return them where the client's folder is not seen.

    Returns
    -------
    array or int
        The rows, or how many were written.
    """
    assert note.gsvd is not None
    n_rows = _n_kept(portion, note)
    rows = np.empty((n_rows, note.gsvd.sigma.shape[1]), note.dtype)
    done = 0
    for chosen, _ in _chosen(portion, blocks, note):
        rows[done : done + len(chosen)] = embed_chunk(chosen, gsvd=note.gsvd, dtype=note.dtype)
        done += len(chosen)
    folder = Path(note.folder)
    if not _is_shared(folder, note.token):
        return rows
    write_part(part_path(folder, portion), rows)
    return n_rows


def part_path(folder: Path, portion: Portion) -> Path:
    """Return where the rows of a portion are."""
    return folder / f"rows-{portion.first:012d}-{portion.last:012d}.npy"


def write_part(path: Path, rows: FloatArray) -> None:
    """Write rows under a name that is theirs once they are whole; a lost worker's twin may write the same."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("wb") as file:
            described = {"descr": rows.dtype.str, "fortran_order": False, "shape": rows.shape}
            np.lib.format.write_array_header_1_0(file, described)
            file.write(np.ascontiguousarray(rows).data)  # np.save does not say why it cannot
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _is_shared(folder: Path, token: str) -> bool:
    try:
        return (folder / TOKEN).read_text() == token
    except OSError:
        return False


def _read(
    portion: Portion, blocks: Sequence[Any], note: Note, skipped: list[SkippedFile]
) -> Iterator[ImageChunk]:
    """Read chunk after chunk, one ahead."""
    with ahead(portion.chunks(note.chunk, blocks, skipped)) as chunks:
        yield from chunks


def _chosen(portion: Portion, blocks: Sequence[Any], note: Note) -> Iterator[tuple[FloatArray, _Codes]]:
    """Give the chosen coefficients and classes of the images that the first pass read too."""
    basis, done, expected = _basis(note), 0, _n_kept(portion, note)
    for chunk in _read(portion, blocks, note, []):
        done += len(chunk.positions)
        if done > expected:
            break
        yield _transformed(basis, chunk, portion, note.columns), chunk.labels
    if done != expected:
        raise DataError(
            f"{portion.name}: of the images {portion.first:,} to {portion.last - 1:,}, {expected:,} could be read in "
            "one pass and another number in the next; begin anew once the source no longer changes"
        )


def _transformed(basis: Basis, chunk: ImageChunk, portion: Portion, columns: _Codes | None) -> FloatArray:
    try:
        if columns is None:
            return basis.forward(chunk.images)
        return chosen_coefficients(chunk.images, basis=basis, columns=columns)
    except ValueError as error:
        raise ValueError(
            f"{portion.name}: {len(chunk.images)} images from place {int(chunk.positions[0]):,} on: {error}"
        ) from error


def _n_kept(portion: Portion, note: Note) -> int:
    assert note.kept is not None
    inside = np.clip(note.kept, portion.first, portion.last)
    return int((inside[:, 1] - inside[:, 0]).sum())


def _basis(note: Note) -> Basis:
    return _made_basis(*note.basis)


_made_basis = lru_cache(maxsize=4)(make_basis)
