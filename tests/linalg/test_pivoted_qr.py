"""Properties of pivoted QR: backward error, invariances, quality, the hard cases, bad input."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.pivoted_qr import diagonal, greedy, largest_exchange, left_out

import wavelens
from wavelens.linalg import pivoted_qr

METHODS = ("blocked", "exact", "strong", "sketch")


def check_factors(a, result):
    """Q orthonormal, A[:, permutation] = QR in the chosen columns, R upper triangular, the diagonal true."""
    n, p = a.shape
    eps = np.finfo(a.dtype).eps
    r, q, rank = result.r.astype(np.float64), result.q.astype(np.float64), result.rank
    assert result.q.dtype == result.r.dtype == result.r_diag.dtype == a.dtype
    assert q.shape == (n, rank)
    assert r.shape == (rank, p)
    assert sorted(result.permutation) == list(range(p))
    assert np.array_equal(result.pivots, result.permutation[:rank])
    assert np.array_equal(np.diag(result.r), result.r_diag)
    assert (result.r_diag > 0).all()
    assert np.abs(q.T @ q - np.eye(rank)).max(initial=0) <= 100 * eps * np.sqrt(max(rank, 1))
    assert not np.tril(r[:, :rank], -1).any()
    exact = a.astype(np.float64)[:, result.permutation]
    scale = np.linalg.norm(exact, axis=0).max(initial=0)
    assert np.abs(q @ r - exact)[:, :rank].max(initial=0) <= 50 * eps * scale
    assert np.abs(q.T @ exact - r).max(initial=0) <= 50 * eps * scale * np.sqrt(n)


def wavelet_like(n, p, seed=0):
    """White columns whose norms fall like those of wavelet coefficients, in no order."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)) * rng.permutation(1.0 / np.arange(1, p + 1)) ** 0.7


def with_singular_values(n, p, values, seed=0):
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.standard_normal((n, len(values))))[0]
    v = np.linalg.qr(rng.standard_normal((p, len(values))))[0]
    return (u * values) @ v.T


def kahan(n, angle=1.2):
    """Kahan's matrix; its columns shrunk a little, so that rounding does not pivot it after all."""
    s, c = np.sin(angle), np.cos(angle)
    a = (np.triu(np.full((n, n), -c), 1) + np.eye(n)) * (s ** np.arange(n))[:, None]
    return a * (1 - 1e-12 * np.arange(n))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_factors_for_all_shapes_layouts_and_ranks(method, data):
    n, p = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    k = data.draw(st.integers(1, min(n, p)))
    rank = data.draw(st.integers(0, min(n, p)))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    seed = data.draw(st.integers(0, 2**32))
    exact = with_singular_values(n, p, np.linspace(2, 1, rank), seed).astype(dtype)
    layout = data.draw(st.sampled_from(["C", "F", "strided", "negative"]))
    if layout == "strided":
        a = np.zeros((2 * n, 3 * p), dtype)[::2, ::3]
    elif layout == "negative":
        a = np.zeros((n, p), dtype)[::-1, ::-1]
    else:
        a = np.zeros((n, p), dtype, order=layout)
    a[:] = exact
    a.flags.writeable = False
    result = pivoted_qr(a, k, method=method, rtol=1e-4, with_q=True, with_r=True)
    assert np.array_equal(a, exact)
    assert result.rank == min(k, rank)
    check_factors(a, result)
    same = pivoted_qr(np.ascontiguousarray(a), k, method=method, rtol=1e-4, with_r=True)
    assert np.array_equal(same.permutation, result.permutation)
    assert np.array_equal(same.r, result.r)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(700, 900, 400), (400, 900, 400), (900, 400, 400), (3000, 150, 60)])
def test_factors_of_larger_matrices(method, dtype, shape):
    n, p, k = shape
    a = wavelet_like(n, p).astype(dtype)
    result = pivoted_qr(a, k, method=method, with_q=True, with_r=True, rtol=1e-6)
    assert result.rank == k
    check_factors(a, result)
    plain = pivoted_qr(a, k, method=method, rtol=1e-6)
    assert plain.q is None
    assert plain.r is None
    assert np.array_equal(plain.pivots, result.pivots)
    assert np.array_equal(plain.r_diag, result.r_diag)
    np.testing.assert_allclose(plain.r_diag, diagonal(a, plain.pivots), rtol=2000 * np.finfo(dtype).eps)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 2**32))
def test_exact_and_blocked_on_few_rows_make_the_greedy_choice(n, p, seed):
    a = np.random.default_rng(seed).standard_normal((n, p))
    k = min(n, p)
    pivots, lengths = greedy(a, k)
    for method in ("exact", "blocked"):
        result = pivoted_qr(a, k, method=method)
        assert np.array_equal(result.pivots, pivots)
        np.testing.assert_allclose(result.r_diag, lengths, rtol=1e-9)


def test_exact_chooses_like_lapack():
    a = wavelet_like(300, 500)
    lapack = scipy.linalg.qr(a, mode="r", pivoting=True)[1]
    assert np.array_equal(pivoted_qr(a, 200, method="exact").pivots, lapack[:200])


QUALITY = {
    "wavelet-like": (lambda: wavelet_like(400, 900), 1.02),
    "flat": (lambda: np.random.default_rng(0).standard_normal((400, 900)), 1.02),
    "geometric decay": (lambda: with_singular_values(400, 900, 0.97 ** np.arange(400)), 1.05),
    "algebraic decay": (lambda: with_singular_values(400, 900, 1.0 / np.arange(1, 401) ** 2), 1.05),
    "step": (lambda: with_singular_values(400, 900, np.where(np.arange(400) < 200, 1, 1e-6)), 1.2),
}


@pytest.mark.parametrize("method", ["blocked", "strong"])
@pytest.mark.parametrize("spectrum", QUALITY)
def test_quality_of_the_chosen_columns_against_lapack(spectrum, method):
    make, limit = QUALITY[spectrum]
    a, k = make(), 200
    best = left_out(a, scipy.linalg.qr(a, mode="r", pivoting=True)[1][:k])
    ratios = [left_out(a, pivoted_qr(a, k, method=method, random_state=s).pivots) / best for s in range(5)]
    assert np.median(ratios) <= limit


def test_quality_of_the_sketch():
    a = wavelet_like(4000, 300)
    best = left_out(a, scipy.linalg.qr(a, mode="r", pivoting=True)[1][:80])
    assert left_out(a, pivoted_qr(a, 80, method="sketch").pivots) <= 1.05 * best


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "powers"), [(np.float64, (400, -400, 60)), (np.float32, (100, -90, 30))])
def test_powers_of_two_scale_r_and_nothing_else(method, dtype, powers):
    a = wavelet_like(1200, 250).astype(dtype)
    want = pivoted_qr(a, 100, method=method, with_q=True, with_r=True, rtol=0)
    for power in powers:
        got = pivoted_qr(np.ldexp(a, power), 100, method=method, with_q=True, with_r=True, rtol=0)
        assert np.array_equal(got.permutation, want.permutation)
        assert np.array_equal(got.q, want.q)
        assert np.array_equal(got.r, np.ldexp(want.r, power))
        assert np.array_equal(got.r_diag, np.ldexp(want.r_diag, power))


@pytest.mark.parametrize("method", METHODS)
def test_threads_change_no_bit(method):
    a = wavelet_like(1500, 400)
    before = wavelens.num_threads()
    results = []
    try:
        for count in (1, 2, 5):
            wavelens.set_num_threads(count)
            results.append(pivoted_qr(a, 200, method=method, with_q=True, with_r=True))
    finally:
        wavelens.set_num_threads(before)
    for each in results[1:]:
        assert np.array_equal(each.permutation, results[0].permutation)
        assert np.array_equal(each.q, results[0].q)
        assert np.array_equal(each.r, results[0].r)


def test_two_python_threads_at_once():
    matrices = [wavelet_like(800, 600, seed) for seed in range(2)]
    want = [pivoted_qr(a, 200).pivots for a in matrices]
    got = [None, None]

    def work(i):
        for _ in range(3):
            got[i] = pivoted_qr(matrices[i], 200).pivots

    workers = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(g, w) for g, w in zip(got, want, strict=True))


@pytest.mark.parametrize("n", [30, 90, 300])
def test_strong_mends_what_plain_pivoting_leaves_of_kahans_matrix(n):
    a = kahan(n)
    plain = pivoted_qr(a, n - 1, method="exact", rtol=0)
    assert np.array_equal(plain.pivots, np.arange(n - 1))
    strong = pivoted_qr(a, n - 1, method="strong", rtol=0, with_r=True)
    values = np.linalg.svd(a, compute_uv=False)
    assert strong.rank == n - 1
    assert np.abs(np.linalg.solve(strong.r[:, :-1], strong.r[:, -1])).max() <= 2
    assert np.linalg.svd(strong.r[:, :-1], compute_uv=False)[-1] >= values[-2] / np.sqrt(1 + 4 * (n - 1))


