"""Dense linear algebra: arrays in, results out."""

from wavelens.linalg._bandwidth import median_bandwidth
from wavelens.linalg._nearest import Nearest, k_nearest
from wavelens.linalg._pairwise import (
    ClassSimilarity,
    class_similarity,
    gaussian_similarity,
    pairwise_distances,
)

__all__ = [
    "ClassSimilarity",
    "Nearest",
    "class_similarity",
    "gaussian_similarity",
    "k_nearest",
    "median_bandwidth",
    "pairwise_distances",
]
