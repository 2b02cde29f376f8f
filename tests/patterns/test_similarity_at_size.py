"""Similarity of very many images: the analysis and the report say how it was found and how far off it is."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.data import load
from wavelens.patterns import PatternAnalysis, _image_similarity


@pytest.fixture(scope="module", autouse=True)
def _few_landmarks():
    """Fewer landmarks than the digits are images, so that most are interpolated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_image_similarity, "_landmarks", 300)
        yield


@pytest.fixture(scope="module")
def digits(_few_landmarks):
    data = load("digits")
    fits = {
        method: PatternAnalysis(n_coefficients=30, similarity_method=method, progress=False).fit(
            data.images, data.labels
        )
        for method in ("auto", "landmarks")
    }
    return fits["auto"], fits["landmarks"]


def test_few_images_are_compared_exactly(digits):
    exact, _ = digits
    assert exact.class_similarity_.method == "exact"
    spectrum = exact.spectrum(3, 8)
    assert (spectrum.method, spectrum.error) == ("exact", 0)
    assert exact.class_matrices().method == "exact"


def test_results_tell_method_and_error(digits):
    exact, near = digits
    found = near.class_similarity_
    assert (found.method, found.n_features) == ("landmarks", 300)
    assert np.array_equal(found.classes, near.classes_)
    spectrum, matrices = near.spectrum(3, 8), near.class_matrices()
    assert spectrum.method == matrices.method == "landmarks"
    assert matrices.error == found.error.bound
    assert np.abs(near.similarity_to_classes() - exact.similarity_to_classes()).max() < 5e-3


def test_the_most_isolated_images_are_exact(digits):
    exact, near = digits
    for label in (0, 5):
        assert np.array_equal(near.isolated(label, 8), exact.isolated(label, 8))
    places = near.isolated(5, 8)
    difference = near.similarity_to_classes()[places] - exact.similarity_to_classes()[places]
    assert np.abs(difference).max() < 1e-9


def test_nearest_images_are_exact(digits):
    exact, _ = digits
    rows, labels = exact.embedding_, exact.labels_
    distance = np.linalg.norm(rows[[4, 90]][:, None] - rows[None], axis=2)
    distance[[0, 1], [4, 90]] = np.inf
    found = exact.nearest_images([4, 90], 3)
    assert np.array_equal(found.indices, np.argsort(distance, axis=1)[:, :3])
    same = exact.nearest_images([4, 90], 3, "same")
    assert (labels[same.indices] == labels[[4, 90]][:, None]).all()
    assert not np.isin([4, 90], same.indices).any()
    other = exact.nearest_images(4, 2, "other")
    assert (labels[other.indices] != labels[4]).all()
    with pytest.raises(ValueError, match="`images` must be from 0 to"):
        exact.nearest_images([-1])
    with pytest.raises(ValueError, match="`n` must be"):
        exact.nearest_images([4], 10_000)


def test_the_method_is_checked_and_kept(digits, tmp_path):
    _, near = digits
    data = load("digits")
    with pytest.raises(ValueError, match="`similarity_method` must be one of"):
        PatternAnalysis(similarity_method="fast").fit(data.images, data.labels)
    near.save(tmp_path / "a.npz")
    again = PatternAnalysis.load(tmp_path / "a.npz")
    assert again.similarity_method == "landmarks"
    assert np.array_equal(again.similarity_to_classes(), near.similarity_to_classes())


def test_the_report_says_how(digits, tmp_path):
    from wavelens.report import image_table, summarize, write_images_csv

    _, near = digits
    data = load("digits")
    table = image_table(near)
    chosen = table.nearest_other >= 0
    assert chosen[near.isolated(5, 3)].all()
    assert np.isnan(table.nearest_other_distance[~chosen]).all()
    assert (near.labels_[table.nearest_other[chosen]] != near.labels_[chosen]).all()
    summary = summarize(near, data, table)
    assert summary["similarity"]["method"] == "landmarks"
    assert summary["similarity"]["error_of_95_percent"] == near.class_similarity_.error.bound
    write_images_csv(tmp_path / "images.csv", table, data)
    assert len((tmp_path / "images.csv").read_text().splitlines()) == len(data.labels) + 1
