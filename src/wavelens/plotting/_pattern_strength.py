"""Displays of the patterns' strengths in the classes and of the coefficients they live in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from wavelens._arguments import FloatArray
from wavelens.patterns import PatternAnalysis
from wavelens.plotting._style import (
    INK,
    MAGNITUDE,
    MUTED,
    Display,
    category_color,
    color_range,
    finish_axes,
    image_pixels,
    legend,
    names_of,
    plain,
    shorten,
)

__all__ = ["AngleDisplay", "InfluenceDisplay", "SingularValueDisplay"]

# Up to here each class has its own marks; beyond, a class is a row.
_most_marked = 3


@dataclass
class InfluenceDisplay(Display):
    """The pixels that the chosen coefficients touch, with the outlines of the mean image.

    Attributes
    ----------
    counts : array of int, shape (height, width)
        How many of the chosen coefficients touch each pixel.
    mean_image : array of uint8, shape (height, width[, 3]), or None
        Whose outlines are drawn over it.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import InfluenceDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> display = InfluenceDisplay.from_analysis(analysis, digits.images).plot()
    >>> display.counts.shape
    (8, 8)
    >>> display.figure_.savefig("influence.png")  # doctest: +SKIP
    """

    counts: npt.NDArray[np.intp]
    mean_image: npt.NDArray[np.uint8] | None = None

    @classmethod
    def from_analysis(cls, analysis: PatternAnalysis, images: npt.NDArray[Any] | None = None) -> Self:
        """Collect the data.

        Parameters
        ----------
        analysis : PatternAnalysis
            Fitted.
        images : array of shape (n_images, height, width[, channels]) or None, default None
            Whose mean is outlined; at most 2,000 of them are read.
        """
        mean = None
        if images is not None:
            sample = images[:: max(1, -(-len(images) // 2000))]
            mean = image_pixels(sample.mean(axis=0)[None], color_range(images))[0]
        return cls(analysis.influence_map_, mean)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        height, width = self.counts.shape
        tall = float(np.clip(4.2 * height / width, 1.6, 6.0)) + 0.5
        ax = self._begin(ax, (5.2, tall), fixed_aspect=True)
        low, high = int(self.counts.min()), int(self.counts.max())
        drawn = ax.imshow(
            self.counts, cmap=MAGNITUDE, vmin=low, vmax=max(high, low + 1), interpolation="nearest"
        )
        if self.mean_image is not None and min(self.counts.shape) >= 16:
            # Outlines leave the colours of the map as they are, which a picture underneath would not.
            grey = self.mean_image if self.mean_image.ndim == 2 else self.mean_image.mean(axis=2)
            # A mean without much contrast has no outlines worth following.
            if np.ptp(grey) > 80:
                levels = float(grey.min()) + float(np.ptp(grey)) * np.array([0.35, 0.65])
                ax.contour(grey, levels=levels, colors="white", linewidths=0.9)
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.03)
        bar.set_label("coefficients that touch the pixel", fontsize=9, color=INK)
        bar.locator = MaxNLocator(5, integer=True)
        bar.update_ticks()
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=MUTED)
        bar.outline.set_visible(False)
        finish_axes(ax, title="Where the chosen coefficients lie", x="column (pixels)", y="row (pixels)")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(5, integer=True))
        return self


@dataclass
class SingularValueDisplay(Display):
    """The strength σ of each pattern in each class.

    Up to three classes are drawn as marks on a log axis; more as rows whose colour is log σ.

    Attributes
    ----------
    sigma : array of shape (n_classes, n_patterns)
        Columns in drawing order: grouped by the class that owns the pattern, the most one-sided first; with
        two classes this is by angle, from the patterns of the first class to those of the second.
    order : array of int, shape (n_patterns,)
        Places of the columns among all patterns.
    class_names : tuple of str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import SingularValueDisplay
    >>> digits = load_digits(n_class=2)
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> display = SingularValueDisplay.from_analysis(analysis, class_names=("zero", "one")).plot()
    >>> display.ax_.get_yscale()
    'log'
    """

    sigma: FloatArray
    order: npt.NDArray[np.intp]
    class_names: tuple[str, ...]

    @classmethod
    def from_analysis(cls, analysis: PatternAnalysis, *, class_names: Sequence[str] | None = None) -> Self:
        """Collect the data of a fitted analysis; integer labels are places in `class_names`."""
        sigma = analysis.sigma_
        owner = sigma.argmax(axis=0)
        lead = np.stack([analysis.angles(label) for label in analysis.classes_])[
            owner, np.arange(sigma.shape[1])
        ]
        # The last class runs towards its most one-sided pattern, so that two classes meet in the middle.
        if len(sigma) == 2:
            lead = np.where(owner == 1, -lead, lead)
        order = np.lexsort((-lead, owner))
        return cls(sigma[:, order], order, names_of(analysis.classes_, class_names))

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        n_classes, n = self.sigma.shape
        positive = self.sigma[self.sigma > 0]
        # Zero has no place on a log axis: it is drawn below all others.
        floor = float(positive.min()) / 3 if positive.size else 1e-3
        sigma = np.maximum(self.sigma, floor)
        if n_classes <= _most_marked:
            ax = self._begin(ax, (7.4, 3.6))
            place = np.arange(1, n + 1)
            size = float(np.clip(900 / n, 2.2, 6.0))
            for i, row in enumerate(sigma):
                marker = "os^"[i]
                color = category_color(i)
                ax.plot(place, row, marker, ms=size, mew=0, color=color, alpha=0.85, label=str(i))
            ax.set_yscale("log")
            finish_axes(
                ax,
                title="Strength of each pattern in each class",
                x=self._x_label(),
                y="strength σ (log scale)",
                grid="y",
            )
            ax.set_xlim(0.5 - 0.01 * n, n + 0.5 + 0.01 * n)
            legend(
                ax,
                self.class_names,
                loc="upper left",
                bbox_to_anchor=(1.0, 1.0),
                markerscale=1.5,
                handletextpad=0.2,
            )
        else:
            ax = self._begin(ax, (7.4, 1.3 + min(0.3 * n_classes, 10)))
            high = float(sigma.max())
            norm = LogNorm(max(floor, high / 1e6), high if high > floor else floor * 10)
            drawn = ax.imshow(
                sigma,
                aspect="auto",
                cmap=MAGNITUDE,
                norm=norm,
                interpolation="nearest",
                extent=(0.5, n + 0.5, n_classes - 0.5, -0.5),
            )
            finish_axes(ax, title="Strength of each pattern in each class", x=self._x_label(), y="class")
            _name_rows(ax, self.class_names)
            bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.03, pad=0.02)
            bar.set_label("strength σ (log scale)", fontsize=9, color=INK)
            bar.ax.tick_params(which="both", labelsize=8.5, labelcolor=INK, color=MUTED)
            bar.outline.set_visible(False)
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        return self

    def _x_label(self) -> str:
        if len(self.sigma) == 2:
            first, second = (plain(shorten(name)) for name in self.class_names)
            return f"patterns, from those of {first} (left) to those of {second} (right)"
        return "patterns, grouped by the class in which they are strongest"


@dataclass
class AngleDisplay(Display):
    """How one-sided the patterns are: the angle of each class's σ against the strongest other one.

    Attributes
    ----------
    angles : array of shape (n_classes, n_patterns)
        In degrees, from −45 (another class's alone) over 0 (shared alike) to 45 (the class's alone).
    class_names : tuple of str
    threshold : float
        In degrees; a pattern beyond it is said to belong to a class.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import AngleDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> display = AngleDisplay.from_analysis(analysis).plot()
    >>> bool((abs(display.angles) <= 45).all())
    True
    """

    angles: FloatArray
    class_names: tuple[str, ...]
    threshold: float = 22.5

    @classmethod
    def from_analysis(
        cls,
        analysis: PatternAnalysis,
        *,
        class_names: Sequence[str] | None = None,
        threshold: float = 22.5,
    ) -> Self:
        """Collect the data of a fitted analysis; integer labels are places in `class_names`."""
        angles = np.degrees(np.stack([analysis.angles(label) for label in analysis.classes_]))
        return cls(np.clip(angles, -45, 45), names_of(analysis.classes_, class_names), threshold)

    @property
    def n_own(self) -> npt.NDArray[np.intp]:
        """Number of patterns beyond the threshold on the side of each class."""
        return np.asarray((self.angles > self.threshold).sum(axis=1))

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        return self._plot_two(ax) if len(self.angles) == 2 else self._plot_many(ax)

    def _plot_two(self, ax: Axes | None) -> Self:
        ax = self._begin(ax, (7.4, 2.9))
        first, second = (plain(shorten(name)) for name in self.class_names)
        # Drawn so that the first class lies on the left, as in the figure of σ.
        values = -self.angles[0]
        counts, edges = np.histogram(values, bins=36, range=(-45, 45))
        centers = (edges[1:] + edges[:-1]) / 2
        owner = [category_color(0 if center < 0 else 1) for center in centers]
        faint = [0.95 if abs(center) > self.threshold else 0.45 for center in centers]
        for center, count, color, alpha in zip(centers, counts, owner, faint, strict=True):
            if count:
                ax.bar(center, count, width=edges[1] - edges[0], color=color, alpha=alpha, linewidth=0)
        for side in (-1, 1):
            ax.axvline(side * self.threshold, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        finish_axes(ax, title="Whose patterns they are", x="angle", y="number of patterns", grid="y")
        ax.set_xticks(
            [-45, -22.5, 0, 22.5, 45],
            [f"only {first}", "−22.5°", "shared alike", "22.5°", f"only {second}"],
        )
        ax.set_xlim(-47, 47)
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        return self

    def _plot_many(self, ax: Axes | None) -> Self:
        n_classes = len(self.angles)
        ax = self._begin(ax, (7.4, 1.1 + min(0.3 * n_classes, 10)))
        size = float(np.clip(250 / n_classes, 2.5, 9.0))
        for i, row in enumerate(self.angles):
            own = row > self.threshold
            ax.plot(
                row[~own], np.full((~own).sum(), i), "|", ms=size, mew=1.1, color=category_color(6), alpha=0.6
            )
            ax.plot(row[own], np.full(own.sum(), i), "|", ms=size, mew=1.3, color=category_color(0))
        ax.axvline(self.threshold, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        finish_axes(
            ax, title="Whose patterns they are", x="angle against the strongest other class", y="class"
        )
        _name_rows(ax, self.class_names)
        ax.set_ylim(n_classes - 0.4, -0.6)
        ax.set_xticks(
            [-45, -22.5, 0, 22.5, 45], ["another's alone", "−22.5°", "shared alike", "22.5°", "its own alone"]
        )
        ax.set_xlim(-47, 47)
        return self


def _name_rows(ax: Axes, names: Sequence[str]) -> None:
    step = -(-len(names) // 40)
    ax.set_yticks(range(0, len(names), step), [plain(shorten(name, 18)) for name in names[::step]])
