"""Figures: a Display computes once, holds plain data, and draws it with `plot`.

`XDisplay.from_analysis(analysis, …)` collects the data, `.plot(ax=None)` draws it into the axes given or a
figure of its own and returns the Display, with `ax_` and `figure_`. Nothing is registered with pyplot, so
nothing stays open. Colours can be told apart by colour-blind people.
"""

from __future__ import annotations

from wavelens.plotting._basis_comparison import BasisComparisonDisplay
from wavelens.plotting._classes import ClassTreeDisplay, SharedPatternsDisplay
from wavelens.plotting._energy_flow import EnergyFlowDisplay
from wavelens.plotting._explain_evaluation import EvaluationDisplay
from wavelens.plotting._explain_images import ExplanationDisplay, MaskPathDisplay
from wavelens.plotting._explain_masks import EnergyByScaleDisplay, WaveletMaskDisplay
from wavelens.plotting._hierarchy import DendrogramDisplay, LevelErrorDisplay, ReorderedMatrixDisplay
from wavelens.plotting._layer_flow import LayerFlowDisplay
from wavelens.plotting._layer_images import IdealInputsDisplay, LayerImagesDisplay
from wavelens.plotting._layer_spectrum import LayerSpectrumDisplay
from wavelens.plotting._mmf_graph import MMFGraphDisplay
from wavelens.plotting._own_share import OwnShareDisplay
from wavelens.plotting._pattern_association import AssociationDisplay
from wavelens.plotting._pattern_images import ImageGridDisplay, PatternDisplay, ReconstructionDisplay
from wavelens.plotting._pattern_similarity import ClassSimilarityDisplay, SimilarityDisplay, SpectrumDisplay
from wavelens.plotting._pattern_strength import AngleDisplay, InfluenceDisplay, SingularValueDisplay
from wavelens.plotting._wavelets import FourierPanelDisplay, WaveletPanelDisplay, WaveletPyramidDisplay

__all__ = [
    "AngleDisplay",
    "AssociationDisplay",
    "BasisComparisonDisplay",
    "ClassSimilarityDisplay",
    "ClassTreeDisplay",
    "DendrogramDisplay",
    "EnergyByScaleDisplay",
    "EnergyFlowDisplay",
    "EvaluationDisplay",
    "ExplanationDisplay",
    "FourierPanelDisplay",
    "IdealInputsDisplay",
    "ImageGridDisplay",
    "InfluenceDisplay",
    "LayerFlowDisplay",
    "LayerImagesDisplay",
    "LayerSpectrumDisplay",
    "LevelErrorDisplay",
    "MMFGraphDisplay",
    "MaskPathDisplay",
    "OwnShareDisplay",
    "PatternDisplay",
    "ReconstructionDisplay",
    "ReorderedMatrixDisplay",
    "SharedPatternsDisplay",
    "SimilarityDisplay",
    "SingularValueDisplay",
    "SpectrumDisplay",
    "WaveletMaskDisplay",
    "WaveletPanelDisplay",
    "WaveletPyramidDisplay",
]
