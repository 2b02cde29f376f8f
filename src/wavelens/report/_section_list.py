"""The sections of a patterns report, in the order of the page.

To add one: write a function of the story that returns a `Section`, or None where it has nothing to show, in a
module of its own, and give it a line here with a few words for the progress bar. What it needs beyond the story
comes through `story.more`, which `write_patterns_report` fills.
"""

from __future__ import annotations

from collections.abc import Callable

from wavelens.report import _image_browser, _pattern_classes, _pattern_sections
from wavelens.report._association_section import association_section
from wavelens.report._basis_section import basis_section
from wavelens.report._classes_section import classes_section
from wavelens.report._page import Section
from wavelens.report._pattern_story import Story
from wavelens.report._quality_section import quality_section

__all__ = ["SECTIONS"]

SECTIONS: tuple[tuple[str, Callable[[Story], Section | None]], ...] = (
    ("influential coefficients", _pattern_sections.influence),
    ("strengths of the patterns", _pattern_sections.strength),
    ("tie of patterns and classes", association_section),
    ("dominant patterns", _pattern_sections.dominant),
    ("images rebuilt", _pattern_sections.rebuilding),
    ("wavelets or pixels", basis_section),
    ("complexity", _pattern_sections.complexity),
    ("similarity", _pattern_classes.similarity),
    ("pairs of classes", _pattern_classes.between),
    ("classes that share patterns", classes_section),
    ("data quality", quality_section),
    ("table of images", _image_browser.images),
    ("how to read it", _pattern_sections.reading),
)
