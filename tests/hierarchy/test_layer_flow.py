"""What a layer adds to the compositions of classes: measured against resampled images and shuffled classes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.hierarchy import _layer_flow as flow_module
from wavelens.hierarchy import class_covariance, layer_flow, mmf
from wavelens.hierarchy._agreement import (
    chance_jaccard,
    first_levels,
    jaccard,
    jaccard_by_level,
    joining_correlation,
    joining_levels,
)


def network(n=40, m=9, seed=0):
    """Layers of a network that is planted: the third rearranges the classes, the others do not."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(m), n)
    blocks = 2 * rng.normal(size=(3, 30))[np.arange(m) // 3] + rng.normal(size=(m, 30))
    first = blocks[labels] + 0.5 * rng.normal(size=(m * n, 30))
    turned = first @ np.linalg.qr(rng.normal(size=(30, 30)))[0]
    others = 2 * rng.normal(size=(3, 50))[np.arange(m) % 3] + rng.normal(size=(m, 50))
    third = others[labels] + 0.5 * rng.normal(size=(m * n, 50))
    wider = np.concatenate([third, third, 1e-3 * rng.normal(size=(m * n, 4))], axis=1).reshape(m * n, 2, -1)
    return {"a": first, "b": turned, "c": third, "d": wider}, labels


@pytest.fixture(scope="module")
def flow():
    layers, labels = network()
    return layer_flow(layers, labels, order=3, n_resamples=12)


def test_the_layer_that_changes_is_found(flow):
    assert flow.verdicts == ("adds nothing", "changes", "adds nothing")
    assert flow.saturates_at == "c"
    words = flow.words()
    assert words[0] == "4 layers, 9 classes, compositions of 3 in 7 levels."
    assert [sentence.split(":")[0] for sentence in words[1:4]] == [
        "b adds nothing to how classes compose",
        "c composes classes anew, with nothing left of b",
        "d adds nothing to how classes compose",
    ]
    assert words[4] == "The compositions are settled at c: to the relations of classes, d adds nothing."
    assert "saturates_at='c'" in repr(flow)


@pytest.mark.parametrize("order", [2, 4, 5])
@pytest.mark.parametrize("center", [False, True])
def test_the_verdicts_hardly_depend_on_order_and_options(order, center):
    layers, labels = network(seed=1)
    found = layer_flow(layers, labels, order=order, center=center, n_resamples=12, orders=())
    assert found.verdicts == ("adds nothing", "changes", "adds nothing")


def test_the_factorizations_are_those_of_the_layers(flow):
    layers, labels = network()
    assert flow.layers == tuple(layers)
    assert flow.classes.tolist() == list(range(9))
    for features, factors in zip(layers.values(), flow.mmfs, strict=True):
        np.testing.assert_array_equal(factors.tuples, mmf(class_covariance(features, labels), 3).tuples)


def test_shapes_and_ranges(flow):
    assert flow.agreement.shape == flow.cumulative_agreement.shape == flow.cumulative_chance.shape == (3, 7)
    assert flow.resampled.shape == flow.cumulative_resampled.shape == (4, 7)
    assert flow.chance.shape == (7,)
    assert flow.transfer.shape == (4, 4)
    assert flow.transfer_resampled.shape == flow.transfer_chance.shape == (4, 12)
    assert flow.order_stability.shape == (4, len(flow.orders)) == (4, 4)
    for part in (
        flow.agreement,
        flow.cumulative_agreement,
        flow.resampled,
        flow.order_stability,
        flow.chance,
    ):
        assert part.min() >= 0
        assert part.max() <= 1
    assert np.all(np.abs(flow.joining) <= 1)
    # All classes are used in the end.
    assert np.all(flow.cumulative_agreement[:, -1] == 1)
    # A turn of the features changes no inner product.
    assert np.all(flow.agreement[0] == 1)
    np.testing.assert_allclose(flow.transfer[0, 1], 1, rtol=1e-6)
    assert np.all(flow.transfer >= 0)
    np.testing.assert_allclose(np.diag(flow.transfer), 1, rtol=1e-6)
    assert np.all(flow.order_stability[:, flow.orders.index(3)] == 1)


def test_the_transfer_is_the_error_in_the_other_basis(flow):
    source, target = flow.mmfs[1], flow.mmfs[2]
    q = source.transform(np.eye(9))
    turned = q @ target.matrix @ q.T
    structure = np.eye(9, dtype=bool)
    structure[np.ix_(source.core_indices, source.core_indices)] = True
    expected = np.linalg.norm(np.where(structure, 0, turned)) / target.error
    assert flow.transfer[1, 2] == pytest.approx(expected, rel=1e-9)


def test_a_layer_may_change_some_of_the_compositions():
    layers, labels = network(seed=2)
    mixed = {"b": layers["b"], "e": np.concatenate([2 * layers["b"], layers["c"]], axis=1)}
    found = layer_flow(mixed, labels, order=3, n_resamples=12)
    assert found.verdicts == ("changes",)
    assert found.saturates_at is None
    assert found.words()[1].startswith("e changes how classes compose: in the wavelets of b its error is")


def test_without_structure_nothing_is_told():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 6
    layers = {name: rng.normal(size=(60, 500)) for name in "abc"}
    found = layer_flow(layers, labels, order=3, n_resamples=20)
    assert "adds nothing" not in found.verdicts
    assert found.saturates_at is None
    assert "No saturation is seen: up to the last layer, each may add something." in found.words()


def test_it_is_the_same_again_and_in_batches(flow, monkeypatch):
    layers, labels = network()
    monkeypatch.setattr(flow_module, "_numbers_held", 5 * 9 * 30)
    again = layer_flow(layers, labels, order=3, n_resamples=12)
    for name in ("agreement", "resampled", "transfer", "transfer_resampled", "transfer_chance"):
        np.testing.assert_allclose(getattr(again, name), getattr(flow, name), rtol=1e-6)
    other = layer_flow(layers, labels, order=3, n_resamples=12, random_state=1)
    assert not np.array_equal(other.transfer_resampled, flow.transfer_resampled)
    np.testing.assert_array_equal(other.agreement, flow.agreement)


def test_layers_may_be_files(tmp_path, flow):
    layers, labels = network()
    mapped = {}
    for name, features in layers.items():
        np.save(tmp_path / f"{name}.npy", features)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    names = np.array(list("ABCDEFGHI"))[labels]
    found = layer_flow(mapped, names, order=3, n_resamples=12)
    np.testing.assert_array_equal(found.agreement, flow.agreement)
    assert found.classes.tolist() == list("ABCDEFGHI")
    assert any(name in found.words()[-1] for name in "ABCDEFGHI")


def test_resamples_draw_as_many_images_of_each_class():
    codes = np.array([0, 1, 0, 2, 2, 2, 1, 0])
    weights = flow_module._draw(codes, 3, 50, seed=0)
    for c in range(3):
        assert np.all(weights[:, codes == c].sum(axis=1) == (codes == c).sum())
    assert len(np.unique(weights, axis=0)) > 10
    # One resample's covariance is that of the images repeated.
    features = np.random.default_rng(0).normal(size=(8, 4))
    sums = next(flow_module._resampled_sums(features, codes, 3, weights))
    repeated = np.repeat(np.arange(8), weights[0].astype(int))
    expected = class_covariance(features[repeated], codes[repeated])
    np.testing.assert_allclose(sums / expected.counts[:, None], expected.means, rtol=1e-12)


def test_progress_is_told():
    layers, labels = network(n=10)
    told = []
    layer_flow(layers, labels, order=3, n_resamples=4, progress=told.append)
    assert len(told) == 16
    assert told == sorted(told)
    assert told[-1] == 1


def test_orders_above_the_number_of_classes_are_left_out():
    layers, labels = network(n=10, m=3)
    found = layer_flow(layers, labels, order=3, n_resamples=4)
    assert found.orders == (3,)
    assert found.words()[-1].endswith("compose first.")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: (list(x.values()), y), TypeError, "`layers` must be a mapping"),
        (lambda x, y: ({"a": x["a"]}, y), ValueError, "`layers` must hold at least two layers, got 1"),
        (
            lambda x, y: (x | {"e": x["a"][1:]}, y),
            ValueError,
            "layer 'e' must have one row for each label: got 359",
        ),
        (lambda x, y: (x | {"e": y}, y), ValueError, "layer 'e': `features` must have at least 2 dimensions"),
        (lambda x, y: (x | {"e": np.full((360, 1), "a")}, y), TypeError, "layer 'e': .*real numbers"),
        (
            lambda x, y: (x | {"e": np.where(x["a"] > 2, np.nan, 0)}, y),
            ValueError,
            "layer 'e': .*got NaN at row",
        ),
        (lambda x, y: (x, y * 0), ValueError, "at least two classes, got one class, 0"),
        (
            lambda x, y: (x, np.where(np.arange(360) == 7, 99, y)),
            ValueError,
            "at least two images .* class 99",
        ),
        (
            lambda x, y: (x, np.where(y == 3, np.nan, y)),
            ValueError,
            "must not hold NaN.*position 120",
        ),
    ],
)
def test_what_cannot_be_is_refused(change, error, message):
    layers, labels = network()
    with pytest.raises(error, match=message):
        layer_flow(*change(layers, labels), order=3, n_resamples=2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": 10}, ValueError, r"`order` must be between 2 and 9 \(there are 9 classes\), got 10"),
        ({"orders": (1,)}, ValueError, "`orders` must be at least 2, got 1"),
        ({"n_resamples": 1}, ValueError, "`n_resamples` must be at least 2, got 1"),
        ({"random_state": None}, TypeError, "`random_state` must be an integer"),
        ({"method": "best"}, ValueError, "`method` must be one of"),
        ({"progress": 1}, TypeError, "`progress` must be a function"),
    ],
)
def test_options_are_checked(options, error, message):
    layers, labels = network(n=4)
    with pytest.raises(error, match=message):
        layer_flow(layers, labels, **({"order": 3} | options))


