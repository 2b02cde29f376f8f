"""States of a streamed matrix: chunking, merging, bytes, quality of what follows from them, bad input."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.pivoted_qr import left_out
from reference.streaming import omega, triangle

import wavelens
from wavelens.exceptions import DataError
from wavelens.linalg import pivoted_qr
from wavelens.linalg.streaming import RowSketch, TriangularFactor

EPS = {np.dtype(np.float32): 1.2e-7, np.dtype(np.float64): 2.3e-16}


def cuts(draw: Any, n: int) -> list[tuple[int, int]]:
    """Ranges that make up range(n), some of them empty."""
    inner = sorted(draw(st.lists(st.integers(0, n), max_size=6)))
    return list(zip([0, *inner], [*inner, n], strict=True))


@st.composite
def streams(draw: Any) -> tuple[np.ndarray, list[tuple[int, int]], np.dtype[Any], list[int]]:
    n, m = draw(st.integers(1, 700)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    kind = draw(st.sampled_from(["full", "low rank", "zero columns", "zero", "bytes"]))
    a = rng.standard_normal((n, m))
    if kind == "low rank":
        k = draw(st.integers(1, m))
        a = rng.standard_normal((n, k)) @ rng.standard_normal((k, m))
    elif kind == "zero columns":
        a[:, ::2] = 0
    elif kind == "zero":
        a[:] = 0
    dtype = np.dtype(draw(st.sampled_from([np.float32, np.float64])))
    a = (a * 50 + 100).clip(0, 255).astype(np.uint8) if kind == "bytes" else a.astype(dtype)
    layout = draw(st.sampled_from(["C", "F", "strided"]))
    if layout == "F":
        a = np.asfortranarray(a)
    elif layout == "strided":
        wide = np.zeros((2 * n, 3 * m), a.dtype)
        wide[::2, 1::3] = a
        a = wide[::2, 1::3]
    ranges = cuts(draw, n)
    return a, ranges, dtype, draw(st.permutations(range(len(ranges))))


def close(found: np.ndarray, expected: np.ndarray, dtype: np.dtype[Any], factor: float = 50) -> bool:
    return bool(
        np.abs(found - expected).max(initial=0) <= factor * EPS[dtype] * np.abs(expected).max(initial=1)
    )


# ---- RowSketch


@given(streams(), st.integers(1, 60), st.integers(0, 2**64 - 1))
@settings(max_examples=40, deadline=None)
def test_a_sketch_is_omega_times_the_rows_however_they_come(stream: Any, n_rows: int, seed: int) -> None:
    a, ranges, dtype, order = stream
    plain = np.asarray(a, dtype=np.float64)
    straight = RowSketch(a.shape[1], n_rows, random_state=seed, dtype=dtype)
    for start, stop in ranges:
        straight.partial_fit(a[start:stop])
    merged = RowSketch(a.shape[1], n_rows, random_state=seed, dtype=dtype)
    for k in order:
        start, stop = ranges[k]
        part = RowSketch(a.shape[1], n_rows, random_state=seed, dtype=dtype)
        part.partial_fit(a[start:stop], first_row=start)
        merged.merge(RowSketch.from_bytes(part.to_bytes()))
    exact = len(a) <= straight.n_rows
    expected = plain if exact else omega(seed, range(len(a)), straight.n_rows) @ plain
    for sketch in (straight, merged):
        assert sketch.n_rows_seen == len(a)
        assert sketch.exact == exact
        assert sketch.n_rows % 8 == 0
        assert sketch.matrix.dtype == dtype
        assert sketch.matrix.shape == expected.shape
        # A place of the sketch is a sum of at most all rows.
        assert close(sketch.matrix, expected, dtype, 50 + np.sqrt(len(a)))
        assert np.allclose(sketch.sum_of_squares, (plain**2).sum(axis=0), rtol=1e-6)
    if exact:
        assert (merged.matrix == plain.astype(dtype)).all()
    if a.dtype == np.uint8:
        assert (merged.matrix == straight.matrix).all()


def test_neither_chunks_nor_threads_change_a_bit_of_what_comes_in_order() -> None:
    a = np.random.default_rng(0).standard_normal((900, 130))
    before = wavelens.num_threads()
    sketches, factors = [], []
    try:
        for threads, step in ((1, 900), (2, 900), (1, 7), (2, 300)):
            wavelens.set_num_threads(threads)
            sketch, factor = RowSketch(130, 64), TriangularFactor.empty(130)
            for start in range(0, 900, step):
                sketch.partial_fit(a[start : start + step])
                factor.partial_fit(a[start : start + step])
            sketches.append(sketch.matrix)
            factors.append(factor.r)
    finally:
        wavelens.set_num_threads(before)
    for sketch, r in zip(sketches, factors, strict=True):
        assert (sketch == sketches[0]).all()
        assert (r == factors[0]).all()


def decaying(rng: np.random.Generator, n: int, m: int, power: float) -> np.ndarray:
    basis = np.linalg.qr(rng.standard_normal((m, m)))[0] * np.arange(1, m + 1)[:, None] ** -power
    return rng.standard_normal((n, m)) @ basis * rng.uniform(0.3, 1, m)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.5])
def test_columns_chosen_from_a_sketch_are_as_good_as_those_of_the_rows(power: float) -> None:
    ratios = []
    for seed in range(5):
        a = decaying(np.random.default_rng(seed), 3000, 120, power)
        sketch = RowSketch(120, 60, random_state=seed).partial_fit(a)
        chosen = pivoted_qr(sketch, 30)
        ratios.append(left_out(a, chosen.pivots) / left_out(a, pivoted_qr(a, 30).pivots))
        lengths = np.abs(np.diag(np.linalg.qr(a[:, chosen.pivots], mode="r")))
        assert np.abs(chosen.r_diag / lengths - 1).max() < 0.75
    assert np.median(ratios) <= 1.05


def test_rows_that_fit_are_chosen_from_as_they_are() -> None:
    a = np.random.default_rng(0).standard_normal((100, 40))
    sketch = RowSketch(40, 100).partial_fit(a[50:], 50).partial_fit(a[:50], 0)
    assert (pivoted_qr(sketch, 20).pivots == pivoted_qr(a, 20).pivots).all()


def test_rank_and_zero_columns_show_in_a_sketch() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2000, 6)) @ rng.standard_normal((6, 50))
    a[:, 10:20] = 0
    chosen = pivoted_qr(RowSketch(50, 64).partial_fit(a), 20)
    assert chosen.rank == 6
    assert not set(chosen.pivots) & set(range(10, 20))
    assert pivoted_qr(RowSketch(50, 64).partial_fit(np.zeros((200, 50))), 3).rank == 0
    # All that there is in one row.
    a = np.zeros((2000, 50))
    a[1234, 7] = 1
    assert pivoted_qr(RowSketch(50, 64).partial_fit(a), 3).pivots.tolist() == [7]


def test_a_sketch_refuses_what_it_cannot_add_and_stays_what_it_was() -> None:
    sketch = RowSketch(3, 8).partial_fit(np.ones((20, 3)))
    before = sketch.to_bytes()
    for chunk, first, message in (
        (np.ones((2, 4)), None, r"`chunk` must have shape \(n_rows, 3\), got \(2, 4\)"),
        (np.ones(3), None, r"`chunk` must have shape"),
        (np.array([[1, np.nan, 1]]), None, "`chunk` must be finite, got nan at row 0, column 1"),
        (np.full((1, 3), 1e200), None, "`chunk` must stay within the range of float64"),
        (np.ones((5, 3)), 18, "rows 18 to 19 have been added before"),
        (np.ones((5, 3)), -1, "`first_row` must be between 0"),
    ):
        with pytest.raises(ValueError, match=message):
            sketch.partial_fit(chunk, first)
    with pytest.raises(TypeError, match="real numbers"):
        sketch.partial_fit(np.ones((1, 3)) * 1j)
    for other, message in (
        (RowSketch(4, 8), "`other` must have n_features=3"),
        (RowSketch(3, 16), "n_rows=8"),
        (RowSketch(3, 8, random_state=1), "random_state=0"),
        (RowSketch(3, 8, dtype=np.float32), "dtype=float64"),
        (sketch, "rows 0 to 19 are in both"),
    ):
        with pytest.raises(ValueError, match=message):
            sketch.merge(other)
    with pytest.raises(TypeError, match="RowSketch"):
        sketch.merge("sketch")  # type: ignore[arg-type]
    assert sketch.to_bytes() == before
    assert sketch.copy().partial_fit(np.ones((1, 3))).n_rows_seen == 21
    assert sketch.n_rows_seen == 20
    with pytest.raises(ValueError, match="range of float32"):
        RowSketch(3, 8, dtype=np.float32).partial_fit(np.full((1, 3), 1e39))


def test_pivoted_qr_says_what_a_sketch_cannot_give() -> None:
    sketch = RowSketch(50, 16)
    with pytest.raises(ValueError, match="empty RowSketch"):
        pivoted_qr(sketch, 1)
    sketch.partial_fit(np.random.default_rng(0).standard_normal((99, 50)))
    with pytest.raises(ValueError, match=r"`k` must be between 1 and 8 \(half the rows of the sketch"):
        pivoted_qr(sketch, 9)
    with pytest.raises(ValueError, match="`with_q` and `with_r`"):
        pivoted_qr(sketch, 3, with_q=True)


# ---- TriangularFactor


@given(streams())
@settings(max_examples=40, deadline=None)
def test_a_factor_is_that_of_all_rows_however_they_come(stream: Any) -> None:
    a, ranges, dtype, order = stream
    plain = np.asarray(a, dtype=np.float64)
    m = a.shape[1]
    straight, merged = TriangularFactor.empty(m, dtype), TriangularFactor.empty(m, dtype)
    for start, stop in ranges:
        straight.partial_fit(a[start:stop])
    for k in order:
        part = TriangularFactor.empty(m, dtype).partial_fit(a[ranges[k][0] : ranges[k][1]])
        merged.merge(TriangularFactor.from_bytes(part.to_bytes()))
    gram = plain.T @ plain
    for factor in (straight, merged):
        r = np.asarray(factor.r, dtype=np.float64)
        assert factor.n_rows == len(a)
        assert np.asarray(factor.r).dtype == dtype
        assert r.shape == (min(len(a), m), m) or r.shape == (m, m)
        if len(a) > m:
            assert (np.tril(r, -1) == 0).all()
            assert (np.diag(r) >= 0).all()
        assert np.abs(r.T @ r - gram).max() <= 100 * EPS[dtype] * max(1, np.abs(gram).max())
        assert np.allclose(factor.sum_of_squares, (plain**2).sum(axis=0), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("m", [1, 8, 9, 31, 40, 129, 300])
def test_a_factor_is_householders(m: int) -> None:
    """Small singular values keep what the Gram matrix loses."""
    rng = np.random.default_rng(m)
    values = np.logspace(0, -12, m)
    a = np.linalg.qr(rng.standard_normal((3 * m + 400, m)))[0] * values
    a = a @ np.linalg.qr(rng.standard_normal((m, m)))[0]
    one, two = TriangularFactor.empty(m), TriangularFactor.empty(m)
    one.partial_fit(a[: m + 300])
    two.partial_fit(a[m + 300 :])
    for factor in (one.copy().merge(two), two.merge(one)):
        assert np.abs(np.linalg.svd(np.asarray(factor.r), compute_uv=False) - values).max() < 1e-14
    assert close(np.asarray(one.r), triangle(a[: m + 300]), np.dtype(np.float64), 1e3)


@pytest.mark.parametrize("exponent", [-480, -1000, 900, 0])
def test_powers_of_two_scale_a_factor(exponent: int) -> None:
    a = np.random.default_rng(0).standard_normal((400, 20))
    r = np.asarray(TriangularFactor.empty(20).partial_fit(a).r)
    scaled = np.asarray(TriangularFactor.empty(20).partial_fit(np.ldexp(a, exponent)).r)
    assert np.allclose(np.ldexp(scaled, -exponent), r, rtol=1e-8, atol=1e-8)


def test_what_was_computed_elsewhere_goes_on() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((500, 10))
    given_r = np.linalg.qr(a[:200], mode="r")
    kept = given_r.copy()
    factor = TriangularFactor(given_r, 200)
    assert factor.r is given_r
    assert (factor.n_features, factor.n_rows) == (10, 200)
    factor.partial_fit(a[200:])
    assert factor.n_rows == 500
    assert (given_r == kept).all()
    assert close(np.asarray(factor.r), triangle(a), np.dtype(np.float64))
    with pytest.raises(ValueError, match="`n_rows` must be at least 1"):
        TriangularFactor(given_r, 0).partial_fit(a)


def test_a_factor_refuses_what_it_cannot_add_and_stays_what_it_was() -> None:
    factor = TriangularFactor.empty(3, np.float32).partial_fit(np.ones((20, 3)))
    before = factor.to_bytes()
    for chunk, message in (
        (np.ones((2, 4)), r"`chunk` must have shape \(n_rows, 3\)"),
        (np.array([[1, 1, np.inf]]), "`chunk` must be finite, got inf at row 0, column 2"),
        (np.full((1, 3), 1e39), "`chunk` must stay within the range of float32"),
    ):
        with pytest.raises(ValueError, match=message):
            factor.partial_fit(chunk)
    for other, message in (
        (TriangularFactor.empty(4, np.float32), "`other` must have n_features=3"),
        (TriangularFactor.empty(3), "dtype=float32"),
        (factor, "another factor"),
    ):
        with pytest.raises(ValueError, match=message):
            factor.merge(other)
    with pytest.raises(ValueError, match="`dtype` must be float32 or float64, got int32"):
        TriangularFactor.empty(3, np.int32)
    assert factor.to_bytes() == before


# ---- bytes


@pytest.mark.parametrize("kind", [RowSketch, TriangularFactor])
def test_damaged_bytes_are_refused(kind: Any) -> None:
    a = np.random.default_rng(0).standard_normal((300, 5))
    state = (RowSketch(5, 16) if kind is RowSketch else TriangularFactor.empty(5)).partial_fit(a)
    data = state.to_bytes()
    assert kind.from_bytes(bytearray(data)).to_bytes() == data
    other = TriangularFactor if kind is RowSketch else RowSketch
    with pytest.raises(DataError, match=f"holds a {kind.__name__}, expected a {other.__name__}"):
        other.from_bytes(data)
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(data), 60):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(DataError, match="`data`"):
            kind.from_bytes(bytes(damaged))
    for cut in (0, 7, 20, len(data) - 1):
        with pytest.raises(DataError, match="`data`"):
            kind.from_bytes(data[:cut])
    with pytest.raises(DataError, match="format version 2; this wavelens"):
        kind.from_bytes(data[:8] + b"\x02" + data[9:])
    with pytest.raises(TypeError, match="must be bytes"):
        kind.from_bytes("text")


def test_a_header_that_lies_is_refused() -> None:
    data = RowSketch(5, 16).partial_fit(np.ones((4, 5))).to_bytes()
    length = int.from_bytes(data[12:16], "little")
    header = json.loads(data[16 : 16 + length])
    for change in (
        {"fields": {**header["fields"], "n_features": 6}},
        {"fields": {**header["fields"], "dtype": "object"}},
        {"arrays": [["matrix", "|O", [1]]]},
        {"arrays": []},
        {"fields": []},
    ):
        text = json.dumps({**header, **change}).encode()
        body = data[:12] + len(text).to_bytes(4, "little") + text + data[16 + length : -4]
        with pytest.raises(DataError, match="`data`"):
            RowSketch.from_bytes(body + zlib.crc32(body).to_bytes(4, "little"))
