"""The Display of how much of the images' energy each layer of a network rejects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from wavelens.plotting._style import (
    INK,
    MUTED,
    N_COLORS,
    Display,
    category_color,
    finish_axes,
    names_of,
    plain,
    shorten,
)
from wavelens.spaces import EnergyFlow

__all__ = ["EnergyFlowDisplay"]

Float64Array = npt.NDArray[np.float64]


@dataclass
class EnergyFlowDisplay(Display):
    """For each layer the share of the energy that enters it and is rejected, beside what chance rejects.

    Attributes
    ----------
    layers : tuple of str
        The first layer first.
    rejected : array of shape (n_layers, n_classes)
        Mean share of each class.
    overall : array of shape (n_layers,)
        Over all images.
    interval : array of shape (n_layers, 2)
        Of `overall`, 95 %.
    chance, chance_spread : array of shape (n_layers,)
        What random spaces of the same dimension would reject, and the standard deviation of it.
    class_names : tuple of str
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import EnergyFlowDisplay
    >>> from wavelens.spaces import NetworkSpaces
    >>> rng = np.random.default_rng(0)
    >>> network = NetworkSpaces.from_arrays([rng.normal(size=(4, 9)), rng.normal(size=(2, 4))])
    >>> flow = network.energy_flow(rng.normal(size=(50, 9)))
    >>> EnergyFlowDisplay.from_flow(flow).plot().ax_.get_xlabel()
    'rejected share of the energy that enters'
    """

    layers: tuple[str, ...]
    rejected: Float64Array
    overall: Float64Array
    interval: Float64Array
    chance: Float64Array
    chance_spread: Float64Array
    class_names: tuple[str, ...]
    title: str = "What each layer rejects"

    @classmethod
    def from_flow(
        cls,
        flow: EnergyFlow,
        *,
        class_names: Sequence[str] | None = None,
        title: str = "What each layer rejects",
    ) -> Self:
        """Collect the data of what `NetworkSpaces.energy_flow` returned."""
        return cls(
            flow.layers,
            flow.rejected,
            flow.overall,
            flow.overall_interval,
            flow.chance,
            flow.chance_spread,
            names_of(np.array(flow.classes), class_names),
            title,
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw one line a layer, from top to bottom; `ax=None` makes a figure of its own."""
        n, n_classes = self.rejected.shape
        ax = self._begin(ax, (8.4, float(np.clip(0.27 * n + 1.5, 2.4, 16.0))))
        y = np.arange(n)
        low = np.clip(self.chance - 2 * self.chance_spread, 0, 1)
        high = np.clip(self.chance + 2 * self.chance_spread, 0, 1)
        ax.barh(y, high - low, left=low, height=0.62, color="#cfd7e2", zorder=1)
        ax.plot(self.chance, y, linestyle="", marker="|", markersize=9, color=MUTED, zorder=2)
        handles: list[Line2D | Patch] = [Patch(color="#cfd7e2")]
        names = ["chance ± 2 deviations"]
        if n_classes > 1:
            named = n_classes <= N_COLORS
            for c in range(n_classes):
                color = category_color(c) if named else "#8c8c8c"
                ax.plot(
                    self.rejected[:, c],
                    y,
                    linestyle="",
                    marker="o",
                    markersize=4,
                    color=color,
                    alpha=0.85,
                    zorder=3,
                )
                if named or c == 0:
                    handles.append(Line2D([], [], linestyle="", marker="o", markersize=4, color=color))
                    names.append(self.class_names[c] if named else f"each of {n_classes} classes")
        known = np.isfinite(self.interval[:, 0])
        ax.hlines(y[known], *self.interval[known].T, color=INK, linewidth=1.4, zorder=4)
        ax.plot(self.overall, y, linestyle="", marker="D", markersize=5, color=INK, zorder=5)
        handles.append(Line2D([], [], marker="D", markersize=5, color=INK, linewidth=1.4))
        names.append("all images, 95 % interval")
        ax.set_ylim(n - 0.4, -0.6)
        ax.set_xlim(-0.01, 1.0)
        finish_axes(ax, title=plain(self.title), x="rejected share of the energy that enters", grid="x")
        ax.set_yticks(y, [plain(shorten(name, 30)) for name in self.layers])
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        _legend(ax, handles, names)
        return self


def _legend(ax: Axes, handles: Sequence[Line2D | Patch], names: Sequence[str]) -> None:
    """Put the legend beside the axes, where it covers no layer."""
    found = ax.legend(
        list(handles),
        [plain(shorten(name, 36)) for name in names],
        frameon=False,
        fontsize=9.0,
        labelcolor=INK,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        handletextpad=0.5,
    )
    found.set_zorder(6)
