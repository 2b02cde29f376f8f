"""The Display of the MMF graph: an ellipse for each level with the classes that enter there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wavelens._arguments import check_integer
from wavelens.hierarchy import MMF, MMFGraph
from wavelens.plotting._graph_drawing import MARGIN, PADDING, Picture, draw, key_signs, wrapped
from wavelens.plotting._graph_layout import Ellipse, Label, arrange, ellipse_around, text_width
from wavelens.plotting._style import Display, finish_axes, shorten

__all__ = ["MMFGraphDisplay"]

_faint = 0.1
_most_names = 60
_page = (470.0, 735.0)
_title = 26.0


@dataclass
class MMFGraphDisplay(Display):
    """Which classes compose at which level: an ellipse for each level, hung on earlier ones.

    Attributes
    ----------
    graph : MMFGraph
        What is drawn: its levels and, if collapsed, its groups.
    whole : MMFGraph
        What it was made from.
    min_weight : float
        Lines of a lower weight are left out, but for the strongest of each level.
    levels_ : tuple of int
        Numbers of the levels that have an ellipse, after `plot`.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import mmf
    >>> from wavelens.plotting import MMFGraphDisplay
    >>> c = np.array([[2.0, 1.0, 0.1, 0.1], [1.0, 3.0, 0.1, 0.1], [0.1, 0.1, 4.0, 2.0], [0.1, 0.1, 2.0, 5.0]])
    >>> graph = mmf(c, order=2).graph(["cat", "dog", "car", "bus"])
    >>> MMFGraphDisplay.from_graph(graph).plot().levels_
    (1, 2)
    """

    graph: MMFGraph
    whole: MMFGraph
    min_weight: float = _faint
    levels_: tuple[int, ...] = ()

    @classmethod
    def from_mmf(
        cls,
        mmf: MMF,
        names: Sequence[object] | None = None,
        *,
        max_levels: int | None = None,
        collapse: int = 1,
        min_weight: float = _faint,
    ) -> Self:
        """Take the graph of a factorization; the rest as `from_graph`."""
        return cls.from_graph(
            mmf.graph(names), max_levels=max_levels, collapse=collapse, min_weight=min_weight
        )

    @classmethod
    def from_graph(
        cls,
        graph: MMFGraph,
        *,
        max_levels: int | None = None,
        collapse: int = 1,
        min_weight: float = _faint,
    ) -> Self:
        """Choose what is drawn.

        Parameters
        ----------
        graph : MMFGraph
        max_levels : int or None, default None
            The first so many levels; by default as many as bring in some 60 classes or groups.
        collapse : int, default 1
            Groups of up to so many classes that compose early are drawn as one.
        min_weight : float, default 0.1
            Lines of a lower weight |x| are left out, but for the strongest of each level; classes of a lower
            weight are drawn grey.
        """
        shown = graph if collapse == 1 else graph.collapse(collapse, min_weight=min_weight)
        if max_levels is not None:
            check_integer(max_levels, "max_levels", low=1)
        elif shown.n_nodes > _most_names:
            max_levels = int(
                np.searchsorted(np.cumsum((shown.hangs_on == 0).sum(axis=1)), _most_names, "right")
            )
        if max_levels is not None and max_levels < shown.n_levels:
            shown = shown.at_levels(last=int(shown.levels[max(max_levels, 1) - 1]))
        return cls(shown, graph, float(min_weight))

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure as large as the graph needs.

        In given axes, the key and then levels from the end are left out until the rest has room.
        """
        if ax is None:
            picture = self._picture(self.graph, None)
            figure = Figure(figsize=(picture.width / 72, (picture.height + _title) / 72), facecolor="white")
            # The title begins where the axes do, a margin from the edge of the page.
            left = MARGIN / picture.width
            ax = figure.add_axes((left, 0, 1 - left, picture.height / (picture.height + _title)))
            self._begin(ax)
            _clear(ax, self._title())
            ax.set(xlim=(MARGIN, picture.width), ylim=(picture.height, 0))
        else:
            self._begin(ax)
            _clear(ax, self._title())
            size = _size(ax)
            picture = self._fitted(size)
            ax.set(xlim=(0, max(size[0], picture.width)), ylim=(max(size[1], picture.height), 0))
        draw(ax, picture)
        self.levels_ = tuple(picture.levels)
        return self

    def _title(self) -> str:
        return f"How {self.whole.n_classes:,} classes compose, level by level (order {self.whole.order})"

    def _fitted(self, size: tuple[float, float]) -> Picture:
        """Leave out the key, then levels from the end, until the rest fits."""
        graph, with_key = self.graph, True
        while True:
            picture = self._picture(graph, size[0], with_key=with_key)
            fits = picture.width <= size[0] and picture.height <= size[1]
            if fits or (graph.n_levels <= 1 and not with_key):
                return picture
            if with_key:
                with_key = False
                continue
            graph = graph.at_levels(last=int(graph.levels[max(1, int(0.8 * graph.n_levels)) - 1]))

    def _picture(self, graph: MMFGraph, width: float | None, *, with_key: bool = True) -> Picture:
        ellipses, levels = _ellipses(graph, self.min_weight)
        if width is None:
            area = sum((2 * e.a + 14) * (2 * e.b + 30) for e in ellipses)
            width = float(np.clip(math.sqrt(1.6 * area), *_page))
        inner = width - 2 * MARGIN
        lines, wide, high = arrange(ellipses, inner)
        shift = MARGIN + max(0.0, inner - wide) / 2
        for ellipse in ellipses:
            ellipse.x += shift
            ellipse.y += MARGIN
        for line in lines:
            line.points = [(x + shift, y + MARGIN) for x, y in line.points]
        y = high + MARGIN + (26 if with_key else 10)
        key, y = key_signs(ellipses, lines, inner, y, self.min_weight) if with_key else ([], y)
        notes, y = wrapped(self._notes(graph, levels), inner, y + 4)
        return Picture(ellipses, levels, lines, key, notes, max(width, wide + 2 * MARGIN), y + 4)

    def _notes(self, graph: MMFGraph, levels: list[int]) -> list[str]:
        """Say in words what the picture leaves out."""
        found = []
        whole = self.whole
        if graph.n_nodes < whole.n_nodes:
            groups = [len(node) for node in graph.nodes if len(node) > 1]
            found.append(
                f"{sum(groups):,} of {whole.n_classes:,} classes stand in {len(groups):,} groups (boxes) of up to "
                f"{max(groups, default=1)}, named for the first two; the levels within them are not drawn."
            )
        drawn = {node for level in levels for node in graph.entering(level)}
        if graph.n_levels and graph.levels[-1] < whole.levels[-1]:
            found.append(f"Drawn up to level {graph.levels[-1]:,} of {whole.levels[-1]:,}.")
        remaining = graph.n_nodes - len(drawn)
        if remaining:
            kind = "classes" if graph.n_nodes == whole.n_nodes else "classes and groups"
            verb = "do" if remaining > 1 else "does"
            found.append(f"{remaining:,} of {graph.n_nodes:,} {kind} {verb} not enter in what is drawn.")
        quiet = graph.n_levels - len(levels)
        if quiet:
            found.append(
                f"Not drawn: {quiet:,} {'levels' if quiet > 1 else 'level'} at which no class enters and nothing meets "
                f"for the first time by an |x| of {self.min_weight:.2g} or more."
            )
        return found


