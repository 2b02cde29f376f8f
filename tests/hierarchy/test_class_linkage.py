"""The agglomerative baseline is SciPy's, on distances that come from inner products."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

from wavelens.hierarchy import class_covariance, class_linkage


@pytest.fixture
def covariance():
    rng = np.random.default_rng(0)
    return class_covariance(rng.normal(size=(60, 20)) + 1, np.arange(60) % 9)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("method", ["average", "complete", "single", "weighted"])
def test_it_is_that_of_the_means(covariance, method, metric):
    expected = linkage(pdist(covariance.means, metric), method)
    found = class_linkage(covariance, method=method, metric=metric)
    np.testing.assert_array_equal(found[:, [0, 1, 3]], expected[:, [0, 1, 3]])
    np.testing.assert_allclose(found[:, 2], expected[:, 2], rtol=1e-7)


@pytest.mark.parametrize("method", ["ward", "centroid", "median"])
def test_euclidean_methods(covariance, method):
    expected = linkage(covariance.means, method)
    np.testing.assert_allclose(class_linkage(covariance.matrix, method=method), expected, rtol=1e-7)
    with pytest.raises(ValueError, match="`metric` must be 'euclidean' with `method`"):
        class_linkage(covariance, method=method, metric="cosine")


def test_equal_classes_are_at_distance_zero():
    c = np.ones((3, 3))
    assert class_linkage(c)[:, 2].tolist() == [0, 0]
    assert class_linkage(c, metric="cosine")[:, 2].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("c", "options", "message"),
    [
        (np.ones((2, 3)), {}, "must be square"),
        (np.array([[1.0, 2.0], [3.0, 1.0]]), {}, "must be symmetric"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), {}, "must be finite"),
        (np.diag([1.0, -1.0]), {}, "must hold inner products, got -1.0 on the diagonal at 1"),
        (np.diag([1.0, 0.0]), {"metric": "cosine"}, "must have a diagonal above 0"),
        (np.eye(3), {"method": "best"}, "`method` must be one of"),
        (np.eye(3), {"metric": "best"}, "`metric` must be one of"),
    ],
)
def test_what_cannot_be_is_refused(c, options, message):
    with pytest.raises(ValueError, match=message):
        class_linkage(c, **options)
