"""What the page shows of one explained image: for each λ the pictures, the network's answers and the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Answer", "Explained", "Mark", "MeasureRow", "Measures", "Pane", "Scale", "Step"]


@dataclass(frozen=True)
class Answer:
    """A label and its probability: `share` of 100 for the bar, `text` to read."""

    name: str
    share: float
    text: str
    is_target: bool
    full_name: str = ""


@dataclass(frozen=True)
class Scale:
    """Kept energy of one scale: of all the image's energy there `share` per cent, and in words."""

    name: str
    share: float
    text: str


@dataclass(frozen=True)
class Step:
    """One way of explaining at one λ.

    `picture` and `seen` are data URIs: what is kept, and an example of what the network was shown; `mask` is the
    mask in the wavelet domain, or "". `tells` sums up in a few words for those who do not see it.
    """

    lam: str
    picture: str
    seen: str
    answers: tuple[Answer, ...]
    facts: tuple[tuple[str, str, str], ...]
    tells: str
    mask: str = ""
    scales: tuple[Scale, ...] = ()


@dataclass(frozen=True)
class Pane:
    """One way of explaining, at each λ; `recommended` is the place of one of them."""

    key: str
    title: str
    hint: str
    steps: tuple[Step, ...]
    recommended: int
    recommended_text: str = ""

    @property
    def has_masks(self) -> bool:
        """Whether its masks are shown in the wavelet domain."""
        return any(step.mask for step in self.steps)


@dataclass(frozen=True)
class Mark:
    """A place on the slider: its small picture, λ, and what is kept there."""

    picture: str
    lam: str
    kept: str


@dataclass(frozen=True)
class Explained:
    """An image, and ways of explaining it side by side under one slider, which begins at `start`."""

    kind: ClassVar[str] = "explained"
    part: ClassVar[str] = "explain"
    id: str
    name: str
    image: str
    summary: str
    answers: tuple[Answer, ...]
    facts: tuple[tuple[str, str, str], ...]
    panes: tuple[Pane, ...]
    marks: tuple[Mark, ...]
    start: int
    crisp: bool


@dataclass(frozen=True)
class MeasureRow:
    """A measure: its name, which direction is better, what it means, and a text for each method.

    `best` is the place of the best method, or −1.
    """

    title: str
    better: str
    meaning: str
    cells: tuple[str, ...]
    best: int


@dataclass(frozen=True)
class Measures:
    """A table of measures down and methods across, each measure with its meaning."""

    kind: ClassVar[str] = "measures"
    part: ClassVar[str] = "explain"
    methods: tuple[str, ...]
    rows: tuple[MeasureRow, ...]
    caption: str
