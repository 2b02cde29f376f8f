"""What sets a class apart is found, shown and judged as its definition says; what equals chance is not a finding."""

from __future__ import annotations

import numpy as np
import pytest
from reference import class_patterns as twin

from wavelens.data import load
from wavelens.patterns import PatternAnalysis


def textures(rng, n, size=16):
    """Noise whose power falls off as 1/f, as that of photos."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
    fall = 1 / np.maximum(np.hypot(fy, fx), 1 / size)
    white = np.fft.fft2(rng.standard_normal((n, size, size)))
    images = np.fft.ifft2(white * fall).real
    return images / images.std()


def bump(size=16, center=(5, 10), width=2.0):
    y, x = np.mgrid[:size, :size]
    spot = np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / (2 * width**2))
    return spot / np.linalg.norm(spot)


def planted(seed, strength, shift=0.0, n=150):
    """Two classes of textures; the second has a bump of random sign, or one that is shifted."""
    rng = np.random.default_rng(seed)
    images, labels = textures(rng, 2 * n), np.repeat([0, 1], n)
    along = (images * bump()).sum(axis=(1, 2)).std()
    sign = rng.choice([-1.0, 1.0], n) if not shift else np.ones(n) * shift
    images[n:] += strength * along * sign[:, None, None] * bump()
    return images, labels


@pytest.fixture(scope="module")
def digits():
    data = load("digits")
    return PatternAnalysis(n_coefficients=40).fit(data.images, data.labels), data


@pytest.mark.parametrize("class_", [0, 7])
def test_agrees_with_the_twin(digits, class_):
    analysis, data = digits
    found = analysis.class_patterns(class_)
    own = data.labels == class_
    coefficients = analysis.basis_.forward(data.images)
    rows = coefficients[:, analysis.coefficients_]
    w, center = twin.filters(rows, own, 0.3, 8)
    scores = (rows - center) @ w
    np.testing.assert_allclose(found.strength, twin.strengths(scores, own), rtol=1e-8)
    np.testing.assert_allclose(found.mean_share, twin.mean_shares(scores, own), atol=1e-8)
    mine = found.transform(data.images)
    along = np.abs(np.sum(mine * scores, axis=0)) / np.linalg.norm(mine, axis=0)
    np.testing.assert_allclose(along, np.linalg.norm(scores, axis=0), rtol=1e-7)
    np.testing.assert_allclose((mine[~own] ** 2).mean(axis=0), 1, rtol=1e-8)
    assert (mine[own].mean(axis=0) >= 0).all()
    shown = analysis.basis_.inverse(twin.pictures(coefficients, mine, own))
    np.testing.assert_allclose(found.images, shown, atol=1e-5 * np.abs(shown).max())
    mean = analysis.inverse_transform(analysis.transform(data.images))
    difference = mean[own].mean(axis=0) - mean[~own].mean(axis=0)
    np.testing.assert_allclose(found.difference, difference, atol=1e-8 * np.abs(difference).max())


def test_two_classes_against_each_other(digits):
    analysis, data = digits
    some = np.isin(data.labels, [3, 8])
    found = analysis.class_patterns(3, 8)
    own = data.labels[some] == 3
    rows = analysis.basis_.forward(data.images[some])[:, analysis.coefficients_]
    w, center = twin.filters(rows, own, 0.3, 8)
    np.testing.assert_allclose(found.strength, twin.strengths((rows - center) @ w, own), rtol=1e-8)
    assert found.against == 8
    assert not found.complete
    assert found.n_specific >= 3
    both = analysis.class_patterns(8, 3)
    assert both.test.n_images == found.test.n_images == np.count_nonzero(some)


def test_every_digit_has_patterns_of_its_own(digits):
    analysis, _ = digits
    test = analysis.class_pattern_test()
    assert test.specific[:, 0].all()
    assert 40 <= test.specific.sum() <= 80
    assert (test.held_out[:, 0] > 2).all()
    assert 1.1 < test.by_chance[0] < 1.6
    assert ((test.interval[..., 0] < test.held_out) & (test.held_out < test.interval[..., 1])).all()


@pytest.mark.parametrize("factor", [2.0**-400, 3.0, 2.0**300])
def test_the_scale_of_images_does_not_matter(digits, factor):
    _, data = digits
    some = data.labels < 3
    one = PatternAnalysis(n_coefficients=30).fit(data.images[some], data.labels[some])
    other = PatternAnalysis(n_coefficients=30).fit(data.images[some] * factor, data.labels[some])
    for class_ in range(3):
        a, b = one.class_patterns(class_), other.class_patterns(class_)
        np.testing.assert_allclose(a.strength, b.strength, rtol=1e-6)
        np.testing.assert_allclose(a.held_out, b.held_out, rtol=1e-6)
        np.testing.assert_array_equal(a.specific, b.specific)
        np.testing.assert_allclose(a.images * factor, b.images, rtol=1e-5, atol=1e-5 * np.abs(b.images).max())


@pytest.mark.parametrize(("strength", "cosine"), [(2.0, 0.8), (4.0, 0.95)])
def test_a_planted_pattern_is_found_and_looks_like_itself(strength, cosine):
    images, labels = planted(0, strength)
    analysis = PatternAnalysis(n_coefficients=100).fit(images, labels)
    found = analysis.class_patterns(1)
    assert found.specific[0]
    assert found.mean_share[0] < 0.2
    shown = found.images[0] / np.linalg.norm(found.images[0])
    assert abs((shown * bump()).sum()) > cosine
    assert not analysis.class_patterns(0).specific[0]


def test_a_shift_of_the_mean_is_told_from_spread():
    images, labels = planted(1, 1.0, shift=2.0)
    found = PatternAnalysis(n_coefficients=100).fit(images, labels).class_patterns(1)
    assert found.specific[0]
    assert found.mean_share[0] > 0.6


def test_labels_without_meaning_have_no_patterns():
    """At most 5 % of random labelings may have one; of 20, four or more come in 1.6 % of the cases."""
    rng = np.random.default_rng(5)
    images = textures(rng, 240)
    false = 0
    for _ in range(20):
        labels = rng.permutation(np.repeat([0, 1, 2], 80))
        analysis = PatternAnalysis(n_coefficients=40).fit(images, labels)
        false += analysis.class_pattern_test(random_state=int(rng.integers(1000))).specific.any()
    assert false <= 3


def test_groups_keep_likeness_within_them_from_counting():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(24), 15)
    labels = (groups % 2).astype(int)
    # Each group has a texture of its own, as the slices of a patient have.
    images = textures(rng, 24)[groups] * 2 + textures(rng, 360)
    analysis = PatternAnalysis(n_coefficients=60).fit(images, labels)
    by_image, by_group = analysis.class_pattern_test(), analysis.class_pattern_test(groups)
    assert by_image.specific.any()
    assert not by_group.specific.any()
    assert by_group.n_groups == 24
    assert by_group.by_chance[0] > by_image.by_chance[0]


def test_groups_of_several_classes_are_refused(digits):
    analysis, data = digits
    with pytest.raises(ValueError, match="`groups`"):
        analysis.class_pattern_test(np.arange(len(data.labels)) % 7)
    with pytest.raises(ValueError, match="`n_shuffles`"):
        analysis.class_pattern_test(n_shuffles=5)


def test_classes_of_very_different_size():
    rng = np.random.default_rng(3)
    images = textures(rng, 440)
    labels = np.repeat([0, 1, 2], [200, 200, 40])
    along = (images * bump()).sum(axis=(1, 2)).std()
    images[400:] += 3 * along * rng.choice([-1, 1], 40)[:, None, None] * bump()
    analysis = PatternAnalysis(n_coefficients=30).fit(images, labels)
    test = analysis.class_pattern_test()
    assert test.statistic == "z"
    assert test.specific[2, 0]
    assert not test.specific[:2].any()


def test_a_class_of_two_images_strangles_nobody():
    rng = np.random.default_rng(4)
    images, labels = planted(4, 4.0)
    few = rng.random((2, 16, 16))
    analysis = PatternAnalysis(n_coefficients=2).fit(np.concatenate([images, few]), np.r_[labels, 2, 2])
    test = analysis.class_pattern_test()
    assert test.held_out.shape == (3, 2)
    assert np.isfinite(test.held_out[:2]).all()
    analysis.class_patterns(2)


def test_the_rest_may_never_vary():
    images = np.zeros((20, 8, 8))
    images[10:] = np.random.default_rng(0).random((10, 8, 8))
    images[:10] += np.arange(64).reshape(8, 8)
    found = PatternAnalysis(n_coefficients=1).fit(images, np.repeat([0, 1], 10)).class_patterns(1)
    assert np.isfinite(found.strength).all()


@pytest.mark.parametrize("cache", [False, True])
def test_executors_agree(digits, tmp_path, cache):
    analysis, data = digits
    chunks = PatternAnalysis(n_coefficients=40).fit(
        data.images, data.labels, work_dir=tmp_path, chunk_size=128, cache=cache
    )
    for class_ in (0, 5):
        a, b = analysis.class_patterns(class_), chunks.class_patterns(class_)
        np.testing.assert_allclose(a.strength, b.strength, rtol=1e-7)
        np.testing.assert_allclose(a.held_out, b.held_out, rtol=1e-6)
        np.testing.assert_allclose(a.images, b.images, atol=1e-5 * np.abs(a.images).max())


def test_a_source_that_reads_in_order_alone_shows_the_selected_coefficients(digits, tmp_path):
    analysis, data = digits

    def chunks():
        for first in range(0, len(data.images), 500):
            yield data.images[first : first + 500], data.labels[first : first + 500]

    found = PatternAnalysis(n_coefficients=40).fit(chunks, work_dir=tmp_path).class_patterns("3")
    whole = analysis.class_patterns(3)
    assert whole.complete
    assert not found.complete
    a, b = found.images[0].ravel(), whole.images[0].ravel()
    assert abs(a @ b) > 0.9 * np.linalg.norm(a) * np.linalg.norm(b)


def test_saved_and_loaded(digits, tmp_path):
    analysis, _ = digits
    analysis.save(tmp_path / "a.npz")
    again = PatternAnalysis.load(tmp_path / "a.npz")
    a, b = analysis.class_patterns(4), again.class_patterns(4)
    np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_array_equal(a.held_out, b.held_out)
