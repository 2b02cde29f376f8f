"""HO-GSVD: structure, planted decompositions, invariances, the definitions, hard cases, bad input."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.ho_gsvd import backward_error, check_structure, kempf, planted, ponnapalli

import wavelens
from wavelens import WavelensWarning
from wavelens.linalg import HOGSVD, TriangularFactor, ho_gsvd

EPS = float(np.finfo(np.float64).eps)


def quiet(matrices: Any, **options: Any) -> HOGSVD:
    """ho_gsvd without the warning that all directions are isolated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WavelensWarning)
        return ho_gsvd(matrices, **options)


def separated_sigma(n: int, r: int) -> np.ndarray:
    """σ of r directions whose τ lie well apart, in ascending order of τ."""
    share = np.linspace(1 / n + 0.1, 0.9, r)
    rest = np.full((n - 1, r), 1.0) / (n - 1)
    return np.sqrt(np.vstack([share, (1 - share) * rest]))


def with_condition(rng: np.random.Generator, m: int, r: int, log_kappa: float) -> np.ndarray:
    left = np.linalg.qr(rng.standard_normal((m, r)))[0]
    right = np.linalg.qr(rng.standard_normal((r, r)))[0]
    return (left * np.logspace(0, -log_kappa, r)) @ right


def matched(v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sine of the angle between columns, column by column."""
    v, w = v / np.linalg.norm(v, axis=0), w / np.linalg.norm(w, axis=0)
    return np.linalg.norm(v - w * np.sum(v * w, axis=0), axis=0)


# ---- any input


@st.composite
def problems(draw: Any) -> tuple[list[np.ndarray], dict[str, Any]]:
    n = draw(st.integers(2, 5))
    m = draw(st.integers(1, 12))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    matrices = []
    for _ in range(n):
        rows = draw(st.integers(1, 20))
        kind = draw(
            st.sampled_from(["full", "low rank", "small integers", "zero rows", "F", "reversed", "strided"])
        )
        d = rng.standard_normal((rows, m))
        if kind == "low rank":
            k = draw(st.integers(1, m))
            d = rng.standard_normal((rows, k)) @ rng.standard_normal((k, m))
        elif kind == "small integers":
            d = rng.integers(-1, 2, (rows, m)).astype(float)
        elif kind == "zero rows":
            d[: rows // 2] = 0
        d = d.astype(dtype)
        if kind == "F":
            d = np.asfortranarray(d)
        elif kind == "reversed":
            d = d[::-1, ::-1]
        elif kind == "strided":
            wide = np.zeros((2 * rows, 3 * m), dtype)
            wide[::2, 1::3] = d
            d = wide[::2, 1::3]
        matrices.append(d)
    matrices[0][0, 0] = 1
    options = {
        "normalization": draw(st.sampled_from(["csd", "unit"])),
        "ridge": draw(st.sampled_from([1e-3, 1e-2, 1.0])),
        "weights": draw(st.sampled_from([None, "size", 0.5 + np.arange(n)])),
    }
    return matrices, options


@given(problems())
@settings(max_examples=150, deadline=None)
def test_any_input(problem: tuple[list[np.ndarray], dict[str, Any]]) -> None:
    matrices, options = problem
    before = [d.copy() for d in matrices]
    result = quiet(matrices, **options)
    check_structure(result, matrices, options["normalization"])
    assert backward_error(result, matrices) <= 200
    for d, copy in zip(matrices, before, strict=True):
        np.testing.assert_array_equal(d, copy)
    rows = result.transform(np.vstack(matrices))
    eps = np.finfo(matrices[0].dtype).eps
    scale = abs(rows).max() * np.linalg.cond(result.v.astype(float) / np.linalg.norm(result.v, axis=0))
    expected = [u * s / w for u, s, w in zip(result.u, result.sigma, result.weights, strict=True)]
    np.testing.assert_allclose(rows, np.vstack(expected), atol=200 * eps * scale)


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("ridge", [1e-3, 0.1])
def test_agrees_with_definition(n: int, ridge: float) -> None:
    rng = np.random.default_rng(n)
    matrices = [rng.standard_normal((20 + 3 * i, 9)) for i in range(n)]
    result = ho_gsvd(matrices, ridge=ridge)
    sigma, v, tau = kempf(matrices, ridge)
    np.testing.assert_allclose(result.tau, tau, rtol=1e-11)
    np.testing.assert_allclose(result.sigma, sigma, atol=1e-10)
    assert matched(result.v, v).max() < 1e-10


@pytest.mark.parametrize("n", [2, 3, 6])
def test_ridge_zero_is_ponnapalli(n: int) -> None:
    rng = np.random.default_rng(n)
    matrices = [rng.standard_normal((15 + i, 7)) for i in range(n)]
    result = ho_gsvd(matrices, ridge=0, normalization="unit")
    sigma, v, values = ponnapalli(matrices)
    np.testing.assert_allclose((result.tau - 1) / (n - 1), values, rtol=1e-10)
    np.testing.assert_allclose(result.sigma, sigma, rtol=1e-9)
    assert matched(result.v, v).max() < 1e-9
    assert not result.commonness.any()


# ---- planted decompositions


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("log_kappa", [0, 3, 6, 9])
def test_planted_sigma(n: int, log_kappa: int) -> None:
    rng = np.random.default_rng(log_kappa)
    sigma = separated_sigma(n, 8)
    x = with_condition(rng, 8, 8, log_kappa)
    matrices = planted(rng, [9 + i for i in range(n)], sigma, x)
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    kappa = np.linalg.cond(result.v)
    assert abs(result.sigma - sigma).max() <= EPS * (20 + 2 * kappa)
    assert result.resolved.all()
    assert (result.owner == -1).all()
    assert matched(result.v, x).max() <= 1e3 * EPS * (1 + kappa)


@pytest.mark.parametrize("n", [2, 3])
def test_planted_float32(n: int) -> None:
    rng = np.random.default_rng(5)
    sigma = separated_sigma(n, 6)
    matrices = planted(rng, [20] * n, sigma, rng.standard_normal((6, 6)), np.float32)
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    eps = float(np.finfo(np.float32).eps)
    assert abs(result.sigma - sigma).max() <= eps * (20 + 2 * np.linalg.cond(result.v))


def test_two_matrices_resolve_sigma_down_to_eps() -> None:
    rng = np.random.default_rng(0)
    small = np.array([1e-2, 1e-5, 1e-9, 1e-12])
    sines = np.concatenate([[0.6], small, np.sqrt(1 - small**2)])
    sigma = np.vstack([sines, np.sqrt(1 - sines**2)])
    sigma[1, 5:] = small
    matrices = planted(rng, [12, 14], sigma, with_condition(rng, 9, 9, 1))
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    found, expected = (np.sort(s, axis=1) for s in (result.sigma, sigma))
    assert abs(found - expected).max() <= EPS * (20 + 2 * np.linalg.cond(result.v))
    assert (result.owner == -1).all()


@pytest.mark.parametrize("n", [3, 4])
def test_isolated_common_and_owner(n: int) -> None:
    rng = np.random.default_rng(n)
    owners = [0, 0, 1, n - 1]
    sigma = np.zeros((n, 2 + 2 + len(owners)))
    sigma[:, :2] = 1 / np.sqrt(n)
    sigma[:, 2] = np.sqrt(np.arange(1, n + 1) / np.arange(1, n + 1).sum())
    sigma[:, 3] = np.sqrt(np.arange(1, n + 1)[::-1] / np.arange(1, n + 1).sum())
    for k, owner in enumerate(owners):
        sigma[owner, 4 + k] = 1
    m = sigma.shape[1]
    x = with_condition(rng, m, m, 2)
    matrices = planted(rng, [(s > 0).sum() for s in sigma], sigma, x)
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    assert backward_error(result, matrices) <= 200
    assert result.owner.tolist() == [-1] * 4 + owners
    assert result.resolved.tolist() == [False, False, True, True, False, False, True, True]
    np.testing.assert_allclose(result.sigma[:, [0, 1, 4, 5, 6, 7]], sigma[:, [0, 1, 4, 5, 6, 7]], atol=1e-13)
    # Directions 2 and 3 share τ; the class numbers tell them apart, the lower ones first.
    np.testing.assert_allclose(result.sigma[:, [3, 2]], sigma[:, [2, 3]], atol=1e-13)
    np.testing.assert_allclose(result.commonness[[0, 1, 4, 7]], [0, 0, 1, 1], atol=1e-12)
    # Subspaces that are not resolved further: orthogonal columns of V, longest first.
    for a, b in ((0, 1), (4, 5)):
        v = result.v
        assert abs(v[:, a] @ v[:, b]) <= 1e-13 * np.linalg.norm(v[:, a]) * np.linalg.norm(v[:, b])
        assert np.linalg.norm(v[:, a]) >= np.linalg.norm(v[:, b])
        basis = np.linalg.qr(x[:, [a, b]])[0]
        np.testing.assert_allclose(basis @ (basis.T @ v[:, [a, b]]), v[:, [a, b]], atol=1e-12)
    # An isolated direction is a zero of every other matrix, and no filler stands there.
    assert ((result.sigma[:, 4:] > 0).sum(axis=0) == 1).all()


def test_fewer_rows_than_the_isolated_dimension() -> None:
    rng = np.random.default_rng(1)
    matrices = [rng.standard_normal((2, 9)), rng.standard_normal((3, 9)), rng.standard_normal((1, 9))]
    with pytest.warns(WavelensWarning, match="every direction belongs to one matrix"):
        result = ho_gsvd(matrices)
    check_structure(result, matrices)
    assert result.rank == 6
    assert sorted(result.owner) == [0, 0, 1, 1, 1, 2]
    with pytest.warns(WavelensWarning, match="every direction"):
        two = ho_gsvd(matrices[:2])
    assert sorted(two.owner) == [0, 0, 1, 1, 1]
    check_structure(two, matrices[:2])


@pytest.mark.parametrize("n", [2, 3])
def test_identical_matrices_are_all_common(n: int) -> None:
    d = np.random.default_rng(0).standard_normal((12, 5))
    result = ho_gsvd([d] * n)
    check_structure(result, [d] * n)
    np.testing.assert_allclose(result.sigma, 1 / np.sqrt(n), atol=1e-14)
    np.testing.assert_allclose(result.commonness, 0, atol=1e-12)
    assert not result.resolved.any()
    # V is that of the SVD of the stack.
    np.testing.assert_allclose(np.linalg.norm(result.v, axis=0), np.sqrt(n) * np.linalg.svd(d)[1], rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3])
def test_a_zero_matrix(n: int) -> None:
    rng = np.random.default_rng(0)
    matrices = [np.zeros((4, 5)), *(rng.standard_normal((8, 5)) for _ in range(n - 1))]
    result = quiet(matrices)
    check_structure(result, matrices)
    assert not result.sigma[0].any()
    assert not result.u[0].any()


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("rows", [3, 12, 300])
@pytest.mark.parametrize("rank", [3, 6])
def test_zero_columns(n: int, rows: int, rank: int) -> None:
    rng = np.random.default_rng(rows)
    basis = rng.standard_normal((rank, 9))
    basis[:, [0, 4, 8]] = 0
    matrices = [rng.standard_normal((rows, rank)) @ basis for _ in range(n)]
    result = quiet(matrices)
    check_structure(result, matrices)
    assert result.rank == min(rank, n * rows)
    assert not result.v[[0, 4, 8]].any()
    assert backward_error(result, matrices) <= 200
    np.testing.assert_allclose(result.transform(matrices[1]), result.u[1] * result.sigma[1], atol=1e-11)


# ---- conditioning and scale


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("log_kappa", [3, 6, 8, 10, 12, 14, 15])
def test_backward_error_whatever_the_conditioning(n: int, log_kappa: int) -> None:
    rng = np.random.default_rng(log_kappa)
    x = with_condition(rng, 10, 10, log_kappa)
    matrices = [rng.standard_normal((12 + i, 10)) @ x.T for i in range(n)]
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    assert backward_error(result, matrices) <= 200


@pytest.mark.parametrize("log_kappa", [3, 7, 10, 13])
def test_backward_error_of_larger_matrices(log_kappa: int) -> None:
    rng = np.random.default_rng(log_kappa)
    x = with_condition(rng, 150, 150, log_kappa)
    matrices = [rng.standard_normal((160 + i, 150)) @ x.T for i in range(3)]
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    assert backward_error(result, matrices) <= 200 if result.rank == 150 else 2000


@pytest.mark.parametrize("kind", ["even", "coherent", "rank", "kappa"])
@pytest.mark.parametrize("n", [2, 3])
def test_many_more_rows_than_columns(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    matrices = [rng.standard_normal((700 + 10 * i, 20)) for i in range(n)]
    if kind == "coherent":  # what a few rows tell is told by no other
        for i, d in enumerate(matrices):
            d[:, 3] = 0
            d[100 + 7 * i, 3] = 1e4
            d[250 + 3 * i, :] *= 1e3
    elif kind == "kappa":
        x = with_condition(rng, 20, 20, 9)
        matrices = [d @ x for d in matrices]
    elif kind == "rank":
        basis = rng.standard_normal((15, 20))
        matrices = [d[:, :15] @ basis for d in matrices]
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    assert result.rank == (15 if kind == "rank" else 20)
    assert backward_error(result, matrices) <= 200
    if kind == "even":
        sigma, _, tau = kempf(matrices, 1e-3)
        np.testing.assert_allclose(result.sigma, sigma, atol=1e-11)
        np.testing.assert_allclose(result.tau, tau, rtol=1e-11)


def test_exact_at_kappa_1e12_where_the_naive_formula_fails() -> None:
    rng = np.random.default_rng(3)
    sigma = separated_sigma(2, 20)
    x = with_condition(rng, 20, 20, 12)
    matrices = planted(rng, [40, 50], sigma, x)
    result = ho_gsvd(matrices, normalization="unit")
    assert backward_error(result, matrices) <= 200
    try:
        naive, _, _ = ponnapalli(matrices)
    except np.linalg.LinAlgError:
        return
    assert not abs(np.sort(naive / result.sigma) - 1).max() < 1e-3


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("scale", [1e-15, 2.0**300, 2.0**-300, 1e-300, 1e300])
def test_scale_of_the_data_does_not_matter(n: int, scale: float) -> None:
    rng = np.random.default_rng(n)
    matrices = [rng.standard_normal((15, 8)) for _ in range(n)]
    plain = ho_gsvd(matrices)
    scaled = ho_gsvd([scale * d for d in matrices])
    assert scaled.rank == 8
    if np.log2(scale).is_integer():
        np.testing.assert_array_equal(scaled.sigma, plain.sigma)
        np.testing.assert_array_equal(scaled.v, scale * plain.v)
    else:
        np.testing.assert_allclose(scaled.sigma, plain.sigma, atol=1e-13)
    np.testing.assert_allclose(scaled.tau, plain.tau, rtol=1e-11)
    np.testing.assert_allclose(
        scaled.transform(scale * matrices[0]), plain.transform(matrices[0]), atol=1e-13
    )


@pytest.mark.parametrize("n", [2, 3])
def test_column_scalings_do_not_matter(n: int) -> None:
    rng = np.random.default_rng(n)
    matrices = [rng.standard_normal((20, 12)) for _ in range(n)]
    scaling = 10.0 ** rng.uniform(-9, 9, 12)
    plain, scaled = ho_gsvd(matrices), ho_gsvd([d * scaling for d in matrices])
    assert scaled.rank == 12
    np.testing.assert_allclose(scaled.sigma, plain.sigma, atol=1e-12)
    np.testing.assert_allclose(scaled.tau, plain.tau, rtol=1e-11)
    assert matched(scaled.v / scaling[:, None], plain.v).max() < 1e-11
    assert backward_error(scaled, [d * scaling for d in matrices]) <= 200


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    unit = float(abs(expected).max())
    return float(np.linalg.norm(found.astype(float) / unit - expected.astype(float) / unit))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_weights_of_any_size_decompose_or_are_refused(data: Any) -> None:
    """Weighted data within the dtype's range do not see the weights; others are refused, by name."""
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    n = data.draw(st.integers(2, 4))
    limits = np.finfo(dtype)
    span = 36 if dtype == np.float32 else 300
    unit = 10.0 ** data.draw(st.integers(-span, span))
    weight = 10.0 ** data.draw(st.integers(-322, 308))
    rng = np.random.default_rng(n)
    matrices = [(rng.uniform(0.5, 1, (12, 4)) * unit).astype(dtype) for _ in range(n)]
    plain = ho_gsvd(matrices)
    product = np.log10(unit) + np.log10(weight)
    if not np.log10(limits.smallest_subnormal) - 2 < product < np.log10(limits.max):
        with pytest.raises(ValueError, match="`weights`"):
            ho_gsvd(matrices, weights=[weight] * n)
        return
    try:
        result = ho_gsvd(matrices, weights=[weight] * n)
    except ValueError:
        assert not np.log10(limits.tiny) + 1 < product < np.log10(limits.max) - 3
        return
    np.testing.assert_allclose(result.sigma, plain.sigma, atol=100 * limits.eps)
    if product > np.log10(limits.tiny) + 1 and weight > 1e-300:
        for i, d in enumerate(matrices):
            assert relative_error(result.reconstruct(i), d) <= 200 * limits.eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", ["data", "weights"])
@pytest.mark.parametrize("log_kappa", [0, 12])
@given(tenths=st.integers(0, 9), which=st.integers(0, 2), low_rank=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_faint_matrix_keeps_its_content(
    dtype: type, how: str, log_kappa: int, tenths: int, which: int, low_rank: bool
) -> None:
    """Of three matrices each is exact in its own units, down to the smallest numbers."""
    log_kappa = log_kappa if dtype == np.float64 else log_kappa // 4
    factor = 10.0 ** (-tenths / 10 * (30 if dtype == np.float32 else 280))
    rng = np.random.default_rng(which)
    x = with_condition(rng, 7, 5 if low_rank else 7, log_kappa).T
    matrices = [(rng.standard_normal((20, len(x))) @ x).astype(dtype) for _ in range(3)]
    if low_rank:  # exactly, in either dtype: the last two columns repeat the first
        matrices = [np.hstack([d[:, :5], d[:, :2]]) for d in matrices]
    weights = np.ones(3)
    if how == "data":
        matrices[which] = matrices[which] * dtype(factor)
    else:
        weights[which] = factor
    result = ho_gsvd(matrices, weights=weights)
    eps = np.finfo(dtype).eps
    assert result.sigma[which].any()
    for i, d in enumerate(matrices):
        assert relative_error(result.reconstruct(i), d) <= 1e3 * eps * np.linalg.norm(d / abs(d).max())
        held = result.u[i] * result.sigma[i]
        unit = abs(held).max()
        seen = result.transform(d) / unit * dtype(weights[i])
        bound = 200 * eps * np.linalg.cond(result.v[:, :].astype(float))
        np.testing.assert_allclose(seen, held / unit, atol=bound)


@pytest.mark.parametrize("n", [2, 3])
def test_content_that_rounding_takes_is_not_lost_silently(n: int) -> None:
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((4, 6))
    matrices = [rng.standard_normal((20, 4)) @ basis for _ in range(n)]
    matrices[1] = 1e-20 * rng.standard_normal((20, 6))
    with pytest.warns(WavelensWarning, match=r"matrices\[1\] is below rounding of the others"):
        ho_gsvd(matrices)


# ---- invariances


@pytest.mark.parametrize("n", [2, 3, 5])
def test_invariances(n: int) -> None:
    rng = np.random.default_rng(n)
    matrices = [rng.standard_normal((14 + i, 8)) for i in range(n)]
    plain = ho_gsvd(matrices)

    turned = ho_gsvd([np.linalg.qr(rng.standard_normal((len(d), len(d))))[0] @ d for d in matrices])
    np.testing.assert_allclose(turned.sigma, plain.sigma, atol=1e-12)
    np.testing.assert_allclose(turned.tau, plain.tau, rtol=1e-11)
    np.testing.assert_allclose(turned.v, plain.v, atol=1e-11)

    order = rng.permutation(n)
    shuffled = ho_gsvd([matrices[i] for i in order])
    np.testing.assert_allclose(shuffled.sigma, plain.sigma[order], atol=1e-12)
    np.testing.assert_allclose(shuffled.tau, plain.tau, rtol=1e-11)

    x = rng.standard_normal((8, 8))
    right = ho_gsvd([d @ x for d in matrices])
    np.testing.assert_allclose(right.sigma, plain.sigma, atol=1e-11)
    np.testing.assert_allclose(right.tau, plain.tau, rtol=1e-10)
    assert matched(right.v, x.T @ plain.v).max() < 1e-10

    longer = ho_gsvd([np.vstack([np.zeros((3, 8)), d, np.zeros((5, 8))]) for d in matrices])
    np.testing.assert_allclose(longer.sigma, plain.sigma, atol=1e-12)
    np.testing.assert_allclose(longer.u[0][3:-5], plain.u[0], atol=1e-11)


def test_two_matrices_do_not_depend_on_the_ridge() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((14, 8)) for _ in range(2)]
    first, second = ho_gsvd(matrices, ridge=0), ho_gsvd(matrices, ridge=10.0)
    np.testing.assert_array_equal(first.sigma, second.sigma)
    np.testing.assert_array_equal(first.v, second.v)
    np.testing.assert_allclose(first.tau, (1 / first.sigma**2).mean(axis=0))


# ---- options


def test_normalization_unit() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((14, 8)) for _ in range(3)]
    csd, unit = ho_gsvd(matrices), ho_gsvd(matrices, normalization="unit")
    lengths = np.linalg.norm(csd.v, axis=0)
    np.testing.assert_allclose(unit.v, csd.v / lengths, rtol=1e-13)
    np.testing.assert_allclose(unit.sigma, csd.sigma * lengths, rtol=1e-13)
    np.testing.assert_allclose(unit.transform(matrices[1]), unit.u[1] * unit.sigma[1], atol=1e-12)
    np.testing.assert_allclose(unit.angle(0, 2), csd.angle(0, 2), atol=1e-13)


