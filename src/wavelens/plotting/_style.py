"""What all Displays share: colours, sizes, fonts, axes, and images as pixels to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from wavelens._utils import _names
from wavelens._utils._names import visible, without_isolates

__all__ = [
    "GRID",
    "INK",
    "MAGNITUDE",
    "MUTED",
    "N_COLORS",
    "PANEL",
    "SIGNED",
    "Display",
    "category_color",
    "color_range",
    "finish_axes",
    "image_pixels",
    "legend",
    "names_of",
    "new_figure",
    "pair_colors",
    "pattern_pixels",
    "plain",
    "shorten",
]

# Okabe and Ito's colours, ordered so that neighbours differ most; grey stands for their black, which
# cannot be seen on a dark page, and their yellow, which cannot on a white one, is left out.
_categories = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8c8c8c")
N_COLORS = len(_categories)
INK, MUTED, GRID, PANEL = "#1c2128", "#5b6470", "#d5dae1", "#eef3f9"
MAGNITUDE, SIGNED = "cividis", "RdBu_r"
_text_size, _title_size = 9.0, 10.5
_longest_text = 400

Pixels = npt.NDArray[np.uint8]


class Display:
    """Base of all Displays: after `plot`, `ax_` holds the axes and `figure_` their figure."""

    ax_: Axes
    figure_: Figure | SubFigure

    def _begin(
        self, ax: Axes | None, size: tuple[float, float] = (7.4, 3.0), *, fixed_aspect: bool = False
    ) -> Axes:
        """Take the axes given, or make a figure that nothing else knows of (pyplot would keep it alive)."""
        if ax is None:
            ax = new_figure(size, fixed_aspect=fixed_aspect).add_subplot()
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def new_figure(size: tuple[float, float], *, fixed_aspect: bool = False) -> Figure:
    """Return an empty figure, `size` in inches; `fixed_aspect` if its axes hold an image."""
    layout = ConstrainedLayoutEngine(compress=fixed_aspect, w_pad=0.08, h_pad=0.08)
    return Figure(figsize=size, layout=layout, facecolor="white")


def category_color(index: int) -> str:
    """Return the colour of the class at `index`; after N_COLORS they begin again."""
    return _categories[index % N_COLORS]


def pair_colors(first: int, second: int, n_classes: int) -> tuple[str, str]:
    """Return the colours of two classes: their own if every class has one, else the first two."""
    if n_classes <= N_COLORS:
        return category_color(first), category_color(second)
    return category_color(0), category_color(1)


def finish_axes(ax: Axes, *, title: str = "", x: str = "", y: str = "", grid: str = "") -> None:
    """Give axes their title, labels, fonts and colours; `grid` is "", "x", "y" or "both"."""
    ax.set_title(title, fontsize=_title_size, color=INK, loc="left", pad=8)
    ax.set_xlabel(x, fontsize=_text_size, color=INK)
    ax.set_ylabel(y, fontsize=_text_size, color=INK)
    ax.tick_params(which="both", labelsize=_text_size - 0.5, labelcolor=INK, color=MUTED)
    ax.set_facecolor("none")
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    if grid:
        ax.grid(True, axis=grid, color=GRID, linewidth=0.6)  # type: ignore[arg-type]
        ax.set_axisbelow(True)


def legend(ax: Axes, entries: Sequence[str], **options: Any) -> None:
    """Add a legend in the common style; entries are shown as they stand, underscores and dollars included."""
    handles = ax.get_legend_handles_labels()[0]
    found = ax.legend(
        handles,
        list(map(str, range(len(entries)))),
        frameon=False,
        fontsize=_text_size,
        labelcolor=INK,
        **options,
    )
    for text, entry in zip(found.get_texts(), entries, strict=True):
        text.set_text(plain(shorten(entry)))


def plain(text: object) -> str:
    """Return text that matplotlib shows as it stands: no formula between dollar signs, one line, never endless."""
    return _one_line(_names.shorten(text, _longest_text)).replace("$", r"\$")


def shorten(name: object, most: int = 24) -> str:
    """Return a name for a figure: one line without control characters, of a long name the ends."""
    return _names.shorten(_one_line(_names.shorten(name, most)), most)


def _one_line(text: str) -> str:
    return visible(" ".join(without_isolates(text).split()))


def names_of(classes: npt.NDArray[Any], class_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return a name for each class; integer labels are places in `class_names`."""
    if class_names is None:
        return tuple(map(str, classes))
    if classes.dtype.kind in "iu" and len(classes) and 0 <= classes.min() <= classes.max() < len(class_names):
        return tuple(str(class_names[code]) for code in classes)
    if len(class_names) == len(classes):
        return tuple(map(str, class_names))
    raise ValueError(
        f"`class_names` must give a name to each of the {len(classes)} classes, got {len(class_names)} names"
    )


def color_range(images: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the values that stand for black and white, the same for all images of a dataset."""
    sample = np.asarray(images[:: max(1, len(images) // 500)])
    low, high = float(sample.min()), float(sample.max())
    if images.dtype == np.uint8 and high > 127:
        return 0.0, 255.0
    if images.dtype.kind == "f" or images.dtype.itemsize > 1:
        # A few hot pixels would leave everything else black.
        inner_low, inner_high = np.quantile(sample, [0.0005, 0.9995])
        if inner_high - inner_low < 0.5 * (high - low) and inner_high > inner_low:
            low, high = float(inner_low), float(inner_high)
    return low, high if high > low else low + 1.0


def image_pixels(images: npt.NDArray[Any], limits: tuple[float, float]) -> Pixels:
    """Return images as bytes, (n, h, w, 3) if they have three or more channels, else (n, h, w)."""
    shown = _viewable(np.asarray(images))
    low, high = limits
    scaled = (shown.astype(np.float64) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def pattern_pixels(patterns: npt.NDArray[Any]) -> Pixels:
    """Return signed images as bytes (n, h, w, 3), each scaled to its own largest size.

    Grey patterns go from blue (negative) over white to red; colour patterns are shown around mid grey.
    """
    shown = _viewable(np.asarray(patterns)).astype(np.float64)
    out = np.empty((*shown.shape[:3], 3), dtype=np.uint8)
    for i, pattern in enumerate(shown):
        size = np.abs(pattern)
        # A thousandth of the pixels may saturate, so that one spike does not hide the pattern.
        limit = float(np.quantile(size, 0.999)) or float(size.max()) or 1.0
        share = np.clip(0.5 + pattern / (2 * limit), 0, 1)
        if pattern.ndim == 2:
            share = colormaps[SIGNED](share)[..., :3]
        out[i] = np.rint(share * 255)
    return out


def _viewable(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if images.ndim == 3:
        return images
    channels = images.shape[3]
    if channels >= 3:
        return images[..., :3]
    return np.asarray(images.mean(axis=3)) if channels == 2 else images[..., 0]
