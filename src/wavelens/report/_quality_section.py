"""What the checks of the data found: a section of the page, a sentence, and columns of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wavelens._utils._names import shorten
from wavelens.plotting._style import image_pixels
from wavelens.quality import QualityReport
from wavelens.report._embed import as_data_uri
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.report._page import Block, Cell, Gallery, Heading, Section, Table, Text
from wavelens.report._pattern_story import IMAGES_A_ROW, Story
from wavelens.report._words import count, joined, pvalue

__all__ = ["in_short", "quality_section"]

_shown = 2 * IMAGES_A_ROW


def in_short(quality: QualityReport) -> str:
    """Say in one sentence whether the data is sound."""
    kinds = {
        "duplicates": "exact copies",
        "near-duplicates": "near-duplicates",
        "labels": "doubtful labels",
        "constant": "empty images",
        "saturated": "saturated images",
        "leak": "files that tell their class",
    }
    found = [each.kind for each in quality.findings() if each.severity == "warning"]
    told = [text for kind, text in kinds.items() if kind in found]
    if not told:
        return "The checks of the data found nothing that asks for action."
    return f"The data wants a look: there are {joined(told)}."


def quality_section(story: Story) -> Section | None:
    """Show what the checks found, with the images concerned; None where nothing was checked."""
    quality: QualityReport | None = story.more.get("quality")
    if quality is None:
        return None
    quality = _isolated(quality)
    findings = quality.findings()
    warnings = [each for each in findings if each.severity == "warning"]
    which = (
        "" if quality.n_checked is None else f"Checked were {quality.n_checked:,} images drawn at random. "
    )
    lead = (
        f"The checks found {count(len(warnings), 'thing')} to look at before trusting what is learnt from "
        "these images."
        if warnings
        else "The checks found nothing that asks for action: no copies, no doubtful labels, no empty images, "
        "and no files that tell their class."
    )
    blocks: list[Block] = [Text((which + lead,), "lead")]
    if findings:
        blocks.append(Text(tuple(each.text for each in findings)))
    unchecked = quality.unchecked()
    if unchecked:
        blocks.append(Text((f"Not checked: {' '.join(unchecked)}",), "note"))
    blocks += [*_copies(story, quality), *_near_copies(story, quality), *_doubts(story, quality)]
    blocks += [*_odd(story, quality), *_leaks(quality)]
    return Section("quality", "Is the data sound?", tuple(blocks))


def _isolated(quality: QualityReport) -> QualityReport:
    """Return the report with names as a page takes them."""
    return replace(
        quality,
        image_names=tuple(map(isolate, quality.image_names)),
        class_names=tuple(map(isolate, quality.class_names)),
        leaks=tuple(
            replace(each, words=isolate_sentence(each.words[:1].upper() + each.words[1:]))
            for each in quality.leaks
        ),
    )


def _copies(story: Story, quality: QualityReport) -> list[Block]:
    groups = quality.duplicate_groups
    if not groups:
        return []
    places, texts = [], []
    for k, group in enumerate(sorted(groups, key=lambda each: not quality.across(each))):
        for i in group[:4]:
            places.append(i)
            texts.append(f"group {k + 1}, {_class(quality, i)}")
    title = f"{count(len(groups), 'group')} of images with the same pixels"
    return [Heading("copies", "Exact copies"), _gallery(story, title, places, texts)]


def _near_copies(story: Story, quality: QualityReport) -> list[Block]:
    if not len(quality.near_pairs):
        return []
    places, texts = [], []
    # Those across classes first, then the nearest.
    order = np.argsort(~quality.pairs_across, kind="stable")
    for k, pair in enumerate(order):
        for i in map(int, quality.near_pairs[pair]):
            places.append(i)
            texts.append(f"pair {k + 1} at {quality.near_distances[pair]:.2f}, {_class(quality, i)}")
    about = (
        "Small grey copies of two images, evened out in brightness and contrast, are much nearer to each "
        "other than to their other neighbours. The number is their distance: 0 is the same, 1.41 unrelated."
    )
    m = len(order)
    title = f"{count(m, 'pair')}{', those across classes first, then the nearest' if m > 1 else ''}"
    return [Heading("near-copies", "Nearly the same"), Text((about,)), _gallery(story, title, places, texts)]


def _doubts(story: Story, quality: QualityReport) -> list[Block]:
    doubts = quality.label_doubts
    if not len(doubts):
        return []
    texts = [
        f"{_class(quality, int(i))}; around it {shorten(quality.class_names[c], 20)}"
        for i, c in zip(doubts, quality.suspected_classes, strict=True)
    ]
    about = (
        "None of the five nearest images carries the label of these. Some labels may be wrong; others may be "
        "rare or difficult cases, which should stay."
    )
    title = count(len(doubts), "image")
    return [
        Heading("label-doubts", "Doubtful labels"),
        Text((about,)),
        _gallery(story, title, list(map(int, doubts)), texts),
    ]


def _odd(story: Story, quality: QualityReport) -> list[Block]:
    odd = np.flatnonzero(quality.constant | quality.nearly_constant | quality.saturated)
    if not len(odd):
        return []
    texts = []
    for i in odd:
        if quality.constant[i] or quality.nearly_constant[i]:
            texts.append("constant" if quality.constant[i] else "nearly constant")
        else:
            black, white = quality.black_share[i], quality.white_share[i]
            texts.append(f"{100 * max(black, white):.0f}% {'white' if white > black else 'black'}")
    title = count(len(odd), "image")
    return [
        Heading("empty", "Empty or saturated"),
        _gallery(story, title, list(map(int, odd)), texts),
    ]


def _leaks(quality: QualityReport) -> list[Block]:
    if not quality.leaks:
        return []
    rows = tuple(
        (each.what, each.measure, f"{each.strength:.2f}", pvalue(each.pvalue), "yes" if each.found else "no")
        for each in quality.leaks
    )
    about = (
        "A network learns whatever tells the classes apart, also what has nothing to do with what the images "
        "show. Cramér’s V is 0 where a property tells nothing of the class and 1 where it tells all; the area "
        "under the ROC curve (AUC) goes from 0.5 to 1, for the class that the number tells best from the rest."
    )
    caption = "What is known of the files and of the images as a whole, against the class"
    return [
        Heading("leaks", "What tells the class without looking"),
        Text((about,)),
        Table(("Property", "Measure", "Strength", "By chance", "Worth a look"), rows, caption),
    ]


def _class(quality: QualityReport, i: int) -> str:
    return shorten(quality.class_names[quality.labels[i]], 20)


def _gallery(story: Story, title: str, places: Sequence[int], texts: Sequence[str]) -> Gallery:
    cells = []
    for place, text in list(zip(places, texts, strict=True))[:_shown]:
        pixels = image_pixels(story.images[place : place + 1], story.limits)[0]
        full = story.image_names[place]
        cells.append(Cell(as_data_uri(pixels), f"{full}: {text}", story.base_name(place), text, full))
    more = f" (the first {_shown} images are shown)" if len(places) > _shown else ""
    return Gallery(title + more, tuple(cells), story.size, story.crisp)
