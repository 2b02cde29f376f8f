"""What the analysis says of each image and of the dataset, as a table and as a summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens._utils._atomic_write import write_text
from wavelens._utils._csv import open_csv
from wavelens.data import ImageData, ImageSource
from wavelens.patterns import PatternAnalysis
from wavelens.quality import QualityReport
from wavelens.report._neighbours import neighbours_of_all

__all__ = [
    "ImageTable",
    "image_table",
    "places_between",
    "summarize",
    "write_all_images_csv",
    "write_images_csv",
    "write_summary",
]

_rows_at_once = 65_536
_columns = (
    "image",
    "class",
    "complexity",
    "isolation",
    "in_similarity",
    "out_similarity",
    "out_class",
    "spectrum",
)


@dataclass(frozen=True)
class ImageTable:
    """One entry for each image, in the order of the data.

    Attributes
    ----------
    complexity : array of shape (n_images,)
        Norm in the left basis of all classes.
    isolation : array of shape (n_images,)
        1 − mean similarity to the other images of its class.
    in_similarity, out_similarity : array of shape (n_images,)
        Mean similarity to its own class, and to the other class that it resembles most.
    out_class : array of int, shape (n_images,)
        That class.
    spectrum : array of shape (n_images,)
        Place between the two, 1 on the side of its own class, −1 on the other's.
    nearest_other : array of int, shape (n_images,)
        The nearest image of another class.
    nearest_other_distance : array of shape (n_images,)
        Distance to it between rows of UΣ.
    near_same, near_other : array of int, shape (n_images, k)
        The nearest images of its own class and of other classes, nearest first; −1 where there are fewer
        than four.
    near_same_distance, near_other_distance : array of shape (n_images, k)
        Distances to them; NaN where there is none.
    """

    complexity: FloatArray
    isolation: FloatArray
    in_similarity: FloatArray
    out_similarity: FloatArray
    out_class: npt.NDArray[np.intp]
    spectrum: FloatArray
    nearest_other: npt.NDArray[np.intp]
    nearest_other_distance: FloatArray
    near_same: npt.NDArray[np.intp]
    near_same_distance: FloatArray
    near_other: npt.NDArray[np.intp]
    near_other_distance: FloatArray


def image_table(analysis: PatternAnalysis) -> ImageTable:
    """Collect what the analysis says of each image it was fitted to.

    Parameters
    ----------
    analysis : PatternAnalysis
        Fitted.

    Returns
    -------
    ImageTable
        O(n_images² · n_patterns) for the similarities and the nearest images; where the similarities are
        approximate, nearest images of other classes and of the same are found for the images nearest to a
        border and the most isolated ones only, and are −1 (distances NaN) for the others.
    """
    labels = analysis.labels_
    rows = np.arange(len(labels))
    similarity = analysis.similarity_to_classes()
    out_class, spectrum = places_between(analysis)
    same, other = neighbours_of_all(analysis, similarity[rows, labels], spectrum)
    return ImageTable(
        complexity=analysis.complexity(),
        isolation=1 - similarity[rows, labels],
        in_similarity=similarity[rows, labels],
        out_similarity=similarity[rows, out_class],
        out_class=out_class,
        spectrum=spectrum,
        nearest_other=other.indices[:, 0],
        nearest_other_distance=other.distances[:, 0],
        near_same=same.indices,
        near_same_distance=same.distances,
        near_other=other.indices,
        near_other_distance=other.distances,
    )


def places_between(analysis: PatternAnalysis) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return the other class that each image resembles most, and its place between its own and that class.

    Parameters
    ----------
    analysis : PatternAnalysis

    Returns
    -------
    out_class : array of int, shape (n_images,)
    place : array of shape (n_images,)
        1 on the side of its own class, −1 on the other's.
    """
    labels, similarity = analysis.labels_, analysis.similarity_to_classes()
    out_class = np.empty(len(labels), dtype=np.intp)
    for first in range(0, len(labels), _rows_at_once):
        others = np.array(similarity[first : first + _rows_at_once])
        others[np.arange(len(others)), labels[first : first + _rows_at_once]] = -np.inf
        out_class[first : first + _rows_at_once] = others.argmax(axis=1)
    place = np.empty(len(labels), dtype=similarity.dtype)
    pairs = np.unique(labels * len(analysis.classes_) + out_class)
    for i, j in zip(*np.divmod(pairs, len(analysis.classes_)), strict=True):
        pair = analysis.spectrum(analysis.classes_[i], analysis.classes_[j])
        here = (labels[pair.indices] == i) & (out_class[pair.indices] == j)
        place[pair.indices[here]] = pair.values[here]
    return out_class, place


def write_images_csv(
    path: Path, table: ImageTable, data: ImageData, quality: QualityReport | None = None
) -> None:
    """Write the table with names in place of numbers; UTF-8, one header line.

    Parameters
    ----------
    path : Path
    table : ImageTable
    data : ImageData
        That the analysis was fitted to.
    quality : QualityReport, optional
        Of the same data; adds the columns `duplicate_of` (the first image with the same pixels, empty for
        that one), `near_duplicate_of` (the nearest such image), `label_doubt` (the class that the nearest
        images carry), `constant` ("yes", "nearly" or empty) and `saturated` ("yes" or empty).

    Returns
    -------
    None
    """
    more = {} if quality is None else _quality_columns(quality)
    names, classes = data.image_names, data.class_names
    with open_csv(path) as file:
        file.row([*_columns, "nearest_other", "nearest_other_class", "nearest_other_distance", *more])
        for i, label in enumerate(data.labels):
            near = int(table.nearest_other[i])
            known = near >= 0
            file.row(
                [
                    *_image_row(
                        names[i],
                        classes[label],
                        table.complexity[i],
                        table.in_similarity[i],
                        table.out_similarity[i],
                        classes[table.out_class[i]],
                        table.spectrum[i],
                    ),
                    names[near] if known else "",
                    classes[data.labels[near]] if known else "",
                    table.nearest_other_distance[i] if known else None,
                    *(column[i] for column in more.values()),
                ]
            )


