"""The chosen columns leave every group of rows with full column rank."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.pivoted_qr import largest_full_prefix

from wavelens.linalg import pivoted_qr, select_columns


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_largest_number_agrees_with_singular_values(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    sizes = data.draw(st.lists(st.integers(2, 15), min_size=1, max_size=4))
    p = data.draw(st.integers(1, 25))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    a = rng.standard_normal((len(groups), p))
    for _ in range(data.draw(st.integers(0, 3))):  # duplicates within a group
        group = np.flatnonzero(groups == rng.integers(len(sizes)))
        a[group[0]] = a[group[-1]]
    for _ in range(data.draw(st.integers(0, 2))):  # columns that are equal in one group only
        columns = rng.integers(p, size=2)
        rows = groups == rng.integers(len(sizes))
        a[rows, columns[0]] = a[rows, columns[1]]
    chosen = select_columns(a, groups=groups)
    pivots = pivoted_qr(a, min(*sizes, p) if len(sizes) > 1 else min(sizes[0], p)).pivots
    want = largest_full_prefix(a, pivots, groups)
    assert np.array_equal(chosen, pivots[:want])
    for group in np.unique(groups):
        assert np.linalg.matrix_rank(a[groups == group][:, chosen]) == len(chosen)


@pytest.mark.parametrize("method", ["blocked", "exact", "strong", "sketch"])
def test_labels_of_any_type(method):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((60, 30))
    labels = np.array(["cat", "dog", "cow"])[rng.integers(3, size=60)]
    chosen = select_columns(a, 5, groups=labels, method=method)
    assert chosen.shape == (5,)
    assert chosen.dtype == np.intp
    assert np.array_equal(chosen, select_columns(a, 5, groups=labels == "cat", method=method))


def test_without_groups_the_matrix_itself_keeps_full_rank():
    rng = np.random.default_rng(1)
    a = rng.standard_normal((50, 8)) @ rng.standard_normal((8, 40))
    assert len(select_columns(a)) == 8
    with pytest.raises(ValueError, match="numerical rank of `a`, which is 8, got 9"):
        select_columns(a, 9)


def test_a_given_k_that_breaks_a_group_names_it_and_its_rank():
    rng = np.random.default_rng(2)
    a = rng.standard_normal((40, 30))
    groups = ["big"] * 30 + ["small"] * 10
    a[35:] = a[30:35]
    assert len(select_columns(a, groups=groups)) == 5
    with pytest.raises(
        ValueError, match=r"`k` = 7 columns leave group 'small' \(10 rows\) with numerical rank 5"
    ):
        select_columns(a, 7, groups=groups)
    with pytest.raises(
        ValueError, match=r"between 1 and 10 \(the smallest group, 'small', has 10 rows\), got 11"
    ):
        select_columns(a, 11, groups=groups)


def test_larger_groups_and_float32():
    rng = np.random.default_rng(3)
    a = (rng.standard_normal((700, 900)) * np.arange(1, 901) ** -0.5).astype(np.float32)
    groups = np.arange(700) % 2
    a[groups == 0] = np.vstack([a[groups == 0][:300], a[groups == 0][:50]])
    chosen = select_columns(a, groups=groups)
    assert 295 <= len(chosen) <= 300
    assert np.array_equal(select_columns(a, 280, groups=groups), pivoted_qr(a, 280).pivots)


def test_no_column_will_do():
    a = np.ones((4, 3))
    a[2:] = 0
    with pytest.raises(ValueError, match="the rows of group 1 are zero"):
        select_columns(a, groups=[0, 0, 1, 1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(2, 20), st.booleans())
def test_columns_that_are_zero_in_a_group_are_passed_over(seed, n_groups, p, given_k):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(n_groups), rng.integers(2, 8, n_groups)))
    a = rng.standard_normal((len(groups), p))
    zero = np.flatnonzero(rng.random(p) < 0.5)
    for column in zero:
        a[groups == rng.integers(n_groups), column] = 0
        a[:, column] *= 1e3  # and yet they are the longest
    usable = np.setdiff1d(np.arange(p), zero)
    if len(usable) == 0:
        with pytest.raises(ValueError, match="no column of `a`"):
            select_columns(a, groups=groups)
        return
    most = min(len(usable), np.bincount(groups).min())
    chosen = select_columns(a, most if given_k else None, groups=groups)
    assert np.array_equal(chosen, usable[select_columns(a[:, usable], most, groups=groups)])
    if len(usable) < min(p, *np.bincount(groups)):
        with pytest.raises(ValueError, match=f"`k` must be at most {len(usable)} "):
            select_columns(a, min(p, len(usable) + 1), groups=groups)


def test_a_matrix_of_zeros():
    for k in (None, 2):
        with pytest.raises(ValueError, match="every entry of `a` is zero"):
            select_columns(np.zeros((10, 4)), k)


def test_bad_groups():
    with pytest.raises(ValueError, match=r"`groups` must not hold NaN.*position 2"):
        select_columns(np.eye(4), groups=[0, 0, np.nan, np.nan])
    a = np.eye(4)
    with pytest.raises(ValueError, match="one entry for each of the 4 rows of `a`, got 3"):
        select_columns(a, groups=[1, 2, 3])
    with pytest.raises(ValueError, match=r"`groups` must have shape \(4,\)"):
        select_columns(a, groups=np.ones((4, 2)))
    with pytest.raises(TypeError, match=r"`groups`.*None at position 2"):
        select_columns(a, groups=np.array([1, "a", None, 2], dtype=object))
    with pytest.raises(TypeError, match="`k` must be an integer"):
        select_columns(a, 1.5)


def test_every_k_up_to_the_largest_is_accepted() -> None:
    rng = np.random.default_rng(0)
    # Columns of falling size that a group of its own lacks: which prefix is chosen decides the rank.
    a = rng.standard_normal((60, 40)) * 0.8 ** np.arange(40)
    groups = np.repeat([0, 1, 2], 20)
    a[groups == 1, ::3] = a[groups == 1, 1::3][:, :1]
    largest = len(select_columns(a, groups=groups))
    for k in range(1, largest + 1):
        chosen = select_columns(a, k, groups=groups)
        assert len(chosen) == k
        for group in range(3):
            assert np.linalg.matrix_rank(a[groups == group][:, chosen], tol=1e-12) == k