@pytest.mark.parametrize("n", [2, 3])
def test_weights(n: int) -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((10 * (i + 1), 6)) for i in range(n)]
    rows = np.array([len(d) for d in matrices])
    by_size = ho_gsvd(matrices, weights="size")
    by_hand = ho_gsvd([d / np.sqrt(len(d)) for d in matrices])
    np.testing.assert_allclose(by_size.sigma, by_hand.sigma, atol=1e-13)
    np.testing.assert_allclose(by_size.v, by_hand.v, atol=1e-12)
    np.testing.assert_array_equal(ho_gsvd(matrices, weights=1 / np.sqrt(rows)).sigma, by_size.sigma)
    np.testing.assert_allclose(by_size.reconstruct(1), matrices[1], atol=1e-13)
    np.testing.assert_allclose(
        by_size.transform(matrices[1]), by_size.u[1] * by_size.sigma[1] * np.sqrt(rows[1]), atol=1e-12
    )


@pytest.mark.parametrize("n", [2, 3])
def test_triangular_factors_serve_as_matrices(n: int) -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((30 + i, 6)) for i in range(n)]
    factors = [TriangularFactor(np.linalg.qr(d, mode="r"), len(d)) for d in matrices]
    plain, by_factor = (ho_gsvd(which, weights="size") for which in (matrices, factors))
    np.testing.assert_allclose(by_factor.sigma, plain.sigma, atol=1e-13)
    np.testing.assert_allclose(by_factor.v, plain.v, atol=1e-12)
    np.testing.assert_allclose(by_factor.transform(matrices[0]), plain.transform(matrices[0]), atol=1e-12)


