"""What a labelled image dataset is made of, and which patterns belong to which class."""

from __future__ import annotations

from wavelens.patterns._analysis import PatternAnalysis
from wavelens.patterns._association import AssociationCurve, AssociationResult
from wavelens.patterns._results import Patterns, Reconstruction, SigmaAssociation, Spectrum
from wavelens.patterns._scoring import HeldOutScore

__all__ = [
    "AssociationCurve",
    "AssociationResult",
    "HeldOutScore",
    "PatternAnalysis",
    "Patterns",
    "Reconstruction",
    "SigmaAssociation",
    "Spectrum",
]
