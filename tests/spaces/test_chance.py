"""Properties of the null of chance: it is that of random matrices, and says so of them and not of others."""

from __future__ import annotations

import numpy as np
import pytest
from reference.chance import spectra

from wavelens.spaces import SignalSpaces, spectrum_against_chance


def of(w, **options):
    return spectrum_against_chance(np.linalg.svd(w, compute_uv=False), w.shape, **options)


def test_the_published_layer_is_what_chance_gives():
    # 4096 kernels of 3 × 3, condition 1.07 (figure 2 of the paper, read as equal importance).
    found = spectrum_against_chance(np.linspace(1.07, 1, 9), (4096, 9), n_samples=1000)
    assert found.chance_condition_mean == pytest.approx(1.080, abs=0.002)
    assert found.chance_condition_deviation == pytest.approx(0.010, abs=0.001)
    low, high = found.chance_condition_interval
    assert low < 1.07 < high
    assert "1.08" in found.words()


@pytest.mark.parametrize("shape", [(30, 9), (9, 30), (20, 20), (200, 3)])
def test_bands_are_those_of_matrices_drawn_entry_by_entry(shape):
    found = of(np.random.default_rng(0).standard_normal(shape), n_samples=2000)
    drawn = spectra(shape, 2000, 1)
    fitted = drawn * (np.median(found.singular_values) / np.median(drawn, axis=1))[:, None]
    low, middle, high = np.quantile(fitted, [0.025, 0.5, 0.975], axis=0)
    width = high - low + 1e-9 * high
    assert (np.abs(found.middle - middle) <= 0.12 * width).all()
    assert (np.abs(found.low - low) <= 0.25 * width).all()
    assert (np.abs(found.high - high) <= 0.25 * width).all()
    conditions = drawn[:, 0] / drawn[:, -1]
    assert found.chance_condition == pytest.approx(np.median(conditions), rel=0.05)


def test_random_matrices_pass_and_seldom_fail():
    shares = [of(w).like_chance for w in np.random.default_rng(0).standard_normal((200, 25, 12))]
    assert np.mean(shares) > 0.85
    found = of(np.random.default_rng(1).standard_normal((25, 12)))
    assert found.chance_share_outside == pytest.approx(0.05, abs=0.02)


def test_a_strong_direction_stands_out_alone():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((200, 50)) + 5 * np.outer(rng.standard_normal(200), rng.standard_normal(50))
    found = of(w)
    assert found.outside[0]
    assert found.share_outside <= 0.2
    assert not found.like_chance
    assert "not that of a random matrix" in found.words()


def test_the_scale_moves_the_bands_and_nothing_else():
    w = np.random.default_rng(0).standard_normal((40, 15))
    one, other = of(w), of(1e-200 * w)
    assert one.scale == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(other.low, 1e-200 * one.low, rtol=1e-12)
    assert other.share_outside == one.share_outside
    assert other.condition == pytest.approx(one.condition)
    np.testing.assert_allclose(of(w.T).low, one.low, rtol=1e-12)


def test_marchenko_and_pastur_hold_large_matrices():
    found = of(np.random.default_rng(0).standard_normal((600, 300)))
    low, high = found.marchenko_pastur
    assert low * 0.95 <= found.singular_values[-1]
    assert found.singular_values[0] <= high * 1.05
    assert low * 0.9 <= found.low.min()
    assert found.high.max() <= high * 1.1
    assert found.scale == pytest.approx(1, abs=0.01)


def test_one_direction_has_nothing_to_compare():
    found = of(np.ones((1, 30)))
    assert found.share_outside == 0
    assert found.condition == 1
    assert "one direction" in found.words()
    assert found.like_chance


def test_zeros_and_low_rank():
    assert "zero" in of(np.zeros((3, 4))).words()
    low_rank = np.zeros((10, 20))
    low_rank[0] = 1
    found = of(low_rank)
    assert found.condition == 1
    assert found.share_outside == 1
    # Square matrices: the band of the smallest reaches low, its condition number has no mean.
    square = of(np.random.default_rng(0).standard_normal((30, 30)))
    assert square.chance_condition_interval[1] > 10 * square.chance_condition


def test_the_same_seed_gives_the_same_bands():
    w = np.random.default_rng(0).standard_normal((20, 8))
    assert np.array_equal(of(w, random_state=3).low, of(w, random_state=3).low)
    assert not np.array_equal(of(w, random_state=3).low, of(w, random_state=4).low)


def test_a_layer_asks_for_itself():
    spaces = SignalSpaces(np.diag([3.0, 2.0, 0.0]))
    found = spaces.against_chance(n_samples=30)
    assert found.condition == spaces.condition == 1.5
    assert found.n_samples == 30
    assert found.shape == (3, 3)


def test_bad_spectra_are_refused():
    with pytest.raises(ValueError, match="must hold 3 numbers"):
        spectrum_against_chance([1, 2], (3, 4))
    with pytest.raises(ValueError, match="finite and not negative"):
        spectrum_against_chance([1, -2], (2, 4))
    with pytest.raises(ValueError, match="finite and not negative"):
        spectrum_against_chance([1, np.nan], (2, 4))
    with pytest.raises(TypeError, match="real numbers"):
        spectrum_against_chance([1j, 2], (2, 4))
    with pytest.raises(ValueError, match="`shape` must be"):
        spectrum_against_chance([1, 2], 2)
    with pytest.raises(ValueError, match="`n_samples` must be at least 20"):
        spectrum_against_chance([1, 2], (2, 4), n_samples=3)