def test_transform_of_new_rows() -> None:
    rng = np.random.default_rng(0)
    full = ho_gsvd([rng.standard_normal((20, 6)) for _ in range(3)])
    new = rng.standard_normal((2500, 6))
    np.testing.assert_allclose(full.transform(new) @ full.v.T, new, atol=1e-12)
    basis = rng.standard_normal((4, 6))
    deficient = ho_gsvd([rng.standard_normal((20, 4)) @ basis for _ in range(3)])
    assert deficient.rank == 4
    inside = rng.standard_normal((7, 4)) @ basis
    np.testing.assert_allclose(deficient.transform(inside) @ deficient.v.T, inside, atol=1e-12)
    # Least squares in the scaled columns for what lies outside: the residual is orthogonal to V there.
    rest = new - deficient.transform(new) @ deficient.v.T
    weights = [
        4.0**-k
        for k in np.floor(
            np.log2(np.sqrt((np.vstack([deficient.reconstruct(i) for i in range(3)]) ** 2).sum(axis=0)))
        )
    ]
    assert abs((rest * weights) @ deficient.v).max() < 1e-11


@pytest.mark.parametrize("log_kappa", [2, 7, 12])
def test_transform_is_backward_stable(log_kappa: int) -> None:
    rng = np.random.default_rng(0)
    x = with_condition(rng, 100, 100, log_kappa)
    matrices = [rng.standard_normal((120, 100)) @ x.T for _ in range(3)]
    result = ho_gsvd(matrices)
    for rows in (matrices[0], matrices[1][:3]):
        residual = result.transform(rows) @ result.v.T - rows
        assert np.linalg.norm(residual) <= 1e3 * EPS * np.linalg.norm(rows)


