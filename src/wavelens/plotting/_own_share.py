"""The Display of what each class has of its own: what others leave of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from wavelens.plotting._style import INK, Display, category_color, finish_axes, legend, plain, shorten

__all__ = ["OwnShareDisplay"]

_most = 30


@dataclass
class OwnShareDisplay(Display):
    """What cannot be composed of other classes, the classes that stand apart most on top.

    Attributes
    ----------
    names : tuple of str
    few : array of shape (n_classes,)
        Share that the best few others leave of a class.
    every : array of shape (n_classes,) or None
        Share that all others together leave; None to leave it out.
    n_few : int
        How many the few are.
    most : int
        Classes drawn at most: as many of the upper end as of the lower where there are more.
    drawn_ : array of int
        Their places, from top to bottom, after `plot`.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from wavelens.plotting import OwnShareDisplay
    >>> OwnShareDisplay(("cat", "dog", "car"), [0.1, 0.2, 0.6], [0.1, 0.1, 0.5], 2).plot().drawn_.tolist()
    [2, 1, 0]
    """

    names: Sequence[object]
    few: npt.NDArray[np.float64]
    every: npt.NDArray[np.float64] | None
    n_few: int
    most: int = _most

    def __post_init__(self) -> None:
        self.few = np.asarray(self.few, dtype=np.float64)
        if self.every is not None:
            self.every = np.asarray(self.every, dtype=np.float64)
        for name, values in (("few", self.few), ("every", self.every)):
            if values is not None and values.shape != (len(self.names),):
                raise ValueError(
                    f"`{name}` must hold one share for each of the {len(self.names)} names, got {values.shape}"
                )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        order = np.argsort(-self.few, kind="stable")
        n = len(order)
        half = self.most // 2
        cut = n > self.most
        drawn = np.concatenate([order[:half], order[n - half :]]) if cut else order
        ax = self._begin(ax, (7.4, 1.2 + 0.23 * len(drawn)))
        places = np.arange(len(drawn)) + (np.arange(len(drawn)) >= half) * 1.2 * cut
        ax.barh(places, self.few[drawn], height=0.68, color=category_color(5), label="a", zorder=2)
        names = [f"left by the best {self.n_few}" if self.n_few > 1 else "left by the best one"]
        if self.every is not None:
            ax.barh(places, self.every[drawn], height=0.68, color=category_color(0), label="b", zorder=3)
            names.append("left by all others")
        if cut:
            gap = f"… {n - len(drawn):,} classes between …"
            ax.text(0.003, half + 0.1, gap, fontsize=8.5, color=INK, va="center_baseline")
        ax.set_yticks(places, [plain(shorten(self.names[i], 26)) for i in drawn])
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(places[-1] + 0.7, -0.7)
        top = float(self.few.max())
        ax.set_xlim(0, min(1.0, 1.06 * top) if top > 0 else 1.0)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if top > 0.1 else None))
        finish_axes(ax, title="What other classes leave of a class", x="share of its energy", grid="x")
        ax.spines["left"].set_visible(False)
        # Beside the title, where no bar is.
        legend(ax, names, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, ncols=2)
        self.drawn_: npt.NDArray[np.intp] = drawn
        return self
