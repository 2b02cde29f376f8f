from __future__ import annotations

import itertools

import numpy as np
import pytest
from classifiers import check_pullback, images
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.models import NumpyMLP, Preprocessing

SMOOTH = (
    "identity",
    "tanh",
    "sigmoid",
    "selu",
    "softmax",
    "one_vs_rest",
    "relu",
    "leaky_relu",
    "leaky_relu:0.2",
)


def make(widths, activations, seed=0, dtype=np.float64, **options):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=each).astype(dtype) for each in itertools.pairwise(widths)]
    return NumpyMLP(weights, [rng.normal(size=w).astype(dtype) for w in widths[1:]], activations, **options)


@pytest.mark.parametrize("final", SMOOTH)
@pytest.mark.parametrize("inner", SMOOTH)
def test_the_pullback_is_the_derivative(inner, final):
    check_pullback(make((12, 7, 5), (inner, final), input_shape=(3, 2, 2)), images(3, 3, 2, 2))


@settings(max_examples=30, deadline=None)
@given(
    channels=st.integers(1, 5),
    height=st.integers(1, 5),
    side=st.integers(1, 5),
    classes=st.integers(2, 6),
    n=st.integers(1, 9),
    batch_size=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_chunks_give_the_whole(channels, height, side, classes, n, batch_size, seed):
    widths = (channels * height * side, 4, classes)
    if widths[0] < 2:
        return
    shape = (channels, height, side)
    whole = make(widths, ("tanh", "softmax"), seed, input_shape=shape)
    parts = make(widths, ("tanh", "softmax"), seed, input_shape=shape, batch_size=batch_size)
    x, g = images(n, *shape, seed=seed), images(n, classes, seed=seed + 1)
    (y, back), (y_parts, back_parts) = whole.forward(x), parts.forward(x)
    np.testing.assert_allclose(y_parts, y, atol=1e-14)
    np.testing.assert_allclose(y, whole.predict(x), atol=1e-14)
    np.testing.assert_allclose(back_parts(g), back(g), atol=1e-13)
    one = np.concatenate([whole.predict(each[np.newaxis]) for each in x])
    np.testing.assert_allclose(one, y, atol=1e-14)


def test_a_linear_model_is_its_weights():
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(9, 3)), rng.normal(size=3)
    model, x = NumpyMLP([w], [b]), images(4, 1, 3, 3)
    outputs, pullback = model.forward(x)
    np.testing.assert_allclose(outputs, x.reshape(4, 9) @ w + b)
    g = rng.normal(size=(4, 3))
    np.testing.assert_allclose(pullback(g).reshape(4, 9), g @ w.T)
    assert model.outputs == "logits"
    assert model.input_shape == (1, 3, 3)


@pytest.mark.parametrize("weights", [np.float32, np.float64])
def test_float32_stays_float32(weights):
    model = make((12, 4, 3), ("selu", "softmax"), dtype=weights)
    x = images(5, 3, 2, 2, dtype=np.float32)
    outputs, pullback = model.forward(x)
    assert {outputs.dtype, pullback(outputs).dtype, model.predict(x).dtype} == {np.dtype(np.float32)}
    assert model.run(x).dtype == weights


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_the_range_is_part_of_the_gradient(layout, color):
    rule = Preprocessing(
        (2, 3), color=color, value_range=(0, 255), mean=(9, 8, 7), std=(50, 60, 70), layout=layout
    )
    model = make((18, 6, 4), ("tanh", "identity"), preprocessing=rule)
    x = images(2, 3, 2, 3)
    check_pullback(model, x)
    # What the house does to an image is what enters the network.
    entering = [rule.replace(resize="none")(np.moveaxis(each, 0, 2), (0, 1)) for each in x]
    np.testing.assert_allclose(model.run(np.stack(entering)), model.predict(x), rtol=1e-5, atol=1e-5)


