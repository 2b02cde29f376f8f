"""Images through a network, a batch at a time: what a layer says of each."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens._progress import progress_bar
from wavelens.data import ImageChunk, ImageSource, open_source
from wavelens.data._arrays import ArraySource
from wavelens.data._source import physical_memory
from wavelens.exceptions import DataError, ModelError
from wavelens.models._batch import usual_batch
from wavelens.models._class_names import ClassNames, read_class_names
from wavelens.models._features_file import FeaturesWriter, load_features
from wavelens.models._labelled_features import LabelledFeatures
from wavelens.models._network import Layer, Network, open_network
from wavelens.models._pooling import Pooling
from wavelens.models._predictions import PredictionCheck, check_predictions, output_of_classes
from wavelens.models._preprocessing import Preprocessing
from wavelens.models._recognise import pixels_of_row, recognise_preprocessing

__all__ = ["extract_features", "full_range", "list_layers", "open_images", "own_size"]

Array = npt.NDArray[Any]


def extract_features(
    model: object,
    images: object,
    layers: str | Sequence[str] | None = None,
    *,
    labels: object = None,
    pool: str = "average",
    preprocessing: Preprocessing | None = None,
    image_range: tuple[float, float] | None = None,
    class_names: ClassNames | str | os.PathLike[str] | Sequence[str] | None = None,
    batch_size: int | None = None,
    dtype: str = "float32",
    out: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    trust_pickle: bool = False,
    progress: bool | None = None,
) -> LabelledFeatures:
    """Push images through a trained network and keep what some of its layers say.

    Parameters
    ----------
    model : path, torch.nn.Module, torch.export.ExportedProgram or Network
        As `open_network` takes it.
    images : array, path or ImageSource
        As `wavelens.data.open_source` takes it, labelled or not. Of a folder the original photos are decoded
        and brought to the network's size by its own rule, whatever the source's size.
    layers : str or sequence of str, optional
        Names as `list_layers` tells them; the network's outputs by default.
    labels : array or path, optional
        One label for each image, as in `wavelens.data.load`.
    pool : {"average", "max", "none", "grid:N"}
        What is kept of maps (channels, height, width): for each channel one number, all, or the averages of
        N × N fields. Of a transformer's (tokens, features), the average runs over the tokens.
    preprocessing : Preprocessing, optional
        What is done to each image; by default what `recognise_preprocessing` chooses. An array of floats
        that is the network's input already wants ``value_range=(0, 1)`` and ``resize="none"``.
    image_range : tuple of float, optional
        Black and white of the images. By default that of their integer type; floats within [0, 1] or, beyond
        that, [0, 255] are taken for such.
    class_names : ClassNames, path or sequence of str, optional
        What the network's classes are called, see `read_class_names`: tells which output is which class,
        and turns folders named by ids into words.
    batch_size : int, optional
        Images at a time, by default as `open_model` has it. Memory is that of one batch of inputs and of the chosen
        layers before pooling.
    dtype : {"float32", "float16"}
        Of the result.
    out : path, optional
        Write a ``.npz`` file there, batch by batch, instead of keeping everything in memory; the result then
        maps it. The file appears when it is whole.
    threads : int, optional
        Of the network; `wavelens.num_threads` by default.
    trust_pickle : bool, default False
        Open ``.pt2`` files by ``torch.export.load`` as they are, which can run code from them.
    progress : bool, optional
        Show a progress bar on stderr. By default, on a terminal, when it takes over a second.

    Returns
    -------
    LabelledFeatures
        Rows in the order of the images, without those whose files cannot be read. Its `info` holds the
        preprocessing and, where one of the outputs has a value for each class, what was predicted.

    Raises
    ------
    ImportError
        If torch or onnxruntime is needed and missing; says which extra to install.
    ModelError
        If the network cannot be read or run, or has no such layer (tells the nearest names), or gives NaN.
    DataError
        If the images cannot be read.
    TypeError, ValueError
        If an argument is not what it should be.

    Notes
    -----
    Results do not depend on `batch_size` but for rounding.

    Examples
    --------
    >>> from wavelens.models import extract_features
    >>> features = extract_features("net.onnx", "photos", ["conv5", "logits"])  # doctest: +SKIP
    >>> features.layers["conv5"].shape  # doctest: +SKIP
    (900, 384)
    """
    check_choice(dtype, "dtype", ("float32", "float16"))
    if batch_size is not None:
        check_integer(batch_size, "batch_size", low=1)
    network = open_network(model, threads=threads, trust_pickle=trust_pickle)
    wanted = network.resolve(layers)
    names = class_names
    if names is not None and not isinstance(names, ClassNames):
        names = read_class_names(names)
    rule = preprocessing
    source = open_images(images, labels, rule.color if rule is not None else None, network, progress)
    if rule is None:
        rule = recognise_preprocessing(network, **own_size(network, source))
    if batch_size is None:
        batch_size = usual_batch(rule.image_shape)
    task = _Task(network, source, rule, wanted, pool, batch_size, dtype, names, image_range)
    return task.run(None if out is None else Path(os.fsdecode(out)), progress)


def list_layers(
    model: object, *, size: tuple[int, int] | None = None, trust_pickle: bool = False
) -> tuple[Layer, ...]:
    """List what can be chosen of a network, with the shapes that one image gives.

    Parameters
    ----------
    model : path, torch.nn.Module, torch.export.ExportedProgram or Network
        As `open_network` takes it.
    size : tuple of int, optional
        Height and width of the images, where the network takes any.
    trust_pickle : bool, default False
        Open ``.pt2`` files by ``torch.export.load`` as they are, which can run code from them.

    Returns
    -------
    tuple of Layer
        In the order of computation. Shapes come from pushing one black image through; a layer without a
        value for each image has none.

    Raises
    ------
    ImportError, ModelError, TypeError
        As `open_network` does.
    """
    network = open_network(model, trust_pickle=trust_pickle)
    rule = recognise_preprocessing(network, **({} if size is None else {"size": size}))
    n = network.batch or 2
    batch = np.zeros((n, *rule.shape), rule.dtype)
    names = [each.name for each in network.layers]
    try:
        values = network.run(batch, names)
    except ModelError:
        # Some layer does not give a tensor, or is never called.
        values = _one_by_one(network, batch, names)
    return tuple(
        replace(each, shape=values[each.name].shape[1:])
        if each.name in values and values[each.name].ndim and len(values[each.name]) == n
        else each
        for each in network.layers
    )


def _one_by_one(network: Network, batch: Array, names: Sequence[str]) -> dict[str, Array]:
    values: dict[str, Array] = {}
    for name in names:
        try:
            values |= network.run(batch, [name])
        except ModelError:
            continue
    return values


def open_images(
    images: object, labels: object, color: str | None, network: Network, progress: bool | None
) -> ImageSource:
    if isinstance(images, ImageSource):
        return open_source(images, labels)
    if color is None:
        shape = network.input.shape or ()
        channels = {each for each in (shape[1:2] + shape[3:4]) if each in (1, 3)}
        color = "grey" if channels == {1} else "rgb"
        if len(shape) == 2 and shape[1] is not None:
            color = "grey" if (pixels_of_row(shape[1]) or (3,))[0] == 1 else "rgb"
    return open_source(images, labels, color="grey" if color == "grey" else "rgb", progress=progress)


def own_size(network: Network, source: ImageSource) -> dict[str, Any]:
    """Where the network takes any size, an array's images are taken as they are."""
    shape = network.input.shape
    told = "size" in network.facts or (shape is not None and len(shape) == 4 and None not in shape[1:])
    given: dict[str, Any] = {}
    if shape is not None and len(shape) == 2:
        # Only a row of as many values as the images have can be one of their size, whatever that is.
        own = source.image_shape if isinstance(source, ArraySource) else ()
        return {"size": tuple(own[:2]), "resize": "none"} if own and math.prod(own) == shape[1] else {}
    if not told and isinstance(source, ArraySource):
        given = {"size": tuple(source.image_shape[:2]), "resize": "none"}
        if shape is not None and len(shape) == 4:
            layout = "nhwc" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "nchw"
            known = shape[2:4] if layout == "nchw" else shape[1:3]
            given |= {} if set(known) == {None} else {"size": None}
        if shape is None and len(source.image_shape) == 2:
            given["color"] = "grey"
    return {} if given.get("size", ()) is None else given


