"""Displays of a factorization beside its graph: errors, the reordered matrix, and the agglomerative baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage

from wavelens.hierarchy import MMF, MMFGraph, class_linkage
from wavelens.plotting._style import (
    INK,
    MAGNITUDE,
    MUTED,
    SIGNED,
    Display,
    category_color,
    finish_axes,
    legend,
    new_figure,
    plain,
    shorten,
)

__all__ = ["DendrogramDisplay", "LevelErrorDisplay", "ReorderedMatrixDisplay"]

_names_at_most = 60

Float64Array = npt.NDArray[np.float64]


@dataclass
class LevelErrorDisplay(Display):
    """What each level of a factorization loses, and what the levels have lost together.

    Attributes
    ----------
    levels : array of int, shape (n_levels,)
    shares : array of shape (n_levels,)
        What a level adds to ‖C − M‖², as a share of ‖C‖².
    new_classes : array of int, shape (n_levels,)
        How many classes enter at the level.
    axes_ : tuple of Axes
        Each level, and all so far, after `plot`; `ax_` is the first.
    figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import mmf
    >>> from wavelens.plotting import LevelErrorDisplay
    >>> x = np.linspace(0, 1, 30)
    >>> factors = mmf(np.exp(-0.5 * (x[:, None] - x) ** 2 / 0.2**2))
    >>> display = LevelErrorDisplay.from_graph(factors.graph()).plot()
    >>> bool(np.isclose(display.shares.sum(), factors.relative_error**2))
    True
    """

    levels: npt.NDArray[np.intp]
    shares: Float64Array
    new_classes: npt.NDArray[np.intp]
    axes_: tuple[Axes, ...] = ()

    @classmethod
    def from_graph(cls, graph: MMFGraph) -> Self:
        """Collect the errors of the levels of a graph."""
        return cls(graph.levels, graph.error_shares, (graph.hangs_on == 0).sum(axis=1))

    @classmethod
    def from_mmf(cls, mmf: MMF) -> Self:
        """Collect the errors of a factorization."""
        return cls.from_graph(mmf.graph())

    def plot(self, ax: tuple[Axes, Axes] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else two axes are needed."""
        if ax is None:
            ax = tuple(new_figure((9.6, 3.1)).subplots(1, 2, sharex=True))
        self.axes_ = tuple(ax)
        self._begin(self.axes_[0])
        some = len(self.levels) > 0
        edges = np.append(self.levels, self.levels[-1:] + 1) - 0.5 if some else np.array([0.5, 1.5])
        shares = self.shares if some else np.zeros(1)
        enters = np.where(self.new_classes > 0, shares, 0) if some else shares
        first, second = self.axes_
        names = ["classes enter", "no class enters"]
        first.stairs(enters, edges, fill=True, color=category_color(0), label="a", zorder=2)
        first.stairs(shares, edges, fill=True, color=category_color(3), label="b", zorder=1)
        total = np.cumsum(shares)
        second.step(edges, np.append(0.0, total), where="pre", color=category_color(1), linewidth=1.8)
        for axes, top, title in (
            (first, float(shares.max()), "What each level loses"),
            (second, float(total[-1]), "What all levels so far lose"),
        ):
            finish_axes(axes, title=title, x="level", y="share of the squared norm", grid="y")
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=_decimals(top)))
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            axes.set_ylim(0, top * 1.06 if top > 0 else 1)
            axes.set_xlim(edges[0] - 0.1, edges[-1] + 0.1)
        if (self.new_classes == 0).any():
            legend(first, names, loc="best", handlelength=1.2)
        return self


