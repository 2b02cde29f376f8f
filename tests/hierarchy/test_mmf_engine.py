"""Properties of the MMF kernel: what holds for every factorization, agreement with the twin, hard inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import mmf as twin

import wavelens
from wavelens import _core

METHODS = ("exhaustive", "topk", "random")
ROTATIONS = ("eigen", "gram", "opt")


def factor(c, order=3, n_levels=None, method="topk", rotation="opt", seed=0):
    n_levels = len(c) - order + 1 if n_levels is None else n_levels
    return _core.mmf_factor(c, order, n_levels, method, rotation, seed)


def insert(c, n_new, parts, rotation="opt"):
    return _core.mmf_insert(c, n_new, parts[0], parts[1], rotation)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def relative_error(parts, c):
    return np.sqrt(parts[3].sum()) / np.linalg.norm(c)


def symmetric(m, seed=0):
    a = np.random.default_rng(seed).standard_normal((m, m))
    return a + a.T


def kernel(m, width=8.0, dimension=5, seed=0):
    x = np.random.default_rng(seed).standard_normal((m, dimension))
    return np.exp(-np.sum((x[:, None] - x) ** 2, axis=2) / width)


def blocks_of_blocks(m, n_blocks, seed=0):
    """Return the covariance of features of a hierarchy of two levels, and the blocks."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(m) % n_blocks)
    above, block, own = (rng.standard_normal((n, 400)) for n in (2, n_blocks, m))
    features = 0.5 * above[label // ((n_blocks + 1) // 2)] + block[label] + 0.6 * own
    return features @ features.T / 400, label


def karate():
    """Return the normalised Laplacian of Zachary's karate club, without weights."""
    networkx = pytest.importorskip("networkx")
    a = networkx.to_numpy_array(networkx.karate_club_graph(), weight=None)
    degree = a.sum(axis=0)
    return np.eye(len(a)) - a / np.sqrt(np.outer(degree, degree))


def check(c, parts, order, n_levels):
    """Everything that any factorization must fulfil."""
    m = len(c)
    tuples, wavelets, rotations, errors, core, core_indices, frequencies = parts
    assert tuples.shape == (n_levels, order)
    assert rotations.shape == (n_levels, order, order)
    assert wavelets.shape == errors.shape == frequencies.shape == (n_levels,)
    assert core.shape == (m - n_levels, m - n_levels)
    assert (np.diff(tuples, axis=1) > 0).all()
    assert sorted([*wavelets, *core_indices]) == list(range(m))
    assert (np.diff(core_indices) > 0).all()
    active = set(range(m))
    for t, s, o in zip(tuples, wavelets, rotations, strict=True):
        assert set(t) <= active
        at = list(t).index(s)
        active.remove(s)
        assert np.abs(o @ o.T - np.eye(order)).max() < 1e-13
        assert np.linalg.det(o) > 0
        assert np.sum(np.diag(o) < 0) <= 1
        assert o[at, at] >= np.abs(o[at]).max() > 0
    q, middle = twin.orthogonal(parts, m), twin.middle(parts, m)
    rounding = 1e-13 * m
    size = np.linalg.norm(c)
    scaled, rotated = c / (size or 1), q @ (c / (size or 1)) @ q.T
    scaled_middle = middle / (size or 1)
    left_out = (errors / (size or 1) / (size or 1)).sum()
    assert (errors >= 0).all()
    assert np.abs((rotated - scaled_middle)[np.ix_(core_indices, core_indices)]).max(initial=0) < rounding
    assert np.abs((rotated - scaled_middle)[wavelets, wavelets]).max(initial=0) < rounding
    assert np.sqrt(left_out) == pytest.approx(np.linalg.norm(rotated - scaled_middle), abs=rounding)
    assert np.trace(scaled_middle) == pytest.approx(np.trace(scaled), abs=rounding)
    assert np.sum(scaled_middle**2) == pytest.approx(np.sum(scaled**2) - left_out, abs=rounding)
    exact, ours = (np.cumsum(np.sort(np.linalg.eigvalsh(x))[::-1]) for x in (scaled, scaled_middle))
    assert (ours <= exact + rounding).all()


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_invariants_for_all_orders_shapes_and_layouts(method, data):
    m = data.draw(st.integers(2, 9 if method == "exhaustive" else 40))
    order = data.draw(st.integers(2, min(m, 4 if method == "exhaustive" else m)))
    n_levels = data.draw(st.integers(0, m - order + 1))
    c = symmetric(m, data.draw(st.integers(0, 2**32)))
    rank = data.draw(st.integers(0, m))
    if data.draw(st.booleans()):
        c = c[:, :rank] @ c[:, :rank].T
    layout = data.draw(st.sampled_from(["C", "F", "strided", "negative"]))
    if layout == "strided":
        held = np.zeros((2 * m, 3 * m))[::2, ::3]
    elif layout == "negative":
        held = np.zeros((m, m))[::-1, ::-1]
    else:
        held = np.zeros((m, m), order=layout)
    held[:] = c
    held.flags.writeable = False
    for rotation in ROTATIONS:
        parts = factor(held, order, n_levels, method, rotation, data.draw(st.integers(0, 2**63)))
        assert np.array_equal(held, c)
        check(c, parts, order, n_levels)


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize(
    ("method", "order", "m"),
    [("exhaustive", 2, 12), ("exhaustive", 3, 10), ("exhaustive", 5, 8)]
    + [("topk", k, 40) for k in (2, 3, 4, 5, 7, 12)]
    + [("topk", 5, 90)],
)
def test_agreement_with_the_twin(method, order, m, rotation):
    for c in (symmetric(m, 1), kernel(m, seed=2)):
        ours = factor(c, order, m - order + 1, method, rotation)
        slow = twin.factor(c, order, m - order + 1, method, rotation)
        # After a tie that rounding decides the two go apart: all but the last levels must be the same.
        n_same = int(np.argmin([*np.all(ours[0] == slow[0], axis=1), False]))
        assert n_same >= 0.75 * len(ours[0]) or n_same >= len(ours[0]) - order
        assert np.array_equal(ours[1][:n_same], slow[1][:n_same])
        assert np.abs(ours[3] - slow[3])[:n_same].max() < 1e-7 * np.sum(c**2)
        assert relative_error(ours, c) <= 1.02 * relative_error(slow, c) + 1e-7


def test_opt_is_never_worse_than_the_other_rotations_and_their_alternation():
    rng = np.random.default_rng(0)
    for order in (2, 3, 4, 6, 9):
        for _ in range(20):
            m = order + int(rng.integers(0, 5))
            c = symmetric(m, rng.integers(2**32))
            parts = factor(c, order, 1)
            t = parts[0][0]
            f, g = c[np.ix_(t, t)], (c @ c)[np.ix_(t, t)]
            assert parts[3][0] <= twin.best_wavelet(f, g, "opt")[1] * (1 + 1e-9) + 1e-13 * np.sum(c**2)


@pytest.mark.parametrize(
    ("order", "method", "at_most"),
    [(2, "exhaustive", 1.0503), (3, "topk", 0.755), (4, "topk", 0.548), (8, "topk", 0.215)],
)
def test_karate_club(order, method, at_most):
    parts = factor(karate(), order, 26, method)
    assert np.sqrt(parts[3].sum()) <= at_most


def test_first_tuple_lies_inside_a_planted_block():
    for seed in range(20):
        c, label = blocks_of_blocks(60, 6, seed)
        for order in (2, 3, 5):
            assert len(set(label[factor(c, order, 1)[0][0]])) == 1


def test_semidefinite_matrices_stay_so_and_lose_no_determinant():
    a = np.random.default_rng(3).standard_normal((50, 60))
    c = a @ a.T
    for order in (2, 3, 6):
        parts = factor(c, order, 40)
        values = np.linalg.eigvalsh(twin.middle(parts, 50))
        assert values.min() > 0
        assert np.log(values).sum() >= np.linalg.slogdet(c)[1] - 1e-9
        singular = factor(c[:, :20] @ c[:, :20].T, order, 40)
        assert np.linalg.eigvalsh(twin.middle(singular, 50)).min() > -1e-12 * np.linalg.norm(c) ** 2


@pytest.mark.parametrize("rotation", ["eigen", "opt"])
@pytest.mark.parametrize("method", METHODS)
def test_last_level_at_full_depth_is_exact(method, rotation):
    c = symmetric(9)
    for order in (2, 3, 5, 9):
        assert factor(c, order, None, method, rotation)[3][-1] <= (1e-13 * np.linalg.norm(c)) ** 2


@pytest.mark.parametrize("method", METHODS)
def test_powers_of_two_change_nothing_but_the_scale(method):
    c = symmetric(14)
    one = factor(c, 3, 10, method)
    for power in (-500, -3, 7, 400):
        scaled = factor(np.ldexp(c, power), 3, 10, method)
        assert same(one[:3], scaled[:3])
        assert np.array_equal(np.ldexp(one[3], 2 * power), scaled[3])
        for i in (4, 6):
            assert np.array_equal(np.ldexp(one[i], power), scaled[i])


@pytest.mark.parametrize("rotation", ["eigen", "opt"])
def test_a_multiple_of_the_identity_only_shifts(rotation):
    c = symmetric(11)
    for shift in (-2.0, 5.0):
        for order in (2, 3):
            one = factor(c, order, 8, "exhaustive", rotation)
            shifted = factor(c + shift * np.eye(11), order, 8, "exhaustive", rotation)
            assert np.array_equal(one[0], shifted[0])
            assert np.array_equal(one[1], shifted[1])
            assert shifted[3] == pytest.approx(one[3], rel=1e-6, abs=1e-9)
            assert shifted[6] == pytest.approx(one[6] + shift, abs=1e-6)


@pytest.mark.parametrize("order", [2, 3, 4, 6])
def test_permutations_permute(order):
    c = symmetric(30, 5)
    p = np.random.default_rng(0).permutation(30)
    one, permuted = factor(c, order, 15), factor(np.ascontiguousarray(c[np.ix_(p, p)]), order, 15)
    assert np.array_equal(one[0], np.sort(p[permuted[0]], axis=1))
    assert np.array_equal(one[1], p[permuted[1]])
    assert permuted[3] == pytest.approx(one[3], rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", [2, 3, 5])
def test_hard_inputs(method, order):
    m = 10
    a = np.random.default_rng(0).standard_normal((m, m))
    duplicates = np.repeat(np.repeat(symmetric(2), 5, axis=0), 5, axis=1)
    for c in (
        np.zeros((m, m)),
        np.eye(m),
        np.diag(np.arange(m) - 4.0),
        np.ones((m, m)),
        duplicates,
        np.outer(a[0], a[0]),
        np.kron(np.eye(5), np.array([[0.0, 1.0], [1.0, 0.0]])),
        np.diag([1e-200, *np.ones(m - 1)]),
        symmetric(m) * 1e150,
        symmetric(m) * 1e-150,
        symmetric(m) * np.outer(0.1 ** np.arange(m), 0.1 ** np.arange(m)),
    ):
        for rotation in ROTATIONS:
            parts = factor(c, order, m - order + 1, method, rotation)
            if (np.abs(c).max() < 1e100 and np.abs(c).max() > 1e-100) or not c.any():
                check(c, parts, order, m - order + 1)
            else:
                power = -int(np.log2(np.abs(c).max()))
                back = np.ldexp(c, power)
                rescaled = (*parts[:3], np.ldexp(parts[3], 2 * power), np.ldexp(parts[4], power))
                check(back, (*rescaled, parts[5], np.ldexp(parts[6], power)), order, m - order + 1)


def test_diagonal_matrices_and_separate_pairs_are_exact():
    for c in (np.diag(np.arange(9.0)), np.kron(np.eye(6), np.array([[2.0, 1.0], [1.0, 0.5]]))):
        for order in (2, 3, 4):
            assert factor(c, order, len(c) - order)[3].sum() < 1e-25


@pytest.mark.parametrize("method", ["topk", "random"])
def test_number_of_threads_changes_no_bit(method):
    before = wavelens.num_threads()
    results = []
    for count in (1, 2):
        wavelens.set_num_threads(count)
        c = kernel(300)
        parts = factor(c, 3, 290, method)
        small = factor(np.ascontiguousarray(c[:260, :260]), 4, 250, method)
        results.append([*parts, *small, *insert(c, 40, small)])
    wavelens.set_num_threads(before)
    assert same(*results)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_insertion_keeps_all_invariants(data):
    m = data.draw(st.integers(2, 60))
    n_new = data.draw(st.integers(0, 40))
    order = data.draw(st.integers(2, min(m, 7)))
    n_levels = data.draw(st.integers(0, m - order + 1))
    c = symmetric(m + n_new, data.draw(st.integers(0, 2**32)))
    if data.draw(st.booleans()):
        c = c @ c
    if data.draw(st.booleans()):
        c[:, 1] = c[:, 0]
        c[1] = c[0]
    rotation = data.draw(st.sampled_from(ROTATIONS))
    old = factor(np.ascontiguousarray(c[:m, :m]), order, n_levels, "topk", rotation)
    check(c, insert(c, n_new, old, rotation), order, n_levels + n_new)


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("order", [2, 3, 6])
def test_replay_of_nothing_new_is_the_same_and_that_of_the_twin(order, rotation):
    c = symmetric(40)
    old = factor(c, order, 30, "topk", rotation)
    again, slow = insert(c, 0, old, rotation), twin.replay(c, old[0], rotation)
    assert same(old[:2], again[:2])
    assert again[3] == pytest.approx(old[3], rel=1e-6, abs=1e-9)
    assert np.array_equal(again[1], slow[1])
    assert again[3] == pytest.approx(slow[3], rel=1e-6, abs=1e-9)
    changed = c + 1e-3 * symmetric(40, 9)
    check(changed, insert(changed, 0, old, rotation), order, 30)


@pytest.mark.parametrize("order", [3, 5])
@pytest.mark.parametrize("name", ["smooth kernel", "sharp kernel", "blocks"])
def test_growth_by_insertion_stays_near_the_batch(name, order):
    m = 150
    grow(
        {
            "smooth kernel": lambda: kernel(m),
            "sharp kernel": lambda: kernel(m, 1.0, 2),
            "blocks": lambda: blocks_of_blocks(m, 8)[0],
        }[name](),
        order,
    )


@pytest.mark.realdata
@pytest.mark.parametrize("order", [3, 5])
@pytest.mark.parametrize("centred", [False, True])
def test_growth_of_a_class_covariance_stays_near_the_batch(real_data, centred, order):
    with np.load(real_data / "models" / "mobilenet_one_per_class_outputs.npz") as file:
        features = file["features"].astype(float)
    features = features[np.random.default_rng(0).choice(len(features), 160, replace=False)]
    features -= centred * features.mean(axis=0)
    grow(features @ features.T, order)


def grow(c, order, core=10):
    """Double a factorization by single insertions and by a block, to within 1.2 of the batch's error."""
    m = len(c)
    batch = factor(c, order, m - core)
    half = factor(np.ascontiguousarray(c[: m // 2, : m // 2]), order, m // 2 - core)
    grown = half
    for n in range(m // 2 + 1, m + 1):
        grown = insert(np.ascontiguousarray(c[:n, :n]), 1, grown)
    check(c, grown, order, m - core)
    assert relative_error(grown, c) <= 1.2 * relative_error(batch, c)
    assert relative_error(insert(c, m // 2, half), c) <= 1.2 * relative_error(batch, c)


@settings(max_examples=30, deadline=None)
@given(m=st.integers(2, 30), n=st.integers(0, 150), order=st.integers(2, 9), seed=st.integers(0, 2**32))
def test_application_is_the_product(m, n, order, seed):
    order = min(order, m)
    parts = factor(symmetric(m, seed), order, m - order + 1)
    q = twin.orthogonal(parts, m)
    x = np.random.default_rng(seed).standard_normal((m, n))
    y = x.copy()
    _core.mmf_apply(parts[0], parts[2], y, False)
    assert np.abs(y - q @ x).max(initial=0) < 1e-12
    _core.mmf_apply(parts[0], parts[2], y, True)
    assert np.abs(y - x).max(initial=0) < 1e-12


def test_progress_is_told_and_an_exception_there_stops_it():
    c = kernel(200)
    shares = []
    _core.mmf_factor(c, 3, 190, "topk", "opt", 0, shares.append)
    assert shares
    assert all(0 <= share <= 1 for share in shares)

    def stop(_share):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        _core.mmf_factor(c, 3, 190, "topk", "opt", 0, stop)


def test_bad_input_is_refused():
    c = symmetric(6)
    for order, n_levels in ((1, 2), (7, 0), (3, 5), (3, -1)):
        with pytest.raises(ValueError, match="must be between"):
            factor(c, order, n_levels)
    with pytest.raises(ValueError, match="square"):
        factor(c[:5], 3, 1)
    parts = factor(c, 3, 3)
    larger = symmetric(7)
    with pytest.raises(ValueError, match="n_new"):
        insert(larger, 8, parts)
    with pytest.raises(ValueError, match="not finished"):
        _core.mmf_insert(larger, 1, parts[0][[0, 0]], parts[1][[0, 0]], "opt")
    with pytest.raises(ValueError, match="one of its tuple"):
        _core.mmf_insert(larger, 1, np.array([[0, 1, 2]]), np.array([4]), "opt")
    with pytest.raises(ValueError, match="`tuples`"):
        _core.mmf_apply(np.array([[0, 1, 9]]), np.eye(3)[None], np.zeros((6, 2)), False)
    with pytest.raises(ValueError, match="`x`"):
        _core.mmf_apply(parts[0], parts[2], np.zeros((6, 2), order="F"), False)


@pytest.mark.parametrize("order", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("small", [1e-80, 1e-120, 1e-155, 1e-160, 1e-170, 5e-324])
def test_entries_whose_squares_underflow(order, small):
    c = symmetric(16) * small
    np.fill_diagonal(c, 1)
    for matrix in (c, c + np.kron(np.eye(4), np.full((4, 4), 0.5)), c * 1e-150):
        parts = factor(matrix, order)
        assert np.isfinite(parts[2]).all()
        identity = parts[2] @ parts[2].transpose(0, 2, 1)
        assert np.abs(identity - np.eye(order)).max() < 1e-12
        assert relative_error(parts, matrix) < 1e-7
        grown = insert(matrix, 4, factor(np.ascontiguousarray(matrix[:12, :12]), order))
        assert np.isfinite(grown[2]).all()
