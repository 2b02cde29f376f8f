"""What was found in a sample, told of the set that it is a part of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wavelens._arguments import FloatArray
from wavelens.quality._report import Flags, Indices, QualityReport

__all__ = ["among"]


def among(
    report: QualityReport,
    places: Indices,
    image_names: tuple[str, ...],
    labels: Indices,
    class_counts: Indices,
) -> QualityReport:
    """Return a report whose places are those in a larger set; of its other images it says nothing.

    Parameters
    ----------
    report : QualityReport
        Of a sample.
    places : ndarray of int, shape (n_checked,)
        Where in the larger set its images are, ascending.
    image_names, labels
        Of the larger set.
    class_counts : ndarray of int, shape (n_classes,)
        Images of each class from which both were taken.
    """
    n = len(labels)

    def spread(flags: Flags) -> Flags:
        whole = np.zeros(n, dtype=bool)
        whole[places] = flags
        return whole

    def shares(values: FloatArray) -> FloatArray:
        whole = np.full(n, np.nan)
        whole[places] = values
        return whole

    return replace(
        report,
        image_names=image_names,
        labels=labels,
        duplicate_groups=tuple(tuple(int(places[i]) for i in group) for group in report.duplicate_groups),
        near_pairs=places[report.near_pairs],
        label_doubts=places[report.label_doubts],
        constant=spread(report.constant),
        nearly_constant=spread(report.nearly_constant),
        saturated=spread(report.saturated),
        black_share=shares(report.black_share),
        white_share=shares(report.white_share),
        n_checked=len(places),
        class_counts=class_counts,
    )