def test_reconstruct_from_some_components() -> None:
    rng = np.random.default_rng(0)
    result = ho_gsvd([rng.standard_normal((9, 5)) for _ in range(2)])
    terms = [np.outer(result.u[1][:, k] * result.sigma[1, k], result.v[:, k]) for k in range(5)]
    np.testing.assert_allclose(result.reconstruct(1, [0, 3]), terms[0] + terms[3], atol=1e-14)
    np.testing.assert_allclose(result.reconstruct(1, slice(2)), terms[0] + terms[1], atol=1e-14)
    np.testing.assert_allclose(result.reconstruct(1, result.sigma[0] < 0), np.zeros((9, 5)), atol=0)
    np.testing.assert_array_equal(result.reconstruct(1, []), np.zeros((9, 5)))
    np.testing.assert_array_equal(result.reconstruct(1, [-1]), result.reconstruct(1, [4]))
    with pytest.raises(TypeError, match="`components` must be"):
        result.reconstruct(1, 3)
    for wrong in (99, 5, -6):
        with pytest.raises(ValueError, match=rf"between 0 and 4 \(there are 5 directions\), got {wrong}"):
            result.reconstruct(0, [0, wrong])
    with pytest.raises(ValueError, match="one entry for each of the 5 directions, got 3"):
        result.reconstruct(0, [True, False, True])


