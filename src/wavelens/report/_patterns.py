"""The report of an analysis by patterns."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import wavelens
from wavelens._utils._atomic_write import write_text
from wavelens._utils._names import shorten
from wavelens.patterns import (
    AssociationCurve,
    AssociationResult,
    BasisComparison,
    HeldOutScore,
    PatternAnalysis,
)
from wavelens.quality import QualityReport
from wavelens.report import _pattern_sections
from wavelens.report._embed import as_small_data_uri
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.report._page import Page, Section, make_sections
from wavelens.report._pattern_story import LabelledImages, Story
from wavelens.report._quality_section import in_short
from wavelens.report._section_list import SECTIONS
from wavelens.report._tables import ImageTable
from wavelens.report._words import joined

__all__ = ["patterns_in_words", "write_patterns_report"]

_files_listed = 200
_classes_pictured = 40


def write_patterns_report(
    folder: str | Path,
    analysis: PatternAnalysis,
    data: LabelledImages,
    *,
    table: ImageTable | None = None,
    quality: QualityReport | None = None,
    association: AssociationResult | None = None,
    association_curve: AssociationCurve | None = None,
    held_out: HeldOutScore | None = None,
    comparison: BasisComparison | None = None,
    command: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Path:
    """Write what an analysis found as an HTML page with figures.

    Parameters
    ----------
    folder : str or Path
        Where `report.html` and the folder `figures` go; made if it is not there. Files of the same names are
        written over.
    analysis : PatternAnalysis
        Fitted on `data.images` and `data.labels`.
    data : LabelledImages
        The dataset, such as `wavelens.data.ImageData`.
    table : ImageTable or None, default None
        From `image_table`; without it the page has no table of images.
    quality : QualityReport or None, default None
        From `wavelens.quality.check_images` on the same data.
    association : AssociationResult or None, default None
    association_curve : AssociationCurve or None, default None
    held_out : HeldOutScore or None, default None
        What `analysis` says of the tie between patterns and classes.
    comparison : BasisComparison or None, default None
        From `compare_bases`. Each of these results gets a section of its own where it is given.
    command : str or None, default None
        The command that made it, for the overview.
    progress : callable or None, default None
        Called with the share that is done, from 0 to 1, and what is being done.

    Returns
    -------
    Path
        Of `report.html`. It is one file, opens from disk, and asks for nothing outside.

    Raises
    ------
    ValueError
        If `data` is not what the analysis was fitted on.

    Notes
    -----
    While a figure is saved, matplotlib's settings for files are changed and put back, so reports should not
    be written in several threads at once. Large datasets are sampled where a figure could not show them
    whole.

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.report import write_patterns_report
    >>> digits = load("digits")
    >>> analysis = PatternAnalysis(n_coefficients=40).fit(digits.images, digits.labels)
    >>> write_patterns_report("digits-report", analysis, digits)  # doctest: +SKIP
    """
    n = len(analysis.labels_)
    for name, given in (("images", data.images), ("labels", data.labels), ("image_names", data.image_names)):
        if len(given) != n:
            raise ValueError(
                f"`data.{name}` must be of the {n:,} images that the analysis was fitted on, got "
                f"{len(given):,}"
            )
    folder = Path(folder)
    more = {
        "quality": quality,
        "association": association,
        "association_curve": association_curve,
        "held_out": held_out,
        "comparison": comparison,
    }
    story = Story(folder / "figures", analysis, data, table, more)
    sections = make_sections(SECTIONS, story, progress)
    path = folder / "report.html"
    write_text(path, _page(story, sections, command, quality).render())
    if progress is not None:
        progress(1.0, "report.html")
    return path


def patterns_in_words(
    analysis: PatternAnalysis,
    data: LabelledImages,
    *,
    quality: QualityReport | None = None,
    association: AssociationResult | None = None,
    association_curve: AssociationCurve | None = None,
    held_out: HeldOutScore | None = None,
    comparison: BasisComparison | None = None,
) -> tuple[str, ...]:
    """Return the findings of the page as sentences.

    Parameters
    ----------
    analysis : PatternAnalysis
        Fitted on `data.images` and `data.labels`.
    data : LabelledImages
        The dataset, such as `wavelens.data.ImageData`.
    quality, association, association_curve, held_out, comparison
        As in `write_patterns_report`.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.report import patterns_in_words
    >>> digits = load("digits", limit=20)
    >>> analysis = PatternAnalysis(n_coefficients=8).fit(digits.images, digits.labels)
    >>> len(patterns_in_words(analysis, digits)) > 3
    True
    """
    more = {
        "quality": quality,
        "association": association,
        "association_curve": association_curve,
        "held_out": held_out,
        "comparison": comparison,
    }
    return tuple(filter(None, _findings(Story(Path(), analysis, data, None, more), quality)))


def _findings(story: Story, quality: QualityReport | None) -> tuple[str, ...]:
    found = story.findings
    return (
        f"{found.ownership()} {found.by_chance()}".strip(),
        found.association(),
        found.rebuilding(story.outside),
        found.likeness(),
        found.overlap(),
        found.loneliest(story.base_name),
        *(() if quality is None else (in_short(quality),)),
    )


def _mini(story: Story, i: int) -> str:
    return as_small_data_uri(story.mean_image(i)) if len(story.names) <= _classes_pictured else ""


def _page(
    story: Story, sections: tuple[Section, ...], command: str | None, quality: QualityReport | None
) -> Page:
    """Put the overview before the sections."""
    found = story.findings
    sizes = found.sizes
    largest = int(sizes.max())
    classes = tuple(
        (name, f"{size:,}", round(100 * size / largest, 1), story.class_color(i), _mini(story, i))
        for i, (name, size) in enumerate(zip(story.names, sizes, strict=True))
    )
    skipped = [
        (isolate(each.path), isolate_sentence(each.reason)) for each in story.data.skipped[:_files_listed]
    ]
    subtitle = joined([shorten(name, 30) for name in story.names], 10)
    source = getattr(story.data, "name", "")
    return Page(
        title=f"What {int(sizes.sum()):,} images of {len(story.names)} classes are made of",
        subtitle=f"{isolate(source)}: {subtitle}" if source else subtitle,
        facts=(*_pattern_sections.described(story), ("Version", f"Wavelens {wavelens.__version__}")),
        classes=classes,
        findings=_findings(story, quality),
        sections=sections,
        version=wavelens.__version__,
        remarks=tuple(map(isolate_sentence, story.data.notes)),
        skipped=tuple(skipped),
        skipped_more=max(0, len(story.data.skipped) - _files_listed),
        command=isolate_sentence(command) if command else "",
        made=datetime.date.today().isoformat(),
    )
