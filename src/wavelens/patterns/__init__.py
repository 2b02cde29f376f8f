"""What a labelled image dataset is made of, and which patterns belong to which class."""

from __future__ import annotations

from wavelens.patterns._analysis import PatternAnalysis
from wavelens.patterns._association import AssociationCurve, AssociationResult
from wavelens.patterns._class_patterns import ClassPatternTest
from wavelens.patterns._classes import ClassMatrices, PatternTable
from wavelens.patterns._compare_bases import BasisComparison, BasisResult, compare_bases
from wavelens.patterns._locality import Locality
from wavelens.patterns._memory import MemoryEstimate, estimate_memory
from wavelens.patterns._results import ClassPatterns, Patterns, Reconstruction, SigmaAssociation, Spectrum
from wavelens.patterns._scoring import HeldOutScore

__all__ = [
    "AssociationCurve",
    "AssociationResult",
    "BasisComparison",
    "BasisResult",
    "ClassMatrices",
    "ClassPatternTest",
    "ClassPatterns",
    "HeldOutScore",
    "Locality",
    "MemoryEstimate",
    "PatternAnalysis",
    "PatternTable",
    "Patterns",
    "Reconstruction",
    "SigmaAssociation",
    "Spectrum",
    "compare_bases",
    "estimate_memory",
]
