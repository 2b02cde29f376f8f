"""What the paper says of the SARS-CoV-2 CT images, on the images themselves."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.data import load
from wavelens.patterns import PatternAnalysis

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def ct():
    import os
    from pathlib import Path

    where = os.environ.get("WAVELENS_DATA")
    if not where:
        pytest.skip("WAVELENS_DATA does not name the folder of the real data")
    data = load(Path(where) / "sars_cov2_ct.npz")
    return PatternAnalysis(n_coefficients=1200).fit(data.images, data.labels), data


def test_patterns_rebuild_an_image(ct):
    analysis, data = ct
    sample = np.random.default_rng(0).choice(len(data.images), 40, replace=False)
    result = analysis.reconstruct(data.images[sample], [10, 50, 100, 400, 1000, 1200])
    typical = np.median(result.residuals, axis=0)
    assert typical[3] < 0.1
    assert typical[4] < 0.01
    assert typical[5] < 1e-6
    assert np.all(np.diff(typical) < 0)


def test_strong_in_one_class_tends_to_be_weak_in_the_other(ct):
    analysis, _ = ct
    association = analysis.sigma_association(0, 1)
    assert association.spearman < 0
    assert association.pvalue < 1e-3
    assert association.strong_elsewhere < 0.5
    # Both directions are there: patterns that nearly one class alone has.
    assert (analysis.angles(0, 1) > 0.8 * np.pi / 4).sum() > 20
    assert (analysis.angles(1, 0) > 0.8 * np.pi / 4).sum() > 20


def test_the_decomposition_is_exact(ct):
    analysis, data = ct
    chosen = analysis.basis_.forward(data.images)[:, analysis.coefficients_]
    rebuilt = analysis.embedding_ @ analysis.gsvd_.v.T
    assert np.linalg.norm(rebuilt - chosen) < 200 * np.finfo(float).eps * np.linalg.norm(chosen)
    assert np.linalg.norm(analysis.transform(data.images) - analysis.embedding_) < 1e-9 * np.linalg.norm(
        analysis.embedding_
    )


def test_duplicates_limit_the_number_of_coefficients(ct):
    # Covid (128) = (129) and (134) = (135): 300 images of rank 298.
    _, data = ct
    chosen = np.r_[:300, 1252:1652]
    images, labels = data.images[chosen], data.labels[chosen]
    with pytest.raises(ValueError, match="298"):
        PatternAnalysis(n_coefficients=300).fit(images, labels)
    assert len(PatternAnalysis().fit(images, labels).coefficients_) == 298


@pytest.mark.parametrize(
    ("name", "options", "n_coefficients"),
    [
        ("sars_cov2_ct_originals", {"size": (64, 80)}, 150),
        ("mnist.npz", {"limit": 600}, 200),
        ("cifar10_subset.npz", {}, 250),
    ],
)
def test_every_kind_of_source(real_data, name, options, n_coefficients):
    data = load(real_data / name, **options)
    analysis = PatternAnalysis(n_coefficients=n_coefficients).fit(data.images, data.labels)
    rebuilt = analysis.inverse_transform(analysis.transform(data.images[:20]))
    assert rebuilt.shape == (20, *data.images.shape[1:])
    similarity = analysis.similarity_to_classes()
    assert np.isfinite(similarity).all()
    assert analysis.sigma_.shape == (len(data.class_names), n_coefficients)


def test_mnist_by_landmarks_is_near_the_exact_similarities(real_data):
    with np.load(real_data / "mnist.npz") as archive:
        images, labels = archive["x_train"][:20_000].astype(np.float32), archive["y_train"][:20_000]
    near = PatternAnalysis(n_coefficients=100, similarity_method="landmarks").fit(images, labels)
    exact = PatternAnalysis(n_coefficients=100, similarity_method="exact").fit(images, labels)
    off = np.abs(near.similarity_to_classes() - exact.similarity_to_classes())
    assert np.median(off) < 5e-5
    assert np.mean(off.max(axis=1) <= near.class_similarity_.error.bound) >= 0.95
    assert near.class_similarity_.error.bound < 1e-3
