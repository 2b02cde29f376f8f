"""Gauss–Newton against closed forms, and against SciPy's solvers where there are bounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from wavelens.spaces._adam import adam
from wavelens.spaces._gauss_newton import gauss_newton
from wavelens.spaces._network_maps import as_map

SMOOTH = ("identity", "tanh", "sigmoid", "selu", "softmax", "one_vs_rest", "leaky_relu:0.2", "relu")


def random_net(sizes, activation, seed=0, last="identity"):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((b, a)) / np.sqrt(a) for a, b in itertools.pairwise(sizes)]
    biases = [0.1 * rng.standard_normal(len(w)) for w in weights]
    return weights, biases, [activation] * (len(weights) - 1) + [last]


def solve(net, targets, start=None, low=-np.inf, high=np.inf, rtol=1e-10, max_steps=100):
    n = net.n_inputs
    start = np.zeros((len(targets), n)) if start is None else start
    return gauss_newton(
        net, targets, start, np.full(n, low), np.full(n, high), rtol=rtol, max_steps=max_steps
    )


@pytest.mark.parametrize("last", SMOOTH)
@pytest.mark.parametrize("inner", SMOOTH)
def test_the_jacobian_is_the_derivative(inner, last):
    net = as_map(random_net((7, 6, 5), inner, last=last))
    rng = np.random.default_rng(1)
    x, step = rng.standard_normal((3, 7)), 1e-6
    jacobian = net.jacobian(x)
    assert jacobian.shape == (3, 5, 7)
    for j in range(7):
        moved = step * np.eye(7)[j]
        slope = (net.values(x + moved) - net.values(x - moved)) / (2 * step)
        np.testing.assert_allclose(jacobian[:, :, j], slope, atol=1e-8)
    targets = rng.standard_normal((3, 5))
    y, down = net.pulled_back(x, targets)
    np.testing.assert_allclose(y, net.values(x), rtol=1e-14)
    np.testing.assert_allclose(down, np.einsum("nmi,nm->ni", jacobian, targets - y), rtol=1e-10, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(n_in=st.integers(1, 12), n_out=st.integers(1, 12), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_linear_networks_are_solved_by_the_pseudoinverse(n_in, n_out, n, seed):
    rng = np.random.default_rng(seed)
    # Sometimes of deficient rank.
    rank = rng.integers(0, min(n_in, n_out) + 1)
    w = rng.standard_normal((n_out, rank)) @ rng.standard_normal((rank, n_in))
    b, targets, start = (
        rng.standard_normal(n_out),
        rng.standard_normal((n, n_out)),
        rng.standard_normal((n, n_in)),
    )
    found = solve(as_map(([w], [b], "identity")), targets, start)
    inverse = np.linalg.pinv(w, rcond=1e-12)
    wanted = start + (targets - b - start @ w.T) @ inverse.T
    size = 1 + np.abs(wanted).max()
    np.testing.assert_allclose(found.x, wanted, atol=1e-9 * size)
    np.testing.assert_allclose(found.distances, np.linalg.norm(wanted @ w.T + b - targets, axis=1), atol=1e-9)
    assert (found.steps <= 4).all()
    assert set(found.endings) <= {"reached", "stationary"}


@settings(max_examples=25, deadline=None)
@given(n_in=st.integers(1, 15), n_out=st.integers(1, 15), size=st.floats(0.1, 10), seed=st.integers(0, 99))
def test_linear_networks_within_bounds_agree_with_scipy(n_in, n_out, size, seed):
    rng = np.random.default_rng(seed)
    w, b = rng.standard_normal((n_out, n_in)), rng.standard_normal(n_out)
    targets = size * rng.standard_normal((2, n_out))
    found = solve(as_map(([w], [b], "identity")), targets, low=-0.3, high=0.5)
    assert found.x.min() >= -0.3
    assert found.x.max() <= 0.5
    for t, distance in zip(targets, found.distances, strict=True):
        best = lsq_linear(w, t - b, (-0.3, 0.5), tol=1e-14, method="bvls")
        assert distance == pytest.approx(np.sqrt(2 * best.cost), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("activation", ["tanh", "selu", "sigmoid"])
def test_the_paper_s_pyramid_takes_a_few_steps(activation):
    rng = np.random.default_rng(0)
    net = as_map(random_net((196, 256, 256, 128, 32, 10), activation))
    targets = net.values(rng.random((6, 196)))
    found = solve(net, targets)
    assert found.reached.all()
    assert found.distances.max() < 1e-10
    assert np.median(found.steps) <= 7
    # The same within bounds in which there is a solution.
    inside = solve(net, targets, start=np.full((6, 196), 0.5), low=0.0, high=1.0)
    assert inside.reached.all()
    assert inside.x.min() >= 0
    assert inside.x.max() <= 1


def test_samples_do_not_see_one_another():
    rng = np.random.default_rng(3)
    net = as_map(random_net((30, 20, 5), "selu"))
    targets = rng.standard_normal((6, 5))
    together = solve(net, targets)
    for i in range(6):
        alone = solve(net, targets[i : i + 1])
        np.testing.assert_allclose(alone.x[0], together.x[i], rtol=1e-9, atol=1e-11)
        assert alone.steps[0] == together.steps[i]


def test_an_orthogonal_change_of_inputs_changes_nothing_else():
    rng = np.random.default_rng(4)
    weights, biases, names = random_net((12, 10, 4), "tanh")
    q = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    targets = 0.5 * rng.standard_normal((5, 4))
    plain = solve(as_map((weights, biases, names)), targets)
    turned = solve(as_map(([weights[0] @ q.T, weights[1]], biases, names)), targets)
    np.testing.assert_allclose(turned.x, plain.x @ q.T, rtol=1e-7, atol=1e-9)


def test_the_scale_of_the_outputs_changes_nothing():
    weights, biases, names = random_net((12, 10, 4), "tanh")
    targets = np.random.default_rng(5).standard_normal((5, 4))
    plain = solve(as_map((weights, biases, names)), targets)
    scaled = as_map(([weights[0], 2**20 * weights[1]], [biases[0], 2**20 * biases[1]], names))
    np.testing.assert_allclose(solve(scaled, 2**20 * targets).x, plain.x, rtol=1e-8, atol=1e-10)


def test_what_cannot_be_reached_is_told_with_its_distance():
    w = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    net = as_map(([w], None, "tanh"))
    found = solve(net, np.array([[0.5, 2.0], [0.5, 0.5]]))
    assert found.reached.tolist() == [False, True]
    assert found.distances[0] == pytest.approx(1, abs=1e-5)
    assert found.endings[0] != "reached"
    bounded = solve(net, np.array([[0.5, 2.0]]), low=-1, high=1)
    assert bounded.endings.tolist() == ["stationary"]
    np.testing.assert_allclose(bounded.x[0, :2], [np.arctanh(0.5), 1.0], atol=1e-7)
    assert bounded.distances[0] == pytest.approx(2 - np.tanh(1))


def test_the_result_is_stationary_where_it_says_so():
    net = as_map(random_net((20, 15, 6), "tanh"))
    targets = 3 * np.random.default_rng(6).standard_normal((8, 6))
    found = solve(net, targets, low=-0.5, high=0.5, max_steps=300)
    assert not found.reached.any()
    assert (found.endings == "stationary").any()
    _, down = net.pulled_back(found.x, targets)
    for x, step, ending in zip(found.x, down, found.endings, strict=True):
        moved = np.clip(x + 1e-3 * step, -0.5, 0.5) - x
        if ending == "stationary":
            assert np.linalg.norm(moved) < 1e-7
    rng = np.random.default_rng(7)
    for _ in range(50):
        near = np.clip(found.x + 1e-3 * rng.standard_normal(found.x.shape), -0.5, 0.5)
        distances = np.linalg.norm(net.values(near) - targets, axis=1)
        assert (
            distances[found.endings == "stationary"] >= found.distances[found.endings == "stationary"] - 1e-9
        ).all()


def test_a_network_without_slope_stays_where_it_is():
    net = as_map(([np.eye(3), np.ones((2, 3))], None, ["relu", "identity"]))
    found = solve(net, np.ones((1, 2)), start=-np.ones((1, 3)))
    assert found.endings.tolist() == ["stationary"]
    np.testing.assert_array_equal(found.x, -1)


def test_equal_bounds_fix_everything():
    net = as_map(random_net((4, 3), "identity"))
    found = solve(net, np.ones((2, 3)), low=0.25, high=0.25)
    np.testing.assert_array_equal(found.x, 0.25)
    assert found.endings.tolist() == ["stationary"] * 2


def test_steps_can_run_out():
    net = as_map(random_net((30, 20, 5), "selu"))
    found = solve(net, 3 * np.ones((2, 5)), max_steps=1)
    assert found.endings.tolist() == ["max_steps"] * 2
    assert (found.steps == 1).all()


def test_a_jacobian_too_large_is_refused():
    class Huge:
        n_outputs, n_inputs, farthest, name = 10**5, 10**6, np.inf, "huge"

    with pytest.raises(MemoryError, match=r"the Jacobian of huge has 100000 × 1000000 entries, 745\.1 GiB"):
        solve(Huge(), np.zeros((1, 1)), start=np.zeros((1, 1)))


def test_adam_comes_near_and_never_makes_it_worse():
    net = as_map(random_net((30, 20, 5), "tanh"))
    targets = net.values(np.random.default_rng(8).random((4, 30)))
    start = np.full((4, 30), 0.5)
    low, high = np.zeros(30), np.ones(30)
    before = np.linalg.norm(net.values(start) - targets, axis=1)
    x, y = adam(net, targets, start, low, high, rtol=1e-10, max_steps=400)
    np.testing.assert_allclose(y, net.values(x), rtol=1e-12)
    assert x.min() >= 0
    assert x.max() <= 1
    assert (np.linalg.norm(y - targets, axis=1) < 0.01 * before).all()
    same, _ = adam(net, net.values(start), start, low, high, rtol=1e-10, max_steps=10)
    np.testing.assert_array_equal(same, start)
