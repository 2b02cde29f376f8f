"""How the picture of an MMF graph is put on the page: ellipses, names, lines, and the key that explains them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import Ellipse as EllipsePatch
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from wavelens.plotting._graph_layout import Ellipse, Line, text_width
from wavelens.plotting._style import INK, MUTED, PANEL, category_color, plain

__all__ = ["MARGIN", "PADDING", "Picture", "draw", "key_signs", "wrapped"]

MARGIN = 10.0
PADDING = {"wavelet": 9.0, "earlier": 9.0, "group": 7.0}
_key_sign = 50.0
_line_color, _fill, _edge = category_color(0), PANEL, "#7d93ad"


@dataclass
class Picture:
    """All that is drawn, placed in points from the upper left; `width` and `height` with margins."""

    ellipses: list[Ellipse]
    levels: list[int]
    lines: list[Line]
    key: list[tuple[str, str, float, float]]
    notes: list[tuple[str, float]]
    width: float
    height: float


_key_words = {
    "ellipse": "a level ℓ: it mixes the classes in it with what its lines lead to; later levels use the mixtures",
    "line": "leads to the earlier level whose mixture is used; the wider, the larger its part |x|",
    "wavelet": "wavelet: enters here and is set aside, later levels do not use it",
    "earlier": "set aside here, entered at an earlier level",
    "class": "enters here and goes on",
    "faint": "enters here with hardly a part: |x| below {:.2g}",
    "group": "a class and so many more that composed earlier",
}


def key_signs(
    ellipses: list[Ellipse], lines: list[Line], width: float, y: float, min_weight: float
) -> tuple[list[tuple[str, str, float, float]], float]:
    """Place a line of explanation for each sign that the picture has."""
    kinds = {label.kind for ellipse in ellipses for label in ellipse.labels}
    signs = [sign for sign in _key_words if sign in kinds or sign == "ellipse" or (sign == "line" and lines)]
    found, x = [], MARGIN
    for sign in signs:
        text = _key_words[sign].format(min_weight)
        wide = _key_sign + text_width(text, 8.0)
        if x > MARGIN and x + wide > width + MARGIN:
            x, y = MARGIN, y + 17
        first, *rest = _broken_text(text, width - _key_sign)
        found.append((sign, first, x, y))
        for more in rest:
            y += 12
            found.append(("", more, x, y))
        x += wide + 16
    return found, y + 17


def wrapped(sentences: list[str], width: float, y: float) -> tuple[list[tuple[str, float]], float]:
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


def draw(ax: Axes, picture: Picture) -> None:
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
        ax.text(MARGIN, y, plain(text), fontsize=8.0, color=MUTED, va="center_baseline")


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
        _write(ax, text, sign, middle, y, text_width(text, 8.5) + PADDING.get(sign, 0), 8.5)


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
