"""Displays that show images: patterns, reconstructions, and images with a value each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from wavelens._arguments import FloatArray, as_images
from wavelens._mapped import picked_rows
from wavelens.patterns import PatternAnalysis
from wavelens.patterns._reconstruction import order_by_contribution
from wavelens.plotting._style import (
    INK,
    MUTED,
    Display,
    category_color,
    color_range,
    finish_axes,
    image_pixels,
    names_of,
    new_figure,
    pattern_pixels,
    plain,
    shorten,
)

__all__ = ["ImageGridDisplay", "PatternDisplay", "ReconstructionDisplay", "reconstruction_counts"]

Pixels = npt.NDArray[np.uint8]


def _draw_grid(ax: Axes, pixels: Pixels, captions: Sequence[str], columns: int) -> None:
    """Draw images side by side in one axes, a caption of up to two lines under each.

    One image is one unit wide.
    """
    ratio = pixels.shape[1] / pixels.shape[2]
    row_height = ratio + 0.36
    for i, (image, caption) in enumerate(zip(pixels, captions, strict=True)):
        x, y = i % columns, (i // columns) * row_height
        ax.imshow(
            image,
            cmap="gray" if image.ndim == 2 else None,
            vmin=0,
            vmax=255,
            interpolation="nearest" if max(image.shape[:2]) < 150 else "antialiased",
            extent=(x + 0.03, x + 0.97, y + ratio * 0.97, y + ratio * 0.03),
        )
        ax.text(x + 0.5, y + ratio, caption, ha="center", va="top", fontsize=7.5, color=INK)
    rows = -(-len(pixels) // columns)
    ax.set_xlim(0, columns)
    ax.set_ylim(rows * row_height, 0)
    ax.set_aspect("equal")
    ax.set_anchor("NW")
    ax.set_axis_off()


def _grid_axes(n: int, columns: int, shape: tuple[int, ...]) -> Axes:
    """Make a figure that fits a grid; its layout is known, so none is searched for."""
    width, height = _grid_size(n, columns, shape)
    figure = Figure(figsize=(max(width, 4.5), height), facecolor="white")
    title = 0.4 / height
    return figure.add_axes((0.01, 0.0, 0.98, 1 - title))


def _grid_size(n: int, columns: int, shape: tuple[int, ...]) -> tuple[float, float]:
    width = 1.25 * columns
    rows = -(-n // columns)
    return width, min(rows * 1.25 * (shape[0] / shape[1] + 0.36) + 0.4, 30.0)


def _check_shown(n: int, columns: int) -> int:
    if n < 1:
        raise ValueError("there is no image to show")
    return max(1, min(columns, n))


@dataclass
class ImageGridDisplay(Display):
    """Some images of the dataset, each with a caption.

    Attributes
    ----------
    pixels : array of uint8, shape (n, height, width[, 3])
    captions : tuple of str
    title : str
    indices : array of int, shape (n,)
        Places of the images in the dataset.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import ImageGridDisplay
    >>> digits = load_digits(n_class=2)
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> lonely = analysis.isolated(0, n=5)
    >>> closeness = analysis.similarity_to_classes()[lonely, 0]
    >>> display = ImageGridDisplay.from_images(digits.images, lonely, closeness, title="Isolated").plot()
    >>> len(display.captions)
    5
    """

    pixels: Pixels
    captions: tuple[str, ...]
    title: str
    indices: npt.NDArray[np.intp]

    @classmethod
    def from_images(
        cls,
        images: npt.NDArray[Any],
        indices: npt.ArrayLike,
        values: npt.ArrayLike | None = None,
        *,
        names: Sequence[str] | None = None,
        title: str = "Images",
        limits: tuple[float, float] | None = None,
        value_format: str = "{:.2f}",
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        images : array of shape (n_images, height, width[, channels])
            The dataset.
        indices : array of int, shape (n,)
            Which to show.
        values : array of shape (n,) or None, default None
            A number for each image shown.
        names : sequence of str or None, default None
            Names of all images of the dataset; None: their places.
        title : str
        limits : pair of float or None, default None
            Values that stand for black and white; None: from the dataset.
        value_format : str, default "{:.2f}"
        """
        where = np.asarray(indices, dtype=np.intp)
        numbers = [""] * len(where)
        if values is not None:
            numbers = ["\n" + value_format.format(value) for value in np.asarray(values)]
        labels = [str(i) if names is None else names[i].replace("\\", "/").split("/")[-1] for i in where]
        captions = tuple(shorten(label, 18) + number for label, number in zip(labels, numbers, strict=True))
        return cls(image_pixels(images[where], limits or color_range(images)), captions, title, where)

    def plot(self, ax: Axes | None = None, *, columns: int = 8) -> Self:
        """Draw `columns` images a row; `ax=None` makes a figure of its own."""
        columns = _check_shown(len(self.pixels), columns)
        ax = self._begin(ax or _grid_axes(len(self.pixels), columns, self.pixels.shape[1:]))
        captions = ["\n".join(map(plain, caption.split("\n"))) for caption in self.captions]
        _draw_grid(ax, self.pixels, captions, columns)
        finish_axes(ax, title=plain(self.title))
        return self


