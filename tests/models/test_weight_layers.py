"""Weights of networks with all that their layers do: chains of NumPy and scikit-learn, and arguments."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wavelens.exceptions import ModelError
from wavelens.models import NumpyMLP, Preprocessing, open_model, read_layers
from wavelens.models._activations import activation
from wavelens.models._weight_numpy import read_arrays
from wavelens.models._weight_steps import left_out_words


def mlp(seed=0, dtype=np.float64, **options):
    rng = np.random.default_rng(seed)
    sizes = (16, 7, 5, 3)
    weights = [rng.normal(size=pair).astype(dtype) for pair in pairwise(sizes)]
    return NumpyMLP(weights, [rng.normal(size=n).astype(dtype) for n in sizes[1:]], **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_networks(dtype):
    model = mlp(dtype=dtype, activations=["selu", "leaky_relu", "softmax"])
    layers = read_layers(model)
    assert layers.is_chain
    assert [each.name for each in layers] == ["layer1", "layer2", "layer3"]
    assert [each.activation for each in layers] == ["selu", "leaky_relu:0.01", "softmax"]
    assert [each.input_name for each in layers] == ["input", "activation1", "activation2"]
    assert layers.layers[0].input_shape == (1, 4, 4)
    batch = np.random.default_rng(1).random((6, 1, 4, 4)).astype(dtype)
    values = layers.network.run(batch, ["layer1", "activation1", "layer3", "activation3"])
    for each, w in zip(layers, model.weights, strict=True):
        assert each.weights.dtype == dtype
        np.testing.assert_array_equal(each.weights, w.T)
    z = batch.reshape(6, -1) @ layers.layers[0].weights.T + layers.layers[0].bias
    np.testing.assert_allclose(values["layer1"], z, rtol=1e-5)
    np.testing.assert_allclose(values["activation3"], model.run(batch), rtol=1e-6)
    assert read_layers(layers) is layers


def test_the_preprocessing_of_a_numpy_network_is_known_to_its_network():
    rule = Preprocessing((4, 4), resize="stretch", color="grey", value_range=(-1, 1), dtype="float64")
    layers = read_layers(mlp(preprocessing=rule))
    assert layers.network.facts["value_range"].value == (-1, 1)
    assert layers.network.facts["resize"].value == "stretch"
    assert layers.input_shape == (1, 4, 4)


def test_scikit_learn():
    data, labels = load_digits(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hardly trained
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=20)).fit(data + 0.0, labels % 3)
        net = MLPClassifier((9,), "tanh", max_iter=3, random_state=0).fit(data / 16, labels)
    found = read_layers(open_model(linear, preprocessing={"value_range": (0, 16)}))
    assert [(each.shape, each.activation) for each in found] == [((3, 64), "identity")]
    scaler, classifier = linear[0], linear[1]
    scale = np.where(scaler.scale_ == 0, 1, scaler.scale_)
    np.testing.assert_allclose(found.layers[0].weights, classifier.coef_ / scale)
    assert [(each.shape, each.activation) for each in read_layers(net)] == [
        ((9, 64), "tanh"),
        ((10, 9), "softmax"),
    ]


def test_arrays():
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(4, 6)), rng.normal(size=(1, 4))
    layers = read_arrays([w, v], [None, [2.0]], ["tanh", "identity"], input_shape=(1, 2, 3))
    x = rng.normal(size=(5, 6))
    values = layers.network.run(x.reshape(5, 1, 2, 3), ["activation2"])["activation2"]
    np.testing.assert_allclose(values, np.tanh(x @ w.T) @ v.T + 2)
    np.testing.assert_array_equal(layers.layers[0].weights, w)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([np.eye(3), np.eye(4)],), r"`weights\[1\]` must take the 3 outputs"),
        (([np.eye(3)], [np.zeros(2)]), r"`biases\[0\]` must have shape \(3,\), got \(2,\)"),
        (([np.eye(3)], [[np.nan] * 3]), r"`biases\[0\]` must be finite"),
        (([np.full((2, 2), np.inf)],), r"`weights\[0\]` must be finite"),
        (([np.eye(3)], None, ["relu", "relu"]), "must be as many as the 1 weights, got 1 and 2"),
        (([np.eye(3)], None, ["swoosh"]), "`activations` must be among"),
        (([],), r"`len\(weights\)` must be at least 1"),
    ],
)
def test_wrong_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_arrays(*arguments)


def test_a_shape_that_does_not_fit():
    with pytest.raises(ValueError, match=r"`input_shape` \(2, 2\) has 4 values, the first weights take 3"):
        read_arrays([np.eye(3)], input_shape=(2, 2))


def test_what_is_no_network(tmp_path):
    with pytest.raises(TypeError, match="`model` must be the path"):
        read_layers(3)
    with pytest.raises(ModelError, match="no such file"):
        read_layers(tmp_path / "none.pt2")
    with pytest.raises(TypeError, match="`model` must be the path"):
        read_layers(open_model(lambda x: x.mean((2, 3)), input_shape=(3, 4, 4)))
    with pytest.raises(KeyError, match="no layer 'x'; there are layer1, layer2, layer3"):
        read_layers(mlp()).layer("x")


@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("clip:0:6", [-1.0, 3, 8], [0.0, 3, 6]),
        ("elu", [-1.0, 2], [np.expm1(-1), 2]),
        ("elu:0.5", [-1.0, 2], [0.5 * np.expm1(-1), 2]),
        ("leaky_relu:0.25", [-1.0, 2], [-0.25, 2]),
    ],
)
def test_activations_with_parameters(name, z, expected):
    forward, back = activation(name)
    z = np.array(z)
    np.testing.assert_allclose(forward(z), expected)
    step = 1e-6
    numeric = (forward(z + step) - forward(z - step)) / (2 * step)
    np.testing.assert_allclose(back(z, forward(z), np.ones_like(z)), numeric, atol=1e-5)
    assert forward(z.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("name", ["clip:0", "clip:a:b", "elu:x", "leaky_relu:", "leaky_relu:1:2", "relu:3"])
def test_wrong_parameters(name):
    if name == "leaky_relu:":
        activation(name)
        return
    with pytest.raises(ValueError, match="`activations`"):
        activation(name)


def test_what_is_left_out_is_said_once_a_kind():
    found = [(f"up{i}", "transposed convolutions") for i in range(5)] + [("gru", "recurrent layers")]
    assert left_out_words(found) == (
        "“up0”, “up1”, “up2” and 2 more are left out: transposed convolutions are not taken apart, only linear layers "
        "and two-dimensional convolutions.",
        "“gru” is left out: recurrent layers are not taken apart, only linear layers and two-dimensional convolutions.",
    )
    assert left_out_words([]) == ()
