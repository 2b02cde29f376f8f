"""Reports: one HTML page that opens from disk and asks for nothing outside."""

from __future__ import annotations

from wavelens.report._pattern_story import LabelledImages
from wavelens.report._patterns import write_patterns_report

__all__ = ["LabelledImages", "write_patterns_report"]