def write_all_images_csv(path: Path, analysis: PatternAnalysis, source: ImageSource) -> None:
    """Write what the analysis says of every image of a set too large for `write_images_csv`; its first columns.

    Parameters
    ----------
    path : Path
    analysis : PatternAnalysis
    source : ImageSource
        That the analysis was fitted to.

    Returns
    -------
    None
    """
    complexity = analysis.complexity()
    similarity = analysis.similarity_to_classes()
    out_class, spectrum = places_between(analysis)
    names = source.class_names
    with open_csv(path) as file:
        file.row(_columns)
        for i, position in enumerate(analysis.image_positions_.tolist()):
            own, other = int(analysis.labels_[i]), int(out_class[i])
            file.row(
                _image_row(
                    source.image_names[position],
                    names[own],
                    complexity[i],
                    similarity[i, own],
                    similarity[i, other],
                    names[other],
                    spectrum[i],
                )
            )


def _image_row(
    name: str, own: str, complexity: float, inside: float, outside: float, other: str, spectrum: float
) -> list[object]:
    numbers = (complexity, 1 - inside, inside, outside)
    return [name, own, *numbers, other, spectrum]


def _quality_columns(quality: QualityReport) -> dict[str, list[str]]:
    """Return what the checks say of each image as columns of text, empty where there is nothing to say."""

    def named(places: npt.NDArray[np.intp], names: Sequence[str]) -> list[str]:
        return ["" if place < 0 else names[place] for place in places]

    pairs = zip(quality.constant, quality.nearly_constant, strict=True)
    return {
        "duplicate_of": named(quality.duplicate_of, quality.image_names),
        "near_duplicate_of": named(quality.near_duplicate_of, quality.image_names),
        "label_doubt": named(quality.suspected_class_of, quality.class_names),
        "constant": ["yes" if constant else "nearly" if nearly else "" for constant, nearly in pairs],
        "saturated": ["yes" if each else "" for each in quality.saturated],
    }


def summarize(
    analysis: PatternAnalysis, data: ImageData, table: ImageTable, quality: QualityReport | None = None
) -> dict[str, Any]:
    """Return the summary as plain numbers and strings, ready for JSON.

    Parameters
    ----------
    analysis : PatternAnalysis
        Fitted.
    data : ImageData
        That it was fitted to.
    table : ImageTable
        From `image_table`.
    quality : QualityReport, optional
        Of the same data.

    Returns
    -------
    dict
        Counts, patterns of each class, correlation of σ for each pair of classes, files left out, notes, and
        what the checks found under "quality".
    """
    classes = list(data.class_names)
    pairs = []
    for i, first in enumerate(classes):
        for j in range(i + 1, len(classes)):
            association = analysis.sigma_association(analysis.classes_[i], analysis.classes_[j])
            pairs.append(
                {
                    "classes": [first, classes[j]],
                    **{each.name: _plain(getattr(association, each.name)) for each in fields(association)},
                }
            )
    # Where a sample is shown, of all images.
    sampled = analysis.sampled_from_
    labels, complexity = data.labels, table.complexity
    if sampled is not None:
        labels, complexity = sampled.whole.labels_, sampled.whole.complexity()
    return {
        "n_images": len(labels),
        "image_shape": [int(size) for size in data.images.shape[1:]],
        "classes": {
            name: {
                "n_images": int(np.sum(labels == i)),
                "own_patterns": int(np.sum(analysis.angles(analysis.classes_[i]) > np.pi / 8)),
                "median_complexity": float(np.median(complexity[labels == i])),
                "most_isolated": data.image_names[int(analysis.isolated(analysis.classes_[i], 1)[0])],
            }
            for i, name in enumerate(classes)
        },
        "n_coefficients": len(analysis.coefficients_),
        "n_patterns": int(analysis.sigma_.shape[1]),
        "bandwidth": float(analysis.bandwidth_),
        "similarity": _similarity_summary(analysis),
        "sigma_association": pairs,
        "skipped": [{"file": str(each.path), "reason": each.reason} for each in data.skipped],
        "notes": list(data.notes),
        **({} if quality is None else {"quality": quality.to_dict()}),
    }


def _similarity_summary(analysis: PatternAnalysis) -> dict[str, Any]:
    """Return how images were compared with classes, and the error."""
    found = analysis.class_similarity_
    if found.error is None:
        return {"method": found.method}
    return {
        "method": found.method,
        "n_features": found.n_features,
        "n_checked": len(found.error.rows),
        "median_error": found.error.typical,
        # No number says "unknown" in JSON.
        "error_of_95_percent": found.error.bound if np.isfinite(found.error.bound) else None,
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write the summary as JSON.

    Parameters
    ----------
    path : Path
    summary : dict
        From `summarize`; may hold more.

    Returns
    -------
    None
    """
    write_text(path, json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
