"""What each command does, as a function: it loads, computes and returns a result with `summary()` and `save()`.

=================== =================== ========================================================
function            command             result
=================== =================== ========================================================
`analyze`           ``analyze``         `AnalysisReport`: the patterns of a labelled image dataset
`check`             ``check``           `CheckReport`: duplicates, doubtful labels, leaks
`extract_features`  ``features``        `FeatureExtraction`: activations of a network's layers
`build_hierarchy`   ``hierarchy``       `HierarchyReport`: how classes compose inside a network
`explain`           ``explain``         `ExplanationReport`: which part of an image decided
`measure_spaces`    ``spaces``          `SpacesReport`: what each layer keeps and rejects
=================== =================== ========================================================

Arguments have the names of the commands' options. Nothing is printed: pass a `WorkflowProgress` as `progress` to
receive steps and notes. `analyze` and `check` are also `wavelens.analyze` and `wavelens.check`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavelens.workflows._analysis_report import AnalysisReport
    from wavelens.workflows._analyze import analyze
    from wavelens.workflows._check import CheckReport, check
    from wavelens.workflows._explain import ExplanationReport, explain
    from wavelens.workflows._features import FeatureExtraction, extract_features
    from wavelens.workflows._hierarchy import HierarchyReport, build_hierarchy
    from wavelens.workflows._image_options import ImageOptions
    from wavelens.workflows._progress import WorkflowProgress
    from wavelens.workflows._spaces import SpacesReport, measure_spaces

_modules = {
    "AnalysisReport": "_analysis_report",
    "CheckReport": "_check",
    "ExplanationReport": "_explain",
    "FeatureExtraction": "_features",
    "HierarchyReport": "_hierarchy",
    "ImageOptions": "_image_options",
    "SpacesReport": "_spaces",
    "WorkflowProgress": "_progress",
    "analyze": "_analyze",
    "build_hierarchy": "_hierarchy",
    "check": "_check",
    "explain": "_explain",
    "extract_features": "_features",
    "measure_spaces": "_spaces",
}

__all__ = [
    "AnalysisReport",
    "CheckReport",
    "ExplanationReport",
    "FeatureExtraction",
    "HierarchyReport",
    "ImageOptions",
    "SpacesReport",
    "WorkflowProgress",
    "analyze",
    "build_hierarchy",
    "check",
    "explain",
    "extract_features",
    "measure_spaces",
]


def __getattr__(name: str) -> Any:
    if name in _modules:
        return getattr(import_module(f"wavelens.workflows.{_modules[name]}"), name)
    raise AttributeError(f"module 'wavelens.workflows' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
