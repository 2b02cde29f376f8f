"""Pivoted QR, higher-order GSVD and pairwise distances: arrays in, results out."""

from wavelens.linalg._bandwidth import median_bandwidth
from wavelens.linalg._class_similarity import ClassSimilarity, class_similarity
from wavelens.linalg._feature_sums import FeatureSums
from wavelens.linalg._ho_gsvd import HOGSVD, ho_gsvd
from wavelens.linalg._landmark_sums import LandmarkSums
from wavelens.linalg._nearest import Nearest, k_nearest
from wavelens.linalg._pairwise import gaussian_similarity, pairwise_distances
from wavelens.linalg._pivoted_qr import PivotedQR, pivoted_qr
from wavelens.linalg._row_sketch import RowSketch
from wavelens.linalg._select_columns import select_columns
from wavelens.linalg._similarity_error import SimilarityError
from wavelens.linalg._triangular_factor import TriangularFactor

__all__ = [
    "HOGSVD",
    "ClassSimilarity",
    "FeatureSums",
    "LandmarkSums",
    "Nearest",
    "PivotedQR",
    "RowSketch",
    "SimilarityError",
    "TriangularFactor",
    "class_similarity",
    "gaussian_similarity",
    "ho_gsvd",
    "k_nearest",
    "median_bandwidth",
    "pairwise_distances",
    "pivoted_qr",
    "select_columns",
]
