"""The Display of how compositions of classes change from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from wavelens.hierarchy import LayerFlow
from wavelens.plotting._style import (
    INK,
    MAGNITUDE,
    MUTED,
    PANEL,
    Display,
    category_color,
    finish_axes,
    names_of,
    new_figure,
    plain,
    shorten,
)

__all__ = ["LayerFlowDisplay"]

_names_at_most = 60
_levels_at_most = 12
_between = 0.9
_box = 0.045

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass
class LayerFlowDisplay(Display):
    """At which level each class enters in each layer, and how far compositions of consecutive layers agree.

    Attributes
    ----------
    layers : tuple of str
    class_names : tuple of str
    entry_levels : array of int, shape (n_layers, n_classes)
        Level at which the class enters; 0 for never.
    agreement : array of shape (n_layers - 1, n_levels)
        Of the compositions of each level in consecutive layers, from 0 to 1.
    chance : array of shape (n_levels,) or None, default None
        What random compositions would show.
    resampled : array of shape (n_layers, n_levels) or None, default None
        Agreement of a layer with itself, its images drawn anew.
    verdicts : tuple of str, length n_layers - 1, or empty
        Of each layer but the first, what it does to the compositions of the one before.
    axes_ : tuple of Axes
        The flow and the agreement, after `plot`; `ax_` is the first.
    figure_
        After `plot`.

    Examples
    --------
    >>> from wavelens.plotting import LayerFlowDisplay
    >>> display = LayerFlowDisplay(
    ...     ("conv", "dense"), ("cat", "dog", "car"), [[1, 1, 2], [1, 2, 1]], [[0.33, 0.5]], verdicts=("changes",)
    ... )
    >>> len(display.plot().axes_)
    2
    """

    layers: tuple[str, ...]
    class_names: tuple[str, ...]
    entry_levels: IntArray
    agreement: Float64Array
    chance: Float64Array | None = None
    resampled: Float64Array | None = None
    verdicts: tuple[str, ...] = ()
    axes_: tuple[Axes, ...] = ()

    def __post_init__(self) -> None:
        self.layers, self.class_names = tuple(self.layers), tuple(self.class_names)
        self.entry_levels = np.asarray(self.entry_levels, dtype=np.intp)
        self.agreement = np.asarray(self.agreement, dtype=np.float64)
        n = len(self.layers)
        if n < 2:
            raise ValueError(f"`layers` must name at least 2 layers, got {n}")
        if self.entry_levels.shape != (n, len(self.class_names)):
            raise ValueError(
                f"`entry_levels` must have shape ({n}, {len(self.class_names)}) for {n} layers and "
                f"{len(self.class_names)} classes, got {self.entry_levels.shape}"
            )
        if self.agreement.ndim != 2 or len(self.agreement) != n - 1:
            raise ValueError(f"`agreement` must have shape ({n - 1}, n_levels), got {self.agreement.shape}")
        levels = self.agreement.shape[1]
        for name, shape in (("chance", (levels,)), ("resampled", (n, levels))):
            values = getattr(self, name)
            if values is not None and np.shape(values) != shape:
                raise ValueError(f"`{name}` must have shape {shape}, got {np.shape(values)}")
        if len(self.verdicts) not in (0, n - 1):
            raise ValueError(f"`verdicts` must hold {n - 1} verdicts or none, got {len(self.verdicts)}")

    @classmethod
    def from_flow(cls, flow: LayerFlow, *, class_names: Sequence[str] | None = None) -> Self:
        """Collect the data of what `layer_flow` returned; integer labels are places in `class_names`."""
        return cls(
            flow.layers,
            names_of(flow.classes, class_names),
            np.stack([factors.graph().entry_levels for factors in flow.mmfs]),
            flow.agreement,
            flow.chance,
            flow.resampled,
            flow.verdicts,
        )

    def plot(self, ax: tuple[Axes, Axes] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else two axes are needed."""
        if ax is None:
            rows = len(self.agreement) + (self.chance is not None) + (self.resampled is not None)
            flow = float(np.clip(0.21 * self._height(), 2.2, 11))
            table = 0.3 * rows + 0.9
            figure = new_figure(
                (float(np.clip(2.6 + 1.75 * len(self.layers), 7.4, 11.0)), flow + table + 1.0)
            )
            ax = tuple(figure.subplots(2, 1, height_ratios=(flow, table)))
        self.axes_ = tuple(ax)
        self._begin(self.axes_[0])
        self._draw_flow(self.axes_[0])
        self._draw_agreement(self.axes_[1])
        return self

    def _height(self) -> float:
        """Return the rows that the flow needs: one a class and some between levels."""
        groups = max(len(np.unique(levels)) for levels in self.entry_levels)
        return float(self.entry_levels.shape[1]) + _between * (groups - 1)

    def _draw_flow(self, ax: Axes) -> None:
        places, boxes = _places(self.entry_levels)
        n_layers, n = self.entry_levels.shape
        last = _ranks(self.entry_levels[-1])
        for c in range(n):
            moved = len(set(self.entry_levels[:, c])) > 1
            color = category_color(int(last[c]))
            for x, (y0, y1) in enumerate(pairwise(places[:, c])):
                path = _band(x + _box, x + 1 - _box, y0, y1)
                ax.add_patch(
                    PathPatch(
                        path,
                        fill=False,
                        edgecolor=color,
                        linewidth=2.0 if n <= _names_at_most else 0.7,
                        alpha=0.85 if moved else 0.5,
                        capstyle="butt",
                        zorder=1,
                    )
                )
        for layer, found in enumerate(boxes):
            for level, low, high in found:
                box = FancyBboxPatch(
                    (layer - _box, low - 0.32),
                    2 * _box,
                    high - low + 0.64,
                    boxstyle="square,pad=0",
                    facecolor=PANEL,
                    edgecolor="#7d93ad",
                    linewidth=0.9,
                    zorder=2,
                )
                ax.add_patch(box)
                if n <= _names_at_most or high - low > 0.03 * n:
                    ax.text(
                        layer,
                        (low + high) / 2,
                        f"{level}" if level else "–",
                        ha="center",
                        va="center_baseline",
                        fontsize=8,
                        color=INK,
                        zorder=3,
                    )
        high = float(places.max())
        ax.set_ylim(high + 0.8, float(places.min()) - 0.8)
        ax.set_xlim(-0.12, n_layers - 1 + 0.12)
        finish_axes(ax, title="Level at which each class enters, layer by layer")
        ax.set_xticks(range(n_layers), [plain(shorten(name, 18)) for name in self.layers])
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.tick_params(length=0)
        if n <= _names_at_most:
            order = np.argsort(places[0], kind="stable")
            ax.set_yticks(places[0][order], [plain(shorten(self.class_names[i], 20)) for i in order])
            right = ax.secondary_yaxis("right")
            order = np.argsort(places[-1], kind="stable")
            right.set_yticks(places[-1][order], [plain(shorten(self.class_names[i], 20)) for i in order])
            right.tick_params(length=0, labelsize=8.5, labelcolor=INK)
            right.spines["right"].set_visible(False)
        else:
            ax.set_yticks([])
            ax.set_ylabel(f"{n:,} classes", fontsize=9, color=INK)
        ax.set_xlabel(
            "boxes: levels, the first on top; colours: the level in the last layer; pale: always in the same level",
            fontsize=8.5,
            color=MUTED,
        )

    def _draw_agreement(self, ax: Axes) -> None:
        shown = min(self.agreement.shape[1], _levels_at_most)
        rows = [row[:shown] for row in self.agreement]
        labels = [f"{plain(shorten(a, 16))} → {plain(shorten(b, 16))}" for a, b in pairwise(self.layers)]
        if self.verdicts:
            labels = [f"{label}: {verdict}" for label, verdict in zip(labels, self.verdicts, strict=True)]
        if self.resampled is not None:
            rows.append(np.mean(self.resampled, axis=0)[:shown])
            labels.append("one layer, other images")
        if self.chance is not None:
            rows.append(np.asarray(self.chance)[:shown])
            labels.append("by chance")
        table = np.array(rows).reshape(len(rows), shown)
        ax.imshow(table, cmap=MAGNITUDE, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        for (i, j), value in np.ndenumerate(table):
            ax.text(
                j,
                i,
                f"{100 * value:.0f}%",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if value < 0.5 else "black",
            )
        if len(rows) > len(self.agreement):
            ax.axhline(len(self.agreement) - 0.5, color="white", linewidth=3)
        note = "" if shown == self.agreement.shape[1] else f" (of {self.agreement.shape[1]:,})"
        finish_axes(
            ax, title="Agreement of compositions: classes in common, of all in either", x=f"level{note}"
        )
        ax.set_xticks(range(shown), [str(level + 1) for level in range(shown)])
        ax.set_yticks(range(len(rows)), labels)
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)


