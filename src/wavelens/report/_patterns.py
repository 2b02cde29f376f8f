"""The report of an analysis by patterns."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import wavelens
from wavelens._arguments import FloatArray
from wavelens.patterns import PatternAnalysis
from wavelens.plotting import (
    AngleDisplay,
    ClassSimilarityDisplay,
    ImageGridDisplay,
    InfluenceDisplay,
    PatternDisplay,
    ReconstructionDisplay,
    SimilarityDisplay,
    SingularValueDisplay,
    SpectrumDisplay,
)
from wavelens.plotting._style import (
    category_color,
    color_range,
    image_pixels,
    names_of,
    shorten,
)
from wavelens.report._embed import FigureFolder, as_data_uri, clean
from wavelens.report._page import (
    Block,
    Cell,
    Chart,
    Fold,
    Gallery,
    Heading,
    Page,
    Row,
    Section,
    Table,
    Text,
)
from wavelens.report._pattern_findings import Findings, Pair
from wavelens.report._words import angle, count, joined, number, percent

__all__ = ["LabelledImages", "write_patterns_report"]

# What a reader can take in, and a file can hold.
_images_a_row = 8
_classes_in_full = 12
_classes_at_all = 40
_pairs_in_full = 3
_pairs_in_folds = 9
_pairs_in_table = 60
_files_listed = 200


class LabelledImages(Protocol):
    """What the report needs to know of a dataset (`wavelens.data.ImageData` has it).

    Attributes
    ----------
    images : array of shape (n, height, width[, channels])
    labels : array of int, shape (n,)
        Places in `class_names`.
    class_names, image_names, notes : tuple of str
    skipped : sequence
        Files left out, each with `path` and `reason`.
    """

    @property
    def images(self) -> npt.NDArray[Any]: ...  # noqa: D102
    @property
    def labels(self) -> npt.NDArray[np.intp]: ...  # noqa: D102
    @property
    def class_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def image_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def skipped(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102


def write_patterns_report(
    folder: str | Path,
    analysis: PatternAnalysis,
    data: LabelledImages,
    *,
    command: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Path:
    """Write what an analysis found as an HTML page with figures.

    Parameters
    ----------
    folder : str or Path
        Where `report.html` and the folder `figures` go; made if it is not there. Files of these names are
        written over.
    analysis : PatternAnalysis
        Fitted on `data.images` and `data.labels`.
    data : LabelledImages
        The dataset, such as `wavelens.data.ImageData`.
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
    Saving figures sets matplotlib's settings for files (and puts them back), so reports should not be
    written in several threads at once. Large datasets are sampled where a figure could not show them whole.

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.patterns import PatternAnalysis
    >>> from wavelens.report import write_patterns_report
    >>> digits = load("digits")
    >>> analysis = PatternAnalysis(n_coefficients=40).fit(digits.images, digits.labels)
    >>> write_patterns_report("digits-report", analysis, digits)  # doctest: +SKIP
    """
    if len(data.images) != len(analysis.labels_):
        raise ValueError(
            f"`data` must hold the {len(analysis.labels_):,} images that the analysis was fitted on, got "
            f"{len(data.images):,}"
        )
    folder = Path(folder)
    story = _Story(folder / "figures", analysis, data)
    parts: tuple[tuple[str, Callable[[], Section]], ...] = (
        ("influential coefficients", story.influence),
        ("strengths", story.strength),
        ("dominant patterns", story.dominant),
        ("reconstruction", story.rebuilding),
        ("complexity", story.complexity),
        ("similarity", story.similarity),
        ("pairs of classes", story.between),
        ("notes", story.reading),
    )
    sections = []
    for i, (what, make) in enumerate(parts):
        if progress is not None:
            progress(i / len(parts), what)
        sections.append(make())
    html = story.page(tuple(sections), command).render()
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    if progress is not None:
        progress(1.0, "report.html")
    return path


class _Story:
    """Makes the sections one after the other; each opens with a sentence for everybody."""

    def __init__(self, figures: Path, analysis: PatternAnalysis, data: LabelledImages) -> None:
        self.analysis = analysis
        self.images = data.images
        self.data = data
        self.names = names_of(analysis.classes_, tuple(map(clean, data.class_names)))
        self.image_names = tuple(map(clean, data.image_names))
        self.figures = FigureFolder(figures)
        self.findings = Findings(analysis, self.names)
        self.limits = color_range(self.images)
        height, width = self.images.shape[1:3]
        self.size = int(np.clip(1.3 * width, 64, 132))
        self.crisp = max(height, width) <= 64

    # Sections

    def influence(self) -> Section:
        transform = self.analysis.wavelet_transform_
        chosen = len(self.analysis.coefficients_)
        counts = self.analysis.influence_map_
        untouched = float((counts == 0).mean())
        if untouched > 0.005:
            where = f"Together they reach {percent(1 - untouched)} of the area of an image; the rest says next to nothing."
        else:
            where = "Together they reach every part of an image, but not all parts equally."
        display = InfluenceDisplay(counts, self._mean_image()).plot()
        alt = (
            f"Map of the image area over the mean image: between {counts.min():,} and {counts.max():,} of the "
            "chosen coefficients touch a pixel."
        )
        blocks: list[Block] = [
            Text(
                (
                    f"Each image is described by {transform.n_coefficients:,} numbers, its wavelet coefficients. "
                    f"The {chosen:,} in which the images differ most were chosen for everything that follows. "
                    f"{where}",
                ),
                "lead",
            ),
            Row(
                (
                    self.figures.chart(display, "influence", alt),
                    self._mean_gallery(),
                )
            ),
            Text(
                (
                    "Bright places are touched by many of the chosen coefficients: there the images vary in ways "
                    "that cannot be predicted from elsewhere.",
                ),
                "note",
            ),
        ]
        return Section("influence", "Where the images differ", tuple(blocks))

    def strength(self) -> Section:
        own = self.findings.own_patterns
        sigma = SingularValueDisplay.from_analysis(self.analysis, class_names=self.names_for_displays).plot()
        angles = AngleDisplay.from_analysis(self.analysis, class_names=self.names_for_displays).plot()
        sigma_alt = (
            f"Strength of {self.findings.n_patterns:,} patterns in {len(self.names)} classes, on a log scale."
        )
        angle_alt = "Number of patterns by angle. " + "; ".join(
            f"{name}: {n} beyond 22.5 degrees" for name, n in list(zip(self.names, own, strict=True))[:12]
        )
        caption = (
            "The angle compares a pattern’s strength in a class with its strength in the strongest other class: "
            "0° is equally strong in both, 45° (or −45°) found in one alone. Beyond the dashed line a pattern is at "
            "least 2.4 times as strong and said to belong to the class."
        )
        blocks: list[Block] = [
            Text(
                (
                    "Every image is a sum of the same patterns; how strongly a class uses a pattern tells whose "
                    f"pattern it is. {self.findings.ownership()}",
                    self.findings.association(),
                ),
                "lead",
            ),
            self.figures.chart(sigma, "singular-values", sigma_alt),
            self.figures.chart(angles, "angles", angle_alt, caption),
        ]
        return Section("strength", "Which class uses which pattern", tuple(blocks))

    def dominant(self) -> Section:
        order = np.argsort(-self.findings.own_patterns, kind="stable")
        galleries = [self._pattern_gallery(int(i), rank) for rank, i in enumerate(order[:_classes_at_all])]
        blocks: list[Block] = [
            Text(
                (
                    "These are the patterns each class uses far more than any other class does: what makes an image "
                    "of this class look like one, as far as its parts go.",
                ),
                "lead",
            ),
            *galleries[:_classes_in_full],
        ]
        if galleries[_classes_in_full:]:
            blocks.append(Fold("Patterns of further classes", tuple(galleries[_classes_in_full:])))
        if len(order) > _classes_at_all:
            rest = count(len(order) - _classes_at_all, "class", "classes")
            blocks.append(Text((f"The {rest} with the fewest patterns of their own are left out.",), "note"))
        blocks.append(
            Text(
                (
                    "The degrees are the angle against the strongest other class: 45° means found in this class "
                    "alone. Each pattern is scaled to its own range, so weak and strong ones are equally visible. "
                    "Its sign has no meaning of its own: an image can contain a pattern or its negative.",
                ),
                "note",
            )
        )
        return Section("patterns", "The patterns of each class", tuple(blocks))

    def rebuilding(self) -> Section:
        blocks: list[Block] = [
            Text(
                (
                    "An image can be put together again from its patterns, the most important ones first. "
                    f"{self.findings.rebuilding()}",
                ),
                "lead",
            )
        ]
        shown = (
            [self.findings.typical(0), self.findings.typical(1)]
            if len(self.names) == 2
            else [self.findings.typical()]
        )
        truncation = 0.0
        curve: Chart | None = None
        for place in shown:
            name = "reconstruction" if len(shown) == 1 else f"reconstruction-{len(blocks)}"
            title = f"{shorten(self._base(place), 40)} ({shorten(self.names[self.analysis.labels_[place]])})"
            display = ReconstructionDisplay.from_analysis(
                self.analysis,
                self.images[place],
                others=self.findings.sample,
                limits=self.limits,
                title=title,
            )
            self.figures.save(display.plot(), name)
            truncation = max(truncation, display.truncation)
            blocks.append(self._reconstruction_gallery(display))
            if curve is None:
                alt = "Share of an image that is missing, against the number of patterns used: " + ", ".join(
                    f"{percent(left)} with {n}"
                    for n, left in zip(display.n_patterns, display.residuals, strict=True)
                )
                curve = self.figures.chart(
                    display.plot_curve(),
                    "residual-curve",
                    alt,
                    f"Of {shorten(self._base(place), 40)}; the grey lines are {count(len(self.findings.sample), 'other image')} "
                    "chosen at random.",
                )
        assert curve is not None
        blocks.append(curve)
        blocks.append(
            Text(
                (
                    "What is missing is measured in the chosen coefficients, as the length of the difference relative "
                    f"to the image. The coefficients that were not chosen hold {percent(truncation)} of this image; "
                    "no number of patterns brings that back."
                    if len(shown) == 1
                    else "What is missing is measured in the chosen coefficients, as the length of the difference "
                    "relative to the image. The coefficients that were not chosen hold up to "
                    f"{percent(truncation)} of these images; no number of patterns brings that back.",
                ),
                "note",
            )
        )
        return Section("rebuilding", "Images rebuilt from patterns", tuple(blocks))

    def complexity(self) -> Section:
        values = self.findings.complexity
        order = np.argsort(values, kind="stable")
        n = min(_images_a_row, max(1, len(order) // 2))
        least, most = order[:n], order[::-1][:n]
        blocks: list[Block] = [
            Text(
                (
                    "Some images are made of a few common patterns, others of many rare ones. "
                    f"{self.findings.complexities()}",
                ),
                "lead",
            ),
            self._image_gallery("Simplest images", least, values[least], "least-complex", "{:.2f} × median"),
            self._image_gallery("Most complex images", most, values[most], "most-complex", "{:.2f} × median"),
        ]
        return Section("complexity", "Simple and complex images", tuple(blocks))

    def similarity(self) -> Section:
        shown = np.argsort(-self.findings.sizes, kind="stable")[:_classes_in_full]
        shown = np.sort(shown)
        to_classes = self.analysis.similarity_to_classes()
        galleries, charts = [], []
        many = len(self.names) > 4
        for i in map(int, shown):
            if self.findings.sizes[i] > 2:
                charts.append(self._similarity_chart(i, 200 if many else 1000))
            n = min(_images_a_row, int(self.findings.sizes[i]))
            isolated = self.analysis.isolated(self.analysis.classes_[i], n)
            own = to_classes[self.analysis.labels_ == i, i]
            middle = number(float(np.median(own)))
            galleries.append(
                self._image_gallery(
                    f"{shorten(self.names[i])} (median similarity {middle})",
                    isolated,
                    to_classes[isolated, i],
                    f"isolated-{self._slug(i)}",
                    "{:.2f}",
                    title_in_file=f"Isolated images of {shorten(self.names[i])}",
                )
            )
        blocks: list[Block] = [
            Text(
                (
                    "Images made of the same patterns in the same amounts are alike. "
                    f"{self.findings.likeness()}",
                ),
                "lead",
            )
        ]
        if charts:
            step = 2 if len(charts) <= 4 else 3
            kept = charts if not many else charts[:6]
            blocks += [Row(tuple(kept[k : k + step])) for k in range(0, len(kept), step)]
            if charts[len(kept) :]:
                rest = charts[len(kept) :]
                rows = tuple(Row(tuple(rest[k : k + step])) for k in range(0, len(rest), step))
                blocks.append(Fold("Similarity within further classes", rows))
            blocks.append(
                Text(
                    (
                        "Each row and each column is an image, in the same order, with like ones together. A bright "
                        "square along the diagonal is a group of images that are alike; a dark line is an image that "
                        "is like few others.",
                    ),
                    "note",
                )
            )
        blocks.append(Heading("isolated", "Isolated images"))
        blocks.append(
            Text(
                (
                    "These images are least like the rest of their class: rare cases, mistakes, or images that were "
                    "made differently. The number is the mean similarity to their class.",
                )
            )
        )
        blocks += galleries[:6]
        if galleries[6:]:
            blocks.append(Fold("Isolated images of further classes", tuple(galleries[6:])))
        if len(self.names) > len(shown):
            blocks.append(
                Text((f"Shown are the {len(shown)} largest of {len(self.names)} classes.",), "note")
            )
        return Section("similarity", "How alike images of a class are", tuple(blocks))

    def between(self) -> Section:
        pairs = self.findings.pairs
        blocks: list[Block] = [
            Text(
                (
                    "Comparing how alike an image is to each of two classes places it between them: near −1 it is "
                    "like the one, near 1 like the other, and around 0 lies the border. "
                    f"{self.findings.overlap()}",
                ),
                "lead",
            ),
            Text(
                (
                    "The places come from the same images and labels as the patterns. They describe this dataset; "
                    "they do not say how well new images would be told apart.",
                ),
                "note",
            ),
        ]
        if len(self.names) > 2:
            display = ClassSimilarityDisplay.from_analysis(
                self.analysis, class_names=self.names_for_displays
            ).plot()
            alt = f"Matrix of mean similarities of {len(self.names)} classes. " + self.findings.likeness()
            blocks.append(self.figures.chart(display, "class-similarity", alt))
        for rank, pair in enumerate(pairs[:_pairs_in_full]):
            blocks += self._pair_blocks(pair, rank)
        folded = pairs[_pairs_in_full : _pairs_in_full + _pairs_in_folds]
        for rank, pair in enumerate(folded, start=_pairs_in_full):
            title = f"{self.names[pair.first]} and {self.names[pair.second]}: {percent(pair.overlap)} beyond the border"
            blocks.append(Fold(title, tuple(self._pair_blocks(pair, rank))))
        if len(pairs) > _pairs_in_full:
            blocks.append(self._pair_table(pairs))
        return Section("between", "Between the classes", tuple(blocks))

    def reading(self) -> Section:
        paragraphs = [
            "Patterns and similarities describe the images that were given, with their labels. They show what is "
            "there, not why: a pattern that belongs to a class can come from the subject, but just as well from the "
            "device, the cropping or the file format.",
            "The place of an image between two classes was found with its own label known. It is a description of "
            "the dataset and no test of a classifier.",
            "Nothing here is a diagnosis. Whether a pattern means anything takes someone who knows the subject.",
        ]
        if self.analysis.normalization == "csd":
            paragraphs.insert(
                1,
                "In the normalization “csd” the squared strengths of a pattern add up to 1 over the classes, so a "
                "pattern strong in one class is weak in the others by definition: the rank correlation of the "
                "strengths is no finding here.",
            )
        method = (
            f"Images become wavelet coefficients ({self.analysis.wavelet}, {count(self.analysis.wavelet_transform_.level, 'level')}). "
            "A QR factorization with column pivoting orders them by influence, and the first are kept. The generalized "
            "singular value decomposition of the classes’ matrices, D = U Σ Vᵀ for each class with the same V, gives "
            "the patterns (columns of V) and their strength in each class (σ).",
            "Complexity is the norm of an image’s row in the left basis of all classes together. Similarity is "
            f"exp(−d²/2h²) of the distance d between rows of UΣ, with the bandwidth h = {self.analysis.bandwidth_:.4g}. "
            "The place between two classes compares the mean similarities s and t to both, (s − c·t) / (s + c·t), with "
            "c such that 0 lies midway between the classes’ medians.",
            "R. Yousefzadeh and F. Huang, Using Wavelets and Spectral Methods to Study Patterns in Image-Classification "
            "Datasets, 2020; S. P. Ponnapalli et al., A Higher-Order Generalized Singular Value Decomposition, PLoS ONE 6, "
            "2011.",
        )
        return Section(
            "reading",
            "How to read this",
            (Text(tuple(paragraphs)), Fold("The method in brief", (Text(method),))),
        )

    def page(self, sections: tuple[Section, ...], command: str | None) -> Page:
        """Put the overview before the sections."""
        analysis, findings = self.analysis, self.findings
        n, height, width = self.images.shape[:3]
        transform = analysis.wavelet_transform_
        channels = self.images.shape[3] if self.images.ndim == 4 else 1
        facts = [
            ("Images", f"{n:,}"),
            (
                "Size",
                f"{width} × {height} pixels, {'grey' if channels == 1 else f'{channels} channels' if channels != 3 else 'colour'}",
            ),
            ("Wavelet", f"{analysis.wavelet}, {count(transform.level, 'level')}"),
            ("Coefficients", f"{len(analysis.coefficients_):,} of {transform.n_coefficients:,}"),
            ("Patterns", f"{findings.n_patterns:,}"),
            ("Normalization", analysis.normalization),
        ]
        facts.append(("Version", f"Wavelens {wavelens.__version__}"))
        largest = int(findings.sizes.max())
        classes = tuple(
            (name, f"{size:,}", round(100 * size / largest, 1), category_color(i))
            for i, (name, size) in enumerate(zip(self.names, findings.sizes, strict=True))
        )
        skipped = [(clean(each.path), clean(each.reason)) for each in self.data.skipped]
        title = f"What {n:,} images of {len(self.names)} classes are made of"
        return Page(
            title=title,
            subtitle=joined([shorten(name, 30) for name in self.names], 6),
            facts=tuple(facts),
            classes=classes,
            findings=(
                findings.ownership(),
                findings.association(),
                findings.rebuilding(),
                findings.likeness(),
                findings.overlap(),
                self._most_isolated(),
            ),
            sections=sections,
            version=wavelens.__version__,
            remarks=tuple(map(clean, self.data.notes)),
            skipped=tuple(skipped[:_files_listed]),
            skipped_more=max(0, len(skipped) - _files_listed),
            command=clean(command) if command else "",
            made=datetime.date.today().isoformat(),
        )

    # Parts of sections

    @property
    def names_for_displays(self) -> tuple[str, ...]:
        """Names in the order of `classes_`, whatever the labels are."""
        if self.analysis.classes_.dtype.kind in "iu":
            return tuple(map(clean, self.data.class_names))
        return self.names

    def _mean_image(self, members: npt.NDArray[np.intp] | None = None) -> npt.NDArray[np.uint8]:
        if members is None:
            members = np.arange(len(self.images))
        sample = members[:: max(1, -(-len(members) // 1000))]
        return image_pixels(self.images[sample].mean(axis=0)[None], self.limits)[0]

    def _mean_gallery(self) -> Gallery:
        shown = np.sort(np.argsort(-self.findings.sizes, kind="stable")[:_classes_in_full])
        cells = []
        for i in map(int, shown):
            pixels = self._mean_image(np.flatnonzero(self.analysis.labels_ == i))
            cells.append(
                Cell(
                    as_data_uri(pixels),
                    f"Mean image of {self.names[i]}",
                    self.names[i],
                    color=category_color(i),
                )
            )
        title = (
            "Mean image of each class"
            if len(shown) == len(self.names)
            else f"Mean image of the {len(shown)} largest classes"
        )
        size = self.size if len(shown) > 2 else max(self.size, 120)
        return Gallery(title, tuple(cells), size, self.crisp)

    def _pattern_gallery(self, i: int, rank: int) -> Gallery:
        display = PatternDisplay.from_analysis(
            self.analysis, self.analysis.classes_[i], n=_images_a_row, class_names=self.names_for_displays
        )
        if rank < _classes_in_full:
            self.figures.save(display.plot(), f"patterns-{self._slug(i)}")
        cells = tuple(
            Cell(
                as_data_uri(pixels),
                f"Pattern {k} of {self.names[i]}, angle {degrees:.0f} degrees",
                f"Pattern {k}",
                angle(degrees),
            )
            for pixels, k, degrees in zip(display.pixels, display.indices, display.angles, strict=True)
        )
        own = int(self.findings.own_patterns[i])
        grey = self.images.ndim == 3 or self.images.shape[3] < 3
        title = f"{shorten(self.names[i], 40)}: {count(own, 'pattern')} of its own"
        return Gallery(title, cells, self.size, self.crisp, scale="signed" if grey else "colour")

    def _reconstruction_gallery(self, display: ReconstructionDisplay) -> Gallery:
        cells = [Cell(as_data_uri(display.pixels[0]), f"The image {display.title}", "Original")]
        for pixels, n, left in zip(display.pixels[1:], display.n_patterns, display.residuals, strict=True):
            name = count(int(n), "pattern")
            cells.append(Cell(as_data_uri(pixels), f"Rebuilt from {name}", name, f"{percent(left)} missing"))
        return Gallery(display.title, tuple(cells), self.size, self.crisp)

    def _image_gallery(
        self,
        title: str,
        indices: npt.NDArray[np.intp],
        values: FloatArray,
        file_name: str,
        value_format: str,
        *,
        title_in_file: str = "",
        tell_class: bool = True,
        caption: str = "",
    ) -> Gallery:
        display = ImageGridDisplay.from_images(
            self.images,
            indices,
            values,
            names=self.image_names,
            title=title_in_file or title,
            limits=self.limits,
            value_format=value_format,
        )
        if file_name:
            self.figures.save(display.plot(), file_name)
        cells = []
        for pixels, place, value in zip(display.pixels, map(int, indices), values, strict=True):
            label = int(self.analysis.labels_[place])
            text = value_format.format(value).replace("-", "−")
            cells.append(
                Cell(
                    as_data_uri(pixels),
                    f"{self.image_names[place]} ({self.names[label]}): {text}",
                    self._base(place),
                    text,
                    f"{self.image_names[place]} ({self.names[label]})",
                    category_color(label) if tell_class else "",
                )
            )
        return Gallery(title, tuple(cells), self.size, self.crisp, caption)

    def _similarity_chart(self, i: int, most: int) -> Chart:
        display = SimilarityDisplay.from_analysis(
            self.analysis, self.analysis.classes_[i], class_names=self.names_for_displays, max_images=most
        ).plot()
        alt = f"Similarity of each two of {len(display.indices):,} images of {self.names[i]}, like ones together."
        return self.figures.chart(display, f"similarity-{self._slug(i)}", alt)

    def _pair_blocks(self, pair: Pair, rank: int) -> list[Block]:
        i, j = pair.first, pair.second
        labels, names = self.analysis.classes_, self.names
        slug = f"{self._slug(i)}-{self._slug(j)}"
        spectrum = self.analysis.spectrum(labels[j], labels[i])
        place = dict(zip(spectrum.indices.tolist(), spectrum.values.tolist(), strict=True))
        display = SpectrumDisplay.from_analysis(
            self.analysis, labels[i], labels[j], class_names=self.names_for_displays
        ).plot()
        crossed = (
            f"{pair.crossed[0]:,} of {count(pair.sizes[0], 'image')} of {names[i]} lie beyond the border, and "
            f"{pair.crossed[1]:,} of {count(pair.sizes[1], 'image')} of {names[j]}."
        )
        blocks: list[Block] = []
        in_full = rank < _pairs_in_full
        if in_full:
            blocks.append(Heading(f"pair-{rank + 1}", f"{names[i]} and {names[j]}"))
        blocks.append(Text((crossed,)))
        blocks.append(
            self.figures.chart(display, f"spectrum-{slug}", f"Histogram of the places of images. {crossed}")
        )
        if in_full:
            walk = spectrum.indices[
                np.unique(np.linspace(0, len(spectrum.indices) - 1, _images_a_row).round().astype(int))
            ]
            blocks.append(
                self._places("From one class to the other, in equal steps", walk, place, f"walk-{slug}")
            )
        n = _images_a_row
        for a, b in ((i, j), (j, i)):
            near = self.analysis.borderline(labels[a], labels[b], n)
            blocks.append(
                self._places(
                    f"Borderline: images of {shorten(names[a])} most like {shorten(names[b])}",
                    near,
                    place,
                    f"borderline-{self._slug(a)}-{self._slug(b)}" if in_full else "",
                )
            )
        if in_full:
            for a, b in ((i, j), (j, i)):
                far = self.analysis.extremes(labels[a], labels[b], n)
                blocks.append(
                    self._places(
                        f"Far from the border: images of {shorten(names[a])} least like {shorten(names[b])}",
                        far,
                        place,
                        f"extremes-{self._slug(a)}-{self._slug(b)}",
                    )
                )
        return blocks

    def _places(
        self, title: str, indices: npt.NDArray[np.intp], place: dict[int, float], file_name: str
    ) -> Gallery:
        values = np.array([place[int(k)] for k in indices]) + 0.0
        return self._image_gallery(title, indices, values, file_name, "{:+.2f}")

    def _pair_table(self, pairs: list[Pair]) -> Block:
        rows = tuple(
            (
                f"{self.names[pair.first]} and {self.names[pair.second]}",
                number(pair.similarity),
                percent(pair.crossed[0] / pair.sizes[0]),
                percent(pair.crossed[1] / pair.sizes[1]),
            )
            for pair in pairs[:_pairs_in_table]
        )
        total = len(self.names) * (len(self.names) - 1) // 2
        shown = "All" if len(rows) == total else f"The {len(rows)} that overlap most of"
        caption = f"{shown} {total:,} pairs of classes"
        header = ("Pair", "Mean similarity", "First beyond the border", "Second beyond the border")
        return Fold(caption, (Table(header, rows, caption),))

    def _most_isolated(self) -> str:
        to_classes = self.analysis.similarity_to_classes()
        labels = self.analysis.labels_
        own = to_classes[np.arange(len(labels)), labels]
        middle = np.array([np.median(own[labels == i]) for i in range(len(self.names))])
        ratio = own / np.where(middle[labels] > 0, middle[labels], 1)
        place = int(ratio.argmin())
        return (
            f"The image least like its class is {self._base(place)} ({self.names[labels[place]]}): similarity "
            f"{number(float(own[place]))}, where {number(float(middle[labels[place]]))} is usual."
        )

    def _base(self, place: int) -> str:
        name = self.image_names[place]
        return name.replace("\\", "/").rstrip("/").split("/")[-1] or name

    def _slug(self, i: int) -> str:
        """Return a file name for a class, whatever its name holds."""
        letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.names[i].lower())
        kept = "-".join(part for part in letters.split("-") if part)[:32]
        same = [k for k, name in enumerate(self.names) if k != i and _ascii(name) == _ascii(self.names[i])]
        return f"{kept}-{i}" if same or not kept else kept


def _ascii(name: str) -> str:
    return "".join(c for c in name.lower() if c.isascii() and c.isalnum())