# The measures of agreement


def test_jaccard_index():
    assert jaccard([1, 2, 3], [3, 4, 5]) == 1 / 5
    assert jaccard([1, 2], [2, 1]) == 1
    assert jaccard([], []) == 1
    assert jaccard([1], []) == 0


@settings(max_examples=20, deadline=None)
@given(m=st.integers(2, 6), a=st.integers(1, 6), b=st.integers(1, 6))
def test_chance_is_the_mean_over_all_pairs_of_sets(m, a, b):
    a, b = min(a, m), min(b, m)
    every = [jaccard(s, t) for s in combinations(range(m), a) for t in combinations(range(m), b)]
    assert chance_jaccard(m, a, b) == pytest.approx(np.mean(every))


def test_compositions_that_change_places_agree_in_the_first_levels():
    a = np.array([[0, 1], [2, 3], [1, 3]])
    single, together = jaccard_by_level(a, a[[1, 0, 2]])
    assert single.tolist() == [0, 0, 1]
    assert together.tolist() == [0, 1, 1]
    assert [each.tolist() for each in first_levels(a)] == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3]]


def test_pairs_join_at_the_level_that_connects_them():
    levels = joining_levels(np.array([[0, 1], [3, 4], [1, 3]]), 6)
    assert levels[0, 1] == 1
    assert levels[3, 4] == 2
    assert levels[0, 4] == levels[1, 3] == 3
    assert np.all(levels[2, [0, 1, 3, 4, 5]] == 4)
    assert np.all(np.diag(levels) == 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(2, 12))
