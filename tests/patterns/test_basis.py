"""Pixels in place of wavelets, and the two compared."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from wavelens.data import load
from wavelens.patterns import BasisResult, PatternAnalysis, compare_bases
from wavelens.patterns._locality import locality_of
from wavelens.plotting import BasisComparisonDisplay
from wavelens.wavelets import PixelTransform, WaveletTransform


@pytest.mark.parametrize("shape", [(1, 1), (5, 4), (5, 4, 3), (1, 7, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_pixels_are_coefficients(shape, dtype):
    images = np.random.default_rng(0).integers(0, 255, (3, *shape)).astype(dtype)
    before = images.copy()
    transform = PixelTransform(shape)
    flat = transform.forward(images)
    assert flat.shape == (3, transform.n_coefficients) == (3, int(np.prod(shape)))
    assert flat.dtype == (np.float32 if dtype == "float32" else np.float64)
    back = transform.inverse(flat)
    np.testing.assert_array_equal(back, images)
    back[:] = flat[:] = -1
    np.testing.assert_array_equal(images, before)


def test_support_of_a_pixel_is_the_pixel():
    transform = PixelTransform((4, 5, 2))
    for index in range(transform.n_coefficients):
        unit = np.zeros((1, transform.n_coefficients))
        unit[0, index] = 1
        touched = (transform.inverse(unit)[0] != 0).any(axis=2)
        np.testing.assert_array_equal(transform.support(index), touched)
    np.testing.assert_array_equal(transform.coverage(np.arange(40)), np.full((4, 5), 2))
    with pytest.raises(ValueError, match="`index` must be between 0 and 39"):
        transform.support(40)
    with pytest.raises(ValueError, match="`coefficients` must have shape"):
        transform.inverse(np.ones((1, 3)))
    with pytest.raises(ValueError, match="`shape` must be"):
        PixelTransform((4,))


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(n_class=4, return_X_y=True)
    return images.reshape(-1, 8, 8), labels


@pytest.fixture(scope="module")
def comparison(digits):
    return compare_bases(*digits, PatternAnalysis(n_coefficients=24))


def test_patterns_of_pixels_lie_on_the_chosen_ones(digits):
    images, labels = digits
    analysis = PatternAnalysis(basis="pixel", n_coefficients=15).fit(images, labels)
    chosen = analysis.influence_map_ == 1
    assert chosen.sum() == 15
    patterns = analysis.patterns_
    assert np.all(patterns[:, ~chosen] == 0)
    rebuilt = analysis.inverse_transform(analysis.transform(images))
    np.testing.assert_allclose(rebuilt[:, chosen], images[:, chosen], atol=1e-8)


def test_a_wavelet_of_one_level_and_pixels_span_the_same_if_all_are_kept(digits):
    images, labels = digits
    rng = np.random.default_rng(0)
    images = images[:, :4, :4] + rng.random((len(images), 4, 4))
    both = [
        PatternAnalysis(basis=basis, wavelet="haar", n_coefficients=16).fit(images, labels)
        for basis in ("wavelet", "pixel")
    ]
    # Haar is orthogonal: σ, τ and distances do not depend on the basis where it is whole.
    np.testing.assert_allclose(both[0].gsvd_.tau, both[1].gsvd_.tau, rtol=1e-8)
    np.testing.assert_allclose(both[0].sigma_, both[1].sigma_, rtol=1e-6)


def test_the_basis_is_kept_in_the_file(tmp_path, digits):
    analysis = PatternAnalysis(basis="pixel", n_coefficients=15).fit(*digits)
    analysis.save(tmp_path / "a.npz")
    back = PatternAnalysis.load(tmp_path / "a.npz")
    assert isinstance(back.basis_, PixelTransform)
    np.testing.assert_array_equal(back.transform(digits[0]), analysis.transform(digits[0]))
    np.testing.assert_array_equal(back.class_ranks_, analysis.class_ranks_)
    with pytest.raises(ValueError, match="`basis` must be one of 'wavelet', 'pixel', got 'fourier'"):
        PatternAnalysis(basis="fourier").fit(*digits)


def test_curves_begin_at_the_whole_and_end_at_what_was_not_chosen(comparison, digits):
    assert comparison.n_coefficients == 24
    assert isinstance(comparison.wavelet.analysis.basis_, WaveletTransform)
    assert isinstance(comparison.pixel.analysis.basis_, PixelTransform)
    for side in (comparison.wavelet, comparison.pixel):
        assert (side.n_patterns[0], side.n_patterns[-1]) == (0, 24)
        np.testing.assert_allclose(side.chosen[:, 0], 1, rtol=1e-9)
        np.testing.assert_allclose(side.chosen[:, -1], 0, atol=1e-7)
        np.testing.assert_allclose(side.completed[:, -1], 0, atol=1e-7)
    # Pixels are orthogonal: what is missing adds up, and the rest of the image counts in full.
    pixel = comparison.pixel
    images = digits[0][comparison.sample]
    outside = images[:, pixel.coverage == 0]
    share = np.linalg.norm(outside, axis=1) / np.linalg.norm(images, axis=(1, 2))
    np.testing.assert_allclose(pixel.image[:, -1], share, rtol=1e-6)
    np.testing.assert_allclose(pixel.image**2, pixel.completed**2 + share[:, None] ** 2, rtol=1e-6)
    np.testing.assert_allclose(pixel.completed[:, 0] ** 2 + share**2, 1, rtol=1e-6)


def test_numbers_needed(comparison):
    for side in (comparison.wavelet, comparison.pixel):
        middle = np.median(side.chosen, axis=0)
        n = side.needed(0.1)
        # All numbers were measured, as there are few.
        assert middle[n] <= 0.1 < middle[n - 1]
        assert side.needed(0.05) >= n
        assert side.needed(1.0) == 0
    assert comparison.pixel.needed(0.05, of="image") is None
    with pytest.raises(ValueError, match="`of` must be one of"):
        comparison.pixel.needed(0.1, of="nothing")
    table = comparison.table()
    assert len(table["measure"]) == len(table["wavelet"]) == len(table["pixel"]) == 10
    assert table["wavelet"][0] == comparison.wavelet.needed(0.1)


def test_interpolated_numbers_lie_between_those_measured():
    side = BasisResult(None, np.array([0, 10, 20]), np.array([[1.0, 0.2, 0.0]]), None, None, None, None)
    assert side.needed(0.2) == 10
    assert side.needed(0.1) == 15
    assert side.needed(0.6) == 5


def test_both_take_the_number_that_the_weaker_allows(digits):
    images, labels = digits
    found = compare_bases(images, labels, PatternAnalysis())
    sizes = {len(side.analysis.coefficients_) for side in (found.wavelet, found.pixel)}
    assert sizes == {found.n_coefficients}
    # One basis bears more by itself; asked for that many, both take the same number.
    most = {
        basis: len(PatternAnalysis(basis=basis).fit(images, labels).coefficients_)
        for basis in ("wavelet", "pixel")
    }
    stronger = max(most, key=most.__getitem__)
    assert most[stronger] > min(most.values()) == found.n_coefficients
    asked = PatternAnalysis(basis=stronger, n_coefficients=most[stronger])
    both = compare_bases(images, labels, asked)
    assert found.n_coefficients <= both.n_coefficients <= most[stronger]
    assert {len(side.analysis.coefficients_) for side in (both.wavelet, both.pixel)} == {both.n_coefficients}


def test_a_fitted_analysis_is_used_as_it_is(digits):
    images, labels = digits
    for basis in ("wavelet", "pixel"):
        analysis = PatternAnalysis(n_coefficients=20, basis=basis).fit(images, labels)
        assert getattr(compare_bases(images, labels, analysis, n_sample=4), basis).analysis is analysis
    with pytest.raises(ValueError, match="`analysis` was fitted to"):
        compare_bases(images[1:], labels[1:], analysis)


def test_how_local_a_pattern_is():
    size = 40
    point, even = np.zeros((2, size, size))
    point[7, 9] = -3
    even[:] = 2
    scattered = np.zeros((size, size))
    scattered[::4, ::4] = 1
    smooth = np.outer(np.hanning(size), np.hanning(size))
    found = locality_of(np.stack([point, even, scattered, smooth, 0 * even]))
    np.testing.assert_allclose(found.area[:3], [1 / 1600, 0.9, 90 / 1600], atol=1.1 / 1600)
    np.testing.assert_allclose(found.participation[:3], [1 / 1600, 1, 1 / 16])
    np.testing.assert_allclose(found.spread[:3], [0, 1, 1], atol=0.03)
    np.testing.assert_allclose(found.agreement[:3], [0, 1, 0])
    assert found.agreement[3] > 0.98
    assert found.spread[3] < 0.8
    assert all(np.isfinite(getattr(found, name)).all() for name in vars(found))
    # Channels count together, and the scale of a pattern does not count.
    colour = np.repeat(smooth[None, :, :, None], 3, axis=3) * 7
    assert locality_of(colour).area[0] == pytest.approx(found.area[3])


def test_colour_images_of_odd_sizes():
    rng = np.random.default_rng(0)
    images = rng.random((60, 7, 9, 3)).astype(np.float32)
    found = compare_bases(images, np.arange(60) % 2, PatternAnalysis(n_coefficients=12), n_sample=3)
    assert found.pixel.coverage.shape == (7, 9)
    assert found.pixel.coverage.sum() == 12
    assert found.pixel.analysis.patterns_.shape == (12, 7, 9, 3)


def test_display_takes_axes_of_ones_own(comparison):
    from matplotlib.figure import Figure

    axes = tuple(Figure().subplots(1, 3))
    display = BasisComparisonDisplay.from_comparison(comparison).plot(axes)
    assert display.axes_ == axes
    assert display.figure_ is axes[0].figure
    for low, middle, high in (curves[i] for curves in display.curves.values() for i in (0, 1)):
        assert np.all((low <= middle) & (middle <= high))


@pytest.mark.realdata
def test_ct_images_need_fewer_patterns_in_wavelets(real_data):
    data = load(real_data / "sars_cov2_ct.npz")
    found = compare_bases(data.images, data.labels, PatternAnalysis(n_coefficients=1200))
    assert found.wavelet.needed(0.1) < 0.75 * found.pixel.needed(0.1)
    assert found.wavelet.needed(0.05) < 0.9 * found.pixel.needed(0.05)
    # Nearly all of an image lies outside 1,200 of its 8,190 pixels, a tenth outside 1,200 wavelet coefficients.
    assert np.median(found.pixel.image[:, -1]) > 0.9
    assert np.median(found.wavelet.image[:, -1]) < 0.15
    # The paper's view, the other pixels given, flatters pixels: it begins with an image that is nearly right.
    assert np.median(found.pixel.completed[:, 0]) < 0.4
    assert np.median(found.wavelet.locality.agreement) > 0.9
    assert np.median(found.pixel.locality.agreement) < 0.2
