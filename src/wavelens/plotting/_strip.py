"""Pictures side by side in one axes, each one unit wide, with captions and headings."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from wavelens.plotting._style import INK, category_color, new_figure, plain

__all__ = ["draw_strip", "strip_axes"]

Pixels = npt.NDArray[np.uint8]


def draw_strip(
    ax: Axes,
    pictures: Sequence[Pixels | None],
    captions: Sequence[str],
    columns: int,
    ratio: float,
    *,
    caption: float = 0.2,
    above: float = 0.0,
    headings: Sequence[str] = (),
    framed: Collection[int] = (),
) -> None:
    """Draw pictures side by side, each one unit wide, with captions under them and headings over columns.

    None leaves a place empty. Of the room that `caption` takes of each line, `above` is over the pictures. `framed`
    are the places of pictures to be seen first.
    """
    top = 0.12 if headings else 0.0
    for i, heading in enumerate(headings):
        ax.text(i + 0.5, 0.09, plain(heading), ha="center", va="bottom", fontsize=9, color=INK)
    for i, (picture, text) in enumerate(zip(pictures, captions, strict=True)):
        if picture is None:
            continue
        x, y = i % columns, top + above + (i // columns) * (ratio + caption)
        ax.imshow(
            picture,
            cmap="gray" if picture.ndim == 2 else None,
            vmin=0,
            vmax=255,
            interpolation="nearest" if max(picture.shape[:2]) < 150 else "antialiased",
            extent=(x + 0.02, x + 0.98, y + ratio * 0.98, y + ratio * 0.02),
        )
        if i in framed:
            corner = (x + 0.02, y + 0.02 * ratio)
            frame = Rectangle(
                corner, 0.96, 0.96 * ratio, fill=False, edgecolor=category_color(1), linewidth=2.2, zorder=5
            )
            ax.add_patch(frame)
        lines = "\n".join(map(plain, text.split("\n")))
        ax.text(x + 0.5, y + ratio, lines, ha="center", va="top", fontsize=7.5, color=INK)
    rows = -(-len(pictures) // columns)
    ax.set_xlim(0, columns)
    ax.set_ylim(top + rows * (ratio + caption), 0)
    ax.set_aspect("equal")
    ax.set_anchor("NW")
    ax.set_axis_off()


def strip_axes(
    columns: int,
    rows: int,
    ratio: float,
    *,
    caption: float = 0.2,
    heading: float = 0.0,
    largest: float = 2.45,
) -> Axes:
    """Make a figure that fits; the layout is known, so none is searched for."""
    size = min(largest, 11 / columns)
    size = min(size, 28 / (rows * (ratio + caption) + heading))
    height = size * (rows * (ratio + caption) + heading) + 0.42
    width = max(size * columns, 3.9)
    figure = new_figure((width, height))
    figure.set_layout_engine("none")
    return figure.add_axes((0.01, 0.0, 0.98, 1 - 0.42 / height))