def test_joining_levels_are_an_ultrametric(seed, m):
    rng = np.random.default_rng(seed)
    order = int(rng.integers(2, m + 1))
    tuples = np.array([np.sort(rng.choice(m, order, replace=False)) for _ in range(m - order + 1)])
    levels = joining_levels(tuples, m)
    np.testing.assert_array_equal(levels, levels.T)
    assert np.all(levels[:, None, :] <= np.maximum(levels[:, :, None], levels[None]))
    for level, members in enumerate(tuples):
        assert levels[np.ix_(members, members)].max() <= level + 1
    assert joining_correlation(levels, levels) == pytest.approx(1)


def test_correlation_of_flat_hierarchies():
    flat, steps = joining_levels(np.array([[0, 1, 2]]), 3), joining_levels(np.array([[0, 1]]), 3)
    assert joining_correlation(flat, flat) == 1
    assert joining_correlation(flat, steps) == 0


def test_orders_and_names_that_cannot_be():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 6)), np.repeat(np.arange(5), 6)
    with pytest.raises(TypeError, match="`orders` must be a sequence of integers, got 3"):
        layer_flow({"a": x, "b": x}, y, order=3, orders=3)
    with pytest.raises(ValueError, match="`layers` must have names that differ as text, got 1, '1'"):
        layer_flow({1: x, "1": x}, y, order=3)


def test_an_error_of_next_to_nothing_is_not_divided_by():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 6)
    flow = layer_flow(
        {"a": rng.normal(size=(30, 9)), "b": rng.normal(size=(30, 9))}, y, order=5, n_resamples=2
    )
    assert "over 1,000 times" in flow.words()[1]
