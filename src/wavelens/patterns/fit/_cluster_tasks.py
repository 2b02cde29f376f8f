"""What a worker of a cluster does with a portion of the images, in each of the three passes.

All here runs on workers: module-level functions, which travel by name. What they take and return is made so that
its size is known to Dask, which moves the smaller to the larger and writes to disk what does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.data import SkippedFile
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD
from wavelens.patterns._basis import Basis, make_basis
from wavelens.patterns._checkpoint import read_state, write_state
from wavelens.patterns._options import FitOptions
from wavelens.patterns._persistence import gsvd_arrays, gsvd_from_arrays
from wavelens.patterns.fit._ledger import Ledger, positions_in, row_checksums
from wavelens.patterns.fit._passes import Chunk, FactorState, Selection, SketchState, embed_rows, select
from wavelens.patterns.fit._read_ahead import ahead
from wavelens.patterns.fit._sequence import changed

if TYPE_CHECKING:
    from wavelens.distributed import Portion

__all__ = [
    "TOKEN",
    "EmbeddedPart",
    "Factored",
    "Sketched",
    "TaskSpec",
    "embed_portion",
    "factor_portion",
    "merge_factored",
    "merge_sketched",
    "part_path",
    "read_part",
    "select_on_worker",
    "sketch_portion",
    "write_part",
]

_Codes = npt.NDArray[np.intp]

TOKEN = "token"
"""File by which a worker knows the client's folder."""


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """What all tasks of a pass need.

    Attributes
    ----------
    run : str
        Number of the run.
    basis : tuple
        Arguments of `make_basis`.
    chunk, n_classes, sketch_rows, random_state : int
        As in `Plan` and `FitOptions`.
    dtype : str
        Of the coefficients.
    columns : array of int or None
        The selected coefficients, from the second pass on.
    ranges : array of int or None
        Ranges of the images that the first pass could read.
    gsvd : HOGSVD or None
        For the third pass, without left factors.
    row_dtype : str
        Of the rows of UΣ.
    folder, token : str
        Where the rows go if a file of this name is there with this content: the same folder as the client's.
    """

    run: str
    basis: tuple[Any, ...]
    chunk: int
    n_classes: int
    sketch_rows: int
    random_state: int
    dtype: str
    columns: _Codes | None = None
    ranges: npt.NDArray[np.int64] | None = None
    gsvd: HOGSVD | None = None
    row_dtype: str = "float64"
    folder: str = ""
    token: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: value for name, value in vars(self).items() if name != "gsvd"}
        return _spec_of, (fields, None if self.gsvd is None else gsvd_arrays(self.gsvd))


def _spec_of(fields: dict[str, Any], gsvd: dict[str, Any] | None) -> TaskSpec:
    """Return a spec that has come over the network, with arrays as the engine takes them."""

    def aligned(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: np.require(each, None, "A") if isinstance(each, np.ndarray) else each
            for name, each in values.items()
        }

    return TaskSpec(**aligned(fields), gsvd=None if gsvd is None else gsvd_from_arrays(aligned(gsvd), ()))


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
        arrays = {name: make() if callable(make) else make for name, make in self.state.to_arrays().items()}
        return _factored_of, (arrays, len(self.state.factors))


def _factored_of(arrays: dict[str, Any], n_classes: int) -> Factored:
    return Factored(FactorState.from_arrays(arrays, n_classes))


@dataclass(frozen=True, eq=False)
class EmbeddedPart:
    """Rows of UΣ of a portion: themselves, where the worker does not see the client's folder."""

    images: Ledger
    rows: FloatArray | None

    def __sizeof__(self) -> int:
        return 200 + (0 if self.rows is None else self.rows.nbytes)


def sketch_portion(portion: Portion, blocks: Sequence[Any], spec: TaskSpec) -> Sketched:
    """Return the first pass's state of a portion."""
    basis = _basis(spec)
    skipped: list[SkippedFile] = []
    state = SketchState.empty(
        basis.n_coefficients, spec.n_classes, spec.sketch_rows, spec.random_state, spec.dtype
    )
    for chunk in _transformed(portion, blocks, spec, skipped):
        state.add(chunk)
    return Sketched(state, skipped)


def merge_sketched(low: Sketched, high: Sketched) -> Sketched:
    """Return the state of the images of both; they stay as they are, for Dask may ask for them again."""
    return Sketched(low.state.copy().merge(high.state), [*low.skipped, *high.skipped])


def select_on_worker(options: FitOptions, most: int, sketched: Sketched) -> Selection:
    """Select coefficients where the sketch is, so that it need not travel."""
    # Without what workers have no use for, and cannot show.
    bare = replace(options, progress=False, memory_limit=None)
    return select(bare, sketched.state, most, sketched.skipped, None)


