"""Reports: one HTML page that opens from disk and asks for nothing outside, and the tables beside it."""

from __future__ import annotations

from wavelens.report._association_section import summarize_association
from wavelens.report._pattern_csv import write_patterns_csv
from wavelens.report._pattern_story import LabelledImages
from wavelens.report._patterns import write_patterns_report
from wavelens.report._tables import ImageTable, image_table, summarize, write_images_csv, write_summary

__all__ = [
    "ImageTable",
    "LabelledImages",
    "image_table",
    "summarize",
    "summarize_association",
    "write_images_csv",
    "write_patterns_csv",
    "write_patterns_report",
    "write_summary",
]
