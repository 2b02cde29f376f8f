"""Display of whether patterns are tied to classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from wavelens._arguments import FloatArray
from wavelens.patterns import AssociationCurve, AssociationResult
from wavelens.plotting._style import (
    INK,
    MUTED,
    Display,
    category_color,
    finish_axes,
    new_figure,
)

__all__ = ["AssociationDisplay"]


@dataclass
class AssociationDisplay(Display):
    """The tie between patterns and classes beside what shuffled labels give.

    Attributes
    ----------
    result : AssociationResult
        Its two statistics are drawn as histograms of their values under shuffled labels, with the value of
        the true labels marked.
    curve : AssociationCurve or None
        Drawn beside them: the spread of the angles against the share of the labels that were shuffled.
    ax_, figure_
        After `plot`; `ax_` is that of the first histogram.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import AssociationDisplay
    >>> digits = load_digits(n_class=2)
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> display = AssociationDisplay(analysis.association_test(50)).plot()
    >>> display.ax_.get_ylabel()
    'shufflings'
    """

    result: AssociationResult
    curve: AssociationCurve | None = None

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure with all parts, an axes given takes the spread of the angles."""
        if ax is not None:
            self._begin(ax)
            self._plot_spread(ax)
            return self
        n = 2 if self.curve is None else 3
        figure: Figure | SubFigure = new_figure((3.7 * n, 3.1))
        axes = figure.subplots(1, n)
        self.ax_, self.figure_ = axes[0], figure
        self._plot_spread(axes[0])
        self._plot_isolated(axes[1])
        if self.curve is not None:
            self._plot_curve(axes[2], self.curve)
        return self

    def _plot_spread(self, ax: Axes) -> None:
        _histogram(ax, np.degrees(self.result.null), float(np.degrees(self.result.statistic)), "°")
        finish_axes(
            ax,
            title="Spread of the angles",
            x="distance from even shares, root mean square",
            y="shufflings",
            grid="y",
        )

    def _plot_isolated(self, ax: Axes) -> None:
        # Shares come in steps of one pattern: bins between two steps would stay empty.
        grain = 100 / self.result.n_patterns
        _histogram(ax, 100 * self.result.isolated_null, 100 * self.result.isolated, "%", grain)
        finish_axes(
            ax,
            title="Nearly isolated patterns",
            x="share of the patterns (σ at least 6.3 ×)",
            y="shufflings",
            grid="y",
        )

    def _plot_curve(self, ax: Axes, curve: AssociationCurve) -> None:
        values = np.degrees(curve.statistic)
        place = 100 * curve.shares
        ax.plot(np.repeat(place, values.shape[1]), values.ravel(), "o", ms=3.5, mew=0, color=MUTED, alpha=0.6)
        ax.plot(place, values.mean(axis=1), "-", lw=1.6, color=category_color(0))
        chance = float(np.degrees(self.result.null.mean()))
        ax.axhline(chance, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        ax.annotate(
            "chance",
            (0.02, chance),
            (0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=8.5,
            color=MUTED,
        )
        finish_axes(
            ax,
            title="Fewer true labels",
            x="labels shuffled (%)",
            y="spread of the angles (degrees)",
            grid="y",
        )
        ax.yaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_major_locator(MaxNLocator(5))


def _histogram(ax: Axes, null: FloatArray, value: float, unit: str, grain: float = 0.0) -> None:
    low, high = float(min(null.min(), value)), float(max(null.max(), value))
    room = high - low if high - low > 1e-6 else max(1.0, 12 * grain)
    width = float(np.ptp(null))
    # Where the true value lies far off, bins of the null's own width would vanish beside the gap.
    bins = int(np.clip(np.sqrt(len(null)), 5, 20)) if width > 0 else 1
    step = max(width / bins, room / 60)
    if grain:
        step = grain * max(1, np.ceil(step / grain))
        width += grain
    start = null.min() - (grain or (0 if width > 0 else step)) / 2
    edges = start + step * np.arange(int(np.ceil(width / step - 1e-9)) + 1 + (width == 0))
    counts, edges = np.histogram(np.clip(null, edges[0], edges[-1]), bins=edges)
    ax.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=category_color(6), alpha=0.75, lw=0)
    color = category_color(1)
    ax.axvline(value, color=color, linewidth=1.8)
    top = max(float(counts.max()), 1.0) * 1.32
    ax.set_ylim(0, top)
    ax.set_xlim(low - 0.12 * room, high + 0.12 * room)
    middle = float(null.mean())
    right = value >= (low + high) / 2
    ax.annotate(
        f"true labels {value:.3g}{unit}",
        (value, 0.98 * top),
        (-4 if right else 4, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top",
        fontsize=8.5,
        color=INK,
    )
    far = abs(middle - value) > 0.25 * room
    ax.annotate(
        f"shuffled {middle:.3g}{unit}",
        (middle if far else (low if right else high), 0.86 * top),
        (0, 0),
        textcoords="offset points",
        ha=("left" if middle < (low + high) / 2 else "right"),
        va="top",
        fontsize=8.5,
        color=MUTED,
    )
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
