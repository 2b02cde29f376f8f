"""Covariance of classes: inner products of their mean representations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._threads import blas_threads
from wavelens.hierarchy._class_means import ClassMeans, means_of
from wavelens.hierarchy._features import Float64Array, IntArray
from wavelens.hierarchy._symmetric import largest_entry, mirror, smallest_entry

__all__ = ["ClassCovariance", "class_covariance", "covariance_of", "representations"]


@dataclass(frozen=True, eq=False)
class ClassCovariance:
    """How classes hang together inside a representation; made by `class_covariance`.

    Stands for its matrix wherever an array is asked for: ``mmf(covariance)``.

    Attributes
    ----------
    matrix : (n_classes, n_classes) array of float64
        C, exactly symmetric, positive semidefinite to rounding.
    classes : (n_classes,) array
        Labels, in the order of the rows.
    counts : (n_classes,) array of intp
        Number of images of each class.
    means : (n_classes, n_features) array of float64
        Mean representation of each class, neither centred nor scaled.
    center : bool
    correlation : bool
    """

    matrix: Float64Array
    classes: npt.NDArray[Any]
    counts: IntArray
    means: Float64Array
    center: bool = False
    correlation: bool = False

    def __repr__(self) -> str:
        return (
            f"ClassCovariance(n_classes={len(self.classes)}, n_images={self.counts.sum()}, "
            f"n_features={self.means.shape[1]}, center={self.center}, correlation={self.correlation})"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix."""
        return len(self.classes), len(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.matrix, dtype=dtype, copy=copy)


def class_covariance(
    features: npt.ArrayLike | Iterable[tuple[npt.ArrayLike, npt.ArrayLike]],
    labels: npt.ArrayLike | None = None,
    *,
    classes: npt.ArrayLike | None = None,
    center: bool = False,
    correlation: bool = False,
) -> ClassCovariance:
    """Return the covariance of classes: the mean inner product of an image of one and an image of the other.

    Parameters
    ----------
    features : (n_images, …) array_like of real numbers, or iterable of pairs (features, labels)
        Representations of images, such as the activations of a layer; flattened behind the first dimension. A
        memory map, HDF5 or zarr dataset is read a few megabytes at a time. With `labels` None, chunks of any
        sizes, each with its labels.
    labels : (n_images,) array_like of numbers or strings, or None
        Class of each image. Numbers may have gaps.
    classes : array_like, optional
        The classes there have to be: one without images, or an image of another class, is an error.
    center : bool, default False
        Whether to subtract the mean of all images first. Activations behind a ReLU are positive, and what all
        classes share outweighs what sets them apart; centred, C has one zero eigenvalue where classes are of
        equal size.
    correlation : bool, default False
        Whether to take cosines of the (centred) means instead, so that a class with large activations counts
        no more than others.

    Returns
    -------
    ClassCovariance
        With `matrix` of shape (n_classes, n_classes), `classes` ascending, `counts` and `means`.

    Raises
    ------
    ValueError
        If lengths do not agree, an entry is NaN or infinite (its row is named), features are so large or so small
        that float64 cannot hold products of their products, a label is NaN, there are
        fewer than two classes, a class of `classes` has no image, or with `correlation` the mean of a class is
        zero (it is named).
    TypeError
        If features are not real numbers, or labels neither numbers nor strings.

    Notes
    -----
    C_ij = 1/(|i||j|) Σ_î Σ_ĵ d_îᵀ d_ĵ ([1]_, equation 7) is the inner product of the means of classes i and j.
    So it takes one pass and O(n d) time for n images of d numbers, and O(c d) memory for c classes besides the
    c² d of the product, whose 8 c² bytes are the only ones of that size: 3.2 GB for 20,000 classes. Sums are in
    float64 whatever the dtype of the features.

    References
    ----------
    .. [1] V. K. Ithapu, "Decoding the deep: exploring class hierarchies of deep representations using
       multiresolution matrix factorization", CVPR workshops (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import class_covariance
    >>> features = np.array([[1.0, 0.0], [3.0, 0.0], [1.0, 2.0]])
    >>> covariance = class_covariance(features, ["cat", "cat", "dog"])
    >>> covariance.matrix
    array([[4., 2.],
           [2., 5.]])
    >>> covariance.classes.tolist(), covariance.counts.tolist()
    (['cat', 'dog'], [2, 1])
    """
    means = means_of(features, labels).sorted()
    if means.n_features is None:
        raise ValueError("`features` must not be empty, got no image")
    if classes is not None:
        check_classes(means, classes)
    if len(means.classes) < 2:
        raise ValueError(
            f"`labels` must hold at least two classes, got one class, {means.classes[0].item()!r}"
        )
    return covariance_of(means, center=center, correlation=correlation)