def test_angle_and_log_ratio() -> None:
    rng = np.random.default_rng(0)
    sigma = np.array([[0.6, 1.0, 0.0], [0.8, 0.0, 1.0]])
    result = ho_gsvd(planted(rng, [5, 5], sigma, rng.standard_normal((3, 3))))
    np.testing.assert_allclose(
        result.angle(0, 1), [np.arctan2(0.6, 0.8) - np.pi / 4, np.pi / 4, -np.pi / 4], atol=1e-14
    )
    np.testing.assert_allclose(result.log_ratio(0, 1), [np.log(0.75), np.inf, -np.inf], atol=1e-13)
    with pytest.raises(ValueError, match=r"`j` must be between 0 and 1 \(there are 2 matrices\), got 2"):
        result.angle(0, 2)


def test_result_is_frozen() -> None:
    result = ho_gsvd([np.eye(3), np.diag([1.0, 2, 3])])
    with pytest.raises(AttributeError):
        result.rank = 2  # type: ignore[misc]


def test_rtol_sets_the_rank() -> None:
    rng = np.random.default_rng(0)
    x = with_condition(rng, 8, 8, 7)
    matrices = [rng.standard_normal((10, 8)) @ x.T for _ in range(3)]
    assert ho_gsvd(matrices).rank == 8
    cut = ho_gsvd(matrices, rtol=1e-4)
    assert 3 <= cut.rank <= 6
    stack = np.vstack(matrices)
    rebuilt = np.vstack([cut.reconstruct(i) for i in range(3)])
    assert np.linalg.norm(rebuilt - stack) <= 1e-2 * np.linalg.norm(stack)


