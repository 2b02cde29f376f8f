"""Pushing images through a network and measuring, layer by layer, what is rejected: only energies are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_float_matrix, check_integer
from wavelens._progress import progress_bar
from wavelens.exceptions import DataError, ModelError
from wavelens.models import Preprocessing, WeightLayers
from wavelens.models._stream import LayerStream, run_batch
from wavelens.spaces._energy_flow import EnergyFlow, chance_spread, mean_interval
from wavelens.spaces._patches import PatchSpaces

if TYPE_CHECKING:
    from wavelens.spaces._layer_spaces import LayerSpaces

__all__ = ["measure_flow"]

Array = npt.NDArray[Any]
# Of the values of all layers for one batch, in bytes.
BATCH_MEMORY = 2**27
# Values drawn from each layer to tell what random layers would reject, and in how much memory.
SAMPLES, SAMPLE_MEMORY = 256, 2**25
ALL = "all images"


@dataclass(frozen=True, eq=False)
class _Batches:
    """What is pushed through: positions and values, and what is known of the images."""

    items: Iterator[tuple[npt.NDArray[np.intp], dict[str, Array]]]
    n_images: int
    labels: npt.NDArray[np.intp]
    classes: tuple[str, ...]
    notes: list[str]
    described: Any


def measure_flow(
    weights: WeightLayers,
    layers: Sequence[LayerSpaces],
    images: object,
    labels: object,
    *,
    preprocessing: Preprocessing | None,
    image_range: tuple[float, float] | None,
    batch_size: int,
    progress: bool | None,
) -> EnergyFlow:
    """Measure; see `NetworkSpaces.energy_flow`."""
    check_integer(batch_size, "batch_size", low=1)
    size = _batch_size(layers, batch_size)
    wanted = tuple(dict.fromkeys(each.input_name for each in layers))
    if isinstance(images, np.ndarray) and images.ndim == 2:
        batches = _of_rows(weights, images, labels, wanted, size)
    else:
        stream = LayerStream(
            weights.network,
            images,
            wanted,
            labels=labels,
            preprocessing=preprocessing,
            image_range=image_range,
            batch_size=size,
            progress=progress,
        )
        source = stream.source
        classes = tuple(source.class_names) if source.labelled else (ALL,)
        codes = source.labels if source.labelled else np.zeros(source.n_images, np.intp)
        batches = _Batches(iter(stream), source.n_images, codes, classes, stream.notes, source)
    measures = [_Measure(each) for each in layers]
    positions: list[npt.NDArray[np.intp]] = []
    shares: list[Array] = []
    with progress_bar(batches.n_images, "Measuring energies", progress) as bar:
        for where, values in batches.items:
            shares.append(np.stack([each(values, where) for each in measures], axis=1))
            positions.append(where)
            bar.update(len(where))
    if not positions:
        raise DataError("`images`: none of the images could be read")
    skipped = getattr(batches.described, "skipped", ())
    if skipped:
        some = "; ".join(str(each) for each in skipped[:3])
        batches.notes.append(f"{len(skipped)} files could not be read and were left out: {some}.")
    return _put_together(
        weights.name, layers, measures, np.concatenate(shares), batches, np.concatenate(positions)
    )


def _put_together(
    name: str,
    layers: Sequence[LayerSpaces],
    measures: Sequence[_Measure],
    shares: Array,
    batches: _Batches,
    index: npt.NDArray[np.intp],
) -> EnergyFlow:
    codes = np.asarray(batches.labels)[index]
    n_layers, n_classes = len(layers), len(batches.classes)
    rejected = np.full((n_layers, n_classes), np.nan)
    interval = np.full((n_layers, n_classes, 2), np.nan)
    for code in range(n_classes):
        if (codes == code).any():
            rejected[:, code], interval[:, code] = mean_interval(shares[codes == code])
    overall, overall_interval = mean_interval(shares)
    return EnergyFlow(
        name=name,
        layers=tuple(each.name for each in layers),
        kinds=tuple(each.kind for each in layers),
        shapes=tuple(each.shape for each in measures),
        ranks=np.array([each.rank for each in measures]),
        classes=tuple(map(str, batches.classes)),
        counts=np.bincount(codes, minlength=n_classes),
        labels=codes,
        shares=shares,
        rejected=rejected,
        interval=interval,
        overall=overall,
        overall_interval=overall_interval,
        chance=np.array([1 - each.rank / each.shape[1] for each in measures]),
        chance_spread=np.array([each.spread() for each in measures]),
        random_layer=np.array([1 - min(each.shape) / each.shape[1] for each in measures]),
        notes=tuple(batches.notes),
    )


def _batch_size(layers: Sequence[LayerSpaces], wanted: int) -> int:
    """So many images that what enters all layers stays within bounds."""
    shapes = {each.input_name: each.layer.input_shape for each in layers}
    known = [int(np.prod(each)) for each in shapes.values() if each is not None]
    if not known:
        return min(wanted, 8)
    per_image = 4 * sum(known) * len(shapes) // len(known)
    return max(1, min(wanted, BATCH_MEMORY // max(1, per_image)))


def _of_rows(
    weights: WeightLayers, rows: Array, labels: object, wanted: Sequence[str], size: int
) -> _Batches:
    """Rows of a matrix enter as they are."""
    network = weights.network
    matrix = as_float_matrix(rows, "images")
    shape = weights.input_shape
    if shape is not None and int(np.prod(shape)) != matrix.shape[1]:
        raise ValueError(
            f"`images` must have {int(np.prod(shape))} columns, one for each value that {weights.name} takes, got "
            f"{matrix.shape[1]}"
        )
    codes = np.zeros(len(matrix), np.intp)
    classes: tuple[str, ...] = (ALL,)
    if labels is not None:
        given = np.asarray(labels)
        if given.shape != (len(matrix),):
            raise ValueError(f"`labels` must have shape ({len(matrix)},), got {given.shape}")
        names, codes = np.unique(given, return_inverse=True)
        classes = tuple(str(each) for each in names)

    def items() -> Iterator[tuple[npt.NDArray[np.intp], dict[str, Array]]]:
        step = network.batch or max(size, 256)
        for start in range(0, len(matrix), step):
            batch = matrix[start : start + step]
            if shape is not None:
                batch = batch.reshape(len(batch), *shape)
            batch = np.ascontiguousarray(batch, network.input.dtype)
            yield np.arange(start, start + len(batch)), run_batch(network, batch, wanted)

    return _Batches(items(), len(matrix), codes, classes, [], None)


_smallest, _largest = 1e-70, 1e70


class _Measure:
    """One layer: rejected shares of what enters it, and a sample of that."""

    def __init__(self, spaces: LayerSpaces) -> None:
        self.name, self.input_name = spaces.name, spaces.input_name
        self.patches = spaces.patches if spaces.layer.kind == "convolution" else None
        self.linear = spaces.linear if self.patches is None else None
        self.n_in = spaces.layer.weights.shape[1]
        if self.patches is not None:
            self.shape = (self.patches.rows_of_group, self.patches.n_in)
            self.ranks = self.patches.ranks
        else:
            self.shape = spaces.layer.shape
            self.ranks = np.array([spaces.linear.rank])
        self.rank = float(self.ranks.mean())
        self._rng = np.random.default_rng(0)
        row = len(self.ranks) * self.shape[1] * 8
        self._room = int(min(SAMPLES, max(16, SAMPLE_MEMORY // row))) if self.rank < self.shape[1] else 0
        self._samples: list[Array] = []
        self._images: list[npt.NDArray[np.intp]] = []

    def __call__(self, values: dict[str, Array], positions: npt.NDArray[np.intp]) -> Array:
        entering = values[self.input_name]
        if not np.isfinite(entering.sum(dtype=np.float64)):
            raise ModelError(f"NaN or infinity enters the layer {self.name!r}")
        largest = float(max(entering.max(initial=0), -entering.min(initial=0)))
        # Their fourth powers are summed, and the values of a layer may be many.
        if largest > 0 and not _smallest < largest < _largest:
            which, how = ("large", "down") if largest > 1 else ("small", "up")
            raise ModelError(
                f"values of up to {largest:.3g} enter the layer {self.name!r}, which are too {which} to be "
                f"multiplied: scale the images {how}"
            )
        if self.patches is not None:
            return self._of_patches(self.patches, entering, positions)
        rejected, total = self._of_rows(entering, positions)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(total > 0, rejected / total, np.nan)

    def _of_patches(self, patches: PatchSpaces, entering: Array, positions: npt.NDArray[np.intp]) -> Array:
        if self._room > 0:
            some = min(len(entering), self._room)
            self._take(patches.sample(entering[:some], 1, self._rng), positions[:some])
        return patches.shares(entering)

    def _of_rows(self, entering: Array, positions: npt.NDArray[np.intp]) -> tuple[Array, Array]:
        n = len(entering)
        if int(np.prod(entering.shape[1:])) % self.n_in:
            raise ModelError(
                f"the layer {self.name!r} takes {self.n_in} values, and {entering.shape[1:]} enter it"
            )
        # Of tokens each row is a sample.
        rows = entering.reshape(n, -1, self.n_in)
        if self._room > 0:
            some = min(n, self._room)
            picked = rows[np.arange(some), self._rng.integers(0, rows.shape[1], some)]
            self._take(picked[:, None].astype(np.float64), positions[:some])
        energies = np.einsum("ntk,ntk->nt", rows, rows, dtype=np.float64, casting="same_kind")
        if self.rank == self.n_in:
            return np.zeros(n), energies.sum(axis=1)
        assert self.linear is not None
        shares = self.linear.energy(rows.reshape(-1, self.n_in)).reshape(n, -1)
        return np.where(energies > 0, shares * energies, 0.0).sum(axis=1), energies.sum(axis=1)

    def _take(self, samples: Array, positions: npt.NDArray[np.intp]) -> None:
        self._samples.append(samples)
        self._images.append(positions)
        self._room -= len(samples)

    def spread(self) -> float:
        """Return the standard deviation of what random layers of the same shape reject."""
        if not self._samples:
            return 0.0
        return chance_spread(np.concatenate(self._samples), np.concatenate(self._images), self.ranks)
