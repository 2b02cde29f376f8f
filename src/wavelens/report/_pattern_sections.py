"""The sections of a patterns report about patterns: where they lie, whose they are, what they make up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wavelens._utils._names import shorten
from wavelens.plotting import (
    AngleDisplay,
    InfluenceDisplay,
    PatternDisplay,
    ReconstructionDisplay,
    SingularValueDisplay,
)
from wavelens.report._basis_words import basis_fact, coefficients_said, method_said
from wavelens.report._classes_section import caveats
from wavelens.report._embed import as_data_uri
from wavelens.report._page import Block, Cell, Fold, Gallery, Row, Section, Text
from wavelens.report._pattern_story import Story
from wavelens.report._shown_images import CLASSES_IN_FULL, IMAGES_A_ROW, largest_classes, simple_and_complex
from wavelens.report._words import count, joined, percent, times

if TYPE_CHECKING:
    from wavelens.patterns import PatternAnalysis

__all__ = ["complexity", "dominant", "influence", "reading", "rebuilding", "strength"]

_classes_at_all = 40


def influence(story: Story) -> Section:
    """Show which pixels the chosen coefficients touch."""
    chosen = len(story.analysis.coefficients_)
    counts = story.analysis.influence_map_
    touched = float((counts > 0).mean())
    where = "They reach every part of an image, but some parts far more than others."
    if counts.min() == counts.max():
        where = "They reach every part of an image alike."
    elif touched < 0.995:
        where = f"They reach {percent(touched)} of the area of an image; elsewhere the images hardly differ."
    display = InfluenceDisplay(counts, story.mean_image()).plot()
    alt = (
        f"Map of the image area with the outlines of the mean image: between {counts.min():,} and "
        f"{counts.max():,} of the chosen coefficients touch a pixel."
    )
    lead = (
        f"{coefficients_said(story.analysis)} The {chosen:,} that tell most about how the "
        f"images differ were chosen for everything that follows. {where}"
    )
    note = (
        "The brighter a pixel, the more of the chosen coefficients touch it: there the images vary in ways "
        "that other places do not give away. White lines, where there are any, outline the mean image."
    )
    blocks = (Text((lead,), "lead"), Row((story.figures.chart(display, "influence", alt), _means(story))))
    return Section("influence", "Where the images differ", (*blocks, Text((note,), "note")))


def _means(story: Story) -> Gallery:
    sizes = story.findings.sizes
    shown = largest_classes(sizes)
    cells = tuple(
        Cell(as_data_uri(story.mean_image(i)), f"Mean image of {story.names[i]}", story.names[i])
        for i in map(int, shown)
    )
    title = "Mean image of each class"
    if len(shown) < len(sizes):
        title = f"Mean image of the {len(shown)} largest classes"
    size = 150 if len(shown) <= 4 and story.size < 150 else story.size
    columns = len(cells) if len(cells) <= 4 else 4 if len(cells) > 10 else -(-len(cells) // 2)
    return Gallery(title, cells, size, story.crisp, columns=columns)


def strength(story: Story) -> Section:
    """Show σ of each class and the angles."""
    found, names = story.findings, story.names
    sigma = SingularValueDisplay.from_analysis(story.analysis, class_names=story.class_names).plot()
    angles = AngleDisplay.from_analysis(story.analysis, class_names=story.class_names).plot()
    alt = f"Strength of {count(found.n_patterns, 'pattern')} in {len(names)} classes, on a log scale."
    own = [f"{name}: {n}" for name, n in list(zip(names, found.own_patterns, strict=True))[:12]]
    angle_alt = f"Patterns by angle. Beyond 22.5 degrees: {'; '.join(own)}."
    if len(names) == 2:
        caption = (
            "The angle compares a pattern’s strength in the two classes: in the middle it is equally strong "
            "in both, at either end it is found in one class alone. Beyond the dashed lines it is at least "
            "2.4 times as strong and said to belong to the class."
        )
    else:
        caption = (
            "Each stroke is a pattern, in one row for each class. Its place compares its strength in the "
            "class with that in the strongest other class; right of the dashed line it is at least 2.4 times "
            "as strong and said to belong to the class."
        )
    lead = (
        "Every image is a sum of the same patterns. How strongly the images of a class use a pattern, its "
        f"strength σ in the class, tells whose pattern it is. {found.ownership()}"
    )
    blocks: list[Block] = [
        Text((lead, f"{found.association()} {found.strongest_elsewhere()}".strip()), "lead")
    ]
    if found.by_chance():
        blocks.append(Text((found.by_chance(),), "note"))
    if story.analysis.normalization == "csd":
        blocks.append(Text((_csd_caveat,), "note"))
    blocks += caveats(story)
    sigma_chart = story.figures.chart(sigma, "singular-values", alt)
    blocks += [sigma_chart, story.figures.chart(angles, "angles", angle_alt, caption)]
    return Section("strength", "Which class uses which pattern", tuple(blocks))


_csd_caveat = (
    "In the normalization “csd” the squared strengths of a pattern add up to 1 over the classes, so a "
    "pattern strong in one class is weak in the others by definition: the rank correlation of the strengths "
    "is no finding here."
)


def dominant(story: Story) -> Section:
    """Show the most dominant patterns of each class."""
    order = np.argsort(-story.findings.own_patterns, kind="stable")
    if len(order) <= CLASSES_IN_FULL:
        order = np.arange(len(order))
    galleries = [_pattern_gallery(story, int(i), rank) for rank, i in enumerate(order[:_classes_at_all])]
    lead = (
        "For each class, the patterns that set it apart most: those that its images use more than the images "
        "of any other class do. The number says how many times as strong the pattern is here as in the "
        "strongest other class; below 1, another class uses it more."
    )
    blocks: list[Block] = [Text((lead,), "lead"), *galleries[:CLASSES_IN_FULL]]
    if galleries[CLASSES_IN_FULL:]:
        blocks.append(Fold("Patterns of further classes", tuple(galleries[CLASSES_IN_FULL:])))
    if len(order) > _classes_at_all:
        rest = count(len(order) - _classes_at_all, "class", "classes")
        blocks.append(Text((f"The {rest} with the fewest patterns of their own are left out.",), "note"))
    zero = "white is zero" if story.is_grey else "mid grey is zero"
    note = (
        f"Each pattern is scaled to its own range ({zero}), so weak and strong ones are equally visible. Its "
        "sign has no meaning by itself: an image can contain a pattern or its negative."
    )
    return Section("patterns", "The patterns of each class", (*blocks, Text((note,), "note")))


def _pattern_gallery(story: Story, i: int, rank: int) -> Gallery:
    display = PatternDisplay.from_analysis(
        story.analysis, story.analysis.classes_[i], n=IMAGES_A_ROW, class_names=story.class_names
    )
    if rank < CLASSES_IN_FULL:
        story.figures.save(display.plot(), f"patterns-{story.slug(i)}")
    cells = []
    for pixels, k, degrees in zip(display.pixels, display.indices, display.angles, strict=True):
        ratio = times(float(np.tan(np.radians(degrees + 45)))) if degrees < 44.9 else "only here"
        alt = f"Pattern {k} of {story.names[i]}, {ratio}"
        cells.append(Cell(as_data_uri(pixels), alt, f"Pattern {k}", ratio))
    own = count(int(story.findings.own_patterns[i]), "pattern")
    scale = ("signed" if story.is_grey else "colour") if rank == 0 else ""
    title = f"{shorten(story.names[i], 40)} – {own} of its own"
    return Gallery(title, tuple(cells), story.size, story.crisp, scale=scale)


def rebuilding(story: Story) -> Section:
    """Show images rebuilt from more and more patterns."""
    found = story.findings
    places = [found.typical(0), found.typical(1)] if len(story.names) == 2 else [found.typical()]
    displays = [_rebuilt(story, place) for place in places]
    for i, display in enumerate(displays):
        story.figures.save(display.plot(), "reconstruction" + (f"-{i + 1}" if len(displays) > 1 else ""))
    shown = displays[0]
    steps = zip(shown.n_patterns, shown.residuals, strict=True)
    alt = "Missing share against the number of patterns used: " + ", ".join(
        f"{percent(left)} with {n}" for n, left in steps
    )
    others = count(len(found.curves), "image")
    caption = f"Blue: {shown.title}. Grey: {others} chosen at random, for comparison."
    lead = (
        "An image can be put together again from its patterns, the most important ones first. "
        f"{found.rebuilding(story.outside)}"
    )
    outside = joined([percent(display.truncation) for display in displays])
    note = (
        "What is missing is measured in the chosen coefficients: the size of the difference, relative to the "
        "size of the image. What was not chosen comes back with no number of patterns, so even all of them "
        f"together look less sharp than the original; measured alike, it is {outside} of the "
        f"{'image' if len(displays) == 1 else 'images'} shown."
    )
    blocks: list[Block] = [Text((lead,), "lead")]
    blocks += [_reconstruction_gallery(story, display) for display in displays]
    blocks += [
        story.figures.chart(shown.plot_curve(), "residual-curve", alt, caption),
        Text((note,), "note"),
    ]
    return Section("rebuilding", "Images rebuilt from patterns", tuple(blocks))


def _rebuilt(story: Story, place: int) -> ReconstructionDisplay:
    name, label = shorten(story.base_name(place), 40), story.names[story.analysis.labels_[place]]
    display = ReconstructionDisplay.from_analysis(
        story.analysis, story.images[place], limits=story.limits, title=f"{name} ({shorten(label)})"
    )
    display.others = story.findings.curves
    return display


def _reconstruction_gallery(story: Story, display: ReconstructionDisplay) -> Gallery:
    cells = [Cell(as_data_uri(display.pixels[0]), f"The image {display.title}", "Original")]
    for pixels, n, left in zip(display.pixels[1:], display.n_patterns, display.residuals, strict=True):
        name = count(int(n), "pattern")
        missing = f"{percent(left)} missing"
        cells.append(Cell(as_data_uri(pixels), f"Rebuilt from {name}, {missing}", name, missing))
    return Gallery(display.title, tuple(cells), story.size, story.crisp)


def complexity(story: Story) -> Section:
    """Show the simplest and the most complex images."""
    values = story.findings.complexity
    simplest, most_complex = simple_and_complex(values)
    lead = (
        "Some images are made of a few common patterns, others of many rare ones. "
        f"{story.findings.complexities()}"
    )
    galleries = [
        story.gallery(title, which, values[which], file_name, "{:.2f}", tell_class=True)
        for title, which, file_name in (
            ("Simplest images", simplest, "least-complex"),
            ("Most complex images", most_complex, "most-complex"),
        )
    ]
    note = "The number is the complexity; 1 is that of the median image."
    return Section(
        "complexity", "Simple and complex images", (Text((lead,), "lead"), *galleries, Text((note,), "note"))
    )


def similarity_said(analysis: PatternAnalysis) -> str:
    """Say how images were compared with classes; of an approximation also its error."""
    found = analysis.class_similarity_
    if found.error is None:
        return found.in_words()
    return (
        f"{found.in_words()} The images least similar to their own class were then compared with every other."
    )


def _similarity_fact(analysis: PatternAnalysis) -> str:
    found = analysis.class_similarity_
    if found.error is None:
        return "each image with every other"
    how = {"landmarks": "landmarks", "features": "random features"}[found.method]
    bound = f", error below {found.error.bound:.1g} for 95%" if np.isfinite(found.error.bound) else ""
    return f"through {found.n_features:,} {how}{bound}"


def reading(story: Story) -> Section:
    """Say what the results mean and how they were made."""
    analysis = story.analysis
    paragraphs = (
        "Patterns and similarities describe the images that were given, with their labels. They show what is "
        "there, not why: a pattern that belongs to a class can come from the subject, but just as well from "
        "the device, the cropping or the file format.",
        "The place of an image between two classes was found with its own label known. It describes this "
        "dataset and does not test a classifier.",
        "Nothing here is a diagnosis. Whether a pattern or an image means anything takes someone who knows "
        "the subject.",
    )
    method = (
        f"{method_said(analysis)} A QR factorization with column "
        "pivoting orders them by influence, and the first are kept. The higher-order generalized singular "
        "value decomposition of the classes’ matrices, D = U Σ Vᵀ for each class with the same V, gives the "
        "patterns (columns of V) and their strength in each class (σ).",
        "A pattern’s contribution to an image is what its absence costs; images are rebuilt from the "
        "patterns that contribute most. The complexity of an image is the norm of its row in the left basis "
        "of all classes together.",
        "The similarity of two images is exp(−d² / 2h²), with d the distance of their rows of UΣ and the "
        f"bandwidth h = {analysis.bandwidth_:.4g}. The place between two classes is (s − c·t) / (s + c·t) "
        "for the mean similarities s and t to the two, with c such that 0 lies midway between the classes’ "
        f"medians. {similarity_said(analysis)}",
        "R. Yousefzadeh and F. Huang, Interpretable Insights about Medical Image Datasets: Using Wavelets "
        "and Spectral Methods, 2020. S. P. Ponnapalli and others, PLoS ONE 6 (2011) e28072. I. Kempf, P. J. "
        "Goulart, S. R. Duncan, arXiv:2104.11136.",
    )
    blocks = (Text(paragraphs), Fold("The method in brief", (Text(method),)))
    return Section("reading", "How to read this", blocks)


def described(story: Story) -> tuple[tuple[str, str], ...]:
    """Return the facts of the overview."""
    analysis, transform = story.analysis, story.analysis.basis_
    n, height, width = story.images.shape[:3]
    channels = story.images.shape[3] if story.images.ndim == 4 else 1
    whole = analysis.sampled_from_
    color = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    facts = [
        ("Images", f"{n:,}" if whole is None else f"{len(whole.whole.labels_):,}, of which {n:,} are shown"),
        ("Size", f"{width} × {height} pixels, {color}"),
        basis_fact(analysis),
        ("Coefficients", f"{len(analysis.coefficients_):,} of {transform.n_coefficients:,}"),
        ("Patterns", f"{story.findings.n_patterns:,}"),
        ("Similarity", _similarity_fact(analysis)),
        ("Normalization", str(analysis.normalization)),
    ]
    if len(story.names) > 2:
        facts.append(("Ridge", f"{analysis.ridge:g}"))
    if analysis.weights is not None:
        facts.append(("Weights", analysis.weights if isinstance(analysis.weights, str) else "given"))
    return tuple(facts)