@dataclass
class PatternDisplay(Display):
    """The patterns that belong to a class most.

    Attributes
    ----------
    pixels : array of uint8, shape (n, height, width, 3)
        Each scaled to its own largest size, blue below and red above zero (grey images), around mid grey
        (colour images).
    indices : array of int, shape (n,)
        Places among all patterns.
    angles : array of shape (n,)
        In degrees, against the strongest other class; 45 means the class's alone.
    class_name : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import PatternDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=20).fit(digits.images, digits.target)
    >>> PatternDisplay.from_analysis(analysis, 3, n=4).plot().pixels.shape
    (4, 8, 8, 3)
    """

    pixels: Pixels
    indices: npt.NDArray[np.intp]
    angles: FloatArray
    class_name: str

    @classmethod
    def from_analysis(
        cls,
        analysis: PatternAnalysis,
        class_: object,
        *,
        n: int = 8,
        class_names: Sequence[str] | None = None,
    ) -> Self:
        """Collect the data of a fitted analysis; integer labels are places in `class_names`."""
        patterns = analysis.dominant_patterns(class_, n)
        own = int(np.flatnonzero(analysis.classes_ == class_)[0])
        return cls(
            pattern_pixels(patterns.images),
            patterns.indices,
            np.degrees(patterns.angle),
            names_of(analysis.classes_, class_names)[own],
        )

    def plot(self, ax: Axes | None = None, *, columns: int = 8) -> Self:
        """Draw `columns` patterns a row; `ax=None` makes a figure of its own."""
        columns = _check_shown(len(self.pixels), columns)
        ax = self._begin(ax or _grid_axes(len(self.pixels), columns, self.pixels.shape[1:]))
        captions = [f"pattern {i}\n{angle:.0f}°" for i, angle in zip(self.indices, self.angles, strict=True)]
        _draw_grid(ax, self.pixels, captions, columns)
        finish_axes(ax, title=f"Most dominant patterns of {plain(shorten(self.class_name))}")
        return self


