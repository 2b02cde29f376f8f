"""``wavelens spaces`` as a function: a network in, what its layers keep and reject, and what its classes want out."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import wavelens
from wavelens import report
from wavelens._arguments import check_integer
from wavelens.exceptions import WavelensError
from wavelens.models import ClassNames, Preprocessing
from wavelens.report._spaces_story import LayerFacts, affordable_layers, measure_layers
from wavelens.spaces import EnergyFlow, IdealInputs, NetworkSpaces
from wavelens.workflows._argument_names import argument_names
from wavelens.workflows._image_options import ImageOptions, source_name
from wavelens.workflows._progress import WorkflowProgress, as_progress
from wavelens.workflows._result_folder import result_folder, summary_numbers
from wavelens.workflows._spaces_images import IdealSearch, SpacesImages, open_spaces_images
from wavelens.workflows._text import findings_text

__all__ = ["SpacesReport", "measure_spaces"]


@dataclass(frozen=True, eq=False, repr=False)
class SpacesReport:
    """What the layers of a network keep and reject, from `measure_spaces`.

    Attributes
    ----------
    source : str
        The network as it was given.
    network : NetworkSpaces
    images : str or None
        The images as they were given.
    images_title : str
        What the images are, in words; empty without.
    layer : tuple of str
        Layers that are shown in detail.
    facts : tuple
        What was measured of each layer.
    flow : EnergyFlow or None
        How much energy of the images each layer rejects.
    means : array or None
        Mean of each class as it enters the network.
    ideal : IdealInputs or None
        The ideal input of each class.
    notes : tuple of str
        What was assumed or left out, each one sentence.
    """

    source: str
    network: NetworkSpaces
    images: str | None
    images_title: str
    layer: tuple[str, ...]
    facts: tuple[LayerFacts, ...]
    flow: EnergyFlow | None = None
    means: npt.NDArray[np.floating] | None = None
    ideal: IdealInputs | None = None
    notes: tuple[str, ...] = ()

    def summary(self, width: int = 100) -> str:
        """Return the findings as text.

        Parameters
        ----------
        width : int, default 100
            Of a line, in characters.

        Returns
        -------
        str
        """
        numbers = self._numbers()
        n = numbers["n_layers"]
        title = f"{numbers['network']}: {n:,} {'layer' if n == 1 else 'layers'} with weights"
        return findings_text(title, numbers["findings"], numbers["remarks"], width)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of the report, ready for JSON.

        Returns
        -------
        dict
            As in the file ``summary.json``.
        """
        numbers = {"wavelens": wavelens.__version__, "model": self.source, "images": self.images}
        return numbers | self._numbers() | {"notes": list(self.notes)}

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        force: bool = False,
        command: str | None = None,
        progress: WorkflowProgress | bool | None = None,
    ) -> Path:
        """Write everything that ``wavelens spaces`` writes into a folder.

        Parameters
        ----------
        folder : path
            Appears whole or not at all. Files: ``report.html``, ``figures/``, ``layers.csv``, ``summary.json``, and
            with images ``energy.csv``.
        force : bool, default False
            Replace an earlier result in `folder`; a folder that holds anything else is never replaced.
        command : str or None, default None
            The command that made the result, for the page and ``summary.json``.
        progress : WorkflowProgress, bool or None, default None
            As in `measure_spaces`.

        Returns
        -------
        Path
            Of ``report.html``.

        Raises
        ------
        WavelensError
            If `folder` exists and may not be replaced, or cannot be written.
        """
        receiver = as_progress(progress)
        folder = Path(folder).expanduser()
        receiver.step("writing the results")
        numbers = summary_numbers(self.to_dict(), command)
        with result_folder(folder, force) as out:
            report.write_spaces_csv(out / "layers.csv", numbers)
            if self.flow is not None:
                report.write_energy_csv(out / "energy.csv", self.flow)
            with receiver.share("Drawing") as share:
                report.write_spaces_report(
                    out,
                    self.network,
                    flow=self.flow,
                    ideal=self.ideal,
                    means=self.means,
                    layers=self.layer,
                    facts=self.facts,
                    source=self.images_title,
                    notes=self.notes,
                    command=command,
                    progress=lambda done, _: share(done),
                )
            report.write_summary(out / "summary.json", numbers)
        return folder / "report.html"

    def __repr__(self) -> str:
        with_images = "" if self.flow is None else f", {len(self.flow.labels):,} images"
        n = len(self.network)
        return f"<SpacesReport {self.network.name!r}: {n:,} {'layer' if n == 1 else 'layers'}{with_images}>"

    def _numbers(self) -> dict[str, Any]:
        return report.summarize_spaces(
            self.network, flow=self.flow, ideal=self.ideal, layers=self.layer, facts=self.facts
        )


