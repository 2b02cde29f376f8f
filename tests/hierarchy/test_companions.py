"""Which few classes compose a class: closed forms, and the definition where rows are about their mean."""

from __future__ import annotations

import numpy as np
import pytest

from wavelens.hierarchy import companions
from wavelens.hierarchy._novelty import left_out_shares, own_shares


@pytest.fixture
def means():
    rng = np.random.default_rng(0)
    return rng.standard_normal((8, 30)), rng.integers(3, 50, 8)


def test_all_others_leave_what_no_combination_gives(means):
    m, _ = means
    assert np.allclose(companions(m @ m.T, 7).left, own_shares(m @ m.T), atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_centred_classes_are_seen_from_the_mean_of_the_others(means, n):
    m, counts = means
    about = m - np.average(m, axis=0, weights=counts)
    found = companions(about @ about.T, n, counts=counts)
    every = left_out_shares(about @ about.T, counts.astype(float))
    assert (found.left >= every - 1e-12).all()
    if n == 7:
        assert np.allclose(found.left, every, atol=1e-12)
    for i in range(8):
        others = np.delete(np.arange(8), i)
        seen = m - np.average(m[others], axis=0, weights=counts[others])
        chosen = found.indices[i]
        chosen = chosen[chosen >= 0]  # about their own mean the others are dependent: six of seven do
        weights = np.linalg.lstsq(seen[chosen].T, seen[i], rcond=None)[0]
        assert np.allclose(found.weights[i][: len(chosen)], weights, atol=1e-10)
        rest = seen[i] - seen[chosen].T @ weights
        assert found.left[i] == pytest.approx(rest @ rest / (seen[i] @ seen[i]), abs=1e-10)


@pytest.mark.parametrize("counts", [np.ones(3), -np.ones(8), np.full(8, np.nan)])
def test_counts_that_are_none(means, counts):
    m, _ = means
    with pytest.raises(ValueError, match="`counts` must hold 8 positive numbers"):
        companions(m @ m.T, 2, counts=counts)