def _ellipses(graph: MMFGraph, min_weight: float) -> tuple[list[Ellipse], list[int]]:
    """Choose the levels that are drawn and make their ellipses.

    Drawn are levels at which a class enters, and levels that join what had not met before.
    """
    ellipses: list[Ellipse] = []
    levels: list[int] = []
    last: dict[int, int] = {}
    part: list[int] = []
    labels = graph.labels
    for place, level in enumerate(map(int, graph.levels)):
        members = [i for i in range(graph.order) if graph.tuples[place, i] >= 0]
        new = [i for i in members if graph.hangs_on[place, i] == 0]
        squares: dict[int, float] = {}
        for i in members:
            node = int(graph.tuples[place, i])
            if i not in new and node in last:
                squares[last[node]] = squares.get(last[node], 0.0) + float(graph.weights[place, i]) ** 2
        strongest = max(squares.values(), default=0.0)
        parents = {at: math.sqrt(v) for at, v in squares.items() if v >= min_weight**2 or v == strongest}
        met = {part[at] for at in parents}
        if not new and len(met) < 2:
            continue
        ellipse = ellipse_around(*_texts(graph, labels, place, new, min_weight))
        ellipse.parents = parents
        number = len(ellipses)
        part = [number if each in met else each for each in part] + [number]
        last |= {int(graph.tuples[place, i]): number for i in members}
        ellipses.append(ellipse)
        levels.append(level)
    return ellipses, levels


def _texts(
    graph: MMFGraph, labels: Sequence[str], place: int, new: list[int], min_weight: float
) -> tuple[Label, list[Label]]:
    """Return the heading of a level and the names in its ellipse."""
    wavelet = int(graph.wavelets[place])
    found = []
    for i in new:
        node = int(graph.tuples[place, i])
        if len(graph.nodes[node]) > 1:
            found.append(_label(_group_name(graph, node), "group"))
        elif node == wavelet:
            found.append(_label(labels[node], "wavelet"))
        else:
            found.append(_label(labels[node], "faint" if graph.weights[place, i] < min_weight else "class"))
    if len(graph.nodes[wavelet]) == 1 and all(graph.tuples[place, i] != wavelet for i in new):
        found.append(_label(labels[wavelet], "earlier"))
    return _label(f"ℓ = {graph.levels[place]}", "level"), found


def _group_name(graph: MMFGraph, node: int) -> str:
    """Return the first two names of a group and the number of the others."""
    first, second, *others = graph.nodes[node]
    names = ", ".join(shorten(graph.names[i], 18) for i in (first, second))
    return f"{names} + {len(others):,}" if others else names


def _label(name: str, kind: str) -> Label:
    text = (name if kind == "group" else shorten(name, 26)).strip() or "–"
    size = 7.5 if kind == "level" else 8.5
    return Label(text, kind, size, text_width(text, size) + PADDING.get(kind, 0.0))


def _clear(ax: Axes, title: str) -> None:
    """Take all but the title from the axes."""
    finish_axes(ax, title=title)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _size(ax: Axes) -> tuple[float, float]:
    """Return the size of axes in points, once their figure is laid out."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("`ax` must belong to a figure")
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi
