"""Distances and similarities: closed forms, accuracy where products cancel, agreement with the twin."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import pairwise as twin

import wavelens
from wavelens.linalg import (
    class_similarity,
    gaussian_similarity,
    k_nearest,
    median_bandwidth,
    pairwise_distances,
)

ACCURACY = {np.float32: 4e-7, np.float64: 2e-14}
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def relative_error(found, expected):
    return np.max(np.abs(found - expected) / np.where(expected == 0, 1, expected))


def arranged(rng, shape, dtype, order, offset=0.0):
    """Normal data in one of the orders that callers have."""
    n, d = shape
    if order == "strided":
        return (rng.standard_normal((2 * n, 3 * d)) + offset).astype(dtype)[::-2, ::3]
    return np.array(rng.standard_normal(shape) + offset, dtype=dtype, order=order)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 70),
    m=st.integers(1, 70),
    d=st.integers(1, 90),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from(["C", "F", "strided"]),
    offset=st.sampled_from([0.0, 100.0]),
    seed=st.integers(0, 2**16),
)
def test_agrees_with_the_definition(n, m, d, dtype, order, offset, seed):
    rng = np.random.default_rng(seed)
    x, y = arranged(rng, (n, d), dtype, order, offset), arranged(rng, (m, d), dtype, order, offset)
    expected = twin.distances(x, y)
    found = pairwise_distances(x, y)
    assert found.dtype == dtype
    assert found.shape == (n, m)
    assert relative_error(found, expected) <= ACCURACY[dtype]
    assert relative_error(pairwise_distances(x, y, metric="sqeuclidean"), expected**2) <= 2 * ACCURACY[dtype]
    h = float(np.median(expected))
    similar = gaussian_similarity(x, y, bandwidth=h)
    exponents = 1 + expected**2 / h**2
    assert np.max(np.abs(similar / np.exp(-((expected / h) ** 2) / 2) - 1) / exponents) <= ACCURACY[dtype]


@dtypes
def test_accuracy_at_offset_100_is_that_of_the_issue(dtype):
    x = (np.random.default_rng(0).standard_normal((400, 1200)) + 100).astype(dtype)
    expected = twin.distances(x, x)
    h = np.median(expected)
    demanded = 1e-6 if dtype == np.float32 else 1e-13
    assert relative_error(pairwise_distances(x), expected) <= demanded
    assert relative_error(gaussian_similarity(x, bandwidth=h), np.exp(-((expected / h) ** 2) / 2)) <= demanded


@dtypes
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("closeness", [1e-1, 1e-2, 1e-4])
def test_near_duplicates_keep_their_distance(dtype, offset, closeness):
    rng = np.random.default_rng(1)
    base = rng.standard_normal((60, 300)) + offset
    x = np.repeat(base, 5, axis=0)
    x = (x + closeness * rng.standard_normal(x.shape)).astype(dtype)
    assert relative_error(pairwise_distances(x), twin.distances(x, x)) <= ACCURACY[dtype]


def test_rows_of_one_value_each_do_not_add_up_their_roundings():
    # All products of a pair of such rows are equal, so that the roundings of a chain are not independent.
    levels = np.random.default_rng(2).uniform(0.1, 1, 200).astype(np.float32)
    x = np.tile(levels[:, None], (1, 784))
    assert relative_error(pairwise_distances(x), twin.distances(x, x)) <= 2e-6


@dtypes
def test_symmetric_to_the_bit_with_exact_diagonal(dtype):
    x = (np.random.default_rng(3).standard_normal((1300, 7)) + 50).astype(dtype)
    d, s = pairwise_distances(x), gaussian_similarity(x)
    assert np.array_equal(d, d.T)
    assert np.array_equal(s, s.T)
    assert not d.diagonal().any()
    assert (s.diagonal() == 1).all()
    per_row = gaussian_similarity(x, bandwidth=np.linspace(0.5, 2, len(x)))
    assert np.array_equal(per_row, per_row.T)


@dtypes
def test_threads_change_no_bit(dtype):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((1500, 40)).astype(dtype), rng.standard_normal((900, 40)).astype(dtype)
    labels = rng.integers(0, 5, len(x))
    results = []
    before = wavelens.num_threads()
    for threads in (1, 2):
        wavelens.set_num_threads(threads)
        results.append(
            [
                pairwise_distances(x),
                pairwise_distances(x, y),
                gaussian_similarity(x),
                class_similarity(x, labels).similarity,
                class_similarity(x, labels, bandwidth="per class").similarity,
                class_similarity(x, labels, y=y).similarity,
                *k_nearest(x, k=4),
                *k_nearest(x, y, k=4),
                *k_nearest(x, k=4, of="other", labels=labels),
            ]
        )
    wavelens.set_num_threads(before)
    assert all(np.array_equal(one, two) for one, two in zip(*results, strict=True))


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 60),
    d=st.integers(1, 20),
    n_classes=st.integers(1, 5),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from(["C", "F", "strided"]),
    bandwidth=st.sampled_from([1.5, "median", "per class"]),
    seed=st.integers(0, 2**16),
)
def test_class_means_agree_with_the_matrix(n, d, n_classes, dtype, order, bandwidth, seed):
    rng = np.random.default_rng(seed)
    x, y = arranged(rng, (n, d), dtype, order), arranged(rng, (n // 2, d), dtype, order)
    labels = np.array(["b", "a", "dd", "c", "e"])[rng.integers(0, n_classes, n)]
    found = class_similarity(x, labels, bandwidth=bandwidth)
    assert found.similarity.dtype == dtype
    assert found.classes.tolist() == sorted(set(labels))
    assert found.counts.tolist() == [np.sum(labels == name) for name in found.classes]
    h = found.bandwidth[np.searchsorted(found.classes, labels)]
    scale = np.exp(np.mean(np.log(found.bandwidth)))
    matrix = twin.similarity(x, x, np.full(n, scale), h * h / scale)
    expected = twin.class_means(matrix, labels, own=labels)
    np.testing.assert_allclose(
        found.similarity, expected, rtol=3e-6 if dtype == np.float32 else 1e-12, atol=1e-30
    )
    if len(y):
        found = class_similarity(x, labels, y=y, bandwidth=bandwidth)
        expected = twin.class_means(twin.similarity(y, x, np.full(len(y), scale), h * h / scale), labels)
        np.testing.assert_allclose(
            found.similarity, expected, rtol=3e-6 if dtype == np.float32 else 1e-12, atol=1e-30
        )


def test_the_half_and_the_whole_give_the_same_class_means():
    rng = np.random.default_rng(5)
    x, labels = rng.standard_normal((2500, 6)), rng.integers(0, 7, 2500)
    half = class_similarity(x, labels, bandwidth=2.0)
    whole = class_similarity(x, labels, bandwidth=[*[2.0] * 6, np.nextafter(2.0, 3)])
    np.testing.assert_allclose(half.similarity, whole.similarity, rtol=1e-12)


def test_many_classes_and_a_class_of_one():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((1200, 4))
    found = class_similarity(x, np.arange(1200), bandwidth=1.0)
    assert np.isnan(found.similarity.diagonal()).all()
    np.fill_diagonal(found.similarity, 1)
    np.testing.assert_allclose(found.similarity, gaussian_similarity(x, bandwidth=1.0), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 60),
    m=st.integers(1, 60),
    d=st.integers(1, 5),
    k=st.integers(1, 6),
    of=st.sampled_from(["any", "other", "same"]),
    whole=st.booleans(),
    ties=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**16),
)
def test_nearest_agree_with_sorting_the_matrix(n, m, d, k, of, whole, ties, dtype, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)).astype(dtype), rng.standard_normal((m, d)).astype(dtype)
    if ties:
        x, y = x.round(), y.round()
    labels, y_labels = rng.integers(0, 3, n), rng.integers(0, 3, m)
    if whole:
        y, y_labels, m = x, labels, n
    related = labels[:, None] == y_labels
    allowed = {"any": np.ones((n, m), bool), "other": ~related, "same": related}[of]
    if whole:
        allowed &= ~np.eye(n, dtype=bool)
    arguments = {"k": k, "of": of}
    if of != "any":
        arguments |= {"labels": labels, "y_labels": None if whole else y_labels}
    if k > allowed.sum(axis=1).min():
        with pytest.raises(ValueError, match=r"`[kx]` must"):
            k_nearest(x, None if whole else y, **arguments)
        return
    indices, distances = k_nearest(x, None if whole else y, **arguments)
    expected = twin.distances(x, y)
    assert distances.dtype == dtype
    assert indices.dtype == np.int64
    rows = np.arange(n)[:, None]
    if ties or dtype == np.float64:  # exact distances, so the order of ties is determined
        assert np.array_equal(indices, twin.nearest(expected, k, allowed))
    assert allowed[rows, indices].all()
    assert (
        relative_error(
            distances,
            np.take_along_axis(np.sort(np.where(allowed, expected, np.inf)), rows * 0 + np.arange(k), 1),
        )
        <= 4e-7
    )


@dtypes
def test_nearest_across_tiles(dtype):
    rng = np.random.default_rng(7)
    x = rng.integers(0, 3, (2600, 4)).astype(dtype)
    labels = rng.integers(0, 4, len(x))
    exact = twin.distances(x, x)
    others = ~np.eye(len(x), dtype=bool)
    related = labels[:, None] == labels
    for of, allowed in (("any", others), ("other", ~related), ("same", related & others)):
        found = k_nearest(x, k=20, of=of, labels=None if of == "any" else labels)
        assert np.array_equal(found.indices, twin.nearest(exact, 20, allowed))


@dtypes
@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e30])
def test_scale_does_not_matter(dtype, scale):
    x = np.random.default_rng(8).standard_normal((50, 20)).astype(dtype)
    power = dtype(2.0 ** np.round(np.log2(scale)))
    assert np.array_equal(pairwise_distances(x * power), pairwise_distances(x) * power)
    assert np.array_equal(gaussian_similarity(x * power), gaussian_similarity(x))
    found, expected = k_nearest(x * power, k=3), k_nearest(x, k=3)
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.distances, expected.distances * power)


def test_huge_values_do_not_overflow():
    x = np.random.default_rng(9).standard_normal((30, 10)) * 1e200
    assert relative_error(pairwise_distances(x), twin.distances(x, x)) <= 2e-14
    assert np.isfinite(gaussian_similarity(x)).all()
    assert np.isinf(pairwise_distances(x, metric="sqeuclidean")[0, 1])
    assert pairwise_distances(x, metric="sqeuclidean")[0, 0] == 0
    extremes = np.array([[1.7e308], [-1.7e308], [1.7e308]])
    assert pairwise_distances(extremes)[0].tolist() == [0, np.inf, 0]
    assert gaussian_similarity(extremes, bandwidth=1e-3)[0].tolist() == [1, 0, 1]
    assert gaussian_similarity(extremes / 1e300, bandwidth=1e-320)[0].tolist() == [1, 0, 1]


@dtypes
def test_a_wide_matrix_is_taken_in_pieces(dtype):
    rng = np.random.default_rng(10)
    x, y = (rng.standard_normal((n, 5000)).astype(dtype) + 3 for n in (70, 90))
    assert relative_error(pairwise_distances(x, y), twin.distances(x, y)) <= ACCURACY[dtype]
    assert relative_error(pairwise_distances(x), twin.distances(x, x)) <= ACCURACY[dtype]


def test_other_inputs(tmp_path):
    rng = np.random.default_rng(11)
    integers = rng.integers(0, 255, (20, 6)).astype(np.uint8)
    assert pairwise_distances(integers).dtype == np.float64
    assert relative_error(pairwise_distances(integers), twin.distances(integers, integers)) <= 1e-14
    assert pairwise_distances(integers.astype(np.float16)).dtype == np.float32
    assert pairwise_distances(integers.astype(np.float32), integers).dtype == np.float64
    np.save(tmp_path / "x.npy", rng.standard_normal((30, 4)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert not mapped.flags.writeable
    assert np.array_equal(pairwise_distances(mapped), pairwise_distances(np.array(mapped)))
    assert k_nearest(mapped).indices.shape == (30, 1)
    broadcast = np.broadcast_to(rng.standard_normal(4), (5, 4))
    assert not pairwise_distances(broadcast).any()
    assert pairwise_distances([[1.0, 2.0]]).tolist() == [[0.0]]
    assert gaussian_similarity([[1.0, 2.0]], bandwidth=1).tolist() == [[1.0]]


def test_memory_is_that_of_a_tile():
    x = np.random.default_rng(12).standard_normal((9000, 8)).astype(np.float32)
    tracemalloc.start()
    k_nearest(x, k=2)
    class_similarity(x, np.arange(9000) % 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25  # the matrix would take 2^28.3


class TestBandwidth:
    def test_median_is_that_of_all_pairs(self):
        x = np.random.default_rng(13).standard_normal((200, 3))
        expected = np.median(twin.distances(x, x)[np.triu_indices(200, 1)])
        assert median_bandwidth(x) == pytest.approx(expected, rel=1e-14)
        h = median_bandwidth(x)
        assert np.array_equal(gaussian_similarity(x), gaussian_similarity(x, bandwidth=h))

    def test_a_sample_stands_for_many_rows(self):
        x = np.random.default_rng(14).standard_normal((20000, 5))
        assert median_bandwidth(x) == median_bandwidth(x)
        assert median_bandwidth(x) == pytest.approx(median_bandwidth(x, max_rows=3000), rel=0.02)
        assert median_bandwidth(x, random_state=1) != median_bandwidth(x)

    def test_per_class(self):
        rng = np.random.default_rng(15)
        labels = np.repeat(["wide", "tight", "one"], [50, 40, 1])
        x = rng.standard_normal((91, 4)) * np.repeat([10.0, 1.0, 1.0], [50, 40, 1])[:, None]
        found = median_bandwidth(x, labels)
        assert found[0] == median_bandwidth(x)  # "one" falls back to all rows
        assert found[1] == pytest.approx(median_bandwidth(x[50:90]))
        assert found[2] == pytest.approx(median_bandwidth(x[:50]))
        rows = found[np.searchsorted(["one", "tight", "wide"], labels)]
        np.testing.assert_allclose(
            gaussian_similarity(x, bandwidth="per class", labels=labels),
            twin.similarity(x, x, rows, rows),
            rtol=1e-11,
        )
        y = x[::7] + 1
        np.testing.assert_allclose(
            gaussian_similarity(x, y, bandwidth="per class", labels=labels, y_labels=labels[::7]),
            twin.similarity(x, y, rows, rows[::7]),
            rtol=1e-11,
        )
        pair = gaussian_similarity(x, y, bandwidth=(rows, rows[::7]))
        assert np.array_equal(
            pair, gaussian_similarity(x, y, bandwidth="per class", labels=labels, y_labels=labels[::7])
        )

    def test_identical_rows(self):
        x = np.ones((5, 3))
        for call in (median_bandwidth, gaussian_similarity, lambda x: class_similarity(x, [1, 1, 2, 2, 2])):
            with pytest.raises(ValueError, match="median distance of the rows of `x` is 0"):
                call(x)
        assert (gaussian_similarity(x, bandwidth=0.1) == 1).all()
        assert (class_similarity(x, [1, 1, 2, 2, 2], bandwidth=0.1).similarity == 1).all()

    def test_one_row(self):
        with pytest.raises(ValueError, match="`x` must have at least 2 rows"):
            median_bandwidth([[1.0]])

    @pytest.mark.parametrize("wrong", [0, -1.0, np.nan, np.inf])
    def test_must_be_positive(self, wrong):
        with pytest.raises(ValueError, match="`bandwidth` must be positive and finite"):
            gaussian_similarity(np.eye(3), bandwidth=wrong)
        with pytest.raises(ValueError, match="`bandwidth` must be positive and finite"):
            class_similarity(np.eye(3), [0, 0, 1], bandwidth=[1.0, wrong])

    def test_wrong_kinds(self):
        with pytest.raises(ValueError, match="'median', 'per class', got 'mean'"):
            gaussian_similarity(np.eye(3), bandwidth="mean")
        with pytest.raises(ValueError, match="`labels` must be given for bandwidth='per class'"):
            gaussian_similarity(np.eye(3), bandwidth="per class")
        with pytest.raises(ValueError, match="`y_labels` must be among `labels`, got 7"):
            gaussian_similarity(
                np.eye(3), np.eye(3), bandwidth="per class", labels=[0, 0, 1], y_labels=[0, 7, 0]
            )
        with pytest.raises(ValueError, match="one number for each of 3 rows, got shape"):
            gaussian_similarity(np.eye(3), bandwidth=[1.0, 2.0])
        with pytest.raises(ValueError, match="a pair of arrays"):
            gaussian_similarity(np.eye(3), np.eye(3), bandwidth=[1.0, 2.0, 3.0])
        with pytest.raises(TypeError, match="`bandwidth` must be a number"):
            gaussian_similarity(np.eye(3), bandwidth=None)


class TestMetric:
    numba = pytest.importorskip("numba")

    @dtypes
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_functions_run_in_the_tiles(self, dtype, order):
        numba = self.numba
        rng = np.random.default_rng(16)
        x, y = np.array(rng.standard_normal((300, 7)), dtype, order=order), rng.standard_normal((40, 7))

        @numba.njit
        def manhattan(a, b):
            return np.abs(a - b).sum()

        def plain(a, b):
            total = 0.0
            for i in range(a.size):
                total += abs(a[i] - b[i])
            return total

        y = y.astype(dtype)
        expected = np.abs(x[:, None].astype(float) - y).sum(axis=2)
        tolerance = 1e-6 if dtype == np.float32 else 1e-14
        for metric in (manhattan, plain):
            assert relative_error(pairwise_distances(x, y, metric=metric), expected) <= tolerance
            square = pairwise_distances(x, metric=metric)
            assert np.array_equal(square, square.T)
            assert not square.diagonal().any()
        allowed = ~np.eye(300, dtype=bool)
        indices, distances = k_nearest(x, k=3, metric=plain)
        assert np.array_equal(indices, twin.nearest(pairwise_distances(x, metric=plain), 3, allowed))
        assert np.array_equal(distances[:, 0], np.where(allowed, square, np.inf).min(axis=1))

    def test_a_c_function(self):
        numba = self.numba
        entry = numba.types.CPointer(numba.types.float64)

        @numba.cfunc(numba.types.float64(numba.types.intp, entry, entry))
        def first_entries(n, a, b):
            return abs(a[0] - b[0])

        x = np.arange(6.0).reshape(3, 2)
        expected = np.abs(x[:, None, 0] - x[:, 0])
        assert np.array_equal(pairwise_distances(x, metric=first_entries), expected)
        with pytest.raises(TypeError, match="must have the C signature"):
            pairwise_distances(x.astype(np.float32), metric=first_entries)

    def test_what_cannot_be_compiled_says_so(self):
        with pytest.raises(TypeError, match="that Numba can compile"):
            pairwise_distances(np.eye(3), metric=lambda a, b: str)
        with pytest.raises(TypeError, match="that Numba can compile"):
            pairwise_distances(np.eye(3), metric=lambda a: 1.0)
        with pytest.raises(TypeError, match="or a function, got 3"):
            pairwise_distances(np.eye(3), metric=3)
        with pytest.raises(ValueError, match="'euclidean', 'sqeuclidean', got 'cosine'"):
            pairwise_distances(np.eye(3), metric="cosine")

    def test_nan_and_exceptions_are_errors(self):
        def fails(a, b):
            if a[0] == 1:
                raise ValueError("no")
            return 1.0

        for metric in (fails, lambda a, b: np.nan):
            with pytest.raises(ValueError, match="`metric` must return a number"):
                pairwise_distances(np.eye(3), metric=metric)

    def test_infinite_distances_are_no_neighbours(self):
        with pytest.raises(ValueError, match="fewer than 1 finite distances"):
            k_nearest(np.eye(3), metric=lambda a, b: np.inf)


@pytest.mark.parametrize("exponent", range(-1070, -980, 10))
@pytest.mark.parametrize("bandwidth", ["median", "per class", "given"])
def test_similarities_of_the_smallest_numbers(exponent, bandwidth):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 16, (12, 3)).astype(float)
    labels = np.arange(12) % 2
    width = {"given": 4.0}.get(bandwidth, bandwidth)
    tiny = np.ldexp(4.0, exponent) if bandwidth == "given" else bandwidth
    options = {"labels": labels} if bandwidth == "per class" else {}
    expected = gaussian_similarity(x, bandwidth=width, **options)
    found = gaussian_similarity(np.ldexp(x, exponent), bandwidth=tiny, **options)
    np.testing.assert_allclose(found, expected, rtol=0.1 if exponent < -1060 else 1e-3)
    means = class_similarity(np.ldexp(x, exponent), labels, bandwidth=tiny).similarity
    expected = class_similarity(x, labels, bandwidth=width).similarity
    np.testing.assert_allclose(means, expected, rtol=0.1 if exponent < -1060 else 1e-3)


@dtypes
def test_misaligned_data(dtype):
    x = np.random.default_rng(0).standard_normal((20, 6)).astype(dtype)
    memory = np.zeros(x.nbytes + 1, dtype=np.uint8)
    odd = memory[1:].view(dtype).reshape(x.shape)
    odd[...] = x
    assert not odd.flags.aligned
    np.testing.assert_array_equal(pairwise_distances(odd), pairwise_distances(x))
    with pytest.raises(ValueError, match="aligned"):
        wavelens._core.first_nonfinite(odd)


class TestBadInput:
    @pytest.mark.parametrize(
        "call",
        [
            pairwise_distances,
            gaussian_similarity,
            k_nearest,
            median_bandwidth,
            lambda x: class_similarity(x, [0, 0, 1]),
        ],
    )
    def test_matrices(self, call):
        with pytest.raises(TypeError, match="must not be a masked array"):
            call(np.ma.masked_equal(np.eye(3), 1))
        with pytest.raises(ValueError, match="rows of differing lengths"):
            call([[1.0, 2.0], [3.0], [4.0, 5.0]])
        bad = np.eye(3)
        bad[1, 2] = np.nan
        with pytest.raises(ValueError, match="`x` must be finite, got nan at row 1, column 2"):
            call(bad)
        with pytest.raises(ValueError, match="2 dimensions"):
            call(np.ones(3))
        with pytest.raises(ValueError, match="not be empty"):
            call(np.ones((3, 0)))
        with pytest.raises(TypeError, match="real numbers"):
            call(np.eye(3) * 1j)
        with pytest.raises(TypeError, match="real numbers"):
            call(np.eye(3).astype(object))

    def test_widths(self):
        for call in (pairwise_distances, gaussian_similarity, k_nearest):
            with pytest.raises(ValueError, match="`y` must have as many columns as `x`, 3, got 4"):
                call(np.eye(3), np.eye(4))

    def test_labels(self):
        with pytest.raises(ValueError, match="one entry for each of the 3 rows of `x`, got 2"):
            class_similarity(np.eye(3), [0, 1])
        with pytest.raises(ValueError, match="must have shape"):
            class_similarity(np.eye(3), [[0, 1, 2]])
        with pytest.raises(ValueError, match="got NaN at position 1"):
            class_similarity(np.eye(3), [0, np.nan, 1])
        with pytest.raises(TypeError, match="of one kind"):
            class_similarity(np.eye(3), np.array([0, "a", 1], dtype=object))
        with pytest.raises(ValueError, match="`labels` must be given for of='other'"):
            k_nearest(np.eye(3), of="other")
        with pytest.raises(ValueError, match="`y_labels` must be given"):
            k_nearest(np.eye(3), np.eye(3), of="same", labels=[0, 1, 2])
        for useless in ([1, 2], [0, 1, 2]):
            with pytest.raises(ValueError, match="`labels` needs of='other' or of='same'"):
                k_nearest(np.eye(3), labels=useless)
            with pytest.raises(ValueError, match="`labels` needs bandwidth='per class', got bandwidth=1"):
                gaussian_similarity(np.eye(3), labels=useless, bandwidth=1)
        with pytest.raises(ValueError, match="`y_labels` needs `y`"):
            k_nearest(np.eye(3), of="same", labels=[0, 0, 0], y_labels=[0, 0, 0])
        for call in (
            lambda **labels: k_nearest(np.eye(3), np.eye(3), of="other", **labels),
            lambda **labels: gaussian_similarity(np.eye(3), np.eye(3), bandwidth="per class", **labels),
        ):
            with pytest.raises(TypeError, match="`y_labels` must be of the same kind as `labels`, int64"):
                call(labels=[0, 0, 0], y_labels=["0", "1", "2"])
        for missing in (np.array([0, np.nan, 1], dtype=object), np.array(["2020", "NaT", "2021"], "M8[D]")):
            with pytest.raises(ValueError, match=r"got Na[NT] at position 1"):
                class_similarity(np.eye(3), missing)

    def test_progress(self):
        x = np.random.default_rng(0).standard_normal((5, 2))
        for call in (pairwise_distances, gaussian_similarity, k_nearest):
            with pytest.raises(TypeError, match="`progress` must be a function of one number or None, got 3"):
                call(x, progress=3)

    def test_k(self):
        x = np.random.default_rng(0).standard_normal((5, 2))
        with pytest.raises(
            ValueError, match=r"`k` must be at most 4 \(every row of `x` has 4 other rows\), got 5"
        ):
            k_nearest(x, k=5)
        with pytest.raises(ValueError, match=r"`k` must be at most 5 \(`y` has 5 rows\), got 6"):
            k_nearest(x, x, k=6)
        with pytest.raises(ValueError, match="`k` must be at least 1, got 0"):
            k_nearest(x, k=0)
        with pytest.raises(TypeError, match="`k` must be an integer"):
            k_nearest(x, k=1.5)
        labels = ["a", "a", "a", "b", "b"]
        with pytest.raises(ValueError, match=r"`k` must be at most 1 .a row of class 'b'.*the same class"):
            k_nearest(x, k=2, of="same", labels=labels)
        with pytest.raises(ValueError, match=r"`k` must be at most 2 .a row of class 'a'.*another class"):
            k_nearest(x, k=3, of="other", labels=labels)
        with pytest.raises(ValueError, match="`of` must be one of"):
            k_nearest(x, of="own", labels=labels)
        with pytest.raises(ValueError, match="at least 2 rows"):
            k_nearest(x[:1])


def test_numba_is_imported_for_functions_only():
    code = (
        "import sys, numpy as np, wavelens.linalg as linalg; linalg.k_nearest(np.eye(3));"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_progress_reaches_the_caller_and_its_exception_comes_back():
    shares = []
    pairwise_distances(np.random.default_rng(0).standard_normal((3000, 20)), progress=shares.append)
    assert shares
    assert all(0 <= share <= 1 for share in shares)

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        k_nearest(np.eye(3), progress=stop)


def test_two_python_threads_at_once():
    rng = np.random.default_rng(17)
    sets = [rng.standard_normal((700, 30)) for _ in range(2)]
    expected = [gaussian_similarity(x) for x in sets]
    found = [None, None]

    def work(i):
        for _ in range(3):
            found[i] = gaussian_similarity(sets[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.realdata
def test_real_images(real_data):
    with np.load(real_data / "sars_cov2_ct.npz") as archive:
        keys = archive.files
        images = next(archive[key] for key in keys if archive[key].ndim >= 3)
    x = images.reshape(len(images), -1).astype(np.float32)[::12]
    expected = twin.distances(x, x)
    assert relative_error(pairwise_distances(x), expected) <= 1e-6
    h = median_bandwidth(x)
    assert relative_error(gaussian_similarity(x), np.exp(-((expected / h) ** 2) / 2)) <= 2e-6
