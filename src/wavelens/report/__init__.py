"""Reports: one HTML page that opens from disk and asks for nothing outside, and the tables beside it."""

from __future__ import annotations

from wavelens.report._association_section import summarize_association
from wavelens.report._explain import write_explain_report
from wavelens.report._explain_summary import (
    explanations_in_words,
    summarize_explanations,
    usual_explanations,
)
from wavelens.report._hierarchy import write_hierarchy_report
from wavelens.report._hierarchy_tables import (
    hierarchy_in_words,
    summarize_hierarchy,
    write_classes_csv,
    write_levels_csv,
)
from wavelens.report._pattern_csv import write_patterns_csv
from wavelens.report._pattern_story import LabelledImages
from wavelens.report._patterns import patterns_in_words, write_patterns_report
from wavelens.report._spaces import write_spaces_report
from wavelens.report._spaces_tables import summarize_spaces, write_energy_csv, write_spaces_csv
from wavelens.report._tables import (
    ImageTable,
    image_table,
    summarize,
    write_all_images_csv,
    write_images_csv,
    write_summary,
)

__all__ = [
    "ImageTable",
    "LabelledImages",
    "explanations_in_words",
    "hierarchy_in_words",
    "image_table",
    "patterns_in_words",
    "summarize",
    "summarize_association",
    "summarize_explanations",
    "summarize_hierarchy",
    "summarize_spaces",
    "usual_explanations",
    "write_all_images_csv",
    "write_classes_csv",
    "write_energy_csv",
    "write_explain_report",
    "write_hierarchy_report",
    "write_images_csv",
    "write_levels_csv",
    "write_patterns_csv",
    "write_patterns_report",
    "write_spaces_csv",
    "write_spaces_report",
    "write_summary",
]
