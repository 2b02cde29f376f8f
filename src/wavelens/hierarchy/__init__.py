"""How classes relate inside a deep representation: multiresolution matrix factorization and its graph."""

from __future__ import annotations

from wavelens.hierarchy._class_covariance import ClassCovariance, class_covariance
from wavelens.hierarchy._class_hierarchy import ClassHierarchy
from wavelens.hierarchy._class_linkage import class_linkage
from wavelens.hierarchy._class_means import ClassMeans
from wavelens.hierarchy._companions import Companions, companions
from wavelens.hierarchy._flow_result import LayerFlow
from wavelens.hierarchy._graph import Composition, MMFGraph
from wavelens.hierarchy._layer_flow import layer_flow
from wavelens.hierarchy._mmf import MMF, mmf
from wavelens.hierarchy._novelty import Novelty
from wavelens.hierarchy._stability import CompositionStability, composition_stability

__all__ = [
    "MMF",
    "ClassCovariance",
    "ClassHierarchy",
    "ClassMeans",
    "Companions",
    "Composition",
    "CompositionStability",
    "LayerFlow",
    "MMFGraph",
    "Novelty",
    "class_covariance",
    "class_linkage",
    "companions",
    "composition_stability",
    "layer_flow",
    "mmf",
]