@dataclass
class ReorderedMatrixDisplay(Display):
    """A matrix as it is and in the order of its hierarchy: what composes early lies together, groups by likeness.

    Attributes
    ----------
    matrix : array of shape (m, m)
        As it is.
    order : array of int, shape (m,)
        Rows from top to bottom on the right.
    names : tuple of str
        Of the rows as they are.
    axes_ : tuple of Axes
        Before and after, after `plot`; `ax_` is the first.
    figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import mmf
    >>> from wavelens.plotting import ReorderedMatrixDisplay
    >>> group = np.arange(12) % 3
    >>> factors = mmf((group[:, None] == group) + np.eye(12))
    >>> display = ReorderedMatrixDisplay.from_mmf(factors).plot()
    >>> len(display.axes_)
    2
    """

    matrix: Float64Array
    order: npt.NDArray[np.intp]
    names: tuple[str, ...]
    axes_: tuple[Axes, ...] = ()

    @classmethod
    def from_mmf(
        cls, mmf: MMF, names: Sequence[object] | None = None, *, matrix: npt.ArrayLike | None = None
    ) -> Self:
        """Take the order from the graph of a factorization.

        Parameters
        ----------
        mmf : MMF
        names : sequence of names or None, default None
            Of the rows; their numbers by default.
        matrix : (m, m) array_like or None, default None
            The factorization's own by default; without one, what it stands for.
        """
        graph = mmf.graph(names)
        if matrix is None:
            matrix = mmf.reconstruct() if mmf.matrix is None else mmf.matrix
        return cls.from_graph(graph, matrix)

    @classmethod
    def from_graph(cls, graph: MMFGraph, matrix: npt.ArrayLike) -> Self:
        """Take the order from a graph."""
        values = np.asarray(matrix, dtype=np.float64)
        m = graph.n_classes
        if values.shape != (m, m):
            raise ValueError(f"`matrix` must have shape ({m}, {m}), got {values.shape}")
        similarity = values if graph.n_nodes == m else None
        rows = [row for node in graph.leaf_order(similarity=similarity) for row in graph.nodes[node]]
        return cls(values, np.array(rows, dtype=np.intp), tuple(map(str, graph.names)))

    def plot(self, ax: tuple[Axes, Axes] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else two axes are needed."""
        m = len(self.matrix)
        if ax is None:
            named = m <= _names_at_most
            side = float(np.clip(0.17 * m, 2.2, 3.6)) if named else 4.2
            ax = tuple(new_figure((10.8 if m > 6 else 8.0, side + 1.4), fixed_aspect=True).subplots(1, 2))
        self.axes_ = tuple(ax)
        self._begin(self.axes_[0])
        limits, colors = _matrix_colors(self.matrix)
        titles = ("As it is", "What composes early, together")
        for axes, rows, title in zip(self.axes_, (np.arange(m), self.order), titles, strict=True):
            drawn = axes.imshow(
                self.matrix[np.ix_(rows, rows)],
                cmap=colors,
                vmin=limits[0],
                vmax=limits[1],
                interpolation="nearest" if m <= 300 else "antialiased",
            )
            finish_axes(axes, title=title)
            if m <= _names_at_most:
                size = _row_size(axes, m)
                step = 1 if size >= 8.5 else int(np.ceil(8.5 / size))
                axes.set_yticks(range(0, m, step), [plain(shorten(self.names[i], 20)) for i in rows[::step]])
                axes.set_xticks([])
                axes.tick_params(axis="y", length=0, labelsize=7.0 if m > 20 else 8.0)
            else:
                axes.set_xlabel(f"{m:,} classes", fontsize=9, color=INK)
                axes.set_xticks([])
                axes.set_yticks([])
        bar = self.axes_[1].figure.colorbar(drawn, ax=self.axes_[1], fraction=0.046, pad=0.03, extend="both")
        bar.set_label("entry of the matrix", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=MUTED)
        bar.outline.set_visible(False)
        return self


@dataclass
class DendrogramDisplay(Display):
    """Agglomerative clustering of the same classes, the baseline beside an MMF graph.

    Attributes
    ----------
    linkage : array of shape (n_classes - 1, 4)
        As SciPy writes it.
    names : tuple of str
    entry_levels : array of int, shape (n_classes,), or None
        Levels of the MMF graph at which the classes enter, shown beside their names; 0 for never.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import DendrogramDisplay
    >>> means = np.array([[0.0, 1.0], [0.1, 1.0], [5.0, 0.0]])
    >>> display = DendrogramDisplay.from_means(means, ["cat", "dog", "car"]).plot()
    >>> display.linkage.shape
    (2, 4)
    """

    linkage: Float64Array
    names: tuple[str, ...]
    entry_levels: npt.NDArray[np.intp] | None = None

    @classmethod
    def from_linkage(
        cls,
        linkage: npt.ArrayLike,
        names: Sequence[object] | None = None,
        *,
        graph: MMFGraph | None = None,
    ) -> Self:
        """Take a tree as SciPy writes it.

        Parameters
        ----------
        linkage : (n_classes - 1, 4) array_like
        names : sequence of names or None, default None
            Those of the graph, or numbers, by default.
        graph : MMFGraph or None, default None
            Of the same classes, not collapsed; tells the levels at which they enter.
        """
        tree = np.asarray(linkage, dtype=np.float64)
        is_valid_linkage(tree, throw=True, name="`linkage`")
        n = len(tree) + 1
        if graph is not None and graph.n_nodes != n:
            raise ValueError(f"`graph` must have a node for each of the {n} classes, got {graph.n_nodes}")
        if names is None:
            names = range(n) if graph is None else graph.names
        if len(names) != n:
            raise ValueError(f"`names` must hold a name for each of the {n} classes, got {len(names)}")
        return cls(tree, tuple(map(str, names)), None if graph is None else graph.entry_levels)

    @classmethod
    def from_covariance(
        cls,
        covariance: npt.ArrayLike,
        names: Sequence[object] | None = None,
        *,
        graph: MMFGraph | None = None,
        method: Literal[
            "single", "complete", "average", "weighted", "centroid", "median", "ward"
        ] = "average",
        metric: Literal["euclidean", "cosine"] = "euclidean",
    ) -> Self:
        """Cluster by the distances that inner products give; `method` and `metric` as in `class_linkage`."""
        return cls.from_linkage(class_linkage(covariance, method=method, metric=metric), names, graph=graph)

    @classmethod
    def from_means(
        cls,
        means: npt.ArrayLike,
        names: Sequence[object] | None = None,
        *,
        graph: MMFGraph | None = None,
        method: Literal[
            "single", "complete", "average", "weighted", "centroid", "median", "ward"
        ] = "average",
        metric: Literal["euclidean", "cosine"] = "euclidean",
    ) -> Self:
        """Cluster mean representations, one a row (n_classes, d); the rest as `from_covariance`."""
        rows = np.asarray(means, dtype=np.float64)
        if rows.ndim != 2:
            raise ValueError(f"`means` must have shape (n_classes, d), got {rows.shape}")
        return cls.from_covariance(rows @ rows.T, names, graph=graph, method=method, metric=metric)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        n = len(self.names)
        ax = self._begin(ax, (7.4, 1.3 + 0.22 * min(n, 40) + 0.15 * min(max(n - 40, 0), 60)))
        drawn: dict[str, Any] = dendrogram(self.linkage, no_plot=True)
        lowest, highest = float(self.linkage[:, 2].min()), float(self.linkage[:, 2].max())
        # Leaves begin shortly before the first join, not at 0, which would leave the joins little room.
        start = max(0.0, lowest - 0.12 * (highest - lowest or lowest or 1.0))
        for heights, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
            shown = [max(height, start) for height in heights]
            ax.plot(shown, [(place - 5) / 10 for place in places], color=category_color(0), linewidth=1.4)
        ax.set_ylim(n - 0.4, -0.6)
        ax.set_xlim(highest + 0.03 * (highest - start or 1.0), start)
        finish_axes(
            ax,
            title="Agglomerative clustering of the same classes",
            x="distance at which they join",
            grid="x",
        )
        leaves = drawn["leaves"]
        step = max(1, int(np.ceil(8.5 / _row_size(ax, n))))
        ax.yaxis.tick_right()
        if step <= 2:
            ax.set_yticks(range(0, n, step), [self._leaf(i) for i in leaves[::step]])
        else:
            ax.set_yticks([])
            ax.set_ylabel(f"{n:,} classes", fontsize=9, color=INK)
        ax.tick_params(axis="y", length=0, labelsize=8.5 if _row_size(ax, n) > 12 else 7.0)
        ax.spines["left"].set_visible(False)
        if self.entry_levels is not None and step <= 2:
            ax.set_xlabel(
                "distance at which they join        (ℓ: level at which MMF takes the class)", fontsize=9
            )
        return self

    def _leaf(self, i: int) -> str:
        name = plain(shorten(self.names[i], 24))
        if self.entry_levels is None:
            return name
        return f"{name}  (ℓ = {self.entry_levels[i]})" if self.entry_levels[i] else f"{name}  (–)"


def _decimals(top: float) -> int:
    return max(0, int(np.ceil(-np.log10(top * 20))) if top > 0 else 0)


def _row_size(ax: Axes, n: int) -> float:
    """Return the height of a row of `n` in points."""
    figure = ax.get_figure(root=True)
    dpi = 72.0 if figure is None else figure.dpi
    return ax.get_window_extent().height * 72 / dpi / n


def _matrix_colors(matrix: Float64Array) -> tuple[tuple[float, float], str]:
    """Return the range and the colours: signed around 0 if the matrix has both signs."""
    off = matrix[~np.eye(len(matrix), dtype=bool)] if len(matrix) > 1 else matrix.ravel()
    if off.min() < 0 < off.max():
        reach = float(np.quantile(np.abs(off), 0.995)) or 1.0
        return (-reach, reach), SIGNED
    low, high = np.quantile(off, [0.005, 0.995])
    return (float(low), float(high) if high > low else float(low) + 1.0), MAGNITUDE
