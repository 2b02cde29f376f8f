"""The images of `measure_spaces`: reading them, the energy each layer rejects, and the ideal input of each class."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import models
from wavelens._arguments import check_choice
from wavelens.data import ImageSource
from wavelens.exceptions import DataError, ModelError
from wavelens.models import ClassNames, Model, Preprocessing
from wavelens.models._some_outputs import some_outputs
from wavelens.models._stream import LayerStream
from wavelens.spaces import EnergyFlow, IdealInputs, NetworkSpaces, ideal_inputs
from wavelens.workflows._explain_images import on_scale
from wavelens.workflows._features import choose_preprocessing
from wavelens.workflows._image_options import ImageOptions, open_images, source_name
from wavelens.workflows._progress import WorkflowProgress

__all__ = ["IdealSearch", "SpacesImages", "open_spaces_images"]

_limit_of_chains, _limit_of_others = 500, 20
_classes_at_most = 20
_patience = 60.0
_steps_expected = 6
_starts = 3
_timings, _timing_at_most = 10, 3.0
_values_kept = 2**28
_tried = 64


@dataclass(frozen=True, kw_only=True)
class IdealSearch:
    """How ideal inputs are sought; see `measure_spaces`."""

    model: object
    trust_pickle: bool
    ideal: str
    batch: int
    threads: int | None

    def __post_init__(self) -> None:
        check_choice(self.ideal, "ideal", ("auto", "newton", "adam", "untrained", "none"))


@dataclass(eq=False)
class SpacesImages:
    """Images as the network takes them.

    Attributes
    ----------
    source : ImageSource
    rule : Preprocessing
        What is done to each image.
    names : ClassNames or None
        The network's classes.
    batch : int
        Images at a time.
    progress : WorkflowProgress
    notes : list of str
        What was assumed or left out, each one sentence.
    """

    source: ImageSource
    rule: Preprocessing
    names: ClassNames | None
    batch: int
    progress: WorkflowProgress
    notes: list[str] = field(default_factory=list)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the images' classes in words, where the network's names translate them."""
        given = tuple(map(str, self.source.class_names))
        return given if self.names is None else self.names.translate(given)

    @property
    def title(self) -> str:
        """What the images are."""
        n = len(self.class_names)
        classes = f", {n:,} classes" if self.source.labelled and n > 1 else ""
        return f"With {self.source.n_images:,} images of {self.source.name}{classes}"

    def seen_by(self, network: NetworkSpaces) -> NetworkSpaces:
        """Return the network with a first layer that takes a row of values as an image, so that it can be shown."""
        first, *others = network.weights.layers
        plain = first.kind == "linear" and first.input_name == network.weights.input_name
        if not (self.rule.flat and self.rule.layout == "nchw" and plain):
            return network
        layers = (replace(first, input_shape=self.rule.image_shape), *others)
        return NetworkSpaces(replace(network.weights, layers=layers), network.rtol)

    def energy_flow(self, network: NetworkSpaces, layers: tuple[str, ...]) -> EnergyFlow:
        """Measure what each layer rejects."""
        flow = network.energy_flow(
            self.source,
            layers=layers,
            preprocessing=self.rule,
            batch_size=self.batch,
            progress=self.progress.bars,
        )
        return replace(flow, classes=self.class_names) if len(flow.classes) == len(self.class_names) else flow

    def class_means(self, network: NetworkSpaces) -> npt.NDArray[np.floating] | None:
        """Return the mean of each class as it enters the network, where the first layer sees that."""
        first = network.layers[0].layer
        shape = first.input_shape
        if first.kind == "convolution" or shape is None or len(shape) < 2:
            return None
        stream = LayerStream(
            network.weights.network,
            self.source,
            [first.input_name],
            preprocessing=self.rule,
            batch_size=self.batch,
        )
        n = max(1, len(self.class_names))
        sums, counts = np.zeros((n, *shape)), np.zeros(n)
        for positions, values in stream:
            self.progress.check()
            codes = self.source.labels[positions] if self.source.labelled else np.zeros(len(positions), int)
            np.add.at(sums, codes, values[first.input_name].reshape(len(positions), *shape))
            counts += np.bincount(codes, minlength=n)
        return sums / np.maximum(counts, 1).reshape(-1, *(1,) * len(shape))

    def ideal_inputs(self, search: IdealSearch) -> IdealInputs | None:
        """Seek the ideal input of each class; None, and a note, where that is not possible."""
        if search.ideal == "none":
            return None
        try:
            return self._ideal_inputs(search)
        except (ModelError, DataError, ImportError, ValueError) as error:
            self.notes.append(f"Ideal inputs were left out: {str(error).rstrip('.')}.")
            return None

    def _ideal_inputs(self, search: IdealSearch) -> IdealInputs | None:
        if not self.source.labelled or len(self.source.class_names) < 2:
            self.notes.append(
                "Ideal inputs were left out: they need images of at least two classes, with labels."
            )
            return None
        self.progress.step("opening the network as a classifier")
        model = models.open_model(
            search.model,
            preprocessing=self.rule,
            class_names=self.names,
            batch_size=search.batch,
            threads=search.threads,
            trust_pickle=search.trust_pickle,
        )
        counts = np.bincount(self.source.labels, minlength=len(self.source.class_names))
        columns = self._columns(model, counts)
        present = [code for code in np.argsort(-counts, kind="stable") if code in columns and counts[code]]
        if len(present) < 2:
            self.notes.append(
                "Ideal inputs were left out: which outputs of the network the images' classes are is not known; "
                "`labels` or --labels with its classes would tell."
            )
            return None
        chosen = sorted(present[:_classes_at_most])
        if len(chosen) < len(present):
            self.notes.append(
                f"Ideal inputs are of the {len(chosen)} classes with most images, of {len(present)}."
            )
        if len(chosen) < model.n_outputs:
            self.notes.append(
                f"For ideal inputs the network is seen at {len(chosen)} of its {model.n_outputs:,} outputs, those of "
                "these classes."
            )
        pictures, labels = self._read(model, chosen)
        part = some_outputs(model, [columns[code] for code in chosen])
        if part.class_names is None:
            titles = tuple(self.class_names[code] for code in chosen)
            part.class_names = ClassNames(titles, titles)
        self._recognised(part, pictures, labels)
        train = self._training(search.ideal, part, pictures)
        how = "" if train is None else f", trained by {train}"
        self.progress.step(
            f"seeking ideal inputs of {len(chosen)} classes among {len(pictures):,} images{how}"
        )
        return ideal_inputs(part, pictures, labels, train=train, progress=self.progress.bars)

    def _columns(self, model: Model, counts: npt.NDArray[np.intp]) -> dict[int, int]:
        """Return which output each class of the images is."""
        given = [str(each) for each in self.source.class_names]
        if self.names is not None:
            found = {code: self.names.index_of(name) for code, name in enumerate(given)}
            return {code: place for code, place in found.items() if place is not None}
        if all(name.isdecimal() and int(name) < model.n_outputs for name in given):
            return {code: int(name) for code, name in enumerate(given)}
        if len(given) == model.n_outputs:
            self.notes.append(
                "The outputs of the network were taken for the images' classes in alphabetical order; `labels` "
                "or --labels would tell."
            )
            return {code: code for code in range(len(given))}
        return {}

    def _read(self, model: Model, chosen: list[int]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
        """Read images of some classes as the network has them, and their places among these classes."""
        wanted = np.isin(self.source.labels, chosen)
        each = int(np.prod([side or 224 for side in model.input_shape]))
        room = max(len(chosen), _values_kept // each)
        if wanted.sum() > room:
            # The first of each class; which ones these are has been drawn already.
            order = np.flatnonzero(wanted)
            per_class = room // len(chosen)
            kept = [order[self.source.labels[order] == code][:per_class] for code in chosen]
            wanted = np.isin(np.arange(len(wanted)), np.concatenate(kept))
        planes, places = [], []
        for chunk in self.source.mapped(lambda image: model.prepare(on_scale(image)[None])[0], 32):
            self.progress.check()
            here = wanted[chunk.positions]
            planes.append(np.asarray(chunk.images)[here])
            places.append(self.source.labels[chunk.positions[here]])
        stack = np.concatenate(planes).astype(np.float32)
        pixels = stack[:, 0] if stack.shape[1] == 1 else np.moveaxis(stack, 1, 3)
        return np.ascontiguousarray(pixels), np.searchsorted(chosen, np.concatenate(places))

    def _recognised(
        self, model: Model, pictures: npt.NDArray[np.float32], labels: npt.NDArray[np.intp]
    ) -> None:
        """Note how many images the network takes for their class; few tell of a misunderstanding."""
        some = np.linspace(0, len(pictures) - 1, min(_tried, len(pictures))).astype(int)
        right = float((model.predict(model.prepare(pictures[some])).argmax(axis=1) == labels[some]).mean())
        text = f"The network recognises {right:.0%} of {len(some)} of these images, among {model.n_outputs} classes"
        if right < 2 / model.n_outputs:
            text += (
                "; that is hardly more than chance, so the preprocessing may be wrong (“before the network” in the "
                "command's help), or its classes may be in another order (`labels`, --labels)"
            )
        self.notes.append(f"{text}.")

    def _training(self, asked: str, model: Model, pictures: npt.NDArray[np.float32]) -> str | None:
        if asked in ("newton", "adam"):
            return asked
        if asked == "untrained":
            return None
        if not model.has_gradient:
            self.notes.append(
                f"Ideal inputs were not trained: the network has no gradient ({model.no_gradient})."
            )
            return None
        planes = model.prepare(pictures[: model.n_outputs])
        lasts: list[float] = []
        # The quickest of some: the first run is slow, and others may be busy on the machine.
        while len(lasts) < _timings and sum(lasts) < _timing_at_most:
            start = time.perf_counter()
            model.forward_backward(planes, lambda outputs, _: np.ones_like(outputs))
            lasts.append(time.perf_counter() - start)
            self.progress.check()
        expected = min(lasts) * model.n_outputs * _steps_expected * _starts
        if expected > _patience:
            self.notes.append(
                f"Ideal inputs were not trained: that would take about {_duration(expected)}; `ideal='newton'` "
                "(--ideal newton) does it."
            )
            return None
        return "newton"


def open_spaces_images(
    images: object,
    image_labels: object,
    options: ImageOptions | None,
    network: NetworkSpaces,
    *,
    labels: Any,
    preprocessing: Preprocessing | Mapping[str, Any] | None,
    batch: int,
    seed: int,
    progress: WorkflowProgress,
) -> SpacesImages:
    """Open the images without reading them yet, and choose what is done to them before the network."""
    names = labels if isinstance(labels, ClassNames | None) else models.read_class_names(labels)
    progress.step(f"looking at {source_name(images)}")
    rule = choose_preprocessing(network.weights.network, preprocessing)
    options = ImageOptions() if options is None else options
    if isinstance(options, ImageOptions):
        convolutions = any(each.layer.kind == "convolution" for each in network)
        limit = options.limit or (_limit_of_others if convolutions else _limit_of_chains)
        color = options.color or ("grey" if rule.color == "grey" else "rgb")
        options = replace(options, limit=limit, color=color)
    source = open_images(images, image_labels, options, seed, progress)
    found = SpacesImages(source, rule, names, batch, progress)
    found.notes.append(f"Images entered so: {rule.describe()}.")
    return found


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} hours"