@pytest.mark.parametrize("n", [2, 3])
def test_duplicated_columns_and_rows(n: int) -> None:
    rng = np.random.default_rng(0)
    matrices = [np.repeat(rng.standard_normal((9, 5)), 2, axis=1) for _ in range(n)]
    matrices = [np.vstack([d, d[:4]]) for d in matrices]
    result = ho_gsvd(matrices)
    check_structure(result, matrices)
    assert result.rank == 5
    assert backward_error(result, matrices) <= 200
    np.testing.assert_allclose(result.v[::2], result.v[1::2], atol=1e-13)


def test_input_dtypes() -> None:
    rng = np.random.default_rng(0)
    whole = [rng.integers(-5, 6, (8, 4)) for _ in range(2)]
    np.testing.assert_array_equal(ho_gsvd(whole).v, ho_gsvd([d.astype(float) for d in whole]).v)
    assert ho_gsvd([whole[0].astype(np.float32), whole[1].astype(np.float16)]).v.dtype == np.float32
    assert ho_gsvd([whole[0].astype(np.float32), whole[1]]).v.dtype == np.float64
    frozen = [d.astype(float) for d in whole]
    for d in frozen:
        d.flags.writeable = False
    assert ho_gsvd(frozen).rank == 4
    assert ho_gsvd(np.stack(frozen)).rank == 4


