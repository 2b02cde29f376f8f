"""Displays of more than two classes: the tree of the classes and the patterns they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import dendrogram

from wavelens.patterns import ClassMatrices, PatternAnalysis
from wavelens.plotting._style import (
    INK,
    MAGNITUDE,
    MUTED,
    Display,
    category_color,
    finish_axes,
    names_of,
    plain,
    shorten,
)

__all__ = ["ClassTreeDisplay", "SharedPatternsDisplay"]

_names_at_most = 60


@dataclass
class ClassTreeDisplay(Display):
    """The classes as a tree: those that join further to the left are more alike.

    Attributes
    ----------
    linkage : array of shape (n_classes - 1, 4)
        As SciPy writes it; heights are 1 − mean similarity.
    class_names : tuple of str
        In the order of the classes.
    order : array of int, shape (n_classes,)
        Places of the classes from top to bottom.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import ClassTreeDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> len(ClassTreeDisplay.from_analysis(analysis).plot().order)
    10
    """

    linkage: npt.NDArray[np.float64]
    class_names: tuple[str, ...]
    order: npt.NDArray[np.intp]

    @classmethod
    def from_analysis(
        cls,
        analysis: PatternAnalysis,
        *,
        class_names: Sequence[str] | None = None,
        matrices: ClassMatrices | None = None,
    ) -> Self:
        """Collect the data of a fitted analysis; integer labels are places in `class_names`."""
        tree = (matrices or analysis.class_matrices()).linkage()
        order = np.array(_drawn(tree)["leaves"], dtype=np.intp)
        return cls(tree, names_of(analysis.classes_, class_names), order)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        n = len(self.class_names)
        ax = self._begin(ax, (7.4, 1.2 + min(0.24 * n, 12)))
        drawn = _drawn(self.linkage)
        lowest = float(self.linkage[:, 2].min())
        highest = float(self.linkage[:, 2].max())
        # Even the most similar classes differ: leaves begin shortly before the first join, not at 0.
        start = max(0.0, lowest - 0.12 * (highest - lowest or lowest or 1.0))
        for heights, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
            rows = [(place - 5) / 10 for place in places]
            ax.plot([max(h, start) for h in heights], rows, color=category_color(0), linewidth=1.5)
        finish_axes(
            ax,
            title="Which classes are alike",
            x="1 − mean similarity of the images of two classes",
            grid="x",
        )
        step = -(-n // _names_at_most)
        names = [plain(shorten(self.class_names[i], 24)) for i in self.order]
        ax.set_yticks(range(0, n, step), names[::step])
        ax.set_ylim(n - 0.4, -0.6)
        ax.set_xlim(start, highest + 0.03 * (highest - start or 1.0))
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        return self


@dataclass
class SharedPatternsDisplay(Display):
    """How many patterns each two classes share, and how many each has to itself.

    Attributes
    ----------
    shared : array of int, shape (n_classes, n_classes)
        In drawing order; the diagonal says how many patterns the class holds.
    own : array of int, shape (n_classes,)
    order : array of int, shape (n_classes,)
        Places of the rows in `classes_`.
    class_names : tuple of str
        In drawing order.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import SharedPatternsDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> SharedPatternsDisplay.from_analysis(analysis).plot().shared.shape
    (10, 10)
    """

    shared: npt.NDArray[np.intp]
    own: npt.NDArray[np.intp]
    order: npt.NDArray[np.intp]
    class_names: tuple[str, ...]

    @classmethod
    def from_analysis(
        cls,
        analysis: PatternAnalysis,
        *,
        class_names: Sequence[str] | None = None,
        matrices: ClassMatrices | None = None,
    ) -> Self:
        """Collect the data of a fitted analysis; integer labels are places in `class_names`."""
        found = matrices or analysis.class_matrices()
        order = np.array(_drawn(found.linkage())["leaves"], dtype=np.intp)
        names = names_of(analysis.classes_, class_names)
        return cls(
            found.shared[np.ix_(order, order)], found.own[order], order, tuple(names[i] for i in order)
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        n = len(self.shared)
        side = float(np.clip(0.46 * n, 1.8, 9.0))
        ax = self._begin(ax, (side + 2.0, side + 1.2), fixed_aspect=True)
        outside = self.shared[~np.eye(n, dtype=bool)]
        low, high = float(outside.min()), float(max(outside.max(), outside.min() + 1))
        shown = np.ma.array(self.shared, mask=np.eye(n, dtype=bool))
        drawn = ax.imshow(shown, cmap=MAGNITUDE, vmin=low, vmax=high, interpolation="nearest")
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.03, ticks=MaxNLocator(6, integer=True))
        bar.set_label("patterns that both hold", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=MUTED)
        bar.outline.set_visible(False)
        if n <= 15:
            for (i, j), value in np.ndenumerate(self.shared):
                color = INK if i == j else "white" if value < (low + high) / 2 else "black"
                text = f"{self.own[i]}" if i == j else f"{value}"
                bold: Any = {"fontweight": "bold"} if i == j else {}
                ax.text(j, i, text, ha="center", va="center", fontsize=8, color=color, **bold)
        finish_axes(ax, title="Patterns that classes share", x="class", y="class")
        step = -(-n // 40)
        labels = [plain(shorten(name, 16)) for name in self.class_names[::step]]
        upright = max(map(len, labels)) > 3
        ax.set_xticks(
            range(0, n, step), labels, rotation=45 if upright else 0, ha="right" if upright else "center"
        )
        ax.set_yticks(range(0, n, step), labels)
        return self


def _drawn(tree: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return SciPy's dendrogram as lines and leaves, without drawing."""
    found: dict[str, Any] = dendrogram(tree, no_plot=True)
    return found
