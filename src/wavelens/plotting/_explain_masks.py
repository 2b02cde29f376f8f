"""Displays of masks where they live: in the wavelet domain, and by scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import PercentFormatter

from wavelens.explain._given import explained, transform_of
from wavelens.plotting._style import (
    INK,
    MAGNITUDE,
    MUTED,
    Display,
    category_color,
    finish_axes,
    legend,
    plain,
)
from wavelens.wavelets import WaveletTransform

__all__ = ["EnergyByScaleDisplay", "WaveletMaskDisplay"]

Float64Array = npt.NDArray[np.float64]


@dataclass
class WaveletMaskDisplay(Display):
    """A mask in the wavelet domain, as a pyramid: coarse scales top left, fine ones to the lower right.

    Each level's upper right block answers to vertical edges, its lower left one to horizontal edges, its lower
    right one to diagonals.

    Attributes
    ----------
    pyramid : array of shape (rows, columns)
        Kept share of each coefficient; NaN between blocks.
    blocks : tuple of tuple
        Row, column, height, width and words of each block.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import WaveletMaskDisplay
    >>> from wavelens.wavelets import WaveletTransform
    >>> transform = WaveletTransform((16, 16), "haar", 2)
    >>> display = WaveletMaskDisplay.from_mask(np.ones(256), transform).plot()
    >>> display.pyramid.shape
    (16, 16)
    """

    pyramid: Float64Array
    blocks: tuple[tuple[int, int, int, int, str], ...]
    title: str = "The mask in the wavelet domain"

    @classmethod
    def from_mask(
        cls,
        mask: npt.ArrayLike,
        transform: WaveletTransform,
        *,
        title: str = "The mask in the wavelet domain",
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        mask : array of shape (n_coefficients,)
            In the layout of `transform`.
        transform : WaveletTransform
            Of one channel.
        title : str
        """
        flat = np.asarray(mask, np.float64)
        if len(transform.shape) != 2 or flat.shape != (transform.n_coefficients,):
            raise ValueError(
                f"`mask` must have shape ({transform.n_coefficients},) for a transform of one channel, got {flat.shape}"
            )
        return cls(*_pyramid(flat, transform), title)

    @classmethod
    def from_explanations(cls, explanations: Any, index: int = 0) -> Self:
        """Collect the data of one of the explanations that `CartoonX` gave."""
        transform = transform_of(explanations)
        if transform is None:
            raise ValueError("`explanations` must be of wavelets, got masks of pixels")
        rate = 100 * float(explanations.rates[index])
        title = f"The mask in the wavelet domain: {rate:.2g}% kept"
        return cls.from_mask(np.asarray(explanations.masks)[index], transform, title=title)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        ratio = self.pyramid.shape[0] / self.pyramid.shape[1]
        ax = self._begin(ax, (5.6, min(9.0, 4.6 * ratio + 0.9)))
        rows, columns = self.pyramid.shape
        drawn = ax.imshow(
            self.pyramid,
            cmap=MAGNITUDE,
            vmin=0,
            vmax=1,
            interpolation="nearest" if max(rows, columns) < 150 else "antialiased",
        )
        for top, left, height, width, words in self.blocks:
            ax.plot(
                [left - 0.5, left + width - 0.5, left + width - 0.5, left - 0.5, left - 0.5],
                [top - 0.5, top - 0.5, top + height - 0.5, top + height - 0.5, top - 0.5],
                color="white",
                linewidth=0.8,
            )
            if words and width > 0.15 * columns:
                words = words if width > 0.35 * columns else words.split(",")[0]
                ax.text(
                    left + 0.03 * width,
                    top + 0.03 * height,
                    words,
                    fontsize=8,
                    color="white",
                    va="top",
                    path_effects=[Stroke(linewidth=1.8, foreground=INK), Normal()],
                )
        finish_axes(ax, title=plain(self.title))
        ax.set_xlim(-0.5, columns - 0.5)
        ax.set_ylim(rows - 0.5, -0.5)
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_visible(False)
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.03)
        bar.set_label("share of the coefficient that is kept", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8.5, labelcolor=INK, color=MUTED)
        bar.outline.set_visible(False)
        return self