# ---- threads and interruption


@pytest.mark.parametrize("n_matrices", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["tall", "wide", "low rank", "faint"])
def test_threads_change_no_bit(n_matrices: int, dtype: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    rows = 120 if kind == "wide" else 300
    matrices = [rng.standard_normal((rows, 190)) for _ in range(n_matrices)]
    if kind == "low rank":
        basis = rng.standard_normal((90, 190))
        matrices = [d[:, :90] @ basis for d in matrices]
    if kind == "faint":
        matrices[0] *= 1e-3
    matrices = [d.astype(dtype) for d in matrices]
    before = wavelens.num_threads()
    results = []
    for count in (1, 2):
        wavelens.set_num_threads(count)
        results.append(quiet(matrices))
    wavelens.set_num_threads(before)
    for name in ("sigma", "v", "tau"):
        np.testing.assert_array_equal(getattr(results[0], name), getattr(results[1], name))
    for first, second in zip(results[0].u, results[1].u, strict=True):
        np.testing.assert_array_equal(first, second)


def test_two_python_threads_at_once() -> None:
    rng = np.random.default_rng(0)
    problems = [[rng.standard_normal((120, 40 + i)) for _ in range(2 + i)] for i in range(4)]
    alone = [ho_gsvd(each) for each in problems]
    found: dict[int, HOGSVD] = {}

    def work(which: int) -> None:
        for _ in range(5):
            found[which] = ho_gsvd(problems[which])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    for i in range(4):
        np.testing.assert_allclose(found[i].sigma, alone[i].sigma, atol=1e-11)


def test_progress_rises_and_can_stop_the_call() -> None:
    # Every stage's own tick is tested in the engine; here they are thinned to twenty a second.
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((700, 500)) for _ in range(4)]
    seen: list[float] = []
    ho_gsvd(matrices, progress=seen.append)
    assert seen
    assert seen == sorted(seen)
    assert all(0 <= done <= 1 for done in seen)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ho_gsvd(matrices, progress=stop)


# ---- bad input


