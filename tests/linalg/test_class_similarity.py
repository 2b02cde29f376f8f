"""Class similarity by landmarks and features: errors as told, sums that add up, exact where it can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.exceptions import DataError
from wavelens.linalg import FeatureSums, LandmarkSums, class_similarity, median_bandwidth
from wavelens.linalg._similarity_error import upper_bound

methods = pytest.mark.parametrize("method", ["landmarks", "features"])


def mixture(n, d, n_classes=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    labels[:n_classes] = np.arange(n_classes)
    x = rng.standard_normal((n, d)) + 0.7 * rng.standard_normal((n_classes, d))[labels]
    return x.astype(dtype), labels


def test_small_data_are_exact():
    x, labels = mixture(300, 5)
    result = class_similarity(x, labels)
    assert (result.method, result.error, result.n_features) == ("exact", None, 0)
    assert "every other" in result.in_words()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("method", "tolerance"), [("landmarks", 2e-3), ("features", 0.06)])
@pytest.mark.parametrize("bandwidth", ["median", "per class"])
def test_near_the_exact_ones(method, tolerance, bandwidth, dtype):
    x, labels = mixture(1500, 12, dtype=dtype)
    exact = class_similarity(x, labels, bandwidth=bandwidth, method="exact")
    found = class_similarity(x, labels, bandwidth=bandwidth, method=method, n_features=600)
    assert found.similarity.dtype == dtype
    assert np.abs(found.similarity - exact.similarity).max() < tolerance
    assert np.array_equal(found.bandwidth, exact.bandwidth)
    assert np.array_equal(found.counts, exact.counts)
    new = mixture(200, 12, seed=1, dtype=dtype)[0]
    apart = class_similarity(x, labels, y=new, bandwidth=bandwidth, method=method, n_features=600)
    expected = class_similarity(x, labels, y=new, bandwidth=bandwidth, method="exact")
    assert np.abs(apart.similarity - expected.similarity).max() < tolerance


@methods
def test_the_told_rows_are_exact_and_the_error_is_theirs(method):
    x, labels = mixture(900, 8)
    exact = class_similarity(x, labels, method="exact").similarity
    found = class_similarity(x, labels, method=method, n_features=128, n_checked=100)
    rows = found.error.rows
    assert len(np.unique(rows)) == 100
    assert np.abs(found.error.exact - exact[rows]).max() < 1e-12
    assert np.abs(found.similarity[rows] - exact[rows]).max() < 1e-12
    assert 0 < found.error.typical <= found.error.bound
    low, high = found.error.typical_interval
    assert low <= np.median(np.abs(found.error.found - exact[rows]).max(axis=1)) <= high
    assert f"{found.n_features:,}" in found.in_words()


@methods
def test_the_bound_covers_as_often_as_it_says(method):
    x, labels = mixture(1200, 6)
    h = median_bandwidth(x)
    exact = class_similarity(x, labels, bandwidth=h, method="exact").similarity
    covered = median_inside = 0
    runs = 60
    for seed in range(runs):
        found = class_similarity(
            x, labels, bandwidth=h, method=method, n_features=64, n_checked=120, random_state=seed
        )
        # The rows that the sample was drawn from, but for the sample itself, which is exact now.
        errors = np.abs(found.similarity - exact).max(axis=1)
        errors[found.error.rows] = np.abs(found.error.found - found.error.exact).max(axis=1)
        errors = errors[np.setdiff1d(np.arange(len(x)), np.flatnonzero(errors < 1e-13))]
        covered += np.mean(errors <= found.error.bound) >= 0.95
        low, high = found.error.typical_interval
        median_inside += low <= np.median(errors) <= high
    # 95 % of 60 runs are 57; fewer than 52 have a probability below 1 %.
    assert covered >= 52
    assert median_inside >= 52


@given(st.integers(0, 200), st.integers(0, 2**16))
@settings(deadline=None, max_examples=40)
def test_the_upper_bound_is_an_order_statistic(n, seed):
    errors = np.random.default_rng(seed).exponential(size=n)
    bound = upper_bound(errors)
    if n < 59:  # 0.95^58 > 0.05
        assert bound == np.inf
    else:
        assert bound in errors
        assert bound >= np.quantile(errors, 0.95, method="lower")


def test_small_classes_come_out_exact():
    x, labels = mixture(800, 10)
    labels[5:12] = 7
    exact = class_similarity(x, labels, bandwidth=3.0, method="exact").similarity
    found = class_similarity(x, labels, bandwidth=3.0, method="landmarks", n_features=100).similarity
    own = labels == 7
    assert np.abs(found[own] - exact[own]).max() < 1e-12
    assert np.abs(found[:, 3] - exact[:, 3]).max() < 1e-7


def test_all_rows_as_landmarks_are_exact():
    x, labels = mixture(120, 4)
    exact = class_similarity(x, labels, method="exact").similarity
    found = class_similarity(x, labels, method="landmarks", n_features=5000)
    assert np.abs(found.similarity - exact).max() < 1e-12
    assert found.error.bound == 0
    assert found.error.in_words() == "All similarities are exact."


@methods
def test_a_class_of_one_row_and_equal_rows(method):
    x, labels = mixture(200, 3)
    x[50:100] = x[50]
    labels[150] = 9
    exact = class_similarity(x, labels, bandwidth=1.0, method="exact").similarity
    found = class_similarity(x, labels, bandwidth=1.0, method=method, n_features=64).similarity
    assert np.array_equal(np.isnan(found), np.isnan(exact))
    assert np.nanmin(found) >= 0
    assert np.nanmax(found) <= 1


@methods
def test_the_seed_decides(method):
    x, labels = mixture(400, 6)
    first, same, other = (
        class_similarity(x, labels, method=method, n_features=32, n_checked=60, random_state=seed).similarity
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@methods
def test_the_unit_and_offset_of_the_data_do_not_matter(method):
    x, labels = mixture(500, 6)
    first = class_similarity(x, labels, method=method, n_features=64).similarity
    scaled = class_similarity(x * 2.0**100, labels, method=method, n_features=64).similarity
    assert np.abs(first - scaled).max() < 1e-6
    moved = class_similarity(x + 1000.0, labels, method=method, n_features=64).similarity
    assert np.abs(first - moved).max() < 2e-4


def states(x, labels, kind, check):
    if kind == "landmarks":
        return LandmarkSums(x[::9], [0, 1, 2], 3.0, check=x[check], check_labels=labels[check])
    return FeatureSums(
        x.shape[1], [0, 1, 2], [2.0, 3.0, 3.0], n_features=200, check=x[check], check_labels=labels[check]
    )


@pytest.mark.parametrize("kind", ["landmarks", "features"])
def test_chunks_and_merging_change_rounding_only(kind):
    x, labels = mixture(600, 7)
    check = np.arange(3, 600, 10)
    whole = states(x, labels, kind, check).partial_fit(x, labels)
    parts = [
        states(x, labels, kind, check).partial_fit(x[rows], labels[rows])
        for rows in np.array_split(np.random.default_rng(0).permutation(600), 4)
    ]
    sent = [type(part).from_bytes(part.to_bytes()) for part in parts]
    merged = sent[2].merge(sent[0]).merge(sent[3]).merge(sent[1])
    assert np.array_equal(merged.counts, np.bincount(labels))
    expected = whole.similarity(x, labels)
    # Weights of the landmarks enlarge the rounding of the sums; features are float32.
    assert np.abs(merged.similarity(x, labels) - expected).max() < (1e-8 if kind == "landmarks" else 1e-5)
    assert np.allclose(merged.error().exact, whole.error().exact, atol=1e-12)
    assert np.array_equal(type(whole).from_bytes(whole.to_bytes()).similarity(x), whole.similarity(x))


@pytest.mark.parametrize("kind", ["landmarks", "features"])
def test_states_refuse_what_does_not_belong(kind):
    x, labels = mixture(100, 4)
    state = states(x, labels, kind, np.arange(5)).partial_fit(x, labels)
    with pytest.raises(ValueError, match="`labels` must be among `classes`, got 5"):
        state.partial_fit(x[:2], [0, 5])
    with pytest.raises(ValueError, match="must have 4 columns, got 3"):
        state.partial_fit(x[:, :3], labels)
    with pytest.raises(ValueError, match="one entry for each of the 100 rows"):
        state.partial_fit(x, labels[:9])
    with pytest.raises(ValueError, match="`other` must have been made with the same"):
        state.merge(states(x, labels, kind, np.arange(6)))
    other = FeatureSums if kind == "landmarks" else LandmarkSums
    for broken in (b"", b"nothing", state.to_bytes()[:200]):
        with pytest.raises(DataError, match="`data` must be the bytes of a"):
            type(state).from_bytes(broken)
    with pytest.raises(DataError, match="they hold a"):
        other.from_bytes(state.to_bytes())
    assert np.array_equal(state.counts, np.bincount(labels))


def test_bad_arguments():
    x, labels = mixture(50, 3)
    with pytest.raises(ValueError, match="`method` must be one of"):
        class_similarity(x, labels, method="fast")
    for name in ("n_features", "n_checked"):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            class_similarity(x, labels, **{name: 0})
    with pytest.raises(ValueError, match="different labels"):
        LandmarkSums(x, [1, 1], 1.0)
    with pytest.raises(ValueError, match="`bandwidth` must be positive"):
        FeatureSums(3, [1], -1.0)


def test_results_are_the_same_for_any_number_of_threads():
    import wavelens

    x, labels = mixture(700, 20, dtype=np.float32)
    before, found = wavelens.num_threads(), []
    try:
        for threads in (1, 2):
            wavelens.set_num_threads(threads)
            found.append(class_similarity(x, labels, method="landmarks", n_features=100).similarity)
    finally:
        wavelens.set_num_threads(before)
    assert np.array_equal(*found)


@methods
def test_progress_rises_to_the_end(method):
    x, labels = mixture(600, 5)
    seen: list[float] = []
    class_similarity(x, labels, method=method, n_features=64, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
