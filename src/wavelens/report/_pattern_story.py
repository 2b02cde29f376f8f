"""What the sections of a patterns report share: the data, names, figures, and galleries of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._utils._names import shorten
from wavelens.patterns import PatternAnalysis
from wavelens.plotting import ImageGridDisplay
from wavelens.plotting._style import N_COLORS, category_color, color_range, image_pixels, names_of
from wavelens.report._embed import FigureFolder, as_data_uri
from wavelens.report._foreign_text import isolate
from wavelens.report._page import Cell, Gallery
from wavelens.report._pattern_findings import Findings
from wavelens.report._shown_images import IMAGES_A_ROW
from wavelens.report._words import said

if TYPE_CHECKING:
    from wavelens.report._tables import ImageTable

__all__ = ["IMAGES_A_ROW", "LabelledImages", "Story"]


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
    def images(self) -> npt.NDArray[Any]: ...
    @property
    def labels(self) -> npt.NDArray[np.intp]: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def image_names(self) -> tuple[str, ...]: ...
    @property
    def skipped(self) -> Sequence[Any]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Story:
    """A dataset, its analysis, and the means to show them."""

    def __init__(
        self,
        figures: Path,
        analysis: PatternAnalysis,
        data: LabelledImages,
        table: ImageTable | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.analysis = analysis
        self._figures = figures
        self.table = table
        self.more = more or {}
        self.images = data.images
        self.data = data
        self.class_names = tuple(map(isolate, data.class_names))
        if analysis.classes_.dtype.kind not in "iu":
            self.class_names = tuple(isolate(label) for label in analysis.classes_)
        self.names = names_of(analysis.classes_, self.class_names)
        self.image_names = tuple(map(isolate, data.image_names))
        self.findings = Findings(analysis, self.names)
        self.limits = color_range(self.images)
        height, width = self.images.shape[1:3]
        # Eight of 104 fit the page; large images are shown four a row.
        self.size = 104 if width <= 160 else 212
        self.crisp = max(height, width) <= 64

    @cached_property
    def figures(self) -> FigureFolder:
        """The folder of the figures, made when the first one is saved."""
        return FigureFolder(self._figures)

    @property
    def whole(self) -> PatternAnalysis:
        """The analysis of all images; `analysis` is the same unless there are too many to show."""
        return self.findings.whole

    def shown(self, places: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return the places among the images shown of images that were chosen among all."""
        sampled = self.analysis.sampled_from_
        return places if sampled is None else sampled.find(places)[0]

    @property
    def is_grey(self) -> bool:
        """Whether images are shown without colour."""
        return self.images.ndim == 3 or self.images.shape[3] < 3

    def said(self, i: int) -> str:
        """Return the name of a class as sentences say it."""
        return said(self.names[i])

    def class_color(self, i: int) -> str:
        """Return the colour of a class; with more classes than colours, all have the same."""
        return category_color(i if len(self.names) <= N_COLORS else 0)

    def base_name(self, place: int) -> str:
        """Return the name of an image without its folders."""
        name = self.data.image_names[place]
        return isolate(name.replace("\\", "/").rstrip("/").split("/")[-1] or name)

    def slug(self, i: int) -> str:
        """Return a part of a file name for a class, whatever its name holds."""
        kept = _slug(self.names[i])
        same = any(_slug(name) == kept for k, name in enumerate(self.names) if k != i)
        return f"{kept}-{i}".lstrip("-") if same or not kept else kept

    def mean_image(self, class_: int | None = None) -> npt.NDArray[np.uint8]:
        """Return the mean image of a class or of all; of very many images, of a sample."""
        sampled = self.analysis.sampled_from_
        members = np.arange(len(self.images)) if sampled is None else np.flatnonzero(sampled.drawn)
        if class_ is not None:
            members = members[self.analysis.labels_[members] == class_]
        sample = members[:: max(1, -(-len(members) // 1000))]
        pixels: npt.NDArray[np.uint8] = image_pixels(self.images[sample].mean(axis=0)[None], self.limits)[0]
        return pixels

    @cached_property
    def outside(self) -> float:
        """Share of the size of a typical image that lies outside the chosen coefficients."""
        every = self.analysis.basis_.forward(self.images[self.findings.sample])
        whole = np.linalg.norm(every, axis=1)
        chosen = np.linalg.norm(every[:, self.analysis.coefficients_], axis=1)
        rest = np.sqrt(np.maximum(whole**2 - chosen**2, 0))
        return float(np.median(np.divide(rest, whole, out=np.zeros_like(rest), where=whole > 0)))

    def gallery(
        self,
        title: str,
        indices: npt.NDArray[np.intp],
        values: FloatArray,
        file_name: str,
        value_format: str,
        *,
        colors: Mapping[int, str] | None = None,
        tell_class: bool = False,
        title_in_file: str = "",
    ) -> Gallery:
        """Show images, by their places among all, with a value each; those that the report does not hold are left out.

        `colors` gives each class of a pair a dot; `tell_class` names the class under each image. Without
        `file_name` there is no figure on disk.
        """
        if self.analysis.sampled_from_ is not None:
            indices, known = self.analysis.sampled_from_.find(indices)
            values = values[known]
            if not len(indices):
                return Gallery(title, (), self.size, self.crisp)
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
            full = f"{self.image_names[place]} ({self.names[label]})"
            cells.append(
                Cell(
                    as_data_uri(pixels),
                    f"{full}: {text}",
                    self.base_name(place),
                    f"{text}, {shorten(self.names[label], 20)}" if tell_class else text,
                    full,
                    colors[label] if colors else "",
                    place if self.table is not None else None,
                )
            )
        return Gallery(title, tuple(cells), self.size, self.crisp)


def _slug(name: str) -> str:
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())
    return "-".join(part for part in letters.split("-") if part)[:32]