def test_a_factor_of_more_rank_than_rows() -> None:
    with pytest.raises(
        ValueError, match=r"`matrices\[1\].n_rows` must be at least the rank of `matrices\[1\].r`"
    ):
        ho_gsvd([np.eye(6), TriangularFactor(np.eye(6), n_rows=1)])
    # Rows that are only rounding, as a tree of QR decompositions leaves them, do not count.
    r = np.diag([1.0, 2.0, 3.0, 1e-17, 1e-17, 0.0])
    assert ho_gsvd([np.eye(6), TriangularFactor(r, n_rows=3)]).rank == 6


def test_bad_matrices() -> None:
    good = np.eye(3)
    bad = np.eye(3)
    bad[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"`matrices\[1\]` must be finite, got nan at row 1, column 2"):
        ho_gsvd([good, bad])
    with pytest.raises(ValueError, match=r"matrices\[0\] has 3, matrices\[1\] has 4"):
        ho_gsvd([good, np.ones((3, 4))])
    with pytest.raises(TypeError, match=r"`matrices\[1\]` must hold real numbers, got dtype complex128"):
        ho_gsvd([good, good * 1j])
    with pytest.raises(TypeError, match=r"`matrices\[0\]` must hold real numbers, got dtype object"):
        ho_gsvd([good.astype(object), good])
    with pytest.raises(ValueError, match=r"`matrices\[0\]` must have 2 dimensions"):
        ho_gsvd([np.ones(3), good])
    with pytest.raises(ValueError, match=r"`matrices\[1\]` must not be empty"):
        ho_gsvd([good, np.ones((0, 3))])
    for few in ([], [good]):
        with pytest.raises(ValueError, match=f"at least 2 matrices, got {len(few)}"):
            ho_gsvd(few)
    with pytest.raises(ValueError, match="one array of shape"):
        ho_gsvd(good)
    with pytest.raises(TypeError, match="sequence of matrices"):
        ho_gsvd(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every entry of the matrices is zero"):
        ho_gsvd([0 * good, 0 * good])


def test_bad_options() -> None:
    matrices = [np.eye(3), np.ones((3, 3))]
    with pytest.raises(ValueError, match="`ridge` must be finite and at least 0, got -1"):
        ho_gsvd(matrices, ridge=-1)
    for ridge in (1e39, 1e-45):
        with pytest.raises(ValueError, match=r"`ridge` must be 0 or between .* for float32"):
            ho_gsvd([d.astype(np.float32) for d in matrices], ridge=ridge)
    with pytest.raises(ValueError, match="`weights` must not differ by more than a factor of"):
        ho_gsvd(matrices, weights=[1e-300, 1e100])
    with pytest.raises(TypeError, match="`progress` must be a function"):
        ho_gsvd(matrices, progress=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`ridge` must be a number"):
        ho_gsvd(matrices, ridge="small")  # type: ignore[arg-type]
    for n in (2, 3):
        with pytest.raises(ValueError, match=r"full column rank \(3\), matrix 1 has not"):
            ho_gsvd([np.eye(3), np.ones((3, 3)), np.eye(3)][:n], ridge=0)
    with pytest.raises(ValueError, match="`normalization` must be one of 'csd', 'unit'"):
        ho_gsvd(matrices, normalization="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one number for each of the 2 matrices"):
        ho_gsvd(matrices, weights=[1.0])
    with pytest.raises(ValueError, match="positive and finite"):
        ho_gsvd(matrices, weights=[1.0, 0.0])
    with pytest.raises(ValueError, match="one of 'size', got 'rows'"):
        ho_gsvd(matrices, weights="rows")
    with pytest.raises(TypeError, match="`weights` must be"):
        ho_gsvd(matrices, weights=[1j, 1])
    with pytest.raises(ValueError, match="`rtol` must be below 1"):
        ho_gsvd(matrices, rtol=2.0)
    with pytest.raises(ValueError, match="`rows` must have 3 columns like the decomposed matrices, got 4"):
        ho_gsvd([np.eye(3), np.diag([1.0, 2, 3])]).transform(np.ones((2, 4)))


# ---- real data


@pytest.mark.realdata
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ct_images(real_data: Path, dtype: type) -> None:
    with np.load(real_data / "sars_cov2_ct.npz") as file:
        images, labels = file["images"], file["labels"]
    pixels = images.reshape(len(images), -1)[:, ::14].astype(dtype)
    matrices = [pixels[labels == label] for label in np.unique(labels)]
    result = ho_gsvd(matrices, normalization="unit")
    check_structure(result, matrices, "unit")
    assert backward_error(result, matrices) <= 200
    rows = result.transform(matrices[0])
    assert np.linalg.norm(rows @ result.v.T - matrices[0]) <= 1e3 * np.finfo(dtype).eps * np.linalg.norm(
        matrices[0]
    )
