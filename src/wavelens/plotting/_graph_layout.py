"""Places for the ellipses of an MMF graph, in points, such that no two texts, ellipses or passing lines meet.

Rows run down the page. An ellipse stands below all it hangs on, in the first row with room for it; a line that
passes a row has a place of its own in it. Within the rows the order is that of the mean place of the
neighbours, swept up and down, and the best is kept; then all move as near to their neighbours as their own
width allows, which is a monotone regression and solved exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

__all__ = ["Box", "Ellipse", "Label", "Line", "arrange", "ellipse_around", "text_width"]

Float64Array = npt.NDArray[np.float64]

LINE_HEIGHT = 14.0
_gap_x, _gap_y = 14.0, 30.0
_lane = 9.0
_n_sweeps = 16


@dataclass
class Label:
    """Text in an ellipse; `x`, `y` of its centre from the centre of the ellipse, y downwards."""

    text: str
    kind: str
    size: float
    width: float
    x: float = 0.0
    y: float = 0.0


@dataclass
class Ellipse:
    """An ellipse of half axes `a`, `b` and what it holds; `x`, `y` of its centre once arranged."""

    labels: list[Label]
    a: float
    b: float
    parents: dict[int, float] = field(default_factory=dict)
    row: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass
class Line:
    """A line from an ellipse up to an earlier one: `points` with vertical tangents, and its weight."""

    child: int
    parent: int
    weight: float
    points: list[tuple[float, float]]


@dataclass
class Box:
    """A thing in a row: an ellipse, or (`ellipse` −1) the lane of a passing line."""

    ellipse: int
    width: float
    above: list[Box] = field(default_factory=list)
    below: list[Box] = field(default_factory=list)
    x: float = 0.0


@lru_cache(maxsize=8192)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a text in points, a little too wide rather than too narrow."""
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0]) * 1.04 + 1.0


def ellipse_around(head: Label | None, labels: Sequence[Label], *, aspect: float = 2.4) -> Ellipse:
    """Return the ellipse around a heading and labels in as many lines as make it about `aspect` times as wide."""
    best: tuple[float, Ellipse] | None = None
    for n_lines in range(1 if labels else 0, min(len(labels), 12) + 1):
        lines = [[head]] if head is not None else []
        lines += _broken(labels, n_lines)
        shape = _half_axes(lines)
        cost = math.log(shape[0] * shape[1]) + 0.8 * abs(math.log(shape[0] / shape[1] / aspect))
        if best is None or cost < best[0]:
            _set_places(lines)
            chosen = [label for line in lines for label in line]
            placed = [Label(**vars(label)) for label in chosen]
            best = cost, Ellipse(placed, *shape)
    if best is None:
        raise ValueError("an ellipse needs a heading or labels")
    return best[1]


def arrange(ellipses: list[Ellipse], width: float) -> tuple[list[Line], float, float]:
    """Place the ellipses, parents before children in the list, in rows of about `width` points.

    Returns
    -------
    lines : list of Line
    width, height : float
        Of all, from (0, 0).
    """
    if not ellipses:
        return [], 0.0, 0.0
    rows = _rows(ellipses, width)
    _order(rows)
    total = max([width] + [_needed(row) for row in rows])
    _spread(rows, total)
    low = min(box.x - box.width / 2 for row in rows for box in row)
    high = max(box.x + box.width / 2 for row in rows for box in row)
    tops, heights, y = [], [], 0.0
    for i, row in enumerate(rows):
        height = max([2 * ellipses[box.ellipse].b for box in row if box.ellipse >= 0], default=8.0)
        between = sum(len(box.below) for box in row) if i + 1 < len(rows) else 0
        tops.append(y)
        heights.append(height)
        for box in row:
            box.x -= low
            if box.ellipse >= 0:
                ellipses[box.ellipse].x, ellipses[box.ellipse].y = box.x, y + height / 2
        y += height + (_gap_y + min(24.0, 1.2 * between) if i + 1 < len(rows) else 0)
    return _lines(ellipses, rows, tops, heights), high - low, y


def _broken(labels: Sequence[Label], n_lines: int) -> list[list[Label]]:
    """Break labels into lines of like width, the widest in the middle."""
    if not n_lines:
        return []
    lines: list[list[Label]] = [[] for _ in range(n_lines)]
    for label in sorted(labels, key=lambda each: -each.width):
        min(lines, key=lambda line: sum(each.width + 8 for each in line)).append(label)
    lines.sort(key=lambda line: sum(each.width + 8 for each in line))
    return lines[::2] + lines[1::2][::-1]


def _half_axes(lines: list[list[Label]]) -> tuple[float, float]:
    """Return the half axes of the ellipse of least area around centred lines."""
    half = np.array([_line_width(line) / 2 for line in lines])
    edges = _line_edges(len(lines))
    far = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
    heights = far.max() * np.linspace(1.06, 2.2, 24)
    widths = np.max(half / np.sqrt(1 - (far / heights[:, None]) ** 2), axis=1)
    best = int(np.argmin((widths + 4) * (heights + 2)))
    return float(widths[best]) + 5, float(heights[best]) + 2


def _line_edges(n: int) -> Float64Array:
    return np.asarray(LINE_HEIGHT * (np.arange(n + 1) - n / 2), dtype=np.float64)


def _line_width(line: list[Label]) -> float:
    return sum(label.width for label in line) + 8 * (len(line) - 1)


def _set_places(lines: list[list[Label]]) -> None:
    for line, top in zip(lines, _line_edges(len(lines)), strict=False):
        x = -_line_width(line) / 2
        for label in line:
            label.x, label.y = x + label.width / 2, top + LINE_HEIGHT / 2
            x += label.width + 8


