"""Figures and images as parts of an HTML page, and as files beside it."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from wavelens._utils._atomic_write import atomic_write, write_text
from wavelens.plotting._style import GRID, INK, MUTED, PANEL, Display
from wavelens.report._page import Chart

__all__ = ["FigureFolder", "as_data_uri", "as_small_data_uri"]

_largest_thumbnail = 320
_most_exact_pixels = 1200
_page_colors = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", PANEL: "var(--panel)"}
_save_settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "wavelens", "svg.image_inline": True}


class FigureFolder:
    """Writes figures into a folder and gives them back for the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def chart(
        self, display: Display, name: str, alt: str, caption: str = "", *, white_is_paper: bool = False
    ) -> Chart:
        """Save a drawn Display as PNG and SVG and return it as inline SVG.

        `white_is_paper` says that what is white in the figure is to be dark on a dark page.
        """
        figure = self.save(display, name)
        # The layout is settled by now; to find it anew takes as long as drawing.
        figure.set_layout_engine("none")
        buffer = io.BytesIO()
        with _quietly():
            figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None})
        text = buffer.getvalue().decode("utf-8")
        write_text(self.folder / f"{name}.svg", text)
        return Chart(
            _inline(text, name, alt, white_is_paper), alt, round(figure.get_figwidth() * 96), caption
        )

    def save(self, display: Display, name: str) -> Figure:
        """Save a drawn Display as PNG."""
        if name in self._used:
            raise ValueError(f"two figures are called {name!r}")
        self._used.add(name)
        figure = display.figure_
        if not isinstance(figure, Figure):
            raise TypeError("a figure of its own is needed")
        with _quietly(), atomic_write(self.folder / f"{name}.png") as file:
            figure.savefig(file, format="png", dpi=120, pil_kwargs={"compress_level": 3})
        return figure


@contextmanager
def _quietly() -> Iterator[None]:
    """Save with our settings, without warnings of letters that a font lacks: browsers have them."""
    with matplotlib.rc_context(_save_settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def _inline(svg: str, name: str, alt: str, white_is_paper: bool) -> Markup:
    """Make a saved SVG part of a page: ids of its own, colours of the page's theme, a text for the blind."""
    body = svg[svg.index("<svg") :]
    # The first thing drawn is the white sheet of the file: the page has its own.
    body = body.replace("fill: #ffffff", "fill: none", 1)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    # Only tags are touched from here on: the texts between them may hold anything.
    colors = _page_colors | ({"#ffffff": "var(--paper)"} if white_is_paper else {})
    body = re.sub(r"<[^>]*>", lambda tag: _inline_tag(tag.group(), name, colors), body)
    # Two images with the same pixels get the same id; nothing refers to it.
    seen: dict[str, int] = {}
    body = re.sub(r'(<image\b[^>]*\bid=")([^"]*)"', lambda found: _numbered(found, seen), body)
    box = re.search(r'viewBox="[^"]*"', body)
    opening = f'<svg class="drawn" {box.group() if box else ""} role="img" aria-label="{escape(alt)}">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: opening, body, count=1))


def _numbered(found: re.Match[str], seen: dict[str, int]) -> str:
    start, name = found.groups()
    seen[name] = seen.get(name, 0) + 1
    return f'{start}{name}"' if seen[name] == 1 else f'{start}{name}-{seen[name]}"'


def _inline_tag(tag: str, name: str, colors: dict[str, str]) -> str:
    for color, variable in colors.items():
        tag = tag.replace(color, variable)
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-")
    return re.sub(r'href="#', f'href="#{name}-', tag)


def as_data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Return an image as PNG in a data URI, made smaller where it is larger than a thumbnail."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if max(image.size) > _largest_thumbnail:
        image.thumbnail((_largest_thumbnail, _largest_thumbnail), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def as_small_data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Return a picture of at most 96 pixels a side in a data URI: JPEG unless PNG is smaller."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((96, 96), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75)
    jpeg = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    if image.width * image.height > _most_exact_pixels:
        return jpeg
    return min(jpeg, as_data_uri(pixels), key=len)
