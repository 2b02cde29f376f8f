"""What a new row adds: nothing if it is a combination, all if it is orthogonal, and the words for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.class_covariance import left_out_share

from wavelens.exceptions import WavelensError
from wavelens.hierarchy import mmf
from wavelens.hierarchy._novelty import left_out_shares, own_shares


def planted(seed=0, m=12, d=40, blocks=3):
    """Vectors of classes in blocks that share most of what they are."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(blocks, d))[np.arange(m) % blocks] + 0.5 * rng.normal(size=(m, d))


def row_of(vectors, new):
    return np.append(vectors @ new, new @ new)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(2, 12), d=st.integers(1, 20))
def test_shares_are_least_squares_residuals(seed, m, d):
    vectors = np.random.default_rng(seed).normal(size=(m, d)) * 10.0 ** np.arange(-3, m - 3)[:, None]
    expected = [left_out_share(vectors, i) for i in range(m)]
    # A matrix of inner products knows a dependence to eps only, over the part that the row has in it.
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    left, values, _ = np.linalg.svd(unit, full_matrices=True)
    values = np.append(values, np.zeros(m - len(values)))
    part = np.sum(np.square(left[:, values < 1e-10 * values[0]]), axis=1)
    with np.errstate(divide="ignore"):
        unknown = np.where(part > 1e-20, 100 * m * np.finfo(float).eps / part, 0)
    error = np.abs(own_shares(vectors @ vectors.T) - expected)
    assert np.all(error <= 1e-6 * np.array(expected) + 1e-9 + unknown)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(3, 10), d=st.integers(10, 20))
def test_shares_of_centred_rows_are_seen_from_the_mean_of_the_others(seed, m, d):
    rng = np.random.default_rng(seed)
    vectors, weights = rng.normal(size=(m, d)) + 5, rng.integers(1, 50, size=m).astype(float)
    about = vectors - weights @ vectors / weights.sum()
    expected = []
    for i in range(m):
        others = np.arange(m) != i
        center = weights[others] @ vectors[others] / weights[others].sum()
        expected.append(left_out_share(vectors - center, i))
    np.testing.assert_allclose(left_out_shares(about @ about.T, weights), expected, rtol=1e-5, atol=1e-9)


def test_in_few_dimensions_each_centred_row_is_composed_of_the_others():
    vectors = np.random.default_rng(0).normal(size=(9, 4))
    about = vectors - vectors.mean(axis=0)
    assert left_out_shares(about @ about.T, np.ones(9)).max() < 1e-9


def test_a_combination_adds_nothing_of_its_own():
    vectors = planted()
    new = 2 * vectors[0] - 0.5 * vectors[1]
    found = mmf(vectors @ vectors.T, 3).novelty(row_of(vectors, new))
    assert found.share < 1e-9
    assert not found.is_novel
    assert not found.stands_apart
    assert set(found.companions.tolist()) == {0, 1}
    np.testing.assert_allclose(found.companion_weights[np.argsort(found.companions)], [2, -0.5], rtol=1e-9)
    assert found.companion_share < 1e-9
    assert "adds nothing of its own" in found.words()[0]


def test_an_orthogonal_row_is_all_its_own():
    vectors = planted()
    new = np.random.default_rng(1).normal(size=40)
    new -= np.linalg.lstsq(vectors.T, new, rcond=None)[0] @ vectors
    found = mmf(vectors @ vectors.T, 3).novelty(row_of(vectors, new), names=[*"abcdefghijkl", "zebra"])
    assert found.share == pytest.approx(1)
    assert found.quantile == 1
    assert found.is_novel
    assert found.stands_apart
    assert found.companion_share == pytest.approx(1)
    assert found.words()[0].startswith("100 % of zebra cannot be composed of the 12 present classes")
    assert found.words()[1] == "No present class helps to compose zebra."


@settings(max_examples=20, deadline=None)
@given(angle=st.floats(0, 1), seed=st.integers(0, 1000))
def test_the_share_is_the_part_that_is_orthogonal(angle, seed):
    vectors = planted(seed)
    rng = np.random.default_rng(seed)
    inside = rng.normal(size=12) @ vectors
    outside = rng.normal(size=40)
    outside -= np.linalg.lstsq(vectors.T, outside, rcond=None)[0] @ vectors
    part = angle * outside / np.linalg.norm(outside) + np.sqrt(1 - angle**2) * inside / np.linalg.norm(inside)
    found = mmf(vectors @ vectors.T, 3).novelty(row_of(vectors, part))
    assert found.share == pytest.approx(angle**2, abs=1e-8)
    assert found.companion_share >= found.share - 1e-12


