"""What the methods of `PatternAnalysis` return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, as_images
from wavelens.patterns._class_patterns import ClassPatternTest, Filters
from wavelens.patterns._result import FitResult

__all__ = ["ClassPatterns", "Patterns", "Reconstruction", "SigmaAssociation", "Spectrum"]


@dataclass(frozen=True)
class Patterns:
    """Some patterns, as images.

    Attributes
    ----------
    indices : array of int, shape (n,)
        Their places among all patterns.
    images : array of shape (n, height, width[, channels])
        In pixel space; a pattern has norm 1 in the chosen coefficients (normalization "unit").
    sigma : array of shape (n_classes, n)
        Their generalized singular values in every class.
    angle : array of shape (n,)
        Angle of the class against the strongest other one, in radians from −π/4 (the other's alone) over 0
        (shared alike) to π/4 (the class's alone).
    """

    indices: npt.NDArray[np.intp]
    images: FloatArray
    sigma: FloatArray
    angle: FloatArray


@dataclass(frozen=True, eq=False)
class ClassPatterns:
    """What sets a class apart from others, strongest first.

    Attributes
    ----------
    class_ : object
        Its label.
    against : object
        Label of the other class; None: all others.
    images : array of shape (n, height, width[, channels])
        What the patterns look like: means of the class's images, weighted by their scores. The sign is chosen so that
        images of the class score positive on average.
    strength : array of shape (n,)
        Root mean square of the scores over the class, over that of the others, on the images that were fitted.
    held_out : array of shape (n,)
        The same of images that were held out; NaN where the class has too few images or groups to tell.
    interval : array of shape (n, 2)
        95 % interval of `held_out`.
    specific : array of bool, shape (n,)
        Whether a pattern and all before it are stronger, held out, than any that shuffled labels give in 95 % of cases.
    by_chance : float
        That limit.
    mean_share : array of shape (n,)
        Share of the class's mean square score that comes from a shift of its mean; the rest is spread.
    difference : array of shape (height, width[, channels])
        Mean of the class's images minus that of the others, in the selected coefficients.
    complete : bool
        Whether `images` show all coefficients, or only those that the patterns are made of.
    test : ClassPatternTest
        The evidence for all classes.
    """

    class_: object
    against: object
    images: FloatArray
    strength: npt.NDArray[np.float64]
    held_out: npt.NDArray[np.float64]
    interval: npt.NDArray[np.float64]
    specific: npt.NDArray[np.bool_]
    by_chance: float
    mean_share: npt.NDArray[np.float64]
    difference: FloatArray
    complete: bool
    test: ClassPatternTest
    _filters: Filters
    _result: FitResult

    @property
    def n_specific(self) -> int:
        """How many patterns are stronger than chance."""
        return int(np.count_nonzero(self.specific))

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the scores of images, in units of the others' root mean square.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, channels])

        Returns
        -------
        array of shape (n_images, n)
        """
        images = as_images(X, "X", shape=self._result.basis.shape)
        m = len(self._filters.center)
        return self._filters.scores(self._result.basis.forward(images)[:, self._result.columns[:m]])


@dataclass(frozen=True)
class Reconstruction:
    """Images rebuilt from some of their patterns.

    Attributes
    ----------
    n_patterns : array of int, shape (q,)
    images : array of shape (n_images, q, height, width[, channels])
        Rebuilt from the `n_patterns[j]` patterns that contribute most to the image.
    residuals : array of shape (n_images, q)
        ``‖x − x_q‖ / ‖x‖`` in the chosen coefficients x of the image; 0 with all patterns.
    truncation : array of shape (n_images,)
        Share of the image's norm that lies outside the chosen coefficients and that no number of patterns
        brings back.
    order : array of int, shape (n_images, n_all_patterns)
        The patterns of each image, largest contribution first.
    """

    n_patterns: npt.NDArray[np.intp]
    images: FloatArray
    residuals: FloatArray
    truncation: FloatArray
    order: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Spectrum:
    """The images of two classes, each at its place between them.

    Attributes
    ----------
    indices : array of int, shape (n,)
        Places of the images in the data given to `fit`, sorted by `values`.
    values : array of shape (n,)
        In [−1, 1]: ``(s − c·t) / (s + c·t)`` with s and t the mean similarities to `class_` and to `other`; 1
        is far on the side of `class_`. The constant c puts 0, the border, midway between the medians of the
        two classes: images of a class that varies much are less similar to everything.
    method : {"exact", "landmarks", "features"}
        How the similarities were found; see `PatternAnalysis.class_similarity_`.
    error : float
        With 95 % confidence, at least 95 % of the images are off the place that exact similarities give (with
        the same c) by at most this; 0 for exact ones, infinite where fewer than 59 images of the two classes
        were checked, which cannot tell.
    """

    indices: npt.NDArray[np.intp]
    values: FloatArray
    method: str = "exact"
    error: float = 0.0


@dataclass(frozen=True)
class SigmaAssociation:
    """How the singular values of two classes go together over the patterns.

    Attributes
    ----------
    spearman, pvalue : float
        Rank correlation of σ of one class with σ of the other, and the probability of one as far from 0
        if there were none.
    strong_elsewhere : float
        Of the tenth of the patterns with the largest σ for the first class, the median rank of σ for the
        second class among all patterns, from 0 (always the smallest) over 0.5 (as chance has it) to 1.
    """

    spearman: float
    pvalue: float
    strong_elsewhere: float
