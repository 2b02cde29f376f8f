"""The Display of an evaluation: its curves, and its table below them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from wavelens.explain import Evaluation
from wavelens.plotting._style import (
    GRID,
    INK,
    MUTED,
    Display,
    category_color,
    finish_axes,
    legend,
    new_figure,
    plain,
    shorten,
)

__all__ = ["EvaluationDisplay"]

Float64Array = npt.NDArray[np.float64]

_panels = (
    ("rate_distortion", "Keep the most relevant, rest noise", "distortion", "lower is better"),
    ("insertion", "Put in the most relevant", "probability", "higher is better"),
    ("deletion", "Take out the most relevant", "probability", "lower is better"),
)
_styles = ("-", "-", (0, (5, 2)), (0, (2, 1.4)), (0, (6, 2, 1.5, 2)), (0, (1, 1.2)), "-")


@dataclass
class EvaluationDisplay(Display):
    """Curves of explanations and baselines, and the table of all measures.

    Attributes
    ----------
    methods : tuple of str
    curves : dict of str to pair of array
        Shares (n_shares,), and means over the images (n_methods, n_shares).
    measures : tuple of str
        With an arrow in the direction that is better.
    cells : tuple of tuple of str
        One line a measure, one cell a method.
    best : tuple of int or None
        Which method is best, for each measure.
    title : str
    axes_ : tuple of Axes
        The three curves and the table, after `plot`; `ax_` is the first.
    figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import EvaluationDisplay
    >>> line = (np.array([0.0, 1.0]), np.array([[1.0, 0.0]]))
    >>> display = EvaluationDisplay(
    ...     ("CartoonX",),
    ...     {"rate_distortion": line, "insertion": line, "deletion": line},
    ...     ("rate ↓",),
    ...     (("0.1",),),
    ...     (None,),
    ... )
    >>> len(display.plot().axes_)
    4
    """

    methods: tuple[str, ...]
    curves: Mapping[str, tuple[Float64Array, Float64Array]]
    measures: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    best: tuple[int | None, ...]
    title: str = "How far to trust the explanations"
    axes_: tuple[Axes, ...] = ()

    @classmethod
    def from_evaluation(cls, evaluation: Evaluation, *, title: str | None = None) -> Self:
        """Collect the data of what `evaluate` returned."""
        table = evaluation.cells()
        best = [evaluation.best(column.key) for column in evaluation.columns]
        n = len(evaluation.targets)
        if title is None:
            title = f"How far to trust the explanations ({'1 image' if n == 1 else f'{n:,} images'})"
        return cls(
            evaluation.rows,
            {name: (curve.shares, curve.mean) for name, curve in evaluation.curves.items()},
            tuple(table[0][1:]),
            tuple(tuple(line[i] for line in table[1:]) for i in range(1, len(table[0]))),
            tuple(None if each is None else evaluation.rows.index(each) for each in best),
            title,
        )

    def plot(self, ax: tuple[Axes, ...] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else four axes are needed: three curves and the table."""
        if ax is None:
            width = float(np.clip(3.2 + 1.15 * len(self.methods), 8.6, 11.0))
            table = 0.27 * (len(self.measures) + 1.5) + 0.35
            figure = new_figure((width, 3.3 + table))
            grid = figure.add_gridspec(2, 3, height_ratios=(3.3, table))
            ax = (*(figure.add_subplot(grid[0, i]) for i in range(3)), figure.add_subplot(grid[1, :]))
        self.axes_ = tuple(ax)
        self._begin(self.axes_[0])
        for place, (name, title, quantity, better) in zip(self.axes_[:3], _panels, strict=True):
            self._draw_curves(place, name, quantity)
            finish_axes(
                place, title=title, x="share kept" if name != "deletion" else "share taken out", grid="both"
            )
            place.set_ylabel(f"{quantity} ({better})", fontsize=9, color=INK)
        legend(self.axes_[0], self.methods, loc="best")
        for text in self.axes_[0].get_legend().get_texts():  # type: ignore[union-attr]
            text.set_fontsize(7.5)
        self._draw_table(self.axes_[3])
        return self

    def _draw_curves(self, ax: Axes, name: str, quantity: str) -> None:
        shares, means = self.curves[name]
        for i, curve in enumerate(means):
            ax.plot(
                shares,
                curve,
                color=category_color(i),
                linestyle=_styles[i % len(_styles)],
                linewidth=2.0 if i == 0 else 1.4,
                marker="o",
                markersize=2.4,
                zorder=3 if i == 0 else 2,
                label=str(i),
            )
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
        ax.set_xlim(0, 1)
        top = float(np.nanmax(means)) if np.isfinite(means).any() else 1.0
        ax.set_ylim(0, 1.0 if quantity == "probability" else 1.05 * max(top, 1e-9))

    def _draw_table(self, ax: Axes) -> None:
        rows, columns = len(self.measures), len(self.methods)
        first = max(0.9, 0.3 * columns) if columns < 5 else 1.55
        for j, method in enumerate(self.methods):
            words = "\n".join(map(plain, wrap(shorten(method, 26), 14)))
            ax.text(
                first + j + 0.95, 0.4, words, ha="right", va="center", fontsize=8, color=INK, weight="bold"
            )
        for i, measure in enumerate(self.measures):
            y = i + 1.5
            ax.axhline(i + 1, color=GRID, linewidth=0.6)
            ax.text(0.0, y, plain(measure), ha="left", va="center", fontsize=8, color=INK)
            for j, cell in enumerate(self.cells[i]):
                best = self.best[i] == j
                ax.text(
                    first + j + 0.95,
                    y,
                    cell,
                    ha="right",
                    va="center",
                    fontsize=8,
                    color=category_color(0) if best else INK,
                    weight="bold" if best else "normal",
                )
        ax.set_xlim(0, first + columns)
        ax.set_ylim(rows + 1, -0.5)
        finish_axes(ax, title=plain(self.title))
        ax.set_xlabel(
            "mean ± half the interval over images; blue: the best; ↑ higher is better, ↓ lower is better",
            fontsize=8,
            color=MUTED,
            loc="left",
        )
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_visible(False)