class _Task:
    """One extraction: what is fixed for all its batches."""

    def __init__(
        self,
        network: Network,
        source: ImageSource,
        rule: Preprocessing,
        wanted: tuple[str, ...],
        pool: str,
        batch_size: int,
        dtype: str,
        names: ClassNames | None,
        image_range: tuple[float, float] | None,
    ) -> None:
        self.network, self.source, self.rule, self.wanted = network, source, rule, wanted
        self.pooling = Pooling(pool, channels_last=rule.layout == "nhwc")
        self.batch_size = network.batch or batch_size
        self.dtype = dtype
        self.names = names
        self.notes: list[str] = []
        self.full = full_range(source, image_range, self.notes)
        self.class_output: str | None = None

    def run(self, out: Path | None, progress: bool | None) -> LabelledFeatures:
        """Push everything through and put it together."""
        predicted: list[Array] = []
        positions: list[Array] = []
        with ExitStack() as stack:
            bar = stack.enter_context(progress_bar(self.source.n_images, "Running the network", progress))
            writer = stack.enter_context(FeaturesWriter(out)) if out is not None else None
            rows = _Rows(self.source.n_images)
            append: Callable[[str, Array], None] = writer.append if writer is not None else rows.append
            for chunk in self._batches():
                values = self._values(chunk)
                for layer in self.wanted:
                    append(layer, self._kept(layer, values[layer], chunk))
                if self.class_output is not None:
                    predicted.append(values[self.class_output].astype(np.float32))
                positions.append(chunk.positions)
                bar.update(len(chunk.positions))
            if not positions:
                raise DataError(f"{self.source.name}: none of the images could be read")
            index = np.concatenate(positions)
            about = self._about(index, predicted)
            if writer is not None:
                writer.finish(*about)
        if out is not None:
            return load_features(out)
        labels, class_names, file_names, source, info, notes = about
        return LabelledFeatures(
            layers={name: each.reshape(len(each), -1) for name, each in rows.arrays().items()},
            labels=labels,
            class_names=class_names,
            file_names=file_names,
            source=source,
            shapes={name: each.shape[1:] for name, each in rows.arrays().items()},
            info=info,
            notes=tuple(notes),
        )

    def _batches(self) -> Iterator[ImageChunk]:
        return self.source.mapped(lambda image: self.rule(image, self.full), self.batch_size)

    def _values(self, chunk: ImageChunk) -> dict[str, Array]:
        """Run one batch; of the first, also find the output of the classes."""
        batch, n = chunk.images, len(chunk.images)
        if self.network.batch is not None and n < self.network.batch:
            filling = np.zeros((self.network.batch - n, *batch.shape[1:]), batch.dtype)
            batch = np.concatenate([batch, filling])
        layers = list(self.wanted)
        if not hasattr(self, "_looked"):
            self._looked = True
            chosen = {self.network.named(each).name for each in layers}
            asked = [*layers, *(each for each in self.network.outputs if each not in chosen)]
            values = self.network.run(batch, asked)
            shapes = {each: values[each].shape[1:] for each in asked if self.network.named(each).is_output}
            self.class_output = output_of_classes(shapes, self._n_classes())
        else:
            if self.class_output is not None and self.class_output not in layers:
                layers.append(self.class_output)
            values = self.network.run(batch, layers)
        for name, each in values.items():
            if name in self.wanted and (not each.ndim or len(each) != len(batch)):
                raise ModelError(
                    f"{self.network.name}: the layer {name!r} does not give a value for each image: its shape "
                    f"is {each.shape} for a batch of {len(batch)}"
                )
        return {name: each[:n] for name, each in values.items()}

    def _n_classes(self) -> int | None:
        return None if self.names is None else len(self.names)

    def _kept(self, layer: str, values: Array, chunk: ImageChunk) -> Array:
        pooled = self.pooling(values, layer)
        with np.errstate(over="ignore"):
            kept = pooled.astype(self.dtype, copy=False)
        if not np.isfinite(kept).all():
            flat = kept.reshape(len(kept), -1)
            row = int(np.flatnonzero(~np.isfinite(flat).all(axis=1))[0])
            name = self.source.image_names[int(chunk.positions[row])]
            if np.isfinite(pooled).all():
                raise ModelError(
                    f"the layer {layer!r} has values beyond float16 (image {name!r}); take float32 (--dtype)"
                )
            raise ModelError(f"{self.network.name}: the layer {layer!r} gives NaN or infinity for {name!r}")
        return kept

    def _about(self, index: Array, predicted: list[Array]) -> tuple[Any, ...]:
        source = self.source
        labels = source.labels[index] if source.labelled else None
        class_names = source.class_names if source.labelled else ()
        file_names = tuple(str(source.image_names[i]) for i in index.tolist())
        check: PredictionCheck | None = None
        if self.class_output is not None:
            values = np.concatenate(predicted)
            check = check_predictions(self.class_output, values, labels, class_names, file_names, self.names)
        if self.names is not None:
            class_names = self.names.translate(class_names)
        if source.skipped:
            some = "; ".join(str(each) for each in source.skipped[:3])
            self.notes.append(f"{len(source.skipped)} files could not be read and were left out: {some}.")
        info = {
            "model": self.network.name,
            "model_kind": self.network.kind,
            "preprocessing": self.rule.to_dict(),
            "pool": self.pooling.pool,
            "dtype": self.dtype,
            "predictions": None if check is None else check.to_dict(),
        }
        return labels, class_names, file_names, source.name, info, self.notes


