"""The Display of a layer's singular values beside those of random matrices of its shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from wavelens.plotting._style import INK, Display, category_color, finish_axes, legend, plain
from wavelens.spaces import SignalSpaces, SpectrumAgainstChance

__all__ = ["LayerSpectrumDisplay"]

Float64Array = npt.NDArray[np.float64]
# Spectra so many times as high as chance are drawn by powers of ten; values of this share of the largest are zero.
_OFTEN, _FAINT = 4.0, 1e-6


@dataclass
class LayerSpectrumDisplay(Display):
    """Singular values of a layer, and the band in which those of random matrices lie.

    Attributes
    ----------
    singular_values : array of shape (k,)
        Descending.
    low, middle, high : array of shape (k,)
        Of random matrices: 95 of 100 lie between `low` and `high`.
    marchenko_pastur : tuple of float
        Between these lie the singular values of large random matrices.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import LayerSpectrumDisplay
    >>> from wavelens.spaces import SignalSpaces
    >>> layer = SignalSpaces(np.random.default_rng(0).normal(size=(10, 64)))
    >>> LayerSpectrumDisplay.from_spaces(layer).plot().ax_.get_xlabel()
    'direction, the strongest first'
    """

    singular_values: Float64Array
    low: Float64Array
    middle: Float64Array
    high: Float64Array
    marchenko_pastur: tuple[float, float]
    title: str = "Singular values, and what chance gives"

    @classmethod
    def from_spaces(
        cls, spaces: SignalSpaces, *, title: str = "Singular values, and what chance gives"
    ) -> Self:
        """Collect the data of a layer; draws random matrices of its shape."""
        return cls.from_comparison(spaces.against_chance(), title=title)

    @classmethod
    def from_comparison(
        cls, found: SpectrumAgainstChance, *, title: str = "Singular values, and what chance gives"
    ) -> Self:
        """Collect the data of what `against_chance` returned."""
        return cls(found.singular_values, found.low, found.middle, found.high, found.marchenko_pastur, title)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        ax = self._begin(ax, (7.4, 3.2))
        place = np.arange(1, len(self.singular_values) + 1)
        names = ["chance, 95 of 100", "chance, median", "this layer", "chance, large matrices"]
        color = category_color(1)
        few = len(place) <= 40
        if len(place) > 1:
            ax.fill_between(place, self.low, self.high, color="#b9c4d2", linewidth=0, label="band")
        else:
            ax.plot(
                [1, 1],
                [self.low[0], self.high[0]],
                color="#b9c4d2",
                linewidth=6,
                solid_capstyle="butt",
                label="band",
            )
        ax.plot(place, self.middle, color="#5b6470", linewidth=1.0, linestyle=(0, (4, 2)), label="median")
        ax.plot(
            place,
            self.singular_values,
            color=color,
            linewidth=0.8 if few else 1.5,
            marker="o" if few else "",
            markersize=4.5,
            label="layer",
        )
        for i, edge in enumerate(self.marchenko_pastur[::-1]):
            ax.axhline(
                edge, color=category_color(0), linewidth=0.9, linestyle=":", label="_" if i else "edges"
            )
        label = "singular value" + self._scale(ax)
        ax.set_xlim(0.5, len(place) + 0.5)
        finish_axes(ax, title=plain(self.title), x="direction, the strongest first", y=label, grid="y")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(ax, names, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return self

    def _scale(self, ax: Axes) -> str:
        """Set the vertical axis, by powers of ten where the band of chance would else be a line; return the words."""
        largest = float(max(self.singular_values.max(), self.high.max(), self.marchenko_pastur[1]))
        if not 0 < _OFTEN * self.high.max() < self.singular_values.max():
            ax.set_ylim(0, 1.06 * largest if largest > 0 else 1.0)
            return ""
        shown = self.singular_values[self.singular_values > _FAINT * largest]
        band = self.low[self.low > _FAINT * largest]
        bottom = 0.6 * float(min([shown.min(), *band[-1:]]))
        ax.set_yscale("log")
        ax.set_ylim(bottom, 2 * largest)
        below = len(self.singular_values) - len(shown)
        if below:
            words = f"{below} {'value lies' if below == 1 else 'values lie'} below: zero, or next to it"
            ax.text(0.98, 0.92, words, transform=ax.transAxes, fontsize=8, color=INK, ha="right", va="top")
        return ", powers of ten"