@dataclass
class EnergyByScaleDisplay(Display):
    """How much masks keep at each scale: of the coefficients, and of the image's energy in them.

    Attributes
    ----------
    scales : tuple of str
        From the coarsest to the finest.
    coefficients, energy : array of shape (n_images, n_scales)
        Kept shares, from 0 to 1; NaN where an image has no energy.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> from wavelens.plotting import EnergyByScaleDisplay
    >>> display = EnergyByScaleDisplay(("means", "2 pixels"), [[1.0, 0.1]], [[1.0, 0.6]]).plot()
    >>> len(display.ax_.containers)
    2
    """

    scales: tuple[str, ...]
    coefficients: Float64Array
    energy: Float64Array
    title: str = "What is kept at each scale"

    def __post_init__(self) -> None:
        self.coefficients = np.asarray(self.coefficients, np.float64)
        self.energy = np.asarray(self.energy, np.float64)
        shape = (len(self.coefficients), len(self.scales))
        if self.coefficients.shape != shape or self.energy.shape != shape:
            raise ValueError(
                f"`coefficients` and `energy` must have shape (n_images, {len(self.scales)}), got "
                f"{self.coefficients.shape} and {self.energy.shape}"
            )

    @classmethod
    def from_explanations(cls, explanations: Any) -> Self:
        """Collect the data of what `CartoonX` gave, all images; those without an explanation are left out."""
        transform = transform_of(explanations)
        if transform is None:
            raise ValueError("`explanations` must be of wavelets, got masks of pixels")
        usable = explained(explanations)
        masks = np.asarray(explanations.masks, np.float64)[usable]
        found = explanations.energy_by_scale()
        image, kept = (np.asarray(each, np.float64)[usable] for each in (found.image, found.kept))
        names, coefficients = ["averages"], []
        names += [f"about {2**level} pixels" for level in range(transform.level, 0, -1)]
        # The bands' layout: the approximation, then three a level.
        bands = transform.bands
        for own in (bands[:1], *(bands[i : i + 3] for i in range(1, len(bands), 3))):
            coefficients.append(masks[:, own[0].slice.start : own[-1].slice.stop].mean(axis=1))
        n = len(masks)
        title = "What is kept at each scale" + ("" if n == 1 else f", {n:,} images")
        energy = np.divide(kept, image, out=np.full(kept.shape, np.nan), where=image > 0)
        return cls(tuple(names), np.stack(coefficients, axis=1), energy, title)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw bars of the means, with a line from the 10th to the 90th percentile of the images."""
        ax = self._begin(ax, (7.4, 3.2))
        place = np.arange(len(self.scales))
        for k, values in enumerate((self.coefficients, self.energy)):
            x = place + (k - 0.5) * 0.36
            seen = np.isfinite(values)
            means = np.where(seen, values, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
            ax.bar(x, means, width=0.34, color=category_color(k), linewidth=0, label=str(k))
            for j, each in enumerate(values.T):
                found = each[np.isfinite(each)]
                if len(found) > 1:
                    low, high = np.quantile(found, [0.1, 0.9])
                    ax.plot([x[j], x[j]], [low, high], color=INK, linewidth=1.1)
            for j, mean in enumerate(means):
                top = mean
                found = values[:, j][np.isfinite(values[:, j])]
                if len(found) > 1:
                    top = max(mean, float(np.quantile(found, 0.9)))
                label = f"{100 * mean:.0f}%" if mean >= 0.0995 else f"{100 * mean:.2g}%"
                ax.annotate(
                    label,
                    (x[j], top),
                    (0, 2),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7.5,
                    color=INK,
                )
        finish_axes(
            ax, title=plain(self.title), x="scale of the wavelets, coarse to fine", y="share kept", grid="y"
        )
        ax.set_xticks(place, list(self.scales))
        ax.set_ylim(0, 1.32)
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        legend(ax, ["of the coefficients", "of the energy in them"], loc="upper right", ncols=2)
        if len(self.coefficients) > 1:
            ax.text(
                0.01,
                0.97,
                "lines: 10th to 90th percentile",
                transform=ax.transAxes,
                fontsize=8,
                color=MUTED,
                va="top",
            )
        return self


def _pyramid(
    mask: Float64Array, transform: WaveletTransform
) -> tuple[Float64Array, tuple[tuple[int, int, int, int, str], ...]]:
    """Lay the bands of a flat mask out as blocks; a band starts where the coarser ones end."""
    bands = list(transform.bands)
    rows, columns = bands[0].shape
    tiles = [(0, 0, bands[0], "")]
    for start in range(1, len(bands), 3):
        level = {band.orientation: band for band in bands[start : start + 3]}
        height, width = level["diagonal"].shape
        # In padded modes a level is a little larger, or smaller, than what it was made into.
        rows, columns = max(rows, height), max(columns, width)
        tiles.append((0, columns, level["vertical"], f"{2 ** level['vertical'].level} px, vertical edges"))
        tiles.append((rows, 0, level["horizontal"], f"{2 ** level['horizontal'].level} px, horizontal"))
        tiles.append((rows, columns, level["diagonal"], f"{2 ** level['diagonal'].level} px, diagonal"))
        rows, columns = rows + height, columns + width
    canvas = np.full((rows, columns), np.nan)
    blocks = []
    for top, left, band, words in tiles:
        height, width = band.shape
        canvas[top : top + height, left : left + width] = mask[band.slice].reshape(band.shape)
        blocks.append((top, left, height, width, words))
    return canvas, tuple(blocks)
