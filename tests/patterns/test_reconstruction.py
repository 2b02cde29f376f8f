from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.patterns._reconstruction import order_by_contribution


@settings(deadline=None, max_examples=50)
@given(r=st.integers(1, 12), dimension=st.integers(12, 20), seed=st.integers(0, 99))
def test_residuals_are_those_of_the_partial_sums(r, dimension, seed):
    rng = np.random.default_rng(seed)
    w, c = rng.standard_normal((dimension, r)), rng.standard_normal(r)
    order, residuals = order_by_contribution(c, w.T @ w)
    assert sorted(order) == list(range(r))
    x = w @ c
    direct = [np.linalg.norm(x - w[:, order[:q]] @ c[order[:q]]) for q in range(r + 1)]
    np.testing.assert_allclose(residuals, direct, atol=1e-6 * np.linalg.norm(x))
    assert residuals[-1] == 0


def test_each_step_drops_the_cheapest_term():
    rng = np.random.default_rng(3)
    w, c = rng.standard_normal((9, 6)), rng.standard_normal(6)
    x = w @ c
    order, residuals = order_by_contribution(c, w.T @ w)
    alive = list(range(6))
    for left in range(6, 0, -1):
        costs = {
            j: np.linalg.norm(x - w[:, rest] @ c[rest])
            for j in alive
            for rest in [[i for i in alive if i != j]]
        }
        assert order[left - 1] == min(costs, key=costs.get)
        np.testing.assert_allclose(residuals[left - 1], min(costs.values()), rtol=1e-6, atol=1e-9)
        alive.remove(int(order[left - 1]))


def test_orthogonal_terms_come_by_size():
    c = np.array([0.5, -3.0, 2.0, 0.0])
    order, residuals = order_by_contribution(c, np.eye(4))
    assert list(order) == [1, 2, 0, 3]
    np.testing.assert_allclose(residuals, np.sqrt([13.25, 4.25, 0.25, 0, 0]))
