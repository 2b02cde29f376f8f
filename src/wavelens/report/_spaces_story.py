"""What the sections of a report on spaces share: layers, their spectra beside chance, figures, and what is rejected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wavelens._utils._names import visible
from wavelens.report._embed import FigureFolder
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.spaces import (
    EnergyFlow,
    IdealInputs,
    LayerSpaces,
    NetworkSpaces,
    SignalSpaces,
    SpectrumAgainstChance,
)

__all__ = ["LayerFacts", "SpacesStory", "affordable_layers", "measure_layers"]

Float64Array = npt.NDArray[np.float64]

_most_work = 5e11
_detailed_at_most = 5


@dataclass(frozen=True, eq=False)
class LayerFacts:
    """One layer of the table.

    Attributes
    ----------
    index : int
        Place in the network.
    spaces : LayerSpaces
        Of the layer.
    name : str
        To be shown.
    found : SpectrumAgainstChance or None
        None where it would take too long.
    """

    index: int
    spaces: LayerSpaces
    name: str
    found: SpectrumAgainstChance | None

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns of the weights as a matrix."""
        return self.spaces.layer.shape

    @property
    def rank(self) -> int | None:
        """Of that matrix."""
        return None if self.found is None else self.spaces.linear.rank

    @property
    def comparable(self) -> bool:
        """Whether there is a spectrum that chance could be held against."""
        return self.found is not None and len(self.found.singular_values) > 1 and self.found.condition > 0

    @property
    def like_chance(self) -> bool:
        """Whether its spectrum is such as random matrices have."""
        return self.comparable and self.found is not None and self.found.like_chance


def work_of(spaces: LayerSpaces) -> float:
    """Return about how many operations the singular value decomposition takes."""
    rows, columns = spaces.layer.shape
    least = min(rows, columns)
    return 6.0 * rows * columns * least + 20.0 * least**3


