"""Displays of how alike images are, within a class and between classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from wavelens._arguments import FloatArray
from wavelens._mapped import picked_rows
from wavelens.linalg import gaussian_similarity
from wavelens.patterns import PatternAnalysis
from wavelens.plotting._style import (
    INK,
    MAGNITUDE,
    MUTED,
    Display,
    finish_axes,
    legend,
    names_of,
    pair_colors,
    plain,
    shorten,
)

__all__ = ["ClassSimilarityDisplay", "SimilarityDisplay", "SpectrumDisplay"]

# Optimal leaf ordering costs the cube of the number of leaves.
_most_optimally_ordered = 300


@dataclass
class SimilarityDisplay(Display):
    """Similarity of each two images of a class, ordered so that groups of like images lie together.

    Attributes
    ----------
    similarity : array of shape (n, n)
        In drawing order.
    indices : array of int, shape (n,)
        Places of the images in the data given to `fit`.
    n_members : int
        Images of the class; more than n if a sample is shown.
    class_name : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import SimilarityDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> display = SimilarityDisplay.from_analysis(analysis, 3, max_images=50).plot()
    >>> display.similarity.shape, display.n_members
    ((50, 50), 183)
    """

    similarity: FloatArray
    indices: npt.NDArray[np.intp]
    n_members: int
    class_name: str

    @classmethod
    def from_analysis(
        cls,
        analysis: PatternAnalysis,
        class_: object,
        *,
        class_names: Sequence[str] | None = None,
        max_images: int = 1000,
        random_state: int = 0,
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        analysis : PatternAnalysis
            Fitted.
        class_
            A label.
        class_names : sequence of str or None, default None
            Integer labels are places in it.
        max_images : int, default 1000
            Of a larger class a random sample is shown.
        random_state : int, default 0
            Seed of the sample.
        """
        own = np.flatnonzero(analysis.classes_ == class_)
        if len(own) != 1:
            known = ", ".join(map(str, analysis.classes_))
            raise ValueError(f"`class_` must be one of {known}, got {class_!r}")
        members = np.flatnonzero(analysis.labels_ == own[0])
        n_members = len(members)
        if n_members > max_images:
            chosen = np.random.default_rng(random_state).choice(n_members, max_images, replace=False)
            members = members[np.sort(chosen)]
        similarity = gaussian_similarity(
            picked_rows(analysis.embedding_, members), bandwidth=analysis.bandwidth_
        )
        order = cluster_order(similarity)
        name = names_of(analysis.classes_, class_names)[own[0]]
        return cls(similarity[np.ix_(order, order)], members[order], n_members, name)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        ax = self._begin(ax, (4.6, 4.1), fixed_aspect=True)
        n = len(self.similarity)
        off = self.similarity[~np.eye(n, dtype=bool)]
        # The ends may saturate: the diagonal and a few images unlike all others would flatten the rest.
        low, high = np.quantile(off, [0.01, 0.998]) if off.size else (0.0, 1.0)
        if high - low < 1e-6:
            low, high = 0.0, 1.0
        drawn = ax.imshow(
            self.similarity,
            cmap=MAGNITUDE,
            vmin=low,
            vmax=high,
            interpolation="nearest" if n <= 300 else "antialiased",
            extent=(0.5, n + 0.5, n + 0.5, 0.5),
        )
        bar = ax.figure.colorbar(
            drawn, ax=ax, fraction=0.046, pad=0.03, extend="both" if high < 1 else "neither"
        )
        bar.set_label("similarity (1: the same)", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=MUTED)
        bar.outline.set_visible(False)
        label = "images, like ones together"
        if self.n_members > n:
            label = f"{n:,} of {self.n_members:,} images, like ones together"
        finish_axes(ax, title=f"Images of {plain(shorten(self.class_name))}", x=label, y="the same images")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
        return self


