"""Displays of signals by frequency and by scale, and of an image's wavelet coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from wavelens._arguments import as_images
from wavelens.plotting._style import (
    INK,
    MAGNITUDE,
    MUTED,
    SIGNED,
    Display,
    category_color,
    color_range,
    finish_axes,
    image_pixels,
    new_figure,
    plain,
)
from wavelens.wavelets import FourierPanel, WaveletPanel, WaveletTransform

__all__ = ["FourierPanelDisplay", "WaveletPanelDisplay", "WaveletPyramidDisplay"]

_names = {
    "morlet": "Morlet wavelet",
    "mexican_hat": "Mexican hat",
    "shannon": "Shannon wavelet",
    "poisson": "Poisson wavelet",
    "haar": "Haar wavelet",
}


def _draw_signal(ax: Axes, panel: FourierPanel | WaveletPanel, title: str, *, label_time: bool) -> None:
    ax.plot(panel.time, panel.signal, color=category_color(0), linewidth=1)
    finish_axes(
        ax, title=plain(title), x=f"time ({plain(panel.unit)})" if label_time else "", y="signal", grid="y"
    )
    ax.set_xlim(panel.time[0], panel.time[-1])


def _singular(unit: str) -> str:
    return plain(unit[:-1] if unit.endswith("s") and not unit.endswith("ss") else unit)


@dataclass
class FourierPanelDisplay(Display):
    """A signal, and how much of each frequency it holds.

    Attributes
    ----------
    panel : FourierPanel
    title : str
    axes_ : pair of Axes
        After `plot`: signal and frequencies.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import FourierPanelDisplay
    >>> from wavelens.wavelets import fourier_panel
    >>> display = FourierPanelDisplay.from_panel(fourier_panel(np.sin(np.arange(100.0)))).plot()
    """

    panel: FourierPanel
    title: str

    @classmethod
    def from_panel(cls, panel: FourierPanel, *, title: str = "Signal") -> Self:
        """Take the result of `wavelens.wavelets.fourier_panel`.

        Parameters
        ----------
        panel : FourierPanel
        title : str
        """
        return cls(panel, title)

    def plot(self, ax: tuple[Axes, Axes] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else a pair of axes for signal and frequencies."""
        if ax is None:
            upper, lower = new_figure((7.4, 4.6)).subplots(2, 1, height_ratios=[1, 1.5])
        else:
            upper, lower = ax
        self.axes_ = (upper, lower)
        _draw_signal(upper, self.panel, self.title, label_time=True)
        lower.fill_between(
            self.panel.frequency, self.panel.amplitude, color=category_color(0), alpha=0.25, linewidth=0
        )
        lower.plot(self.panel.frequency, self.panel.amplitude, color=category_color(0), linewidth=1)
        finish_axes(
            lower,
            title="Fourier transform: which frequencies, but not when",
            x=f"frequency (cycles per {_singular(self.panel.unit)})",
            y="amplitude",
            grid="y",
        )
        lower.set_xlim(0, self.panel.frequency[-1])
        lower.set_ylim(bottom=0)
        self.ax_, self.figure_ = lower, lower.figure
        return self