@dataclass
class ReconstructionDisplay(Display):
    """An image rebuilt from more and more of its patterns, with what is missing.

    Attributes
    ----------
    pixels : array of uint8, shape (q + 1, height, width[, 3])
        The image itself, then rebuilt from `n_patterns` patterns.
    n_patterns : array of int, shape (q,)
    residuals : array of shape (q,)
        Relative, in the chosen coefficients.
    curve : array of shape (n_all_patterns + 1,)
        Relative residual of the image with 0, 1, … patterns.
    others : array of shape (n_others, n_all_patterns + 1)
        The same of other images, for comparison.
    truncation : float
        Share of the image's norm outside the chosen coefficients.
    title : str
    axes_ : pair of Axes
        The images and the curve, after `plot`; `ax_` is that of the curve.
    figure_
        After `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.plotting import ReconstructionDisplay
    >>> digits = load_digits()
    >>> analysis = PatternAnalysis(n_coefficients=40).fit(digits.images, digits.target)
    >>> display = ReconstructionDisplay.from_analysis(analysis, digits.images[0], n_patterns=[5, 40]).plot()
    >>> bool(display.residuals[1] < 1e-6 < display.residuals[0])
    True
    """

    pixels: Pixels
    n_patterns: npt.NDArray[np.intp]
    residuals: FloatArray
    curve: FloatArray
    others: FloatArray
    truncation: float
    title: str = "An image rebuilt from its patterns"
    axes_: tuple[Axes, Axes] | None = None

    @classmethod
    def from_analysis(
        cls,
        analysis: PatternAnalysis,
        image: npt.ArrayLike,
        *,
        n_patterns: npt.ArrayLike | None = None,
        others: npt.ArrayLike | None = None,
        limits: tuple[float, float] | None = None,
        title: str = "An image rebuilt from its patterns",
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        analysis : PatternAnalysis
            Fitted.
        image : array of shape (height, width[, channels])
        n_patterns : array of int, shape (q,), or None, default None
            None: 10, 50, 100, 400, 1,000, … and all, or fewer where there are few patterns.
        others : array of int or None, default None
            Places of images given to `fit` whose residual curves are drawn in the background.
        limits : pair of float or None, default None
            Values that stand for black and white; None: from the image.
        title : str
        """
        batch = as_images(np.asarray(image)[None], "image")
        r = analysis.sigma_.shape[1]
        counts = reconstruction_counts(r) if n_patterns is None else np.atleast_1d(np.asarray(n_patterns))
        rebuilt = analysis.reconstruct(batch, counts)
        limits = limits or color_range(batch)
        shown = np.concatenate([batch.astype(rebuilt.images.dtype), rebuilt.images[0]])
        rows = np.concatenate(
            [
                analysis.transform(batch),
                picked_rows(analysis.embedding_, np.asarray([] if others is None else others, np.intp)),
            ]
        )
        curves = residual_curves(analysis, rows)
        return cls(
            image_pixels(shown, limits),
            rebuilt.n_patterns,
            rebuilt.residuals[0],
            curves[0],
            curves[1:],
            float(rebuilt.truncation[0]),
            title,
        )

    def plot(self, ax: tuple[Axes, Axes] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else a pair of axes for images and curve."""
        figure: Figure | SubFigure
        if ax is None:
            strip = 7.4 / len(self.pixels) * (self.pixels.shape[1] / self.pixels.shape[2] + 0.36)
            strip = min(strip, 6.0)
            figure = new_figure((7.4, strip + 3.1))
            ax = tuple(figure.subplots(2, 1, height_ratios=[strip, 2.7]))
        upper, lower = ax
        self.axes_ = (upper, lower)
        captions = ["original"] + [
            f"{n} {'pattern' if n == 1 else 'patterns'}\nmissing {_percent(left)}"
            for n, left in zip(self.n_patterns, self.residuals, strict=True)
        ]
        _draw_grid(upper, self.pixels, captions, len(self.pixels))
        finish_axes(upper, title=plain(self.title))
        self.plot_curve(lower)
        self.figure_ = upper.figure
        return self

    def plot_curve(self, ax: Axes | None = None) -> Self:
        """Draw only the curve of what is missing."""
        ax = self._begin(ax, (7.4, 2.9))
        place = np.arange(len(self.curve))
        for curve in self.others:
            ax.plot(place, curve, color=MUTED, linewidth=0.6, alpha=0.35)
        ax.plot(place, self.curve, color=category_color(0), linewidth=2)
        ax.plot(self.n_patterns, self.residuals, "o", color=category_color(1), ms=5)
        finish_axes(
            ax,
            title="What is still missing" + (" (grey: other images)" if len(self.others) else ""),
            x="number of patterns used",
            y="missing share",
            grid="both",
        )
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        ax.set_ylim(bottom=0)
        ax.set_xlim(0, 1.02 * max(1, len(self.curve) - 1))
        return self


def residual_curves(analysis: PatternAnalysis, rows: FloatArray) -> FloatArray:
    """Relative residual of rows of UΣ with 0, 1, … patterns, shape (n_rows, n_patterns + 1)."""
    v = analysis.gsvd_.v
    gram = v.T @ v
    left = np.stack([order_by_contribution(row, gram)[1] for row in rows])
    # The whole image counts as 1; a black image has nothing missing.
    whole = left[:, :1].copy()
    return np.asarray(np.divide(left, whole, out=np.zeros_like(left), where=whole > 0))


def reconstruction_counts(n_patterns: int) -> npt.NDArray[np.intp]:
    """Return how many patterns to rebuild an image from, for show: rising, the last being all."""
    steps = np.array([10, 50, 100, 400, 1000, 3000, 10000])
    if n_patterns < 200:
        steps = np.rint(n_patterns * np.array([0.05, 0.125, 0.25, 0.5])).astype(int)
    steps = np.unique(np.concatenate([steps[(steps > 0) & (steps < 0.95 * n_patterns)], [n_patterns]]))
    return steps.astype(np.intp)


def _percent(share: float) -> str:
    if share <= 5e-5:
        return "0%"
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"