class _Rows:
    """The layers' values in memory, in arrays that are made when the first batch tells their shapes."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._arrays: dict[str, Array] = {}
        self._done: dict[str, int] = {}
        self._needed = 0

    def append(self, layer: str, values: Array) -> None:
        if layer not in self._arrays:
            self._needed += self._n * values[0].nbytes
            if self._needed > physical_memory():
                raise DataError(
                    f"the features of {self._n} images need over {self._needed / 1e9:.1f} GB of memory; pool "
                    "them, or write them to a file (`out`)"
                )
            self._arrays[layer] = np.empty((self._n, *values.shape[1:]), values.dtype)
            self._done[layer] = 0
        done = self._done[layer]
        self._arrays[layer][done : done + len(values)] = values
        self._done[layer] = done + len(values)

    def arrays(self) -> dict[str, Array]:
        return {name: each[: self._done[name]] for name, each in self._arrays.items()}


def full_range(
    source: ImageSource, given: tuple[float, float] | None, notes: list[str]
) -> tuple[float, float]:
    """Find black and white of the images."""
    if given is not None:
        low, high = (float(each) for each in given)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"`image_range` must be two ascending numbers, got {given!r}")
        return low, high
    if not isinstance(source, ArraySource) or source.dtype == np.uint8:
        return 0.0, 255.0  # files of more than 8 bits are brought to this scale
    if source.dtype.kind == "b":
        return 0.0, 1.0
    if source.dtype.kind == "u":
        return 0.0, float(np.iinfo(source.dtype).max)
    ends = [(float(chunk.images.min()), float(chunk.images.max())) for chunk in source.chunks(256)]
    low, high = min(each[0] for each in ends), max(each[1] for each in ends)
    for white in (1.0, 255.0):
        if low >= 0 and high <= white:
            notes.append(f"The images hold {low:g} to {high:g}; 0 to {white:g} was taken for black to white.")
            return 0.0, white
    raise ValueError(
        f"`image_range` must be given for images that hold {low:g} to {high:g}: which values are black and white?"
    )