@dataclass
class WaveletPanelDisplay(Display):
    """A signal, and below it how strong each frequency is at each time (its scalogram).

    The frequency of a scale is the one that its wavelet answers to most; the colours are the coefficients over the
    root of the scale, so that a sine of the same amplitude is equally bright at every frequency.

    Attributes
    ----------
    panel : WaveletPanel
    title : str
    axes_ : pair of Axes
        After `plot`: signal and scalogram.
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import WaveletPanelDisplay
    >>> from wavelens.wavelets import wavelet_panel
    >>> panel = wavelet_panel(np.sin(np.arange(100.0)), wavelet="mexican_hat")
    >>> display = WaveletPanelDisplay.from_panel(panel).plot()
    """

    panel: WaveletPanel
    title: str

    @classmethod
    def from_panel(cls, panel: WaveletPanel, *, title: str = "Signal") -> Self:
        """Take the result of `wavelens.wavelets.wavelet_panel`.

        Parameters
        ----------
        panel : WaveletPanel
        title : str
        """
        return cls(panel, title)

    def plot(self, ax: tuple[Axes, Axes] | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own, else a pair of axes for signal and scalogram."""
        panel = self.panel
        if ax is None:
            figure = new_figure((7.4, 5.4))
            upper, lower = figure.subplots(2, 1, height_ratios=[1, 2.2], sharex=True)
        else:
            upper, lower = ax
        self.axes_ = (upper, lower)
        _draw_signal(upper, panel, self.title, label_time=False)
        is_complex = np.iscomplexobj(panel.coefficients)
        # Over the root of the scale the same amplitude is equally bright at every scale.
        shown = np.real(np.abs(panel.coefficients) if is_complex else panel.coefficients)
        shown = shown / np.sqrt(panel.scale)[:, None]
        # A spike alone would leave all else pale.
        limit = float(np.quantile(np.abs(shown), 0.995)) or float(np.abs(shown).max()) or 1.0
        mesh = lower.pcolormesh(
            panel.time,
            panel.frequency,
            shown,
            cmap=MAGNITUDE if is_complex else SIGNED,
            vmin=0 if is_complex else -limit,
            vmax=limit,
            shading="nearest",
            rasterized=True,
        )
        self._draw_reach(lower)
        lower.set_yscale("log")
        lower.set_ylim(panel.frequency[-1], panel.frequency[0])
        lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        lower.set_xlim(panel.time[0], panel.time[-1])
        finish_axes(
            lower,
            title=f"{_names[panel.wavelet]}: which frequencies, and when (grey: within reach of the ends)",
            x=f"time ({plain(panel.unit)})",
            y=f"frequency (cycles per {_singular(panel.unit)})",
        )
        bar = lower.figure.colorbar(mesh, ax=lower, pad=0.02, extend="max" if is_complex else "both")
        kind = "size" if is_complex else "value"
        bar.set_label(f"{kind} of W(a, b) / √a", fontsize=9.0, color=INK)
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=MUTED)
        bar.outline.set_visible(False)
        self.ax_, self.figure_ = lower, lower.figure
        return self

    def _draw_reach(self, ax: Axes) -> None:
        panel = self.panel
        start, end = panel.time[0], panel.time[-1]
        middle = (start + end) / 2
        for near, edge in ((start, start + panel.reach), (end, end - panel.reach)):
            edge = np.minimum(edge, middle) if near == start else np.maximum(edge, middle)
            ax.fill_betweenx(panel.frequency, near, edge, color=MUTED, alpha=0.35, linewidth=0)


@dataclass
class WaveletPyramidDisplay(Display):
    """An image's wavelet coefficients, each level's three bands around the next coarser level.

    Top left is the coarsest approximation; to the right of it what answers to vertical edges, below it what
    answers to horizontal ones, across it diagonals; larger bands are finer levels, each drawn at twice the
    size of the level before.

    Attributes
    ----------
    bands : list of array of uint8
        The approximation as an image, then details by size: brighter for larger, each band to its own largest.
    places : list of (left, top, side, name)
        Where each band is drawn in a unit square, and what it is.
    ratio : float
        Height over width of the image.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import WaveletPyramidDisplay
    >>> image = np.add.outer(np.arange(64), np.arange(64)) % 17
    >>> display = WaveletPyramidDisplay.from_image(image, level=2).plot()
    >>> len(display.bands)
    7
    """

    bands: list[npt.NDArray[np.uint8]]
    places: list[tuple[float, float, float, str]]
    ratio: float
    title: str

    @classmethod
    def from_image(
        cls,
        image: npt.ArrayLike,
        wavelet: str = "haar",
        level: int | None = 3,
        *,
        mode: str = "periodization",
        title: str = "",
    ) -> Self:
        """Transform an image.

        Parameters
        ----------
        image : array of shape (height, width) or (height, width, channels)
            Channels are averaged.
        wavelet, level, mode
            See `wavelens.wavelets.WaveletTransform`.
        title : str
            Empty for one that names wavelet and levels.
        """
        batch = as_images(np.asarray(image)[None], "image")
        grey = batch if batch.ndim == 3 else batch.mean(axis=3)
        transform = WaveletTransform(grey.shape[1:], wavelet, level, mode)
        flat = transform.forward(grey)[0]
        bands, places = [], []
        for band in transform.bands:
            part = flat[band.slice].reshape(band.shape)
            side = 0.5**band.level
            if band.orientation == "approximation":
                bands.append(image_pixels(part[None], color_range(part[None]))[0])
                places.append((0.0, 0.0, side, "coarse image"))
                continue
            size = np.abs(part)
            limit = float(np.quantile(size, 0.995)) or float(size.max()) or 1.0
            # The root lifts the many small coefficients out of the black.
            bands.append(image_pixels(np.sqrt(size / limit)[None], (0.0, 1.0))[0])
            left = side if band.orientation in ("vertical", "diagonal") else 0.0
            top = side if band.orientation in ("horizontal", "diagonal") else 0.0
            places.append((left, top, side, f"{band.orientation}, level {band.level}"))
        levels = f"{transform.level} level{'s' if transform.level > 1 else ''}"
        title = title or f"Wavelet coefficients ({wavelet}, {levels})"
        return cls(bands, places, grey.shape[1] / grey.shape[2], title)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        width = min(5.4, 6.0 / self.ratio)
        ax = self._begin(ax, (max(3.6, width + 0.3), width * self.ratio + 0.7), fixed_aspect=True)
        for pixels, (left, top, side, name) in zip(self.bands, self.places, strict=True):
            right, bottom = left + side, (top + side) * self.ratio
            ax.imshow(
                pixels,
                cmap="gray",
                vmin=0,
                vmax=255,
                interpolation="nearest",
                extent=(left, right, bottom, top * self.ratio),
            )
            ax.plot([right, right], [top * self.ratio, bottom], color=category_color(3), linewidth=0.8)
            ax.plot([left, right], [bottom, bottom], color=category_color(3), linewidth=0.8)
            if side * width >= 1.2 and side * self.ratio * width >= 0.3:
                ax.text(
                    left + 0.015,
                    top * self.ratio + 0.015,
                    name,
                    fontsize=8.0,
                    color="white",
                    va="top",
                    bbox={"facecolor": INK, "alpha": 0.6, "linewidth": 0, "boxstyle": "round,pad=0.2"},
                )
        finish_axes(ax, title=plain(self.title))
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.set_xlim(0, 1)
        ax.set_ylim(self.ratio, 0)
        ax.set_aspect("equal")
        return self