def test_saturated_activations_stay_finite():
    model = make((4, 3, 2), ("sigmoid", "softmax"))
    model.weights[0] *= 1e4
    model.weights[1] *= 1e4
    outputs, pullback = model.forward(images(6, 1, 2, 2))
    assert np.isfinite(outputs).all()
    assert np.isfinite(pullback(np.ones((6, 2)))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NumpyMLP([np.ones((5, 2))], [np.zeros(2)]), "5 values are no square image"),
        (lambda: NumpyMLP([np.ones((4, 1))], [np.zeros(1)]), "at least 2 outputs"),
        (
            lambda: NumpyMLP([np.ones((4, 2))], [np.zeros(3)]),
            r"`biases\[0\]` \(n_out,\), got \(4, 2\) and \(3,\)",
        ),
        (lambda: NumpyMLP([np.ones((4, 2))], []), "got 1, 0 and 1"),
        (lambda: make((4, 2), ("swish",)), "`activations` must be among .*, got 'swish'"),
        (lambda: make((4, 2), ("leaky_relu:steep",)), "slope of leaky_relu"),
        (
            lambda: make((4, 2), ("identity",), input_shape=(1, 3, 3)),
            "has 9 values, the first weights take 4",
        ),
        (lambda: make((4, 2), ("identity",), outputs="odds"), "`outputs` must be one of"),
        (lambda: NumpyMLP([np.full((4, 2), np.nan)], [np.zeros(2)]), "must be finite"),
        (
            lambda: NumpyMLP([np.ones((4, 3)), np.ones((2, 2))], [np.zeros(3), np.zeros(2)]),
            r"`weights\[1\]` must take the 3 outputs",
        ),
    ],
)
def test_bad_networks_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            np.zeros((2, 1, 3, 2)),
            ValueError,
            r"`x` must have shape \(n, 1, 2, 2\) for MLP, got \(2, 1, 3, 2\)",
        ),
        (np.zeros((1, 2, 2)), ValueError, r"got \(1, 2, 2\)"),
        (np.zeros((0, 1, 2, 2)), ValueError, r"got \(0, 1, 2, 2\)"),
        (np.full((1, 1, 2, 2), 255.0), ValueError, "on the scale 0 .* got values from 255 to 255"),
        (np.full((2, 1, 2, 2), np.nan), ValueError, "`x` must be finite, got nan in image 0"),
        (np.zeros((1, 1, 2, 2), np.uint8), TypeError, "float32 or float64 .* got uint8"),
    ],
)
def test_bad_images_are_refused(x, error, message):
    model = make((4, 2), ("identity",))
    for call in (model.predict, model.forward, lambda x: model.forward_backward(x, lambda y, _: y)):
        with pytest.raises(error, match=message):
            call(x)


def test_a_bad_cotangent_is_refused():
    _, pullback = make((4, 2), ("identity",)).forward(images(3, 1, 2, 2))
    with pytest.raises(ValueError, match=r"`cotangent` must have shape \(3, 2\), got \(3,\)"):
        pullback(np.ones(3))


def test_noise_beyond_black_and_white_is_passed_on():
    model = make((4, 2), ("identity",))
    assert np.isfinite(model.predict(np.full((1, 1, 2, 2), -3.0))).all()


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 4)])
@pytest.mark.parametrize("given", [(6, 9), (6, 9, 3), (4, 4), (4, 4, 3), (6, 9, 1)])
def test_prepare_brings_images_to_the_network(shape, given):
    rule = Preprocessing((4, 4), color="grey" if shape[0] == 1 else "rgb", value_range=(-1, 1))
    model = make((int(np.prod(shape)), 2), ("identity",), preprocessing=rule)
    photos = np.random.default_rng(0).integers(0, 256, (2, *given), dtype=np.uint8)
    x = model.prepare(photos)
    assert x.shape == (2, *shape)
    assert x.dtype == np.float32
    assert x.min() >= 0
    assert x.max() <= 1
    np.testing.assert_allclose(
        model.prepare(photos / 255), x, atol=1.1 / 255
    )  # pillow rounds bytes, in each direction
    model.predict(x)


def test_prepare_leaves_images_of_the_right_size():
    photos = np.random.default_rng(0).integers(0, 256, (2, 100, 100), dtype=np.uint8)
    rule = Preprocessing((100, 100), color="grey")  # others it would enlarge, and take the middle
    model = make((10_000, 2), ("identity",), preprocessing=rule)
    np.testing.assert_allclose(model.prepare(photos)[:, 0], photos / np.float32(255), atol=1e-7)


@pytest.mark.parametrize(
    ("photos", "error", "message"),
    [
        (np.full((1, 2, 2), 2.0), ValueError, "got floats from 2 to 2; divide by 255"),
        (np.full((1, 2, 2), -1.0), ValueError, "the model subtracts mean and divides"),
        (np.full((1, 2, 2), np.nan), ValueError, "`images` must be finite"),
        (np.ones((1, 2, 2), np.int64), TypeError, "must be uint8 .* got int64"),
        (np.ones((1, 2, 2, 4)), ValueError, "`images` must have 1 channels for MLP, got 4"),
        (np.ones((1, 3, 2)), ValueError, "`images` must be 2 pixels high for MLP, got 3"),
        (np.ones((2, 2)), ValueError, r"must have shape \(n_images, height, width\)"),
    ],
)
def test_prepare_refuses(photos, error, message):
    with pytest.raises(error, match=message):
        make((4, 2), ("identity",)).prepare(photos)


def test_other_channels_enter_as_they_are():
    model = make((4 * 9, 3), ("tanh",), input_shape=(4, 3, 3))
    photos = np.random.default_rng(0).random((2, 3, 3, 4))
    np.testing.assert_array_equal(model.prepare(photos), np.moveaxis(photos, 3, 1).astype(np.float32))
    check_pullback(model, images(2, 4, 3, 3))
