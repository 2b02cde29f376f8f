"""What a report page is made of, and how it becomes one HTML file.

A page is a list of sections, a section a list of blocks. Text is plain text: the template escapes it, because
names of files and classes are the user's (`_foreign_text.py`). Only figures, which this package draws itself, are
markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import ClassVar, TypeVar

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from wavelens.report._content_security import content_security_policy, styles_as_classes
from wavelens.report._explain_blocks import Explained, Measures
from wavelens.report._foreign_text import mark_up_isolates

__all__ = [
    "Block",
    "Cell",
    "Chart",
    "Column",
    "Dot",
    "Fold",
    "Gallery",
    "Heading",
    "ImageBrowser",
    "Page",
    "Row",
    "Section",
    "Strip",
    "Table",
    "Text",
    "make_sections",
]

AnyStory = TypeVar("AnyStory")


@dataclass(frozen=True)
class Text:
    """Paragraphs; `style` is "lead", "note" or ""."""

    kind: ClassVar[str] = "text"
    paragraphs: tuple[str, ...]
    style: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading within a section, which others may link to."""

    kind: ClassVar[str] = "heading"
    id: str
    title: str


@dataclass(frozen=True)
class Chart:
    """A figure as inline SVG; `width` in CSS pixels at its natural size."""

    kind: ClassVar[str] = "chart"
    svg: Markup
    alt: str
    width: int
    caption: str = ""


@dataclass(frozen=True)
class Cell:
    """An image of a gallery: a data URI, its text for those who cannot see it, and its captions."""

    source: str
    alt: str
    name: str
    value: str = ""
    full_name: str = ""
    color: str = ""
    image: int | None = None


@dataclass(frozen=True)
class Gallery:
    """Images side by side; `size` is the width of one in CSS pixels, `crisp` shows its pixels as squares.

    `columns` are at most in a row, half as many where that would make them small; 0 means as many as fit
    the page.
    """

    kind: ClassVar[str] = "gallery"
    title: str
    cells: tuple[Cell, ...]
    size: int
    crisp: bool
    caption: str = ""
    scale: str = ""
    columns: int = 0

    @property
    def across(self) -> tuple[int, int]:
        """Images in a row where there is room, and where there is little."""
        return (self.columns, self.columns) if self.columns else (8, 4) if self.size < 200 else (4, 2)


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row. `words` are the places of columns that hold words, not numbers."""

    kind: ClassVar[str] = "table"
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    words: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """Blocks side by side where the window is wide enough."""

    kind: ClassVar[str] = "row"
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Fold:
    """Blocks that open on a click."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Dot:
    """An image of a strip: its place in SVG units, its colour, its small picture and what is said of it."""

    x: float
    y: float
    color: str
    source: str
    name: str
    about: str
    image: int


@dataclass(frozen=True)
class Strip:
    """Images as dots along a line, in order; pointing at one, or the arrow keys, show it.

    `opens` says that a click shows the panel of the image browser.
    """

    kind: ClassVar[str] = "strip"
    label: str
    ends: tuple[str, str]
    dots: tuple[Dot, ...]
    start: int
    height: float
    crisp: bool
    caption: str = ""
    opens: bool = False


@dataclass(frozen=True)
class Column:
    """A column of numbers: the key of its values, its title, and what it means."""

    key: str
    title: str
    hint: str


@dataclass(frozen=True)
class ImageBrowser:
    """All images in a table, page by page, and a panel for one of them; a page has at most one.

    `data` is JSON for the script `images.js`.
    """

    kind: ClassVar[str] = "images"
    part: ClassVar[str] = "images"
    n: int
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    data: Markup
    rows: int
    crisp: bool


Block = Text | Heading | Chart | Gallery | Table | Row | Fold | Strip | ImageBrowser | Explained | Measures


@dataclass(frozen=True)
class Section:
    """A part of the page with an entry in the contents."""

    id: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The headings that the contents list below the section."""
        return tuple(block for block in self.blocks if isinstance(block, Heading))

    @property
    def parts(self) -> set[str]:
        """What its blocks need beyond the common style and script."""
        return {block.part for block in self.blocks if isinstance(block, ImageBrowser | Explained | Measures)}


def make_sections(
    makers: Sequence[tuple[str, Callable[[AnyStory], Section | None]]],
    story: AnyStory,
    progress: Callable[[float, str], None] | None,
) -> tuple[Section, ...]:
    """Make the sections of which a story has something to tell, one after the other, and say how far it is."""
    found = []
    for i, (what, make) in enumerate(makers):
        if progress is not None:
            progress(i / len(makers), what)
        section = make(story)
        if section is not None:
            found.append(section)
    return tuple(found)


@dataclass(frozen=True)
class Page:
    """A report.

    `facts` are pairs of a name and a value, `classes` of name, number of images, share of the largest class,
    colour and mean image (a data URI, or ""), and may be empty; `findings` are sentences; `about` is what the
    page is of, for a heading.
    """

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    classes: tuple[tuple[str, str, float, str, str], ...]
    findings: tuple[str, ...]
    sections: tuple[Section, ...]
    version: str
    remarks: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    skipped_more: int = 0
    command: str = ""
    made: str = field(default="")
    about: str = "these images"

    def render(self) -> str:
        """Return the HTML, which runs no script and uses no style but its own, and fetches nothing."""
        environment = Environment(
            loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        parts = ["report", *sorted(set().union(*(section.parts for section in self.sections)))]
        style, script = ("".join(_template(part + ending) for part in parts) for ending in (".css", ".js"))
        body = mark_up_isolates(environment.get_template("report.html.j2").render(page=self))
        body, rules = styles_as_classes(body)
        style += rules
        return environment.get_template("page.html.j2").render(
            page=self,
            policy=content_security_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            body=Markup(body),
        )


def _template(name: str) -> str:
    return (files("wavelens.report") / "templates" / name).read_text(encoding="utf-8")
