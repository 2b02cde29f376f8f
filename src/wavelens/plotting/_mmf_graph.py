"""The Display of the MMF graph: an ellipse for each level with the classes that enter there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse as EllipsePatch
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from wavelens._arguments import check_integer
from wavelens.hierarchy import MMF, MMFGraph
from wavelens.plotting._graph_layout import Ellipse, Label, Line, arrange, ellipse_around, text_width
from wavelens.plotting._style import INK, MUTED, Display, category_color, finish_axes, plain, shorten

__all__ = ["MMFGraphDisplay"]

_faint = 0.1
_most_names = 60
_page = (470.0, 735.0)
_margin, _title, _key_sign = 10.0, 26.0, 50.0
_padding = {"wavelet": 9.0, "earlier": 9.0, "group": 7.0}
_line_color, _fill, _edge = category_color(0), "#eef3f9", "#7d93ad"


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
        Lines of a lower weight are left out.
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
    (1, 2, 3)
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
            Lines of a lower weight |x| are left out, and classes of a lower weight are drawn grey.
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

        In given axes, levels are left out from the end until the rest has room.
        """
        if ax is None:
            picture = self._picture(self.graph, None)
            figure = Figure(figsize=(picture.width / 72, (picture.height + _title) / 72), facecolor="white")
            ax = figure.add_axes((0, 0, 1, picture.height / (picture.height + _title)))
            size = picture.width, picture.height
        else:
            size = _size(ax)
            picture = self._fitted(size)
        self._begin(ax)
        finish_axes(ax)
        ax.set_title(
            self._title(),
            fontsize=10.5,
            color=INK,
            loc="left",
            pad=2,
            x=_margin / size[0],
        )
        ax.set(
            xlim=(0, max(size[0], picture.width)),
            ylim=(max(size[1], picture.height), 0),
            xticks=[],
            yticks=[],
        )
        for spine in ax.spines.values():
            spine.set_visible(False)
        _draw(ax, picture)
        self.levels_ = tuple(picture.levels)
        return self

    def _title(self) -> str:
        return f"How {self.whole.n_classes:,} classes compose, level by level (order {self.whole.order})"

    def _fitted(self, size: tuple[float, float]) -> _Picture:
        graph = self.graph
        while True:
            picture = self._picture(graph, size[0])
            fits = picture.width <= size[0] and picture.height <= size[1]
            if fits or graph.n_levels <= 1:
                return picture
            graph = graph.at_levels(last=int(graph.levels[max(1, int(0.8 * graph.n_levels)) - 1]))

    def _picture(self, graph: MMFGraph, width: float | None) -> _Picture:
        ellipses, levels = _ellipses(graph, self.min_weight)
        if width is None:
            area = sum((2 * e.a + 14) * (2 * e.b + 30) for e in ellipses)
            width = float(np.clip(math.sqrt(1.6 * area), *_page))
        inner = width - 2 * _margin
        lines, wide, high = arrange(ellipses, inner)
        shift = _margin + max(0.0, inner - wide) / 2
        for ellipse in ellipses:
            ellipse.x += shift
            ellipse.y += _margin
        for line in lines:
            line.points = [(x + shift, y + _margin) for x, y in line.points]
        y = high + _margin + 26
        key, y = _key(ellipses, lines, inner, y, self.min_weight)
        notes, y = _wrapped(self._notes(graph, levels), inner, y + 4)
        return _Picture(ellipses, levels, lines, key, notes, max(width, wide + 2 * _margin), y + 4)

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
            found.append(f"{remaining:,} of {graph.n_nodes:,} {kind} do not enter in what is drawn.")
        mixing = graph.n_levels - len(levels)
        if mixing == 1:
            found.append("Not drawn: a level that brings in no class and only mixes what has met before.")
        elif mixing:
            found.append(
                f"Not drawn: {mixing:,} levels that bring in no class and only mix what has met before."
            )
        return found


@dataclass
class _Picture:
    ellipses: list[Ellipse]
    levels: list[int]
    lines: list[Line]
    key: list[tuple[str, str, float, float]]
    notes: list[tuple[str, float]]
    width: float
    height: float


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
    text = " ".join((name if kind == "group" else shorten(name, 26)).split()) or "–"
    size = 7.5 if kind == "level" else 8.5
    return Label(text, kind, size, text_width(text, size) + _padding.get(kind, 0.0))