@pytest.mark.parametrize("shape", [(40, 90, 20), (300, 260, 120), (60, 60, 59), (250, 400, 249)])
def test_strong_keeps_its_promises(shape):
    n, p, k = shape
    a = with_singular_values(n, p, 10.0 ** np.linspace(0, -9, min(n, p)), seed=3)
    result = pivoted_qr(a, k, method="strong", with_r=True)
    entries, exchange = largest_exchange(a, result.pivots)
    assert entries <= 2 * (1 + 1e-6)
    assert exchange <= 2 * (1 + 1e-6)
    bound = np.sqrt(1 + 4 * k * (p - k))
    values = np.linalg.svd(a, compute_uv=False)
    assert (np.linalg.svd(result.r[:, :k], compute_uv=False) >= values[:k] / bound).all()


def test_strong_exchanges_many_columns():
    # Four of Kahan's matrices side by side, rotated: each hides a column that should not be kept.
    rng = np.random.default_rng(5)
    a = scipy.linalg.block_diag(*[kahan(40) * 2.0**-i for i in range(4)])
    a = np.linalg.qr(rng.standard_normal(a.shape))[0] @ a
    k = a.shape[1] - 4
    entries, exchange = largest_exchange(a, pivoted_qr(a, k, method="strong", rtol=0).pivots)
    assert max(entries, exchange) <= 2 * (1 + 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_duplicates_and_zero_columns_come_last(method):
    rng = np.random.default_rng(2)
    distinct = rng.standard_normal((600, 40))
    a = np.hstack([np.zeros((600, 20)), distinct, distinct, np.zeros((600, 5)), distinct])
    result = pivoted_qr(a, 120, method=method, with_q=True, with_r=True)
    assert result.rank == 40
    assert (np.linalg.norm(a[:, result.pivots], axis=0) > 0).all()
    assert len(set(a[0, result.pivots])) == 40
    check_factors(a, result)


@pytest.mark.parametrize("method", METHODS)
def test_a_matrix_of_zeros_has_rank_zero(method):
    result = pivoted_qr(np.zeros((30, 7)), 3, method=method, with_q=True, with_r=True)
    assert result.rank == 0
    assert result.q.shape == (30, 0)
    assert result.r.shape == (0, 7)
    assert np.array_equal(result.permutation, np.arange(7))


def test_ties_go_to_the_lowest_index():
    assert np.array_equal(pivoted_qr(np.eye(300), method="exact").pivots, np.arange(300))
    assert np.array_equal(pivoted_qr(np.eye(150), method="blocked").pivots, np.arange(150))
    same = np.ones((400, 5)) * np.array([1, 2, 2, 1, 2])
    for method in METHODS:
        assert np.array_equal(pivoted_qr(same, 2, method=method).pivots, [1])


@pytest.mark.parametrize("method", METHODS)
def test_norms_that_cancel(method):
    # |aⱼ|² = 2⁵⁴ + gⱼ²: a downdated norm would keep no digit of gⱼ.
    rng = np.random.default_rng(0)
    p = 60
    g = rng.permutation(np.arange(1.0, p + 1))
    a = np.vstack([np.full(p, 2.0**27), np.diag(g)])
    result = pivoted_qr(a, 20, method=method)
    others = result.pivots[1:]
    assert set(np.argsort(-g)[:12]) <= {*others, result.pivots[0]}
    np.testing.assert_allclose(result.r_diag, diagonal(a, result.pivots), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tall_matrices_with_all_information_in_a_few_rows(dtype):
    rng = np.random.default_rng(4)
    a = np.zeros((6000, 200), dtype)
    rows = rng.choice(6000, 50, replace=False)
    a[rows] = rng.standard_normal((50, 200))
    for method in ("sketch", "blocked"):
        result = pivoted_qr(a, 80, method=method, rtol=1e-4)
        assert result.rank == 50
        assert left_out(a, result.pivots) < 1e-3
        best = left_out(a, pivoted_qr(a, 30, method="exact").pivots)
        assert left_out(a, pivoted_qr(a, 30, method=method, rtol=1e-4).pivots) <= 1.1 * best


def test_the_rank_is_where_the_tolerance_says():
    values = 10.0 ** -np.arange(12.0)
    a = with_singular_values(400, 300, np.repeat(values, 5))
    for method in METHODS:
        result = pivoted_qr(a, 60, method=method, rtol=3e-7)
        assert 30 <= result.rank <= 40
        assert result.r_diag[-1] > 3e-7 * result.r_diag[0] * (1 - 1e-12)
        assert pivoted_qr(a, 60, method=method, rtol=1e-14).rank == 60


def test_graded_columns_down_to_the_smallest_numbers():
    grades = 10.0 ** -np.arange(0, 240, 10.0)
    a = np.random.default_rng(0).standard_normal((50, len(grades))) * grades
    result = pivoted_qr(a, rtol=0, with_q=True)
    assert np.array_equal(result.pivots, np.arange(len(grades)))
    np.testing.assert_allclose(result.r_diag / grades, diagonal(a / grades, result.pivots), rtol=1e-9)
    assert np.abs(result.q.T @ result.q - np.eye(len(grades))).max() < 1e-13


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 300), (300, 2)])
def test_thin_shapes(method, shape):
    a = np.random.default_rng(1).standard_normal(shape)
    result = pivoted_qr(a, method=method, with_q=True, with_r=True)
    assert result.rank == min(shape)
    check_factors(a, result)
    assert result.pivots[0] == np.argmax(np.linalg.norm(a, axis=0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_place_that_is_not_finite_is_named(method, value):
    a = np.ones((500, 40))
    a[300, 7] = a[300, 9] = a[400, 2] = value
    with pytest.raises(ValueError, match=rf"`a` must be finite, got {value} at row 300, column 7"):
        pivoted_qr(a, 5, method=method)
    with pytest.raises(ValueError, match="row 300, column 7"):
        pivoted_qr(np.asfortranarray(a, dtype=np.float32), 5, method=method)


def test_bad_arguments():
    for rtol in ("x", True, [0.1]):
        with pytest.raises(TypeError, match="`rtol` must be a number or None"):
            pivoted_qr(np.eye(3), rtol=rtol)
    with pytest.raises(TypeError, match="`progress` must be a function"):
        pivoted_qr(np.eye(3), progress=3)
    a = np.ones((6, 4))
    with pytest.raises(ValueError, match="`k` must be between 1 and 4"):
        pivoted_qr(a, 5)
    with pytest.raises(ValueError, match="`k` must be between 1 and 4"):
        pivoted_qr(a, 0)
    with pytest.raises(TypeError, match="`k` must be an integer"):
        pivoted_qr(a, 2.0)
    with pytest.raises(ValueError, match="`method` must be one of"):
        pivoted_qr(a, 2, method="best")
    with pytest.raises(ValueError, match="`rtol`"):
        pivoted_qr(a, 2, rtol=-1)
    with pytest.raises(ValueError, match="`rtol`"):
        pivoted_qr(a, 2, rtol=np.nan)
    with pytest.raises(ValueError, match="2 dimensions"):
        pivoted_qr(np.ones(4), 1)
    with pytest.raises(ValueError, match="empty"):
        pivoted_qr(np.ones((0, 4)))
    with pytest.raises(TypeError, match="real numbers"):
        pivoted_qr(np.ones((3, 3), complex))
    with pytest.raises(TypeError, match="real numbers"):
        pivoted_qr(np.array([[None, 1]], dtype=object))


def test_integers_become_float64():
    result = pivoted_qr(np.array([[3, 0], [0, 4]]))
    assert result.r_diag.dtype == np.float64
    assert np.array_equal(result.pivots, [1, 0])


@pytest.mark.parametrize("method", ["blocked", "sketch"])
def test_memory_maps(tmp_path, method):
    a = wavelet_like(2000, 120).astype(np.float32)
    np.save(tmp_path / "a.npy", a)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    want = pivoted_qr(a, 50, method=method, rtol=1e-6)
    assert np.array_equal(pivoted_qr(mapped, 50, method=method, rtol=1e-6).pivots, want.pivots)


def test_the_seed_decides():
    a = np.random.default_rng(0).standard_normal((600, 700))
    first = pivoted_qr(a, 100).pivots
    assert np.array_equal(first, pivoted_qr(a, 100).pivots)
    assert not np.array_equal(first, pivoted_qr(a, 100, random_state=1).pivots)


def test_ctrl_c_is_heard():
    a = np.random.default_rng(0).standard_normal((2500, 4000))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    start = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pivoted_qr(a, 1500, method="exact")
    timer.join()
    assert time.perf_counter() - start < 10


def test_results_compare_by_identity():
    first, second = pivoted_qr(np.eye(3)), pivoted_qr(np.eye(3))
    assert first == first
    assert first != second
    assert len({first, second}) == 2


@pytest.mark.realdata
def test_ct_wavelet_coefficients(real_data):
    pywt = pytest.importorskip("pywt")
    images = np.load(real_data / "sars_cov2_ct.npz")["images"].astype(np.float64)
    a = np.stack([pywt.coeffs_to_array(pywt.wavedec2(x, "db3", mode="symmetric"))[0].ravel() for x in images])
    result = pivoted_qr(a, 1200, with_q=True)
    rest = a - result.q @ (result.q.T @ a)
    lapack = scipy.linalg.qr(a, mode="r", pivoting=True, check_finite=False)[0]
    assert np.linalg.norm(rest) <= 1.02 * np.linalg.norm(lapack[1200:])
    assert np.array_equal(result.pivots, pivoted_qr(np.asfortranarray(a), 1200).pivots)
