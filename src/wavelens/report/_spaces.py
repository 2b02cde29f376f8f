"""The report of a network's spaces."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import wavelens
from wavelens._utils._atomic_write import write_text
from wavelens.report import _spaces_operators, _spaces_sections
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.report._page import Page, Section, make_sections
from wavelens.report._spaces_findings import findings, remarks
from wavelens.report._spaces_story import LayerFacts, SpacesStory, affordable_layers, measure_layers
from wavelens.report._words import joined
from wavelens.spaces import EnergyFlow, IdealInputs, NetworkSpaces

__all__ = ["make_story", "write_spaces_report"]

_sections: tuple[tuple[str, Callable[[SpacesStory], Section | None]], ...] = (
    ("layers", _spaces_sections.layers),
    ("pictures of the first layer", _spaces_sections.pictures),
    ("spectra", _spaces_sections.spectra),
    ("rejected energy", _spaces_sections.energy),
    ("ideal inputs", _spaces_sections.ideal),
    ("convolutions as operators", _spaces_operators.operators),
    ("how to read it", _spaces_sections.reading),
)


def write_spaces_report(
    folder: str | Path,
    network: NetworkSpaces,
    *,
    flow: EnergyFlow | None = None,
    ideal: IdealInputs | None = None,
    means: npt.ArrayLike | None = None,
    layers: Sequence[str] = (),
    facts: Sequence[LayerFacts] | None = None,
    source: str = "",
    notes: Sequence[str] = (),
    command: str | None = None,
    random_state: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Path:
    """Write what the layers of a network keep, reject and want as an HTML page with figures.

    Parameters
    ----------
    folder : str or Path
        Where `report.html` and the folder `figures` go; made if it is not there. Files of the same names are
        written over.
    network : NetworkSpaces
        Of any size; layers beyond some 2,700 × 2,700 are left out unless `layers` names them.
    flow : EnergyFlow or None, default None
        From `NetworkSpaces.energy_flow`.
    ideal : IdealInputs or None, default None
        From `ideal_inputs`. Each of these gets a section where it is given.
    means : (n_classes, …) array_like, optional
        The mean of each class of `flow` as it enters the network, to be split by the first layer.
    layers : sequence of str
        Names of layers that are shown in detail; by default the most telling ones.
    facts : sequence, optional
        From `measure_layers`, where that has been done before.
    source : str, default ""
        Where the images come from, for the title.
    notes : sequence of str
        What else is to be known, each one sentence.
    command : str or None, default None
        The command that made it, for the overview.
    random_state : int, default 0
        Seed of the random matrices.
    progress : callable or None, default None
        Called with the share that is done, from 0 to 1, and what is being done.

    Returns
    -------
    Path
        Of `report.html`. It is one file, opens from disk, and asks for nothing outside.

    Raises
    ------
    KeyError
        If there is no layer of a name in `layers`.
    ValueError
        If `means` are not one for each class of `flow`, or `flow` is of layers that the network does not have.

    Notes
    -----
    While a figure is saved, matplotlib's settings for files are changed and put back, so reports should not
    be written in several threads at once. Costs one singular value decomposition a layer.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.report import write_spaces_report
    >>> from wavelens.spaces import NetworkSpaces
    >>> rng = np.random.default_rng(0)
    >>> network = NetworkSpaces.from_arrays([rng.normal(size=(9, 64)), rng.normal(size=(3, 9))], input_shape=(8, 8))
    >>> write_spaces_report("network-spaces", network)  # doctest: +SKIP
    """
    folder = Path(folder)
    story = make_story(
        network,
        folder=folder / "figures",
        flow=flow,
        ideal=ideal,
        means=means,
        layers=layers,
        facts=facts,
        random_state=random_state,
    )
    sections = make_sections(_sections, story, progress)
    path = folder / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, _page(story, sections, source, notes, command).render())
    if progress is not None:
        progress(1.0, "report.html")
    return path


def make_story(
    network: NetworkSpaces,
    *,
    folder: Path | None = None,
    flow: EnergyFlow | None = None,
    ideal: IdealInputs | None = None,
    means: npt.ArrayLike | None = None,
    layers: Sequence[str] = (),
    facts: Sequence[LayerFacts] | None = None,
    random_state: int = 0,
) -> SpacesStory:
    """Check what is given and put it together."""
    for name in layers:
        network.layer(name)
    if flow is not None:
        known = {each.name for each in network}
        strange = [each for each in flow.layers if each not in known]
        if strange:
            raise ValueError(f"`flow` must be of the network's layers; it has none called {strange[0]!r}")
    given: npt.NDArray[Any] | None = None
    if means is not None:
        given = np.asarray(means)
        if flow is None or given.ndim < 2 or len(given) != len(flow.classes):
            n = "no `flow`" if flow is None else f"{len(flow.classes)} classes"
            raise ValueError(f"`means` must have one row for each class of `flow`, got {given.shape} for {n}")
    if facts is None:
        facts = measure_layers(network, affordable_layers(network, layers), random_state=random_state)
    names = () if flow is None else flow.classes
    return SpacesStory(
        folder, network, facts, flow=flow, ideal=ideal, means=given, mean_names=names, named=layers
    )


def _page(
    story: SpacesStory,
    sections: tuple[Section, ...],
    source: str,
    notes: Sequence[str],
    command: str | None,
) -> Page:
    return Page(
        title=f"What {story.title} {'keeps, rejects and wants' if story.ideal else 'keeps and rejects'}",
        subtitle=isolate(source)
        if source
        else "From its weights alone; images would tell what it rejects of them.",
        facts=_facts(story),
        classes=_classes(story),
        findings=findings(story),
        sections=sections,
        version=wavelens.__version__,
        remarks=(*remarks(story), *map(isolate_sentence, notes)),
        command=isolate_sentence(command) if command else "",
        made=datetime.date.today().isoformat(),
        about="this network",
    )


def _classes(story: SpacesStory) -> tuple[tuple[str, str, float, str, str], ...]:
    flow = story.flow
    if flow is None or len(flow.classes) < 2:
        return ()
    largest = max(1, int(flow.counts.max()))
    return tuple(
        (name, f"{size:,}", round(100 * size / largest, 1), "var(--accent)", "")
        for name, size in zip(flow.classes, flow.counts.tolist(), strict=True)
    )


def _facts(story: SpacesStory) -> tuple[tuple[str, str], ...]:
    kinds: dict[str, int] = {}
    for each in story.facts:
        kinds[each.spaces.kind] = kinds.get(each.spaces.kind, 0) + 1
    n = sum(each.spaces.layer.weights.size for each in story.facts)
    shape = story.network.weights.input_shape
    facts = [
        ("Network", f"{story.title} ({story.kind})"),
        ("Layers", joined([f"{count:,} {kind}" for kind, count in kinds.items()])),
        ("Weights", f"{n:,}"),
        ("Input", "not told" if shape is None else " × ".join(map(str, shape))),
    ]
    if story.flow is not None:
        facts.append(("Images", f"{len(story.flow.labels):,}"))
    return (*facts, ("Version", f"Wavelens {wavelens.__version__}"))