def _size(ax: Axes) -> tuple[float, float]:
    """Return the size of axes in points."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("`ax` must belong to a figure")
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi


_key_words = {
    "ellipse": "a level ℓ: it mixes the classes in it with what its lines lead to; later levels use the mixtures",
    "line": "leads to the earlier level whose mixture is used; the wider, the larger its part |x|",
    "wavelet": "wavelet: enters here and is set aside, later levels do not use it",
    "earlier": "set aside here, entered at an earlier level",
    "class": "enters here and goes on",
    "faint": "enters here with hardly a part: |x| below {:.2g}",
    "group": "a class and so many more that composed earlier",
}


def _key(
    ellipses: list[Ellipse], lines: list[Line], width: float, y: float, min_weight: float
) -> tuple[list[tuple[str, str, float, float]], float]:
    """Place a line of explanation for each sign that the picture has."""
    kinds = {label.kind for ellipse in ellipses for label in ellipse.labels}
    signs = [sign for sign in _key_words if sign in kinds or sign == "ellipse" or (sign == "line" and lines)]
    found, x = [], _margin
    for sign in signs:
        text = _key_words[sign].format(min_weight)
        wide = _key_sign + text_width(text, 8.0)
        if x > _margin and x + wide > width + _margin:
            x, y = _margin, y + 17
        first, *rest = _broken_text(text, width - _key_sign)
        found.append((sign, first, x, y))
        for more in rest:
            y += 12
            found.append(("", more, x, y))
        x += wide + 16
    return found, y + 17


def _wrapped(sentences: list[str], width: float, y: float) -> tuple[list[tuple[str, float]], float]:
    found = []
    for text in _broken_text(" ".join(sentences), width) if sentences else []:
        found.append((text, y))
        y += 12
    return found, y


def _broken_text(text: str, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, 8.0) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _draw(ax: Axes, picture: _Picture) -> None:
    for line in picture.lines:
        path = PathPatch(_curve(line.points), fill=False, edgecolor=_line_color, capstyle="round", zorder=1)
        path.set(linewidth=_line_width(line.weight), alpha=0.75)
        ax.add_patch(path)
    for ellipse in picture.ellipses:
        ax.add_patch(_ellipse(ellipse.x, ellipse.y, ellipse.a, ellipse.b))
        for label in ellipse.labels:
            _write(
                ax, label.text, label.kind, ellipse.x + label.x, ellipse.y + label.y, label.width, label.size
            )
    for sign, text, x, y in picture.key:
        _draw_sign(ax, sign, x, y)
        ax.text(x + _key_sign, y, plain(text), fontsize=8.0, color=INK, va="center_baseline")
    for text, y in picture.notes:
        ax.text(_margin, y, plain(text), fontsize=8.0, color=MUTED, va="center_baseline")


def _draw_sign(ax: Axes, sign: str, x: float, y: float) -> None:
    middle = x + _key_sign / 2 - 4
    if sign == "ellipse":
        ax.add_patch(_ellipse(middle, y, 15, 7))
    elif sign == "line":
        for dy, weight in ((-4, 0.2), (3, 0.9)):
            ax.plot(
                [x + 2, x + 36], [y + dy] * 2, color=_line_color, linewidth=_line_width(weight), alpha=0.75
            )
    elif sign:
        text = "name + 5" if sign == "group" else "name"
        _write(ax, text, sign, middle, y, text_width(text, 8.5) + _padding.get(sign, 0), 8.5)


def _write(ax: Axes, text: str, kind: str, x: float, y: float, width: float, size: float) -> None:
    color = {"wavelet": "white", "level": MUTED, "faint": "#7c8591"}.get(kind, INK)
    if kind in ("wavelet", "earlier"):
        pill = FancyBboxPatch(
            (x - width / 2 + 3, y - 5.5),
            width - 6,
            11,
            boxstyle="round,pad=0,rounding_size=5.5",
            linewidth=0.9,
        )
        pill.set(facecolor=INK if kind == "wavelet" else "none", edgecolor=INK, zorder=3)
        ax.add_patch(pill)
    if kind == "group":
        box = FancyBboxPatch(
            (x - width / 2 + 1, y - 6), width - 2, 12, boxstyle="square,pad=0", linewidth=0.7
        )
        box.set(facecolor="white", edgecolor=_edge, zorder=3)
        ax.add_patch(box)
    style = "italic" if kind == "level" else "normal"
    ax.text(
        x,
        y,
        plain(text),
        fontsize=size,
        color=color,
        ha="center",
        va="center_baseline",
        style=style,
        zorder=4,
    )


def _ellipse(x: float, y: float, a: float, b: float) -> EllipsePatch:
    return EllipsePatch((x, y), 2 * a, 2 * b, facecolor=_fill, edgecolor=_edge, linewidth=1.1, zorder=2)


def _line_width(weight: float) -> float:
    return 0.5 + 4.0 * weight


def _curve(points: list[tuple[float, float]]) -> Path:
    """Return a curve through the points with vertical tangents: straight in the rows, bent between them."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)
