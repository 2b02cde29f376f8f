"""Ideal outputs and inputs: what they are by definition, and what training does to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.models import ClassNames, NumpyMLP, open_model
from wavelens.spaces import ideal_inputs, ideal_outputs

SIDE, K = 5, 3


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(K), [8, 9, 13])[rng.permutation(30)]
    centres = rng.random((K, SIDE, SIDE))
    return np.clip(centres[labels] + 0.1 * rng.standard_normal((30, SIDE, SIDE)), 0, 1), labels


def net(activation="selu", last="identity", dtype=np.float64, **more):
    rng = np.random.default_rng(1)
    weights = [
        rng.standard_normal((SIDE**2, 12)).astype(dtype) / 5,
        rng.standard_normal((12, K)).astype(dtype) / 3,
    ]
    biases = [rng.standard_normal(12).astype(dtype) / 5, np.zeros(K, dtype)]
    return NumpyMLP(weights, biases, [activation, last], **more)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), k=st.integers(1, 8), seed=st.integers(0, 99))
def test_ideal_outputs_by_their_definition(n, k, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.standard_normal((n, k)), rng.integers(0, k, n)
    ideal = ideal_outputs(logits)
    own = ideal_outputs(logits, labels)
    for c in range(k):
        for j in range(k):
            assert ideal[c, j] == (logits[:, j].max() if c == j else logits[:, j].min())
            mine = logits[labels == c, j]
            if len(mine):
                assert own[c, j] == (mine.max() if c == j else mine.min())
            else:
                assert np.isnan(own[c, j])
    np.testing.assert_array_equal(ideal_outputs(logits[rng.permutation(n)]), ideal)


def test_candidates_by_their_definition(data):
    images, labels = data
    model = net()
    outputs = model.predict(images[:, np.newaxis])
    ideal = ideal_outputs(outputs)
    found = ideal_inputs(model, images, labels)
    np.testing.assert_allclose(found.ideal, ideal, atol=1e-6)
    for c in range(K):
        own = np.flatnonzero(labels == c)
        apart = np.linalg.norm(outputs[own] - ideal[c], axis=1)
        order = own[np.argsort(apart)]
        assert found.nearest[c] == order[0]
        wanted = {
            "avg": images[own].mean(axis=0),
            "min": images[order[0]],
            "avg-min": images[order[: len(own) // 4]].mean(axis=0),
        }
        for name, image in wanted.items():
            np.testing.assert_allclose(found.candidates[name][c, 0], image, atol=1e-6)
            distance = np.linalg.norm(model.predict(image[None, None])[0] - ideal[c])
            assert found.distances[name][c] == pytest.approx(distance, abs=1e-5)
    best = np.min(list(found.distances.values()), axis=0)
    np.testing.assert_array_equal([found.distances[n][i] for i, n in enumerate(found.chosen)], best)
    assert set(found.distances) == {"avg", "min", "avg-min"}


@pytest.mark.parametrize("start", ["avg", "min", "avg-min", "best"])
@pytest.mark.parametrize("train", ["newton", "adam"])
@pytest.mark.parametrize("bounds", ["data", None, (-0.5, 1.5)])
def test_training_never_makes_it_worse(data, start, train, bounds):
    images, labels = data
    model = net()
    found = ideal_inputs(model, images, labels, start, train=train, bounds=bounds, max_steps=60)
    for each in ("avg", "min", "avg-min") if start == "best" else (start,):
        assert (found.distances[f"{each} + {train}"] <= found.distances[each] + 1e-6).all()
    if bounds == "data":
        assert found.images.min() >= np.float32(images.min())
        assert found.images.max() <= np.float32(images.max())
    elif bounds is not None:
        assert found.images.min() >= bounds[0]
        assert found.images.max() <= bounds[1]
    np.testing.assert_allclose(model.predict(found.images), found.outputs, atol=1e-6)
    np.testing.assert_array_equal(found.predicted, found.outputs.argmax(axis=1))


def test_a_linear_network_reaches_the_ideal_by_the_least_change(data):
    images, labels = data
    rng = np.random.default_rng(2)
    w, b = rng.standard_normal((SIDE**2, K)), rng.standard_normal(K)
    found = ideal_inputs(NumpyMLP([w], [b]), images, labels, "avg", train="newton", bounds=None)
    assert found.reached.all()
    means = found.candidates["avg"].reshape(K, -1)
    wanted = means + (found.ideal - means @ w - b) @ np.linalg.pinv(w)
    np.testing.assert_allclose(found.images.reshape(K, -1), wanted, atol=1e-9)


def test_of_several_that_reach_the_goal_the_least_changed_is_chosen(data):
    images, labels = data
    rng = np.random.default_rng(2)
    model = NumpyMLP([rng.standard_normal((SIDE**2, K))], [np.zeros(K)])
    found = ideal_inputs(model, images, labels, train="newton", bounds=None)
    for c, name in enumerate(found.chosen):
        moved = {
            each: np.linalg.norm(found.candidates[f"{each} + newton"][c] - found.candidates[each][c])
            / np.linalg.norm(found.candidates[each][c])
            for each in ("avg", "min", "avg-min")
        }
        assert name == f"{min(moved, key=moved.get)} + newton"


def test_what_cannot_be_reached_is_said(data):
    images, labels = data
    found = ideal_inputs(net("tanh"), images, labels, train="newton", ideal=100 * np.eye(K))
    assert not found.reached.any()
    assert min(found.distances[n][i] for i, n in enumerate(found.chosen)) > 50
    assert "miss the ideal outputs by" in found.notes[0]


def test_order_and_scale_of_the_images_change_nothing(data):
    images, labels = data
    bytes_ = np.rint(255 * images).astype(np.uint8)
    order = np.random.default_rng(3).permutation(len(images))
    model = net()
    plain = ideal_inputs(model, bytes_ / np.float32(255), labels)
    turned = ideal_inputs(model, bytes_[order], labels[order])
    np.testing.assert_array_equal(order[turned.nearest], plain.nearest)
    for name in plain.candidates:
        np.testing.assert_allclose(turned.candidates[name], plain.candidates[name], atol=1e-6)


def test_chunks_give_the_whole(data, monkeypatch):
    images, labels = data
    whole = ideal_inputs(net(), images, labels)
    monkeypatch.setattr("wavelens.spaces._ideal_starts.CHUNK", 7 * SIDE**2)
    parts = ideal_inputs(net(), images, labels)
    for name in whole.candidates:
        np.testing.assert_allclose(parts.candidates[name], whole.candidates[name], atol=1e-12)
    assert parts.chosen == whole.chosen


def test_the_report_speaks_to_a_person(data):
    images, labels = data
    names = ClassNames(("cat", "dog", "zebra"), ("cat", "dog", "zebra"))
    found = ideal_inputs(net(class_names=names), images, labels, train="newton")
    report = found.report()
    assert "not that the picture looks like its class" in report
    lines = found.table().splitlines()
    assert [line.split()[0] for line in lines] == ["class", "cat", "dog", "zebra"]
    assert all(line.count("*") == 1 for line in lines[1:])
    assert len({len(line) for line in lines}) == 1
    probable = ideal_inputs(net(last="softmax"), images, labels)
    assert any("probabilities" in note for note in probable.notes)


def test_without_training_no_gradient_is_needed(data):
    images, labels = data
    inner = net()
    model = open_model(lambda x: inner.predict(x), input_shape=(1, SIDE, SIDE), outputs="logits")
    assert ideal_inputs(model, images, labels).chosen == ideal_inputs(inner, images, labels).chosen


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"labels": np.zeros(30, int)},
            ValueError,
            "at least one image of each of the 3 classes; none of 1, 2",
        ),
        ({"labels": np.full(30, 3)}, ValueError, "`labels` must be between 0 and 2"),
        ({"labels": np.zeros(29, int)}, ValueError, r"`labels` must have shape \(30,\)"),
        ({"labels": ["a"] * 30}, TypeError, "`labels` must be integers"),
        ({"start": "max"}, ValueError, "`start` must be one of"),
        ({"train": "sgd"}, ValueError, "`train` must be one of"),
        ({"bounds": "pixels"}, ValueError, r"`bounds` must be 'data', None or \(low, high\), got 'pixels'"),
        ({"rtol": 0}, ValueError, "`rtol` must be between 0 and 1, got 0"),
        ({"rtol": "small"}, TypeError, "`rtol` must be a real number"),
        ({"bounds": (1, 0), "train": "adam"}, ValueError, "`bounds` must have low ≤ high"),
        ({"ideal": np.eye(2)}, ValueError, r"`ideal` must have shape \(3, 3\)"),
        ({"max_steps": 0}, ValueError, "`max_steps` must be at least 1"),
        ({"images": np.full((30, SIDE, SIDE), np.nan)}, ValueError, "`images` must be finite"),
        ({"images": np.zeros((30, 4, 4))}, ValueError, "5 pixels high"),
        ({"model": "net.onnx"}, TypeError, "`model` must be a model of wavelens.models"),
    ],
)
def test_bad_input_is_refused(data, change, error, message):
    images, labels = data
    given = {"model": net(), "images": images, "labels": labels} | change
    with pytest.raises(error, match=message):
        ideal_inputs(**given)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[1.0, np.inf]], None, "`logits` must be finite"),
        ([1.0, 2.0], None, "`logits` must have 2 dimensions"),
        ([[1.0, 2.0]], [2], "`labels` must be between 0 and 1"),
        ([[1.0, 2.0]], [0, 1], r"`labels` must have shape \(1,\)"),
    ],
)
def test_bad_logits_are_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        ideal_outputs(logits, labels)