def affordable_layers(network: NetworkSpaces, named: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the layers that can be decomposed in reasonable time, and those that are named whatever they take.

    Parameters
    ----------
    network : NetworkSpaces
        Of any size.
    named : sequence of str
        Names of layers that are wanted.

    Returns
    -------
    tuple of str
        In the order of execution. A matrix of 2,700 × 2,700 is about the largest.
    """
    return tuple(each.name for each in network if each.name in named or work_of(each) <= _most_work)


def measure_layers(
    network: NetworkSpaces,
    layers: Sequence[str] | None = None,
    *,
    random_state: int = 0,
    progress: Callable[[float], None] | None = None,
) -> tuple[LayerFacts, ...]:
    """Decompose the layers of a network and hold their spectra against chance.

    Parameters
    ----------
    network : NetworkSpaces
        Of any size.
    layers : sequence of str, optional
        Those to be decomposed; `affordable_layers` by default. Of the others the shape alone is told.
    random_state : int
        Seed of the random matrices.
    progress : callable, optional
        Called with the share of the work done, in [0, 1].

    Returns
    -------
    tuple of LayerFacts
    """
    wanted = set(affordable_layers(network) if layers is None else layers)
    total = sum(work_of(each) for each in network if each.name in wanted) or 1.0
    facts, done = [], 0.0
    for index, each in enumerate(network):
        found = None
        if each.name in wanted:
            found = each.linear.against_chance(random_state=random_state)
            done += work_of(each)
        facts.append(LayerFacts(index, each, each.name, found))
        if progress is not None:
            progress(min(1.0, done / total))
    return tuple(facts)


class SpacesStory:
    """A network, what is known of its layers, and the means to show it; without a folder, to tell of it only.

    `title` and `kind` are of the network, `flow_rows` says where each layer stands in the energy flow.
    """

    def __init__(
        self,
        folder: Path | None,
        network: NetworkSpaces,
        facts: Sequence[LayerFacts],
        *,
        flow: EnergyFlow | None = None,
        ideal: IdealInputs | None = None,
        means: npt.NDArray[np.floating] | None = None,
        mean_names: Sequence[str] = (),
        named: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        shown, sentence = (visible, visible) if folder is None else (isolate, isolate_sentence)
        self.network = network
        self.facts = tuple(replace(each, name=shown(each.name)) for each in facts)
        self.title, self.kind = shown(network.name), shown(network.weights.kind)
        self.notes = tuple(map(sentence, network.weights.notes))
        self.why_not_chain = sentence(network.weights.why_not_chain)
        self.flow_rows = {} if flow is None else {name: i for i, name in enumerate(flow.layers)}
        self.flow, self.ideal = flow, ideal
        if flow is not None:
            self.flow = replace(
                flow,
                layers=tuple(map(shown, flow.layers)),
                classes=tuple(map(shown, flow.classes)),
                notes=tuple(map(sentence, flow.notes)),
            )
        if ideal is not None:
            self.ideal = replace(
                ideal,
                class_names=tuple(map(shown, ideal.class_names)),
                notes=tuple(map(sentence, ideal.notes)),
            )
        self.means, self.mean_names = means, tuple(map(shown, mean_names))
        self.named = tuple(named)

    @cached_property
    def figures(self) -> FigureFolder:
        """Where figures go; for a story that is to become a page."""
        if self._folder is None:
            raise ValueError("a story without a folder has no figures")
        return FigureFolder(self._folder)

    @cached_property
    def known(self) -> tuple[LayerFacts, ...]:
        """The layers that were decomposed."""
        return tuple(each for each in self.facts if each.found is not None)

    @cached_property
    def compared(self) -> tuple[LayerFacts, ...]:
        """Those that have more than one direction, none of them zero."""
        return tuple(each for each in self.known if each.comparable)

    @cached_property
    def left_out(self) -> tuple[LayerFacts, ...]:
        """The layers that are too large."""
        return tuple(each for each in self.facts if each.found is None)

    def rejected(self, fact: LayerFacts) -> tuple[float, float, float] | None:
        """Return what a layer rejects of the images' energy, what chance would, and the deviation of that."""
        row = self.flow_rows.get(fact.spaces.name)
        if self.flow is None or row is None or not np.isfinite(self.flow.overall[row]):
            return None
        return (
            float(self.flow.overall[row]),
            float(self.flow.chance[row]),
            float(self.flow.chance_spread[row]),
        )

    def beyond(self, fact: LayerFacts) -> float:
        """Return by how many deviations more a layer rejects than chance."""
        row = self.flow_rows.get(fact.spaces.name)
        return 0.0 if self.flow is None or row is None else float(self.flow.beyond_chance[row])

    def unlike(self, fact: LayerFacts) -> float:
        """Return how far a spectrum is from chance: the mean distance of log σ from its median, in nats."""
        assert fact.found is not None
        values, middle = fact.found.singular_values, fact.found.middle
        seen = (values > 0) & (middle > 0)
        return float(np.abs(np.log(values[seen] / middle[seen])).mean()) if seen.any() else 0.0

    @cached_property
    def detailed(self) -> tuple[LayerFacts, ...]:
        """The layers that are shown one by one: those named, or else the most telling."""
        if self.named:
            return tuple(each for each in self.known if each.spaces.name in self.named)
        if len(self.known) <= _detailed_at_most:
            return self.known
        return tuple(sorted(set(self._telling.values()), key=lambda each: each.index))

    @cached_property
    def _telling(self) -> dict[str, LayerFacts]:
        """The layers that tell most, by the reason."""
        found = {"the first": self.known[0], "the last": self.known[-1]}
        by_chance = sorted(self.compared, key=self.unlike)
        if by_chance:
            found |= {"the least like chance": by_chance[-1], "the most like chance": by_chance[0]}
        shares = {each: self.rejected(each) for each in self.known if each.spaces.kind != "depthwise"}
        able = {each: share[0] for each, share in shares.items() if share is not None and share[1] > 0}
        if able:
            found["the one that rejects most"] = max(able, key=able.__getitem__)
        away = {each: abs(share[0] - share[1]) for each in self.known if (share := self.rejected(each))}
        if away:
            found["the one whose rejected share is farthest from chance"] = max(away, key=away.__getitem__)
        return found

    def why(self, fact: LayerFacts) -> str:
        """Say why a layer is shown."""
        if self.named or len(self.known) <= _detailed_at_most:
            return ""
        return ", ".join(reason for reason, each in self._telling.items() if each is fact)

    @cached_property
    def pictured(self) -> tuple[LayerFacts, SignalSpaces] | None:
        """The first layer with its spaces, if what enters it is an image; a convolution's spaces are its kernels'."""
        first = self.facts[0]
        if first.found is None:
            return None
        spaces = first.spaces.linear
        shape = spaces.input_shape
        if shape is None or len(shape) not in (2, 3) or min(shape[-2:]) < 2:
            return None
        return (first, spaces) if len(shape) == 2 or shape[0] in (1, 3) else None

    @property
    def has_convolutions(self) -> bool:
        """Whether some layer is a convolution."""
        return any(each.spaces.layer.kind == "convolution" for each in self.facts)
