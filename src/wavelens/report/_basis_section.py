"""The section of a patterns report that sets wavelets against pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._utils._names import shorten
from wavelens.patterns import BasisComparison, BasisResult, PatternAnalysis
from wavelens.plotting import BasisComparisonDisplay, InfluenceDisplay, PatternDisplay
from wavelens.plotting._pattern_images import reconstruction_counts
from wavelens.plotting._style import image_pixels
from wavelens.report._embed import as_data_uri
from wavelens.report._page import Block, Cell, Chart, Fold, Gallery, Heading, Row, Section, Table, Text
from wavelens.report._pattern_story import IMAGES_A_ROW, Story
from wavelens.report._words import count, number, percent, times

__all__ = ["basis_section"]

_classes_shown = 2
_residuals = (0.1, 0.05)
_of = {
    "chosen": "of what was chosen",
    "image": "of the whole image",
    "completed": "of the whole image, the rest taken from the original",
}


def basis_section(story: Story) -> Section | None:
    """Show the same images in wavelets and in pixels; None where they were not compared."""
    comparison: BasisComparison | None = story.more.get("comparison")
    if comparison is None:
        return None
    display = BasisComparisonDisplay.from_comparison(comparison).plot()
    alt = "Missing share against the number of patterns, wavelets and pixels. " + _needs(comparison)
    caption = (
        f"Lines: the middle one of {len(comparison.sample)} images; bands: half of them. Dotted lines: 10% and "
        "5%. Left: relative to the chosen coefficients or pixels alone. Middle: relative to the whole image; what "
        "was not chosen stays missing. Right: what was not chosen is taken from the original."
    )
    note = (
        "No one measure is fair to both. Chosen pixels are a small part of an image, so little is to be rebuilt; "
        "a picture whose other pixels are taken from the original looks right before any pattern is used. "
        "Relative to the whole image, everything that a basis leaves out counts."
    )
    blocks: list[Block] = [
        Text((_lead(comparison), f"{_needs(comparison)} {_shape(comparison)}"), "lead"),
        _table(comparison),
        story.figures.chart(display, "basis-residuals", alt, caption),
        Text((note,), "note"),
        Heading("basis-where", "What was chosen"),
        Text((_where(comparison),)),
        Row((_map(story, comparison.wavelet, "wavelet"), _map(story, comparison.pixel, "pixel"))),
        Heading("basis-patterns", "Dominant patterns in both bases"),
        *_patterns(story, comparison),
        Heading("basis-rebuilt", "The same image rebuilt in both bases"),
        *_rebuilt(story, comparison),
    ]
    return Section("basis", "Wavelets or pixels?", tuple(blocks))


def _lead(comparison: BasisComparison) -> str:
    return (
        f"The analysis was made twice: with {comparison.n_coefficients:,} wavelet coefficients, and with as many "
        f"of the {comparison.pixel.analysis.basis_.n_coefficients:,} "
        f"{'pixels' if len(comparison.pixel.analysis.basis_.shape) == 2 else 'values of pixels'} themselves, "
        "everything else alike."
    )


def _needs(comparison: BasisComparison) -> str:
    """Say which basis needs fewer patterns."""
    first, second = comparison.wavelet.needed(0.1), comparison.pixel.needed(0.1)
    text = "Until less than 10% of what was chosen is missing, a typical image takes "
    text += f"{_said(first)} in wavelets and {_said(second)} in pixels."
    left = [float(np.median(side.image[:, -1])) for side in (comparison.wavelet, comparison.pixel)]
    return text + (
        f" With all patterns, {percent(left[0])} of the whole image is still missing in wavelets and "
        f"{percent(left[1])} in pixels."
    )


def _said(needed: int | None) -> str:
    return "more than there are" if needed is None else count(needed, "pattern")


def _shape(comparison: BasisComparison) -> str:
    """Say how local the patterns are."""
    sides = (comparison.wavelet.locality, comparison.pixel.locality)
    area = [percent(float(np.median(side.area))) for side in sides]
    agreement = [number(float(np.median(side.agreement))) for side in sides]
    return (
        f"Nine tenths of a pattern’s energy take {area[0]} of the image area in wavelets and {area[1]} in pixels, "
        "but a pattern of pixels is made of single ones: neighbouring pixels of a pattern agree to "
        f"{agreement[0]} in wavelets and {agreement[1]} in pixels (1 is smooth, 0 is scattered)."
    )


def _table(comparison: BasisComparison) -> Table:
    rows = []
    for of, said in _of.items():
        for residual in _residuals:
            needed = [side.needed(residual, of) for side in (comparison.wavelet, comparison.pixel)]
            cells = [f"{n:,}" if n is not None else "never" for n in needed]
            rows.append((f"Patterns until {percent(residual)} is missing {said}", *cells))
    left = [float(np.median(side.image[:, -1])) for side in (comparison.wavelet, comparison.pixel)]
    rows.append(("Missing of the whole image with all patterns", *map(percent, left)))
    described = (
        ("area", "Share of the image area that holds 90% of a pattern’s energy", percent),
        ("participation", "Participation ratio of a pattern (1: spread evenly)", number),
        ("spread", "Spread of a pattern over the image (1: as wide as the image)", number),
        ("agreement", "Agreement of neighbouring pixels of a pattern (1: smooth)", number),
    )
    for name, said, shown in described:
        values = [getattr(side.locality, name) for side in (comparison.wavelet, comparison.pixel)]
        rows.append((said, *(shown(float(np.median(each))) for each in values)))
    touched = [float((side.coverage > 0).mean()) for side in (comparison.wavelet, comparison.pixel)]
    rows.append(("Share of the image area that the chosen coefficients touch", *map(percent, touched)))
    return Table(("", "Wavelets", "Pixels"), tuple(rows), "The middle image, and the middle pattern.")


def _where(comparison: BasisComparison) -> str:
    touched = [float((side.coverage > 0).mean()) for side in (comparison.wavelet, comparison.pixel)]
    return (
        f"The chosen wavelet coefficients touch {percent(touched[0])} of the image area; the chosen pixels are "
        f"{percent(touched[1])} of it, and the rest of an image has no part in patterns made of them."
    )


def _map(story: Story, side: BasisResult, name: str) -> Chart:
    what = "chosen wavelet coefficients" if name == "wavelet" else "chosen pixels"
    display = InfluenceDisplay(side.coverage, story.mean_image()).plot()
    display.ax_.set_title(what[0].upper() + what[1:], loc="left", fontsize=10.5)
    alt = f"Map of the image area: where the {what} lie, {percent(float((side.coverage > 0).mean()))} of it."
    return story.figures.chart(display, f"basis-map-{name}", alt)


def _patterns(story: Story, comparison: BasisComparison) -> list[Block]:
    order = np.sort(np.argsort(-story.findings.sizes, kind="stable")[:_classes_shown])
    galleries: list[Block] = []
    for i in map(int, order):
        for side, name in ((comparison.wavelet, "wavelets"), (comparison.pixel, "pixels")):
            galleries.append(_gallery(story, side.analysis, i, name))
    zero = "white" if story.is_grey else "mid grey"
    text = f"The patterns that belong to a class most, each scaled to its own range; {zero} is zero."
    if len(story.names) > len(order):
        text += " Shown are the two largest classes."
    return [Text((text,)), *galleries]


def _gallery(story: Story, analysis: PatternAnalysis, i: int, name: str) -> Gallery:
    display = PatternDisplay.from_analysis(
        analysis, analysis.classes_[i], n=IMAGES_A_ROW, class_names=story.class_names
    )
    story.figures.save(display.plot(), f"basis-patterns-{name}-{story.slug(i)}")
    cells = []
    for pixels, k, degrees in zip(display.pixels, display.indices, display.angles, strict=True):
        ratio = times(float(np.tan(np.radians(degrees + 45)))) if degrees < 44.9 else "only here"
        alt = f"Pattern {k} of {story.names[i]} in {name}, {ratio}"
        cells.append(Cell(as_data_uri(pixels), alt, f"Pattern {k}", ratio))
    return Gallery(f"{shorten(story.names[i], 40)}, in {name}", tuple(cells), story.size, story.crisp)


def _rebuilt(story: Story, comparison: BasisComparison) -> list[Block]:
    place = story.findings.typical()
    image = story.images[place]
    wavelet = _steps(story, comparison.wavelet.analysis, image, "wavelets", complete=False)
    pixel = _steps(story, comparison.pixel.analysis, image, "pixels", complete=False)
    completed = _steps(
        story, comparison.pixel.analysis, image, "pixels, the others as in the original", complete=True
    )
    share = percent(comparison.n_coefficients / comparison.pixel.analysis.basis_.n_coefficients)
    text = (
        f"The image is {story.base_name(place)}. Only {share} of its pixels are rebuilt in the basis of pixels; "
        "the others are black in the second row. In the third they are taken from the original, as the authors of "
        "the method show it: that picture is mostly the original and not the work of the patterns. The share under "
        "each picture is what is missing of the whole image."
    )
    return [Text((text,)), wavelet, pixel, Fold("Pixels that were not chosen left as they are", (completed,))]


def _steps(
    story: Story, analysis: PatternAnalysis, image: npt.NDArray[Any], name: str, *, complete: bool
) -> Gallery:
    counts = reconstruction_counts(analysis.sigma_.shape[1])
    rebuilt = analysis.reconstruct(image[None], counts).images[0]
    original = image.astype(np.float64)
    if complete:
        rebuilt = rebuilt + (original - analysis.inverse_transform(analysis.transform(image[None]))[0])
    size = float(np.linalg.norm(original)) or 1.0
    missing = [float(np.linalg.norm(original - each)) / size for each in rebuilt]
    shown = image_pixels(np.concatenate([original[None], rebuilt]), story.limits)
    cells = [Cell(as_data_uri(shown[0]), "The image itself", "Original")]
    for pixels, n, left in zip(shown[1:], counts, missing, strict=True):
        said = f"{percent(left)} missing"
        label = count(int(n), "pattern")
        cells.append(Cell(as_data_uri(pixels), f"Rebuilt from {label} in {name}, {said}", label, said))
    return Gallery(f"In {name}", tuple(cells), story.size, story.crisp)