def covariance_of(means: ClassMeans, *, center: bool, correlation: bool) -> ClassCovariance:
    """Return the covariance of the classes in the order they have in `means`."""
    matrix_of_means = means.means
    total = grand_mean(means) if center else None
    vectors = representations(matrix_of_means, total, correlation, means.classes)
    with blas_threads(1), np.errstate(over="ignore", invalid="ignore"):
        matrix = vectors @ vectors.T
    # Of the square of the covariance errors are told, so that has to be a number as well.
    size = float(np.abs(vectors).max())
    if not np.isfinite([matrix.max(), matrix.min()]).all() or matrix.max() > largest_entry / len(matrix):
        raise ValueError("`features` must be small enough to be multiplied in float64; scale them down")
    if 0 < size < np.sqrt(smallest_entry):
        raise ValueError("`features` must be large enough to be multiplied in float64; scale them up")
    mirror(matrix)
    if correlation:
        np.clip(matrix, -1, 1, out=matrix)
        np.fill_diagonal(matrix, 1)
    for part in (matrix, matrix_of_means):
        part.setflags(write=False)
    return ClassCovariance(
        matrix, means.classes.copy(), means.counts.copy(), matrix_of_means, bool(center), bool(correlation)
    )


def grand_mean(means: ClassMeans) -> Float64Array:
    """Return the mean over all images, (n_features,)."""
    return np.asarray(means.sums.sum(axis=0) / means.counts.sum())


def representations(
    means: Float64Array, total: Float64Array | None, correlation: bool, names: npt.NDArray[Any]
) -> Float64Array:
    """Return the vectors whose inner products are the covariance: means, less `total`, of norm 1."""
    vectors = means if total is None else means - total
    if not correlation:
        return vectors
    sizes = np.abs(vectors).max(axis=1)
    # What rounding leaves of a mean that equals the mean of all is no direction.
    floor = np.zeros(len(means)) if total is None else np.abs(means).max(axis=1) + np.abs(total).max()
    flat = np.flatnonzero(sizes <= 8 * np.finfo(np.float64).eps * floor)
    if len(flat):
        what = "zero" if total is None else "that of all images"
        raise ValueError(
            f"`correlation` needs class means with a direction; the mean of class {names[flat[0]].item()!r} is "
            f"{what}"
        )
    vectors = vectors / sizes[:, None]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1)[:, None])


def check_classes(means: ClassMeans, classes: npt.ArrayLike) -> None:
    """Refuse a declared class without images and an image of a class that is not declared."""
    declared = np.asarray(classes)
    if declared.ndim != 1:
        raise ValueError(f"`classes` must have 1 dimension, got shape {declared.shape}")
    present, wanted = set(means.classes.tolist()), set(declared.tolist())
    for label in declared.tolist():
        if label not in present:
            raise ValueError(f"class {label!r} of `classes` has no images")
    for label in means.classes.tolist():
        if label not in wanted:
            raise ValueError(f"`labels` must be among `classes`, got {label!r}")
