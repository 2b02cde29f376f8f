"""Patterns and classes: who holds which pattern, which classes share it, and how alike the classes are.

A class holds a pattern if its σ is at least tan(π/8) = 0.414 times that of the class where it is strongest. A
pattern that one class alone holds is that class's own: no other comes within a factor 2.4 of it, which is the
same as an angle beyond π/8 against the strongest other class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from wavelens._arguments import FloatArray
from wavelens.linalg import ClassSimilarity
from wavelens.patterns._result import FitResult

__all__ = ["HELD", "ClassMatrices", "PatternTable", "class_matrices", "pattern_table"]

HELD = float(np.tan(np.pi / 8))


@dataclass(frozen=True)
class PatternTable:
    """One entry for each pattern, in the order of the patterns.

    Attributes
    ----------
    classes : array of shape (n_classes,)
        Labels, sorted.
    strongest : array of int, shape (n_patterns,)
        Place in `classes` of the class with the largest σ.
    owner : array of int, shape (n_patterns,)
        The same where no other class holds the pattern; −1 for patterns that classes share.
    held : array of bool, shape (n_patterns, n_classes)
        Whether σ of the class is at least tan(π/8) = 0.414 times the largest.
    n_classes_holding : array of int, shape (n_patterns,)
    commonness : array of shape (n_patterns,)
        From the eigenvalues of the HO-GSVD: 0 for a pattern common to all classes, 1 for one of a single class.
    angle : array of shape (n_patterns,)
        Of the strongest class against the second, in radians from 0 (alike) to π/4 (no other has it).
    sigma : array of shape (n_patterns, n_classes)

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.patterns import PatternAnalysis
    >>> digits = load("digits")
    >>> analysis = PatternAnalysis(n_coefficients=40).fit(digits.images, digits.labels)
    >>> table = analysis.pattern_table()
    >>> table.names_of_holders(int(table.n_classes_holding.argmax()))
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    classes: npt.NDArray[Any]
    strongest: npt.NDArray[np.intp]
    owner: npt.NDArray[np.intp]
    held: npt.NDArray[np.bool_]
    commonness: FloatArray
    angle: FloatArray
    sigma: FloatArray

    @property
    def n_classes_holding(self) -> npt.NDArray[np.intp]:
        """How many classes hold each pattern."""
        return np.asarray(self.held.sum(axis=1))

    def names_of_holders(self, pattern: int) -> npt.NDArray[Any]:
        """Return the labels of the classes that hold a pattern.

        Parameters
        ----------
        pattern : int

        Returns
        -------
        array
        """
        return np.asarray(self.classes[self.held[pattern]])


@dataclass(frozen=True)
class ClassMatrices:
    """Class by class: how alike the images are, and how many patterns are held in common.

    Attributes
    ----------
    classes : array of shape (n_classes,)
    similarity : array of shape (n_classes, n_classes)
        Mean similarity of the images of two classes; on the diagonal, of two images of the class.
    shared : array of int, shape (n_classes, n_classes)
        Number of patterns that both hold; on the diagonal, that the class holds.
    own : array of int, shape (n_classes,)
        Number of patterns that the class alone holds.
    method : {"exact", "landmarks", "features"}
        How the similarities were found.
    error : float
        That of an image's similarity to a class, `SimilarityError.bound`; 0 for exact ones. The means of whole
        classes err less.

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.patterns import PatternAnalysis
    >>> digits = load("digits")
    >>> analysis = PatternAnalysis(n_coefficients=40).fit(digits.images, digits.labels)
    >>> analysis.class_matrices().linkage().shape
    (9, 4)
    """

    classes: npt.NDArray[Any]
    similarity: FloatArray
    shared: npt.NDArray[np.intp]
    own: npt.NDArray[np.intp]
    method: str = "exact"
    error: float = 0.0

    def linkage(self) -> npt.NDArray[np.float64]:
        """Return the tree of the classes: average linkage on 1 − mean similarity, as SciPy writes it.

        Returns
        -------
        array of shape (n_classes - 1, 4)
        """
        distance = np.maximum(1 - self.similarity.astype(np.float64), 0)
        np.fill_diagonal(distance, 0)
        return np.asarray(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))


def pattern_table(result: FitResult) -> PatternTable:
    """Say of each pattern which classes hold it; O(n_classes · n_patterns)."""
    sigma = result.sigma.T.copy()
    largest = sigma.max(axis=1)
    held = (sigma >= HELD * largest[:, None]) & (sigma > 0)
    strongest = sigma.argmax(axis=1)
    second = np.partition(sigma, -2, axis=1)[:, -2]
    return PatternTable(
        classes=result.classes,
        strongest=strongest,
        owner=np.where(held.sum(axis=1) == 1, strongest, -1),
        held=held,
        commonness=result.gsvd.commonness,
        angle=np.arctan2(largest, second) - np.pi / 4,
        sigma=sigma,
    )


def class_matrices(result: FitResult, found: ClassSimilarity) -> ClassMatrices:
    """Compare each two classes by the similarities of the images to them."""
    table = pattern_table(result)
    n = len(result.classes)
    to_classes = found.similarity
    mean = np.stack([to_classes[result.labels == i].mean(axis=0) for i in range(n)])
    held = table.held.astype(np.intp)
    return ClassMatrices(
        classes=result.classes,
        similarity=(mean + mean.T) / 2,
        shared=held.T @ held,
        own=np.bincount(table.owner[table.owner >= 0], minlength=n),
        method=found.method,
        error=0.0 if found.error is None else found.error.bound,
    )
