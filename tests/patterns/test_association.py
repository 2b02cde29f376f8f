"""Whether the association test finds planted ties, none in noise, and is what a refit would give."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

import wavelens
from wavelens.linalg import ho_gsvd
from wavelens.patterns import AssociationResult, PatternAnalysis
from wavelens.patterns._association_problem import ISOLATED_ANGLE, AssociationProblem


def noise(seed, n=120, n_classes=2, size=4, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, size, size)).astype(dtype), rng.permutation(np.arange(n) % n_classes)


def planted(seed=0, n=120, n_classes=2):
    images, labels = noise(seed, n, n_classes)
    for i in range(n_classes):
        images[labels == i, i, :2] *= 4
    return images, labels


def analysis(images, labels, n_coefficients=16, **options):
    return PatternAnalysis(wavelet="haar", n_coefficients=n_coefficients, progress=False, **options).fit(
        images, labels
    )


def definition(sigma):
    """Root mean square angle from even shares, and the share of nearly isolated patterns."""
    shares = sigma / np.linalg.norm(sigma, axis=0)
    angle = np.arccos(np.clip(shares.mean(axis=0) * np.sqrt(len(sigma)), -1, 1))
    ordered = np.sort(sigma, axis=0)
    near = np.arctan2(ordered[-1], ordered[-2]) - np.pi / 4 >= ISOLATED_ANGLE
    return np.sqrt((angle**2).mean()), near.mean()


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weights", [None, "size", "array"])
@pytest.mark.parametrize("normalization", ["unit", "csd"])
def test_the_statistic_is_that_of_the_fitted_patterns(n_classes, weights, normalization):
    images, labels = planted(n_classes=n_classes)
    keep = (labels > 0) | (np.arange(len(labels)) % 2 == 0)
    given = np.linspace(0.5, 3, n_classes) if weights == "array" else weights
    found = analysis(images[keep], labels[keep], 12, weights=given, normalization=normalization)
    result = found.association_test(5)
    np.testing.assert_allclose((result.statistic, result.isolated), definition(found.sigma_), rtol=1e-9)
    if n_classes == 2:
        np.testing.assert_allclose(result.statistic, np.sqrt((found.angles(0) ** 2).mean()), rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weights", [None, "size", "array"])
def test_a_permutation_is_a_refit_on_the_chosen_coefficients(n_classes, weights):
    images, labels = planted(n_classes=n_classes)
    keep = (labels > 0) | (np.arange(len(labels)) % 2 == 0)
    images, labels = images[keep], labels[keep]
    given = np.linspace(0.5, 3, n_classes) if weights == "array" else weights
    found = analysis(images, labels, 12, weights=given)
    problem = AssociationProblem(found.result_)
    chosen = found.basis_.forward(images)[:, found.coefficients_]
    for seed in range(3):
        dealt = np.random.default_rng(seed).permutation(labels)
        again = ho_gsvd([chosen[dealt == i] for i in range(n_classes)], weights=given)
        np.testing.assert_allclose(problem.measure(dealt), definition(again.sigma), rtol=1e-9)


def test_a_class_with_fewer_images_than_patterns():
    images, labels = noise(0, n=60)
    images[50:] = images[:10]
    found = analysis(images, labels, 12)
    dealt = np.r_[np.ones(8, dtype=np.intp), np.zeros(52, dtype=np.intp)]
    chosen = found.basis_.forward(images)[:, found.coefficients_]
    again = ho_gsvd([chosen[dealt == i] for i in range(2)])
    np.testing.assert_allclose(
        AssociationProblem(found.result_).measure(dealt), definition(again.sigma), atol=1e-7
    )


@pytest.mark.parametrize("n_classes", [2, 4])
def test_planted_patterns_are_tied_to_their_classes(n_classes):
    result = analysis(*planted(n_classes=n_classes, n=240)).association_test(99)
    assert result.pvalue == 0.01
    assert result.effect_size > 5
    assert result.statistic - result.null.max() > 0
    assert result.difference == pytest.approx(result.statistic - result.null.mean())
    assert "could be learnt from these images" in result.in_words()
    assert "leak" in result.in_words() or "belong together" in result.in_words()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_pvalues_are_uniform_where_labels_are_random(n_classes):
    pvalues = [
        analysis(*noise(seed, n_classes=n_classes), 10).association_test(39, random_state=seed).pvalue
        for seed in range(80)
    ]
    assert kstest(pvalues, "uniform").pvalue > 0.01
    assert np.mean(np.array(pvalues) <= 0.05) < 0.13


def test_random_labels_are_said_to_carry_nothing():
    result = analysis(*noise(0)).association_test(99)
    assert result.pvalue > 0.05
    assert "no more than chance" in result.in_words()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_names_of_classes_and_order_of_images_do_not_matter(n_classes):
    images, labels = planted(n_classes=n_classes)
    result = analysis(images, labels).association_test(60)
    names = np.array(["d", "a", "c", "b"])[labels]
    order = np.random.default_rng(1).permutation(len(images))
    for other in (analysis(images, names), analysis(images[order], labels[order])):
        again = other.association_test(60)
        np.testing.assert_allclose(again.statistic, result.statistic, rtol=1e-9)
        assert again.isolated == result.isolated
        # The shufflings are others of the same kind.
        assert abs(again.null.mean() - result.null.mean()) < 4 * result.null.std() / np.sqrt(30)


def test_the_same_seed_gives_the_same_on_any_number_of_threads(threads):
    found = analysis(*planted())
    wanted = analysis(*planted()).association_test(20, random_state=5)
    wavelens.set_num_threads(3 - threads)
    result = found.association_test(20, random_state=5)
    np.testing.assert_array_equal(result.null, wanted.null)
    assert not np.array_equal(found.association_test(20, random_state=6).null, result.null)


def test_single_precision():
    images, labels = planted(n_classes=3)
    double = analysis(images, labels).association_test(10)
    single = analysis(images.astype(np.float32), labels).association_test(10)
    assert single.statistic == pytest.approx(double.statistic, rel=1e-4)
    assert single.null.mean() == pytest.approx(double.null.mean(), rel=1e-2)


def test_curve_falls_from_the_statistic_to_chance():
    found = analysis(*planted(n=240))
    result = found.association_test(60)
    curve = found.association_curve((1, 0, 0.5), n_repeats=6)
    np.testing.assert_array_equal(curve.shares, [0, 0.5, 1])
    np.testing.assert_array_equal(curve.statistic[0], result.statistic)
    means = curve.statistic.mean(axis=1)
    assert means[0] > means[1] > means[2]
    assert abs(means[2] - result.null.mean()) < 5 * result.null.std() / np.sqrt(6)
    assert curve.isolated.shape == (3, 6)


def test_groups_are_shuffled_whole():
    # Ten groups, each with a look of its own; which class a group is in means nothing.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 30)
    scale = np.exp(rng.standard_normal((10, 4, 4)))
    images = rng.standard_normal((300, 4, 4)) * scale[groups]
    labels = groups % 2
    found = analysis(images, labels)
    assert found.association_test(60).pvalue < 0.02
    result = found.association_test(60, groups=groups)
    assert result.pvalue > 0.02
    assert result.n_groups == 10
    assert "between 10 groups" in result.in_words()


def test_bad_input():
    found = analysis(*planted())
    with pytest.raises(ValueError, match="`n_permutations` must be at least 1, got 0"):
        found.association_test(0)
    with pytest.raises(TypeError, match="`n_permutations`"):
        found.association_test(2.5)
    with pytest.raises(ValueError, match="`groups` must have one entry for each of the 120 images"):
        found.association_test(5, groups=[1, 2])
    with pytest.raises(ValueError, match="`groups` must have one class each"):
        found.association_test(5, groups=np.arange(120) // 20)
    with pytest.raises(ValueError, match="at least two groups"):
        found.association_test(5, groups=np.zeros(120))
    with pytest.raises(ValueError, match=r"must not hold NaN.*position 3"):
        found.association_test(5, groups=np.where(np.arange(120) == 3, np.nan, 1))
    for shares in ((), (0.5, 2), ((0.1,), (0.2,))):
        with pytest.raises(ValueError, match="`shares` must be numbers between 0 and 1"):
            found.association_curve(shares)


def test_too_few_permutations_say_so():
    result = analysis(*planted()).association_test(1)
    assert isinstance(result, AssociationResult)
    assert np.isnan(result.effect_size)
    assert "too few to tell" in result.in_words()


@pytest.mark.realdata
def test_ct_images_are_tied_to_their_labels_and_not_to_random_ones():
    from wavelens.data import load

    where = os.environ.get("WAVELENS_DATA")
    if not where:
        pytest.skip("WAVELENS_DATA does not name the folder of the real data")
    data = load(Path(where) / "sars_cov2_ct.npz")
    result = PatternAnalysis(n_coefficients=300).fit(data.images, data.labels).association_test(49)
    assert result.pvalue == 0.02
    assert result.effect_size > 20
    assert result.statistic == pytest.approx(0.272, abs=0.005)
    assert result.null.mean() == pytest.approx(0.188, abs=0.005)
    dealt = np.random.default_rng(0).permutation(data.labels)
    random = PatternAnalysis(n_coefficients=300).fit(data.images, dealt).association_test(49)
    assert random.pvalue > 0.02
    assert abs(random.effect_size) < 4
