"""The sections of a patterns report about images and classes: alike, isolated, on the border."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wavelens._utils._names import shorten, without_isolates
from wavelens.patterns import Spectrum
from wavelens.plotting import ClassSimilarityDisplay, SimilarityDisplay, SpectrumDisplay
from wavelens.plotting._style import image_pixels, pair_colors
from wavelens.report._embed import as_small_data_uri
from wavelens.report._page import (
    Block,
    Chart,
    Dot,
    Fold,
    Gallery,
    Heading,
    Row,
    Section,
    Strip,
    Table,
    Text,
)
from wavelens.report._pattern_findings import Pair
from wavelens.report._pattern_sections import similarity_said
from wavelens.report._pattern_story import Story
from wavelens.report._shown_images import (
    IMAGES_A_ROW,
    PAIRS_IN_FOLDS,
    PAIRS_IN_FULL,
    at_both_ends,
    at_the_border,
    dots,
    in_steps,
    largest_classes,
)
from wavelens.report._words import count, number, percent, signed

__all__ = ["between", "similarity"]

_charts_open = 6
_pairs_in_table = 60
_most_lanes = 14
_dot_size = 12.0


def similarity(story: Story) -> Section:
    """Show how alike the images of each class are, and the isolated ones."""
    sizes = story.findings.sizes
    shown = largest_classes(sizes)
    many = len(story.names) > 4
    charts = [_similarity_chart(story, int(i), 200 if many else 1000) for i in shown if sizes[i] > 2]
    lead = f"Images made of the same patterns in the same amounts are alike. {story.findings.likeness()}"
    blocks: list[Block] = [Text((lead,), "lead")]
    if charts:
        blocks.append(Row(tuple(charts[:_charts_open])))
        if charts[_charts_open:]:
            blocks.append(Fold("Similarity within further classes", (Row(tuple(charts[_charts_open:])),)))
        note = (
            "Each row and each column is an image, in the same order, with like ones together. A bright "
            "square along the diagonal is a group of images that are alike; a dark line is an image that few "
            "others are like."
        )
        blocks.append(Text((note,), "note"))
    if story.analysis.class_similarity_.error is not None or story.analysis.sampled_from_ is not None:
        blocks.append(Text((similarity_said(story.analysis),), "note"))
    galleries = [_isolated(story, int(i)) for i in shown]
    blocks += [
        Heading("isolated", "Isolated images"),
        Text(
            (
                "These images are least like the rest of their class: rare cases, mistakes, or images that "
                "were made differently. The number is the mean similarity to their class.",
            )
        ),
        *galleries[:_charts_open],
    ]
    if galleries[_charts_open:]:
        blocks.append(Fold("Isolated images of further classes", tuple(galleries[_charts_open:])))
    if len(sizes) > len(shown):
        blocks.append(Text((f"Shown are the {len(shown)} largest of {len(sizes)} classes.",), "note"))
    return Section("similarity", "How alike images of a class are", tuple(blocks))


def _similarity_chart(story: Story, i: int, most: int) -> Chart:
    display = SimilarityDisplay.from_analysis(
        story.whole, story.whole.classes_[i], class_names=story.class_names, max_images=most
    ).plot()
    alt = (
        f"Similarity of each two of {len(display.indices):,} images of {story.names[i]}, like ones together."
    )
    return story.figures.chart(display, f"similarity-{story.slug(i)}", alt)


def _isolated(story: Story, i: int) -> Gallery:
    n = min(IMAGES_A_ROW, int(story.findings.sizes[i]))
    places = story.whole.isolated(story.whole.classes_[i], n)
    usual = number(float(story.findings.usual_similarity[i]))
    name = shorten(story.names[i], 40)
    return story.gallery(
        f"{name} – usual is {usual}",
        places,
        story.whole.similarity_to_classes()[places, i],
        f"isolated-{story.slug(i)}",
        "{:.2f}",
        title_in_file=f"Isolated images of {name}",
    )


def between(story: Story) -> Section:
    """Show pairs of classes, those that overlap most first."""
    pairs = story.findings.pairs
    lead = (
        "Comparing how alike an image is to each of two classes places it between them: −1 is far on the "
        f"side of the one, 1 far on the side of the other, and the border is at 0. {story.findings.overlap()}"
    )
    note = (
        "The places come from the same images and labels as the patterns. They describe this dataset; they "
        "do not say how well new images would be told apart."
    )
    blocks: list[Block] = [Text((lead,), "lead"), Text((note,), "note")]
    if len(story.names) > 2:
        display = ClassSimilarityDisplay.from_analysis(story.whole, class_names=story.class_names).plot()
        alt = f"Matrix of mean similarities of {len(story.names)} classes. {story.findings.likeness()}"
        caption = "On the diagonal: how alike images of the same class are."
        blocks.append(story.figures.chart(display, "class-similarity", alt, caption))
    for rank, pair in enumerate(pairs[:PAIRS_IN_FULL]):
        blocks.append(
            Heading(f"pair-{rank + 1}", f"{story.names[pair.first]} and {story.names[pair.second]}")
        )
        blocks += _pair_blocks(story, pair, in_full=True)
    rest = pairs[PAIRS_IN_FULL:]
    if rest:
        blocks.append(Heading("pairs", "Further pairs"))
    for pair in rest[:PAIRS_IN_FOLDS]:
        names = f"{story.names[pair.first]} and {story.names[pair.second]}"
        title = f"{names}: {percent(pair.overlap)} beyond the border"
        blocks.append(Fold(title, tuple(_pair_blocks(story, pair, in_full=False))))
    if rest:
        blocks.append(_pair_table(story, pairs))
    return Section("between", "Between the classes", tuple(blocks))


def _pair_blocks(story: Story, pair: Pair, *, in_full: bool) -> list[Block]:
    i, j = pair.first, pair.second
    labels, names = story.analysis.classes_, story.names
    spectrum = story.whole.spectrum(labels[j], labels[i])
    display = SpectrumDisplay.from_analysis(
        story.whole, labels[i], labels[j], class_names=story.class_names
    ).plot()
    crossed = (
        f"{pair.crossed[0]:,} of {count(pair.sizes[0], 'image')} of {story.said(i)} and "
        f"{pair.crossed[1]:,} of {count(pair.sizes[1], 'image')} of {story.said(j)} lie beyond the border."
    )
    reach = float(np.abs(spectrum.values).max())
    if reach < 0.1:
        crossed += (
            f" No image lies farther from it than {reach:.2g}: images are about as similar to the other "
            "class as to their own, and their order says more than their place."
        )
    if spectrum.method != "exact":
        known = np.isfinite(spectrum.error)
        crossed += (
            f" Similarities are approximate: at least 95% of the places are off by at most {spectrum.error:.1g}."
            if known
            else " Similarities are approximate; too few of these images were checked to say how far places are off."
        )
    name = f"spectrum-{story.slug(i)}-{story.slug(j)}"
    alt = f"Histogram of the places of images between the classes. {crossed}"
    blocks: list[Block] = [Text((crossed,)), story.figures.chart(display, name, alt)]
    place = dict(zip(spectrum.indices.tolist(), spectrum.values.tolist(), strict=True))
    colors = dict(zip((i, j), pair_colors(i, j, len(names)), strict=True))

    def row(title: str, places: npt.NDArray[np.intp], file_name: str) -> Gallery:
        values = np.array([place[int(k)] for k in places])
        decimals = 3 if reach < 0.1 else 2
        # Adding 0 after rounding leaves no "-0.00".
        shown = np.round(values, decimals) + 0.0
        return story.gallery(
            title, places, shown, file_name if in_full else "", f"{{:+.{decimals}f}}", colors=colors
        )

    if in_full:
        blocks.append(_strip(story, pair, spectrum, colors))
        file_name = f"spectrum-steps-{story.slug(i)}-{story.slug(j)}"
        blocks.append(row("From one end to the other, in equal steps", in_steps(spectrum), file_name))
    sides = ((i, j), (j, i))
    for (a, b), near in zip(sides, at_the_border(story.whole, pair), strict=True):
        title = f"Borderline – images of {shorten(names[a])} most like {shorten(names[b])}"
        blocks.append(row(title, near, f"borderline-{story.slug(a)}-{story.slug(b)}"))
    if in_full:
        for (a, b), far in zip(sides, at_both_ends(story.whole, pair), strict=True):
            title = f"Far from the border – images of {shorten(names[a])} least like {shorten(names[b])}"
            blocks.append(row(title, far, f"extremes-{story.slug(a)}-{story.slug(b)}"))
    return blocks


def _strip(story: Story, pair: Pair, spectrum: Spectrum, colors: dict[int, str]) -> Strip:
    """Lay the images of a pair out as dots along the spectrum; of very many, some at equal steps."""
    n = len(spectrum.indices)
    chosen = dots(spectrum)
    here = story.shown(spectrum.indices[chosen])
    if len(here) < len(chosen):  # not all of these can be shown: steps among those that are
        classes = story.analysis.classes_
        spectrum = story.analysis.spectrum(classes[pair.second], classes[pair.first])
        chosen = dots(spectrum)
        here = spectrum.indices[chosen]
    values = spectrum.values[chosen]
    reach = float(np.abs(values).max()) or 1.0
    x = 500 + 487 * values / reach
    # Dots of one column are stacked from its middle outwards, so that none hides another; no column holds
    # dots from both sides of the border.
    column = np.floor((x - 500) / _dot_size).astype(np.intp)
    order = np.zeros(len(x), dtype=np.intp)
    for k in np.unique(column):
        order[column == k] = np.arange(np.count_nonzero(column == k))
    # Where a column is too full, its dots and all others move closer together.
    lanes = int(order.max()) + 1
    step = _dot_size * min(1.0, _most_lanes / lanes)
    offset = np.where(order % 2 == 1, -(order + 1) // 2, order // 2)
    height = round(step * (lanes - 1) + 2 * _dot_size, 1)
    middle = _dot_size + step * (lanes // 2)
    pixels = image_pixels(story.images[here], story.limits)
    digits = 3 if reach < 0.1 else 2
    drawn = []
    for k, place in enumerate(map(int, here)):
        label = int(story.analysis.labels_[place])
        about = f"{shorten(story.names[label], 18)}, {signed(float(values[k]), digits)}"
        drawn.append(
            Dot(
                round(float(500 + _dot_size * (column[k] + 0.5)), 1),
                round(float(middle + step * offset[k]), 1),
                colors[label],
                as_small_data_uri(pixels[k]),
                without_isolates(story.base_name(place)),
                about,
                place,
            )
        )
    first, second = shorten(story.names[pair.first]), shorten(story.names[pair.second])
    caption = "Each dot is an image. Point at one, or use the arrow keys, to see it."
    if len(chosen) < n:
        caption += f" {len(chosen):,} of {n:,} images, at equal steps of their order."
    start = int(np.abs(values).argmin())
    label_text = f"Images between {first} and {second}"
    ends = (f"like {first}", f"like {second}")
    if story.table is not None:
        caption += " A click, or the Enter key, shows it larger"
        caption += "." if story.analysis.sampled_from_ is not None else ", with the images nearest to it."
    opens = story.table is not None
    return Strip(label_text, ends, tuple(drawn), start, height, story.crisp, caption, opens)


def _pair_table(story: Story, pairs: list[Pair]) -> Block:
    rows = tuple(
        (
            f"{story.names[pair.first]} and {story.names[pair.second]}",
            number(pair.similarity),
            percent(pair.crossed[0] / pair.sizes[0]),
            percent(pair.crossed[1] / pair.sizes[1]),
        )
        for pair in pairs[:_pairs_in_table]
    )
    total = len(story.names) * (len(story.names) - 1) // 2
    title = (
        f"All {total:,} pairs in a table"
        if len(rows) == total
        else f"{len(rows)} of {total:,} pairs in a table"
    )
    header = ("Pair", "Mean similarity", "First class beyond the border", "Second class beyond the border")
    return Fold(title, (Table(header, rows, "Those that reach into each other most come first."),))