def factor_portion(portion: Portion, blocks: Sequence[Any], spec: TaskSpec) -> Factored:
    """Return the second pass's state of a portion."""
    state = FactorState.empty(spec.n_classes)
    for chunk in _selected(portion, blocks, spec):
        state.add(chunk)
    return Factored(state)


def merge_factored(low: Factored, high: Factored) -> Factored:
    """Return the state of the images of both; they stay as they are."""
    return Factored(low.state.copy().merge(high.state))


def embed_portion(portion: Portion, blocks: Sequence[Any], spec: TaskSpec) -> EmbeddedPart:
    """Write the rows of UΣ of a portion into a file, or return them where the client's folder is not seen."""
    assert spec.gsvd is not None
    n_rows = len(_expected(portion, spec))
    rows = np.empty((n_rows, spec.gsvd.sigma.shape[1]), spec.row_dtype)
    images, done = Ledger(), 0
    for chunk in _selected(portion, blocks, spec):
        images.add(chunk.positions, chunk.checksums)
        rows[done : done + len(chunk.positions)] = embed_rows(chunk.coefficients, spec.gsvd, spec.row_dtype)
        done += len(chunk.positions)
    folder = Path(spec.folder)
    if not _is_shared(folder, spec.token):
        return EmbeddedPart(images, rows)
    write_part(folder, portion, spec.run, images, rows)
    return EmbeddedPart(images, None)


def part_path(folder: Path, portion: Portion) -> Path:
    """Return where the rows of a portion are."""
    return folder / f"rows-{portion.first:012d}-{portion.last:012d}.npz"


def write_part(folder: Path, portion: Portion, run: str, images: Ledger, rows: FloatArray) -> None:
    """Write the rows of a portion; a lost worker's twin may write the same at the same time."""
    header = {"run": run, "first": portion.first, "last": portion.last}
    write_state(part_path(folder, portion), header, {"rows": rows, **images.to_arrays("images")})


def read_part(folder: Path, portion: Portion, run: str) -> tuple[Ledger, FloatArray]:
    """Return what `write_part` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another run or portion.
    """
    path = part_path(folder, portion)
    found = read_state(path)
    if found is None:
        raise DataError(f"{path} is missing, which the run has written; resume the run to make it anew")
    header, arrays = found
    about = {"run": run, "first": portion.first, "last": portion.last}
    if {name: header.get(name) for name in about} != about:
        raise DataError(f"{path} belongs to another run or other images; delete it and resume the run")
    try:
        return Ledger.from_arrays(arrays, "images"), arrays["rows"]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error


def _is_shared(folder: Path, token: str) -> bool:
    try:
        return (folder / TOKEN).read_text() == token
    except OSError:
        return False


def _transformed(
    portion: Portion, blocks: Sequence[Any], spec: TaskSpec, skipped: list[SkippedFile]
) -> Iterator[Chunk]:
    """Give chunk after chunk with all coefficients or the selected ones; images are read one chunk ahead."""
    basis = _basis(spec)
    with ahead(portion.chunks(spec.chunk, blocks, skipped)) as chunks:
        for images, classes, positions in chunks:
            try:
                coefficients = basis.forward(images)
            except ValueError as error:
                raise ValueError(
                    f"{portion.name}: {len(images)} images from position {int(positions[0]):,} on: {error}"
                ) from error
            if spec.columns is not None:
                coefficients = coefficients[:, spec.columns]
            yield Chunk(coefficients, classes, positions, row_checksums(images))
            del coefficients


def _selected(portion: Portion, blocks: Sequence[Any], spec: TaskSpec) -> Iterator[Chunk]:
    """Give the selected coefficients of the images that the first pass read too, each at its position."""
    expected, done = _expected(portion, spec), 0
    for chunk in _transformed(portion, blocks, spec, []):
        before = expected[done : done + len(chunk.positions)]
        if not np.array_equal(before, chunk.positions):
            raise _other_images(portion, np.setxor1d(expected[done:], chunk.positions))
        done += len(chunk.positions)
        yield chunk
    if done != len(expected):
        raise _other_images(portion, expected[done:])


def _other_images(portion: Portion, positions: _Codes) -> DataError:
    return changed(portion.name, f"image {int(positions[0]):,} could be read in one pass and not in another")


def _expected(portion: Portion, spec: TaskSpec) -> _Codes:
    assert spec.ranges is not None
    return positions_in(spec.ranges, portion.first, portion.last)


def _basis(spec: TaskSpec) -> Basis:
    return _made_basis(*spec.basis)


_made_basis = lru_cache(maxsize=4)(make_basis)
