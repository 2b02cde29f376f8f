"""Displays that set wavelets against pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from wavelens._arguments import FloatArray
from wavelens.patterns import BasisComparison
from wavelens.plotting._style import INK, MUTED, Display, category_color, finish_axes, legend, new_figure

__all__ = ["BasisComparisonDisplay"]

_titles = {
    "chosen": "Of the chosen coefficients",
    "image": "Of the whole image",
    "completed": "Of the whole image, the rest given",
}
_names = ("wavelets", "pixels")


@dataclass
class BasisComparisonDisplay(Display):
    """What is still missing of images rebuilt from patterns, in wavelets and in pixels.

    Attributes
    ----------
    n_patterns : pair of arrays of int
        For wavelets and for pixels.
    curves : dict of pair of arrays of shape (3, q)
        Lower quartile, median and upper quartile over the images, for "chosen", "image" and "completed" (see
        `BasisResult`).
    axes_ : tuple of Axes
        One for each of the three, after `plot`; `ax_` is the first.
    figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis, compare_bases
    >>> from wavelens.plotting import BasisComparisonDisplay
    >>> digits = load_digits(n_class=3)
    >>> comparison = compare_bases(digits.images, digits.target, PatternAnalysis(n_coefficients=20))
    >>> display = BasisComparisonDisplay.from_comparison(comparison).plot()
    >>> len(display.axes_)
    3
    """

    n_patterns: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
    curves: dict[str, tuple[FloatArray, FloatArray]]
    axes_: tuple[Axes, ...] = ()

    @classmethod
    def from_comparison(cls, comparison: BasisComparison) -> Self:
        """Collect the data of a comparison."""
        sides = (comparison.wavelet, comparison.pixel)
        curves = {}
        for of in _titles:
            first, second = (np.quantile(getattr(side, of), [0.25, 0.5, 0.75], axis=0) for side in sides)
            curves[of] = (first, second)
        return cls((sides[0].n_patterns, sides[1].n_patterns), curves)

    def plot(self, ax: tuple[Axes, Axes, Axes] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else three axes are needed."""
        if ax is None:
            ax = tuple(new_figure((9.6, 3.1)).subplots(1, 3, sharex=True, sharey=True))
        self.axes_ = tuple(ax)
        for place, (axes, (of, title)) in enumerate(zip(self.axes_, _titles.items(), strict=True)):
            self._draw(axes, of)
            finish_axes(
                axes,
                title=title,
                x="number of patterns used",
                y="" if place else "missing share",
                grid="both",
            )
        self._begin(self.axes_[0])
        legend(self.axes_[0], _names, loc="upper right", handlelength=1.4)
        return self

    def _draw(self, ax: Axes, of: str) -> None:
        for i, style in enumerate(("-", (0, (5, 1.5)))):
            low, middle, high = self.curves[of][i]
            counts = self.n_patterns[i]
            ax.fill_between(counts, low, high, color=category_color(i), alpha=0.18, linewidth=0)
            ax.plot(counts, middle, color=category_color(i), linewidth=1.8, linestyle=style, label=_names[i])
        for residual in (0.1, 0.05):
            ax.axhline(residual, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        most = max(int(counts[-1]) for counts in self.n_patterns)
        ax.text(most, 0.11, "10%", ha="right", va="bottom", fontsize=7.5, color=INK)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_ylim(0, 1.03)
        ax.set_xlim(0, 1.02 * most)
