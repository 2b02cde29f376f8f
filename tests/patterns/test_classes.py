"""More than two classes: who holds which pattern; classes of few images and of different sizes."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from sklearn.datasets import load_digits

from wavelens.exceptions import WavelensWarning
from wavelens.patterns import PatternAnalysis
from wavelens.plotting import ClassTreeDisplay, SharedPatternsDisplay
from wavelens.report import write_patterns_csv
from wavelens.wavelets import WaveletTransform


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8), labels


@pytest.fixture(scope="module")
def fitted(digits):
    return PatternAnalysis(n_coefficients=40).fit(*digits)


def planted(sizes=(60, 60, 60), seed=0):
    """Three classes of pixels: 0 in all, 1 and 2 in the first two, 3, 4 and 5 in one each."""
    rng = np.random.default_rng(seed)
    holds = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 1, 0], [1, 0, 0, 0, 0, 1]])
    labels = np.repeat([0, 1, 2], sizes)
    images = 1e-3 * rng.standard_normal((len(labels), 2, 3))
    # Columns that are orthogonal within a class, so that patterns are just the pixels.
    for i, size in enumerate(sizes):
        columns = np.linalg.qr(rng.standard_normal((size, 6)))[0] * np.sqrt(size)
        images[labels == i] += (columns * holds[i] * [5, 4, 3, 2, 2.2, 2.4]).reshape(-1, 2, 3)
    return images, labels, holds


def test_planted_owners_and_sharers_are_found():
    images, labels, holds = planted()
    analysis = PatternAnalysis(basis="pixel", n_coefficients=6, rank="any").fit(images, labels)
    table = analysis.pattern_table()
    held = sorted(tuple(map(int, row)) for row in table.held)
    assert held == sorted(tuple(map(int, row)) for row in holds.T)
    owners = table.owner[table.owner >= 0]
    assert sorted(owners) == [0, 1, 2]
    everyone = int(table.n_classes_holding.argmax())
    assert table.commonness[everyone] == table.commonness.min()
    assert list(table.names_of_holders(everyone)) == [0, 1, 2]
    matrices = analysis.class_matrices()
    np.testing.assert_array_equal(matrices.own, [1, 1, 1])
    np.testing.assert_array_equal(matrices.shared, holds @ holds.T)


def test_table_agrees_with_the_angles(fitted):
    table = fitted.pattern_table()
    angles = np.stack([fitted.angles(label) for label in fitted.classes_])
    np.testing.assert_array_equal(table.strongest, fitted.sigma_.argmax(axis=0))
    np.testing.assert_allclose(table.angle, angles.max(axis=0), atol=1e-12)
    own = angles.max(axis=0) > np.pi / 8
    np.testing.assert_array_equal(table.owner >= 0, own)
    np.testing.assert_array_equal(table.owner[own], angles.argmax(axis=0)[own])
    assert table.held[np.arange(40), table.strongest].all()


def test_matrices_are_symmetric_and_agree_with_each_other(fitted):
    matrices = fitted.class_matrices()
    np.testing.assert_array_equal(matrices.shared, matrices.shared.T)
    np.testing.assert_array_equal(matrices.similarity, matrices.similarity.T)
    held = np.diagonal(matrices.shared)
    assert np.all(matrices.own <= held)
    assert np.all(matrices.shared <= held[:, None])
    to_classes = fitted.similarity_to_classes()
    np.testing.assert_allclose(
        np.diagonal(matrices.similarity), [to_classes[fitted.labels_ == i, i].mean() for i in range(10)]
    )
    tree = matrices.linkage()
    i, j = map(int, tree[0, :2])
    assert tree[0, 2] == pytest.approx(1 - matrices.similarity[i, j])


def test_displays_of_classes(fitted):
    names = [f"digit {i}" for i in range(10)]
    tree = ClassTreeDisplay.from_analysis(fitted, class_names=names).plot()
    assert sorted(tree.order) == list(range(10))
    shown = [text.get_text() for text in tree.ax_.get_yticklabels()]
    assert shown == [names[i] for i in tree.order]
    shared = SharedPatternsDisplay.from_analysis(fitted, class_names=names).plot()
    np.testing.assert_array_equal(shared.own, fitted.class_matrices().own[shared.order])
    assert shared.class_names == tuple(names[i] for i in shared.order)


def test_patterns_as_a_table(tmp_path, fitted):
    write_patterns_csv(tmp_path / "patterns.csv", fitted, tuple(f"digit; {i}" for i in range(10)))
    with (tmp_path / "patterns.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = fitted.pattern_table()
    assert len(rows) == 40
    for k, row in enumerate(rows):
        assert int(row["pattern"]) == k
        assert int(row["n_classes_holding"]) == table.held[k].sum()
        assert row["held_by"].startswith(row["strongest"])
        assert (row["owner"] == "") == (table.owner[k] < 0)
        assert float(row["sigma: digit; 3"]) == pytest.approx(table.sigma[k, 3], rel=1e-5)


# Classes with fewer images than coefficients


def test_more_coefficients_than_a_class_has_images(digits):
    images, labels = digits
    few = np.concatenate([np.flatnonzero(labels == i)[: 100 if i else 12] for i in range(4)])
    images, labels = images[few], labels[few]
    with pytest.raises(ValueError, match="12"):
        PatternAnalysis(n_coefficients=30).fit(images, labels)
    with pytest.warns(WavelensWarning, match=r"1 of 4 classes have a rank below the 30 .* 0 \(12\)"):
        analysis = PatternAnalysis(n_coefficients=30, rank="any").fit(images, labels)
    np.testing.assert_array_equal(analysis.class_ranks_, [12, 30, 30, 30])
    assert analysis.sigma_.shape == (4, 30)
    chosen = WaveletTransform((8, 8)).forward(images)[:, analysis.coefficients_]
    np.testing.assert_allclose(
        analysis.embedding_ @ analysis.gsvd_.v.T, chosen, atol=1e-9 * np.abs(chosen).max()
    )
    np.testing.assert_allclose(
        analysis.transform(images), analysis.embedding_, atol=1e-8 * np.abs(analysis.embedding_).max()
    )
    assert np.isfinite(analysis.complexity()).all()
    assert np.isfinite(analysis.similarity_to_classes()).all()


def test_a_class_has_no_more_patterns_of_its_own_than_its_rank():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((205, 6, 6))
    labels = np.r_[np.zeros(5), np.ones(200)]
    with pytest.warns(WavelensWarning):
        analysis = PatternAnalysis(n_coefficients=30, rank="any").fit(images, labels)
    assert np.count_nonzero(analysis.sigma_[0] > 1e-8) == 5


def test_any_rank_chooses_like_pivoted_qr_and_full_rank_needs_no_warning(digits):
    analysis = PatternAnalysis(n_coefficients=30, rank="any").fit(*digits)
    full = PatternAnalysis(n_coefficients=30).fit(*digits)
    np.testing.assert_array_equal(analysis.coefficients_, full.coefficients_)
    np.testing.assert_array_equal(analysis.sigma_, full.sigma_)
    np.testing.assert_array_equal(analysis.class_ranks_, np.full(10, 30))


def test_the_default_number_of_any_rank(digits):
    images, labels = digits[0][:50], digits[1][:50]
    with pytest.warns(WavelensWarning):
        analysis = PatternAnalysis(rank="any").fit(images, labels)
    assert len(analysis.coefficients_) == 25


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rank": "some"}, "`rank` must be one of 'full', 'any'"),
        ({"rank": "any", "n_coefficients": 65}, "`n_coefficients` must be between 1 and 64"),
        ({"rank": "any", "n_coefficients": 64, "basis": "pixel"}, "numerical rank of all images together"),
    ],
)
def test_bad_ranks(digits, parameters, message):
    with pytest.raises(ValueError, match=message):
        PatternAnalysis(**parameters).fit(*digits)


def test_black_images_are_refused():
    with pytest.raises(ValueError, match="`X` must hold images that are not all zero"):
        PatternAnalysis(rank="any").fit(np.zeros((6, 4, 4)), [0, 0, 0, 1, 1, 1])


def test_sizes_of_classes_weigh_unless_evened_out():
    images, labels, _ = planted((40, 40, 40))
    # The same images four times over in one class: σ doubles there, unless weights even the sizes out.
    many = np.concatenate([images, *[images[labels == 0]] * 3])
    more = np.concatenate([labels, np.zeros(120, dtype=int)])
    options = {"basis": "pixel", "n_coefficients": 6, "rank": "any"}
    plain = PatternAnalysis(**options, weights="size").fit(images, labels)
    even = PatternAnalysis(**options, weights="size").fit(many, more)
    uneven = PatternAnalysis(**options).fit(many, more)
    np.testing.assert_allclose(even.sigma_, plain.sigma_, rtol=1e-6, atol=1e-9)
    everyone = even.pattern_table().n_classes_holding.argmax()
    ratio = uneven.sigma_[0].max() / even.sigma_[0].max()
    assert ratio == pytest.approx(np.sqrt(160), rel=1e-3)
    assert even.pattern_table().angle[everyone] < uneven.pattern_table().angle.max()