def _rows(ellipses: list[Ellipse], width: float) -> list[list[Box]]:
    """Give each ellipse a row and each line a lane in the rows it passes."""
    taken: list[float] = []
    rows: list[list[Box]] = []
    boxes: list[Box] = []
    for i, ellipse in enumerate(ellipses):
        own = 2 * ellipse.a + _gap_x
        row = max((ellipses[parent].row + 1 for parent in ellipse.parents), default=0)
        while row < len(rows) and taken[row] and taken[row] + own > width:
            row += 1
        while row >= len(rows):
            rows.append([])
            taken.append(0.0)
        ellipse.row = row
        box = Box(i, own)
        boxes.append(box)
        rows[row].append(box)
        taken[row] += own
        for parent in ellipse.parents:
            upper = boxes[parent]
            for between in range(ellipses[parent].row + 1, row):
                lane = Box(-1, _lane)
                rows[between].append(lane)
                taken[between] += _lane
                _connect(upper, lane)
                upper = lane
            _connect(upper, box)
    return rows


def _connect(upper: Box, lower: Box) -> None:
    upper.below.append(lower)
    lower.above.append(upper)


def _order(rows: list[list[Box]]) -> None:
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(_n_sweeps):
        downwards = sweep % 2 == 0
        for i in range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1):
            near_row = rows[i - 1] if downwards else rows[i + 1]
            place = {id(box): p for p, box in enumerate(near_row)}
            mean = {}
            for p, box in enumerate(rows[i]):
                near = [place[id(each)] for each in (box.above if downwards else box.below)]
                mean[id(box)] = sum(near) / len(near) if near else p * len(near_row) / len(rows[i])
            rows[i].sort(key=_by(mean))
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
        if not fewest:
            break
    for row, kept in zip(rows, best, strict=True):
        row[:] = kept


def _by(values: dict[int, float]) -> Callable[[Box], float]:
    return lambda box: values[id(box)]


def _crossings(rows: list[list[Box]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {id(box): p for p, box in enumerate(lower)}
        ends = np.array([place[id(end)] for box in upper for end in box.below])
        starts = np.array([p for p, box in enumerate(upper) for _ in box.below])
        if len(ends) > 1:
            crossed = (starts[:, None] < starts) & (ends[:, None] > ends)
            total += int(crossed.sum())
    return total


def _needed(row: list[Box]) -> float:
    return sum(box.width for box in row)


def _spread(rows: list[list[Box]], width: float) -> None:
    for row in rows:
        x = (width - _needed(row)) / 2
        for box in row:
            box.x = x + box.width / 2
            x += box.width
    for _ in range(30):
        for i in (*range(len(rows)), *range(len(rows) - 1, -1, -1)):
            wanted = np.empty(len(rows[i]))
            weights = np.ones(len(rows[i]))
            for p, box in enumerate(rows[i]):
                near = box.above + box.below
                wanted[p] = sum(each.x for each in near) / len(near) if near else box.x
                # Lanes are pulled harder: a line that passes rows shall be straight.
                weights[p] = 4.0 if box.ellipse < 0 else 1.0
            _move(rows[i], wanted, weights, width)


def _move(row: list[Box], wanted: Float64Array, weights: Float64Array, width: float) -> None:
    """Set the places nearest to those wanted, in order and without overlap, within [0, width]."""
    widths = np.array([box.width for box in row])
    offset = np.cumsum(widths) - widths / 2
    target = wanted - offset
    blocks: list[list[float]] = []
    for value, weight in zip(target, weights, strict=True):
        blocks.append([float(value), float(weight), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value_b, weight_b, n_b = blocks.pop()
            value_a, weight_a, n_a = blocks.pop()
            both = weight_a + weight_b
            blocks.append([(value_a * weight_a + value_b * weight_b) / both, both, n_a + n_b])
    found = np.concatenate([np.full(int(n), value) for value, _, n in blocks])
    found = np.clip(found, 0.0, width - widths.sum())
    for box, x in zip(row, found + offset, strict=True):
        box.x = float(x)


def _lines(
    ellipses: list[Ellipse], rows: list[list[Box]], tops: list[float], heights: list[float]
) -> list[Line]:
    """Follow each line from its ellipse up through its lanes."""
    found = []
    leaving = {id(box): sorted(box.below, key=lambda each: each.x) for row in rows for box in row}
    for i, row in enumerate(rows):
        for box in row:
            if box.ellipse < 0:
                continue
            ends = sorted(box.above, key=lambda each: each.x)
            for slot, upper in enumerate(ends):
                child = ellipses[box.ellipse]
                x, y = _on_edge(child, slot, len(ends), up=True)
                points = [(x, y), (x, tops[i])]
                at, lower = i - 1, box
                while upper.ellipse < 0:
                    points += [(upper.x, tops[at] + heights[at]), (upper.x, tops[at])]
                    at, lower, upper = at - 1, upper, upper.above[0]
                others = leaving[id(upper)]
                slot_below = next(p for p, each in enumerate(others) if each is lower)
                x, y = _on_edge(ellipses[upper.ellipse], slot_below, len(others), up=False)
                points += [(x, tops[at] + heights[at]), (x, y)]
                found.append(Line(box.ellipse, upper.ellipse, child.parents[upper.ellipse], points))
    return found


def _on_edge(ellipse: Ellipse, slot: int, n: int, *, up: bool) -> tuple[float, float]:
    """Return the place on the upper or lower edge for the line at `slot` of `n`."""
    t = 0.55 * (2 * (slot + 1) / (n + 1) - 1)
    height = ellipse.b * math.sqrt(1 - t * t)
    return ellipse.x + t * ellipse.a, ellipse.y - height if up else ellipse.y + height
