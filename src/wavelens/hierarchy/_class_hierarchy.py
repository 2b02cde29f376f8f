"""Estimator: the hierarchy of classes inside a representation, fitted at once or as images come."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from wavelens._arguments import check_choice, check_integer
from wavelens._threads import blas_threads
from wavelens.exceptions import WavelensError
from wavelens.hierarchy._class_covariance import (
    ClassCovariance,
    covariance_of,
    grand_mean,
    representations,
)
from wavelens.hierarchy._class_means import ClassMeans, means_of
from wavelens.hierarchy._features import Float64Array, IntArray, as_features, row_chunks
from wavelens.hierarchy._mmf import MMF, MMFMethod, MMFRotation, _methods, _rotations, mmf
from wavelens.hierarchy._novelty import Novelty, left_out_shares, novelty

if TYPE_CHECKING:
    from wavelens.hierarchy._graph import MMFGraph

__all__ = ["ClassHierarchy"]


class ClassHierarchy(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """How classes compose inside a representation: MMF of the class covariance.

    Parameters
    ----------
    order : int, default 5
        How many classes a level composes, from 2 to the number of classes.
    n_levels : int or None, default None
        Levels of the factorization `fit` makes; None: as many as there can be. A class that `partial_fit` brings
        later adds one.
    core_size : int or None, default None
        The same said by what is left.
    method : {"topk", "exhaustive", "random"}, default "topk"
        Which compositions are tried; see `mmf`.
    rotation : {"opt", "eigen", "gram"}, default "opt"
        See `mmf`.
    center : bool, default False
        Whether to subtract the mean of all images first.
    correlation : bool, default False
        Whether to compare directions of the class means only.
    random_state : int or None, default None
        Seed of method "random".

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Labels; ascending after `fit`. Classes that `partial_fit` brings follow those that are there.
    counts_ : array of int, shape (n_classes,)
        Number of images of each.
    means_ : array of shape (n_classes, n_features)
        Mean representation of each.
    covariance_ : ClassCovariance
        Of the classes, in this order.
    mmf_ : MMF
        The factorization of it. This and `covariance_` are not there while `partial_fit` has seen too few classes
        for `order`, `n_levels` or `core_size`.
    n_features_in_ : int
        Numbers that describe an image.

    Notes
    -----
    Source: V. K. Ithapu, "Decoding the deep: exploring class hierarchies of deep representations using
    multiresolution matrix factorization", CVPR workshops (2017), sections 3 and 4. See `class_covariance` for
    the cost of reading features and `mmf` for that of the factorization.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.hierarchy import ClassHierarchy
    >>> pixels, labels = load_digits(return_X_y=True)
    >>> hierarchy = ClassHierarchy(order=3).fit(pixels, labels)
    >>> hierarchy.mmf_.n_levels
    8
    >>> hierarchy.transform(pixels).shape
    (1797, 10)

    Images of a class that is not there yet, as they come:

    >>> known = labels < 9
    >>> hierarchy = ClassHierarchy(order=3).fit(pixels[known], labels[known])
    >>> print(hierarchy.novelty(pixels[~known], name=9).words()[1])
    It is best composed of +0.64 3, +0.33 0, which leaves 9.4 %.
    >>> hierarchy.partial_fit(pixels[~known], labels[~known]).mmf_.n_levels
    8
    """

    def __init__(
        self,
        order: int = 5,
        *,
        n_levels: int | None = None,
        core_size: int | None = None,
        method: MMFMethod = "topk",
        rotation: MMFRotation = "opt",
        center: bool = False,
        correlation: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.order = order
        self.n_levels = n_levels
        self.core_size = core_size
        self.method = method
        self.rotation = rotation
        self.center = center
        self.correlation = correlation
        self.random_state = random_state

    # X and y: the names by which scikit-learn's pipelines pass them.

    def fit(self, X: Any, y: npt.ArrayLike | None = None) -> Self:
        """Factorize the covariance of classes.

        Parameters
        ----------
        X : (n_images, …) array_like of real numbers, or iterable of pairs (features, labels)
            Representations of images, flattened behind the first dimension; or chunks of them, each with its
            labels, and no `y`.
        y : (n_images,) array_like of numbers or strings, or None
            Class of each image.

        Returns
        -------
        ClassHierarchy
            Itself.

        Raises
        ------
        ValueError
            If lengths do not agree, an entry is NaN or infinite, there are fewer than two classes or fewer than
            `order`, or an option is out of range. What was fitted before stays.
        TypeError
            If features are not real numbers, or labels neither numbers nor strings.
        """
        if y is None and hasattr(X, "shape"):
            raise ValueError(
                "`ClassHierarchy` requires y to be passed, but the target y is None (or X must be an iterable of "
                "pairs of features and labels)"
            )
        means = means_of(X, y, ("X", "y")).sorted()
        if means.n_features is None:
            raise ValueError("`X` must not be empty, got no image: 0 sample(s)")
        if len(means.classes) < 2:
            raise ValueError(
                f"`y` must hold at least two classes, got one class, {means.classes[0].item()!r} "
                f"(n_samples = {means.counts.sum()})"
            )
        return self._set(means, *self._factorized(means))

    def partial_fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Take in more images: of classes that are there, of new ones, or of both.

        The factorization is replayed on the changed means with the same compositions; new classes are then
        inserted. While there are too few classes for `order`, `n_levels` or `core_size`, nothing is factorized.

        Parameters
        ----------
        X : (n_images, …) array_like of real numbers
        y : (n_images,) array_like of numbers or strings

        Returns
        -------
        ClassHierarchy
            Itself.

        Raises
        ------
        ValueError
            If lengths do not agree, or an entry is NaN or infinite. What was fitted before stays.
        TypeError
            If features are not real numbers, or labels of another kind than before.

        Notes
        -----
        O(order² m²) for m classes, however many new ones come at once. To search all compositions afresh,
        which may find better ones, `fit`.
        """
        if y is None:
            raise ValueError("`ClassHierarchy` requires y to be passed, but the target y is None")
        means = ClassMeans()
        if hasattr(self, "_means"):
            self._checked(X)
            means = self._means.copy()
        means.take(X, y, ("X", "y"))
        if means.n_features is None:
            raise ValueError("`X` must not be empty, got no image: 0 sample(s)")
        if not hasattr(self, "mmf_"):
            if len(means.classes) < self._classes_needed():
                return self._set(means, None, None)
            return self._set(means, *self._factorized(means))
        covariance = self._covariance(means)
        known = self.mmf_.shape[0]
        assert self.mmf_.matrix is not None
        factors = self.mmf_
        if not np.array_equal(covariance.matrix[:known, :known], self.mmf_.matrix):
            factors = factors.refit(covariance.matrix[:known, :known])
        if len(means.classes) > known:
            factors = factors.insert_many(covariance.matrix[known:])
        return self._set(means, covariance, factors)

    def transform(self, X: npt.ArrayLike) -> Float64Array:
        """Return the similarity of images to the hierarchy's wavelets and to its core.

        The inner products of an image with the class means say how much it resembles each class. The rotations
        of the factorization turn them into coefficients that hardly repeat one another over the classes: at
        the place of a class that became a wavelet, what sets its composition's members apart; at the places of
        the core, what all have in common.

        Parameters
        ----------
        X : (n_images, …) array_like of real numbers

        Returns
        -------
        (n_images, n_classes) array of float64
            Columns in the order of `classes_`.

        Notes
        -----
        Q Z x for an image x (less the mean of all, with `center`) and the rows Z of class means, of norm 1 with
        `correlation`. Over the class means themselves they are Q C, with Q C Qᵀ ≈ Λ. O(n_features n_classes) an
        image.
        """
        factors = self._fitted()
        features = self._checked(X)
        vectors, total = self._vectors()
        # One small product instead of rotating the coefficients of every image.
        turned = factors.transform(vectors)
        result = np.empty((features.shape[0], len(vectors)))
        for first, chunk in row_chunks(features, "X"):
            with blas_threads(1):
                result[first : first + len(chunk)] = (chunk if total is None else chunk - total) @ turned.T
        return result

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns that `transform` gives: "wavelet1_cat", …, "core_dog".

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        array of str, shape (n_classes,)
            With the level of each wavelet, from 1.
        """
        factors = self._fitted()
        names = [f"core_{label}" for label in self.classes_.tolist()]
        for level, i in enumerate(factors.wavelets.tolist()):
            names[i] = f"wavelet{level + 1}_{self.classes_[i]}"
        return np.array(names, dtype=object)

    def graph(self) -> MMFGraph:
        """Return the MMF graph, its nodes named by the classes."""
        return self._fitted().graph(self.classes_.tolist())

    def novelty(self, X: npt.ArrayLike, *, name: object = "the new class") -> Novelty:
        """Say what a class would add that the present ones cannot compose; nothing is inserted.

        Parameters
        ----------
        X : (n_images, …) array_like of real numbers
            Images of the one class. The mean of a few images is noisier than that of many, and noise is
            something that no class composes: with fewer images than the present classes have, its share comes
            out larger.
        name : object, default "the new class"

        Returns
        -------
        Novelty
            With `center`, about the mean of the present images.
        """
        factors = self._fitted()
        features = self._checked(X)
        if not features.shape[0]:
            raise ValueError("`X` must hold at least one image of the new class")
        labels = np.zeros(features.shape[0], dtype=np.intp)
        new = ClassMeans().take(features, labels, ("X", "y")).means
        vectors, total = self._vectors()
        vector = representations(new, total, self.correlation, np.array([str(name)]))[0]
        with blas_threads(1):
            row = np.append(vectors @ vector, vector @ vector)
            shares = None
            if total is not None:
                about = self.means_ - total
                shares = left_out_shares(about @ about.T, self.counts_.astype(np.float64))
        return novelty(factors, row, [*self.classes_.tolist(), name], shares)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted hierarchy to an npz file; the file appears whole or not at all."""
        from wavelens.hierarchy._class_persistence import save_hierarchy

        check_is_fitted(self, "classes_")
        save_hierarchy(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote, for `partial_fit` to go on with; no code of the file is run.

        Raises
        ------
        DataError
            If the file is damaged, of another kind, or of a newer version.
        """
        from wavelens.hierarchy._class_persistence import load_hierarchy

        return load_hierarchy(path, cls)

    # What scikit-learn asks

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    # Inside

    def _covariance(self, means: ClassMeans) -> ClassCovariance:
        return covariance_of(means, center=bool(self.center), correlation=bool(self.correlation))

    def _classes_needed(self) -> int:
        order = check_integer(self.order, "order", low=2)
        levels = 1 if self.n_levels is None else check_integer(self.n_levels, "n_levels", low=0)
        core = 0 if self.core_size is None else check_integer(self.core_size, "core_size", low=order - 1)
        return max(order, levels + order - 1, core)

    def _factorized(self, means: ClassMeans) -> tuple[ClassCovariance, MMF]:
        m = len(means.classes)
        order = check_integer(self.order, "order", low=2, high=m, why=f"there are {m} classes")
        check_choice(self.method, "method", _methods)
        check_choice(self.rotation, "rotation", _rotations)
        covariance = self._covariance(means)
        return covariance, mmf(
            covariance,
            order,
            n_levels=self.n_levels,
            core_size=self.core_size,
            method=self.method,
            rotation=self.rotation,
            random_state=self.random_state,
        )

    def _set(self, means: ClassMeans, covariance: ClassCovariance | None, factors: MMF | None) -> Self:
        # Nothing is set before all is known: what fails leaves what was there.
        self._means = means
        self.classes_: npt.NDArray[Any] = means.classes
        self.counts_: IntArray = means.counts
        self.means_: Float64Array = means.means if covariance is None else covariance.means
        self.n_features_in_ = cast(int, means.n_features)
        if covariance is None or factors is None:
            for name in ("covariance_", "mmf_"):
                self.__dict__.pop(name, None)
        else:
            self.covariance_ = covariance
            self.mmf_ = factors
        return self

    def _fitted(self) -> MMF:
        check_is_fitted(self)
        if not hasattr(self, "mmf_"):
            raise WavelensError(
                f"there are {len(self.classes_)} classes so far, too few for compositions of order {self.order}: "
                f"partial_fit waits for {self._classes_needed()}"
            )
        return self.mmf_

    def _checked(self, X: npt.ArrayLike) -> Any:
        features = as_features(X, "X")
        width = int(np.prod(features.shape[1:]))
        if width != self.n_features_in_:
            raise ValueError(
                f"X has {width} features, but {type(self).__name__} is expecting {self.n_features_in_} features "
                "as input"
            )
        return features

    def _vectors(self) -> tuple[Float64Array, Float64Array | None]:
        """Return the vectors whose inner products are the covariance, and the mean they are about."""
        total = grand_mean(self._means) if self.covariance_.center else None
        return representations(self.means_, total, self.covariance_.correlation, self.classes_), total
