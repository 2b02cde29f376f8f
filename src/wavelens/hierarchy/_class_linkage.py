"""The baseline beside MMF: agglomerative clustering of the same class representations."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice
from wavelens.hierarchy._features import Float64Array
from wavelens.hierarchy._symmetric import as_symmetric

__all__ = ["class_linkage"]

_methods = ("single", "complete", "average", "weighted", "centroid", "median", "ward")
_metrics = ("euclidean", "cosine")


def class_linkage(
    covariance: npt.ArrayLike,
    *,
    method: Literal["single", "complete", "average", "weighted", "centroid", "median", "ward"] = "average",
    metric: Literal["euclidean", "cosine"] = "euclidean",
) -> Float64Array:
    """Cluster classes by the distances of their mean representations.

    Parameters
    ----------
    covariance : ClassCovariance or (m, m) array_like
        Inner products of the representations, as `class_covariance` gives.
    method : str, default "average"
        As in `scipy.cluster.hierarchy.linkage`; "centroid", "median" and "ward" need metric "euclidean".
    metric : {"euclidean", "cosine"}, default "euclidean"
        "euclidean": sqrt(C_ii + C_jj − 2 C_ij). "cosine": 1 − C_ij / sqrt(C_ii C_jj).

    Returns
    -------
    (m − 1, 4) array of float64
        Linkage matrix of SciPy, for `scipy.cluster.hierarchy.dendrogram` and its like.

    Raises
    ------
    ValueError
        If the matrix is not square, symmetric and finite, has a negative diagonal entry, or with "cosine" a
        zero one; or an option is unknown.

    Notes
    -----
    Distances come from inner products and are exact to about 1e-8 of the largest norm. O(m²) but for
    "centroid" and "median", which take O(m³).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import class_covariance, class_linkage
    >>> features = np.array([[0.0], [1.0], [5.0]])
    >>> class_linkage(class_covariance(features, ["a", "b", "c"]))[:, :3]
    array([[0. , 1. , 1. ],
           [2. , 3. , 4.5]])
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    check_choice(method, "method", _methods)
    check_choice(metric, "metric", _metrics)
    if metric != "euclidean" and method in ("centroid", "median", "ward"):
        raise ValueError(f"`metric` must be 'euclidean' with `method` {method!r}, got {metric!r}")
    matrix = as_symmetric(covariance, "covariance")
    diagonal = np.diagonal(matrix)
    if diagonal.min() < 0:
        raise ValueError(
            f"`covariance` must hold inner products, got {diagonal.min()} on the diagonal at "
            f"{int(diagonal.argmin())}"
        )
    if metric == "euclidean":
        distances = np.sqrt(np.maximum(diagonal[:, None] + diagonal - 2 * matrix, 0))
    else:
        if diagonal.min() == 0:
            raise ValueError(
                f"`covariance` must have a diagonal above 0 with `metric` 'cosine', got 0 at "
                f"{int(diagonal.argmin())}"
            )
        scale = np.sqrt(diagonal)
        distances = np.clip(1 - matrix / scale[:, None] / scale, 0, 2)
    np.fill_diagonal(distances, 0)
    return np.asarray(linkage(squareform(distances, checks=False), method=method))