def test_another_member_of_a_block_is_a_class_like_the_others():
    vectors = planted(m=13)
    present = vectors[:12]
    found = mmf(present @ present.T, 3).novelty(row_of(present, vectors[12]))
    assert found.is_novel
    assert 0.5 * np.median(found.shares) < found.share < 1
    # Block 0 has rows 0, 3, 6, 9; row 12 is of it.
    assert set(found.companions.tolist()) <= {0, 3, 6, 9}
    assert "a class in its own right" in found.words()[0] or found.stands_apart


def test_it_holds_the_factorizations_and_where_they_differ():
    vectors = planted()
    factors = mmf(vectors @ vectors.T, 3)
    row = row_of(vectors, planted(3)[0])
    found = factors.novelty(row, names=range(13))
    assert found.before is factors
    np.testing.assert_array_equal(found.after.tuples, factors.insert(row).tuples)
    assert found.after.shape == (13, 13)
    assert len(found.agreement) == factors.n_levels
    same = [
        set(a) == set(b) for a, b in zip(factors.tuples.tolist(), found.after.tuples.tolist(), strict=False)
    ]
    np.testing.assert_array_equal(found.agreement == 1, same)
    if found.enters_at is not None:
        assert 12 in found.after.tuples[found.enters_at - 1]
        assert 12 not in found.after.tuples[: found.enters_at - 1]
    if found.wavelet_at is not None:
        assert found.after.wavelets[found.wavelet_at - 1] == 12
    for level, old in found.chain:
        assert factors.wavelets[level - 1] == old
        assert old not in found.after.wavelets[:level]
    assert len(found.words()) == 4
    assert f"enters_at={found.enters_at}" in repr(found)


def test_companions_are_as_many_as_a_composition_has_others():
    vectors = planted()
    for order in (2, 3, 5):
        found = mmf(vectors @ vectors.T, order).novelty(row_of(vectors, planted(3)[0]))
        assert len(found.companions) == order - 1


def test_where_present_rows_depend_on_each_other_there_is_nothing_to_compare_with():
    vectors = planted()
    about = vectors - vectors.mean(axis=0)
    found = mmf(about @ about.T, 3).novelty(row_of(about, planted(3)[0]))
    assert np.isnan(found.quantile)
    assert found.is_novel
    assert not found.stands_apart
    assert "nothing to compare it with" in found.words()[0]


def test_indefinite_matrices_hold_no_energies():
    c = np.diag([3.0, 2.0, -1.0, 1.0])
    found = mmf(c, 2).novelty([0.1, 0.1, 0.1, 0.1, 1.0])
    assert np.isnan(found.share)
    assert not found.is_novel
    assert "negative eigenvalues" in found.words()[0]
    assert len(found.words()) == 4


def test_zero_rows_and_zero_matrices():
    vectors = planted()
    found = mmf(vectors @ vectors.T, 3).novelty(np.zeros(13))
    assert (found.share, found.is_novel) == (0, False)
    assert found.words()
    nothing = mmf(np.zeros((4, 4)), 2).novelty([0, 0, 0, 0, 1])
    assert nothing.share == 1
    assert mmf(np.zeros((4, 4)), 2).novelty(np.zeros(5)).words()


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e100])
def test_scale_does_not_matter(scale):
    vectors = planted()
    row = row_of(vectors, planted(3)[0])
    plain = mmf(vectors @ vectors.T, 3).novelty(row)
    scaled = mmf(scale * (vectors @ vectors.T), 3).novelty(scale * row)
    assert scaled.share == pytest.approx(plain.share)
    assert scaled.quantile == plain.quantile
    np.testing.assert_array_equal(scaled.companions, plain.companions)


def test_bad_rows_and_names_leave_the_factorization_alone():
    vectors = planted()
    factors = mmf(vectors @ vectors.T, 3)
    tuples = factors.tuples.copy()
    row = row_of(vectors, planted(3)[0])
    with pytest.raises(ValueError, match="`row` must have 13 entries"):
        factors.novelty(row[:-1])
    with pytest.raises(ValueError, match="`row` must be finite"):
        factors.novelty(np.where(np.arange(13) == 4, np.nan, row))
    with pytest.raises(ValueError, match=r"`names` must hold 13 names \(12 rows and the new one\), got 2"):
        factors.novelty(row, names=["a", "b"])
    with pytest.raises(WavelensError, match="needs the matrix"):
        factors.compact().novelty(row)
    np.testing.assert_array_equal(factors.tuples, tuples)
