"""Whether a labelled image dataset is sound: duplicates, doubtful labels, empty images, leaks."""

from __future__ import annotations

from wavelens.quality._check import check_images
from wavelens.quality._report import Finding, Leak, QualityReport

__all__ = ["Finding", "Leak", "QualityReport", "check_images"]