def _ranks(levels: IntArray) -> IntArray:
    """Return which of the levels that occur each one is; never (0) comes last."""
    late = np.where(levels > 0, levels, np.iinfo(np.intp).max)
    return np.unique(late, return_inverse=True)[1].astype(np.intp)


def _places(entry_levels: IntArray) -> tuple[Float64Array, list[list[tuple[int, float, float]]]]:
    """Return the height of each class in each layer, and the boxes (level, first, last height) of each layer.

    Within a level the classes keep the order of the layer before, so that lines cross only where levels change.
    """
    n_layers, n = entry_levels.shape
    ranks = np.stack([_ranks(levels) for levels in entry_levels])
    # Beginning from the last layer, whose levels give the colours, makes for bundles.
    before = np.lexsort([np.arange(n), *ranks[::-1][:-1], ranks[0]])
    order = np.empty(n)
    order[before] = np.arange(n)
    places, boxes = np.empty((n_layers, n)), []
    for layer in range(n_layers):
        sequence = np.lexsort((order, ranks[layer]))
        y = np.arange(n) + _between * ranks[layer][sequence]
        places[layer, sequence] = y
        order[sequence] = np.arange(n)
        found = []
        for rank in np.unique(ranks[layer]):
            own = sequence[ranks[layer][sequence] == rank]
            heights = places[layer, own]
            found.append((int(entry_levels[layer, own[0]]), float(heights.min()), float(heights.max())))
        boxes.append(found)
    return places, boxes


def _band(x0: float, x1: float, y0: float, y1: float) -> Path:
    middle = (x0 + x1) / 2
    return Path([(x0, y0), (middle, y0), (middle, y1), (x1, y1)], [Path.MOVETO] + [Path.CURVE4] * 3)