def measure_spaces(
    model: object,
    images: object = None,
    image_labels: object = None,
    *,
    layer: str | Sequence[str] = (),
    image_options: ImageOptions | None = None,
    trust_pickle: bool = False,
    labels: ClassNames | str | os.PathLike[str] | Sequence[str] | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    ideal: Literal["auto", "newton", "adam", "untrained", "none"] = "auto",
    batch: int = 32,
    seed: int = 0,
    threads: int | None = None,
    progress: WorkflowProgress | bool | None = None,
) -> SpacesReport:
    """Measure what each layer of a trained network keeps and rejects, and which of that random weights do as well.

    Parameters
    ----------
    model : path, Model, scikit-learn classifier, torch module or NetworkSpaces
        A network: an ``.onnx`` or ``.pt2`` file, or what `wavelens.spaces.NetworkSpaces.from_model` takes.
    images : array, path, name, ImageSource or None, default None
        Images to push through the network, as `wavelens.data.open_source` takes them. With images, the energy that
        each layer rejects is measured, and the ideal input of each class is sought.
    image_labels : array or path, optional
        One label for each image; by default the source's.
    layer : str or sequence of str, default ()
        Layers to show in detail; by default the most informative ones.
    image_options : ImageOptions, optional
        How the images are read. Without a limit, at most 500 of each class are, or 20 for networks with convolutions.
    trust_pickle : bool, default False
        Open a ``.pt2`` file even if that can run code from it.
    labels : ClassNames, path, sequence of str or None, default None
        Names of the network's classes by index; None: as the images' classes.
    preprocessing : Preprocessing, mapping or None, default None
        What is done to each image before the network, or those attributes of it that are known; the rest is recognized.
    ideal : {"auto", "newton", "adam", "untrained", "none"}, default "auto"
        How ideal inputs are sought; "auto" trains them by Newton's method where that takes less than about a minute.
    batch : int, default 32
        Images at a time.
    seed : int, default 0
        Of all random choices.
    threads : int or None, default None
        Of the network; None: `wavelens.num_threads`.
    progress : WorkflowProgress, bool or None, default None
        Receives steps and notes. True shows progress bars, False none, None only on a terminal.

    Returns
    -------
    SpacesReport

    Raises
    ------
    ImportError
        If a library is missing.
    ModelError
        If the network cannot be read or run.
    DataError
        If the images cannot be read.
    WavelensError
        If there is no such file, or no layer of a name.
    ValueError, TypeError
        If an argument is not possible.

    See Also
    --------
    wavelens.spaces.NetworkSpaces : The method alone.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from wavelens.workflows import measure_spaces
    >>> digits = load_digits()
    >>> classifier = LogisticRegression(max_iter=500).fit(digits.data / 16, digits.target)
    >>> found = measure_spaces(classifier, digits.images / 16, digits.target, ideal="none")
    >>> found
    <SpacesReport 'LogisticRegression': 1 layer, 1,797 images>
    >>> found.facts[0].rank  # of 10: softmax ignores what all outputs share
    9
    >>> found.save("digits-spaces")  # doctest: +SKIP
    """
    receiver = as_progress(progress)
    check_integer(batch, "batch", low=1)
    search = IdealSearch(model=model, trust_pickle=trust_pickle, ideal=ideal, batch=batch, threads=threads)
    wanted = (layer,) if isinstance(layer, str) else tuple(layer)
    if isinstance(model, str | os.PathLike):
        _check_file(Path(model).expanduser())
    receiver.step(f"opening {source_name(model, 'the network')}")
    network = _open(model, trust_pickle)
    _check_layers(wanted, network)
    opened: SpacesImages | None = None
    if images is not None:
        opened = open_spaces_images(
            images,
            image_labels,
            image_options,
            network,
            labels=labels,
            preprocessing=preprocessing,
            batch=batch,
            seed=seed,
            progress=receiver,
        )
        network = opened.seen_by(network)
    facts = _measure(network, wanted, seed, receiver)
    flow = means = inputs = None
    if opened is not None:
        receiver.step(f"pushing {opened.source.n_images:,} images through the network")
        flow = opened.energy_flow(network, tuple(each.spaces.name for each in facts if each.found))
        receiver.check()
        means = opened.class_means(network)
        inputs = opened.ideal_inputs(search)
        for note in opened.notes:
            receiver.note(note)
    return SpacesReport(
        source=source_name(model, network.name),
        network=network,
        images=None if opened is None else source_name(images, opened.source.name),
        images_title="" if opened is None else opened.title,
        layer=wanted,
        facts=facts,
        flow=flow,
        means=means,
        ideal=inputs,
        notes=() if opened is None else tuple(opened.notes),
    )


def _open(model: object, trust_pickle: bool) -> NetworkSpaces:
    if isinstance(model, NetworkSpaces):
        return model
    if isinstance(model, str | os.PathLike):
        return NetworkSpaces.from_file(model, trust_pickle=trust_pickle)
    return NetworkSpaces.from_model(model)


def _measure(
    network: NetworkSpaces, wanted: Sequence[str], seed: int, progress: WorkflowProgress
) -> tuple[LayerFacts, ...]:
    affordable = affordable_layers(network, wanted)
    progress.step(f"taking {len(affordable):,} {'layer' if len(affordable) == 1 else 'layers'} apart")
    left = [each.name for each in network if each.name not in affordable]
    if left:
        progress.note(
            f"left out, as too large: {', '.join(left)}; `layer` (--layer NAME) analyzes one all the same"
        )
    with progress.share("Taking apart") as share, argument_names(random_state="`seed`"):
        return measure_layers(network, affordable, random_state=seed, progress=share)


def _check_file(path: Path) -> None:
    """Refuse early what is no file of a network."""
    if not path.exists():
        raise WavelensError(f"{path}: no such file")
    if path.is_dir() or path.suffix.lower() not in (".onnx", ".pt2"):
        raise WavelensError(f"{path}: expected a network as .onnx or .pt2 file")


def _check_layers(asked: Sequence[str], network: NetworkSpaces) -> None:
    names = [each.name for each in network]
    for name in asked:
        if name not in names:
            near = difflib.get_close_matches(name, names, 3, 0.4) or names[:5]
            more = ", …" if len(near) < len(names) else ""
            raise WavelensError(
                f"`layer={name}`: there is no such layer with weights; there are {', '.join(near)}{more}"
            )