@dataclass
class ClassSimilarityDisplay(Display):
    """Mean similarity of the images of each class to those of each other one.

    Attributes
    ----------
    similarity : array of shape (n_classes, n_classes)
        Symmetric, in drawing order: like classes lie together.
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
    >>> from wavelens.plotting import ClassSimilarityDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> ClassSimilarityDisplay.from_analysis(analysis).plot().similarity.shape
    (10, 10)
    """

    similarity: FloatArray
    order: npt.NDArray[np.intp]
    class_names: tuple[str, ...]

    @classmethod
    def from_analysis(cls, analysis: PatternAnalysis, *, class_names: Sequence[str] | None = None) -> Self:
        """Collect the data of a fitted analysis; integer labels are places in `class_names`."""
        to_classes = analysis.similarity_to_classes()
        n = len(analysis.classes_)
        mean = np.stack([to_classes[analysis.labels_ == i].mean(axis=0) for i in range(n)])
        mean = (mean + mean.T) / 2
        order = cluster_order(mean)
        names = names_of(analysis.classes_, class_names)
        return cls(mean[np.ix_(order, order)], order, tuple(names[i] for i in order))

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        n = len(self.similarity)
        side = float(np.clip(0.46 * n, 1.8, 9.0))
        ax = self._begin(ax, (side + 2.0, side + 1.2), fixed_aspect=True)
        low, high = float(self.similarity.min()), float(self.similarity.max())
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        drawn = ax.imshow(self.similarity, cmap=MAGNITUDE, vmin=low, vmax=high, interpolation="nearest")
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.03)
        bar.set_label("mean similarity", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=MUTED)
        bar.outline.set_visible(False)
        if n <= 15:
            # As many decimals as tell the entries apart.
            decimals = int(np.clip(np.ceil(-np.log10(high - low)) + 1, 2, 4))
            for (i, j), value in np.ndenumerate(self.similarity):
                dark = value < (low + high) / 2
                ax.text(
                    j,
                    i,
                    f"{value:.{decimals}f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
        finish_axes(ax, title="How alike the classes are", x="class", y="class")
        step = -(-n // 40)
        labels = [plain(shorten(name, 16)) for name in self.class_names[::step]]
        upright = max(map(len, labels)) > 3
        ax.set_xticks(
            range(0, n, step), labels, rotation=45 if upright else 0, ha="right" if upright else "center"
        )
        ax.set_yticks(range(0, n, step), labels)
        return self


@dataclass
class SpectrumDisplay(Display):
    """Where the images of two classes lie between them.

    Attributes
    ----------
    values : pair of arrays
        Places of the images of the first and of the second class, from −1 (far on the side of the first) over
        0 (the border) to 1 (far on the side of the second).
    class_names : pair of str
    colors : pair of str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import SpectrumDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> display = SpectrumDisplay.from_analysis(analysis, 3, 9).plot()
    >>> [len(values) for values in display.values]
    [183, 180]
    """

    values: tuple[FloatArray, FloatArray]
    class_names: tuple[str, str]
    colors: tuple[str, str]

    @classmethod
    def from_analysis(
        cls,
        analysis: PatternAnalysis,
        class_: object,
        other: object,
        *,
        class_names: Sequence[str] | None = None,
    ) -> Self:
        """Collect the data of a fitted analysis; integer labels are places in `class_names`."""
        # `spectrum` puts its first class at +1; here the first class lies on the left.
        spectrum = analysis.spectrum(other, class_)
        i, j = (int(np.flatnonzero(analysis.classes_ == label)[0]) for label in (class_, other))
        labels = analysis.labels_[spectrum.indices]
        names = names_of(analysis.classes_, class_names)
        return cls(
            (spectrum.values[labels == i], spectrum.values[labels == j]),
            (names[i], names[j]),
            pair_colors(i, j, len(names)),
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        ax = self._begin(ax, (7.4, 2.7))
        reach = max(float(np.abs(values).max(initial=0)) for values in self.values)
        # Where all images lie near the border, the figure looks closer.
        steps = [digit * 10.0**power for power in (-4, -3, -2, -1) for digit in (1, 1.5, 2, 3, 5, 7.5)]
        reach = next((step for step in steps if reach <= step), 1.0)
        bins = np.linspace(-reach, reach, 41)
        for values, color in zip(self.values, self.colors, strict=True):
            counts, _ = np.histogram(np.clip(values, -reach, reach), bins)
            ax.stairs(counts, bins, fill=True, color=color, alpha=0.35)
            ax.stairs(counts, bins, color=color, linewidth=1.5, label=color)
        ax.axvline(0, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        first, second = (plain(shorten(name, 18)) for name in self.class_names)
        finish_axes(ax, title=f"Between {first} and {second}", y="number of images", grid="y")
        ax.set_xlabel(
            f"← like {first}  ·  place between the classes  ·  like {second} →", fontsize=9, color=INK
        )
        ax.set_xlim(-reach * 1.02, reach * 1.02)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        legend(ax, self.class_names, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.2)
        return self


def cluster_order(similarity: FloatArray) -> npt.NDArray[np.intp]:
    """Return the order of the leaves of average-linkage clustering by 1 − similarity."""
    n = len(similarity)
    if n < 3:
        return np.arange(n)
    distance = np.maximum(1 - (similarity + similarity.T) / 2, 0).astype(np.float64)
    np.fill_diagonal(distance, 0)
    best = n <= _most_optimally_ordered
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=best)
    return np.asarray(leaves_list(tree), dtype=np.intp)
