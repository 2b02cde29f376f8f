"""Inverse maps: both methods on square networks, reports where there is no inverse, models of all kinds."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.exceptions import ModelError, WavelensWarning
from wavelens.models import (
    Model,
    NumpyMLP,
    Preprocessing,
    WeightLayer,
    WeightLayers,
    open_model,
    read_layers,
)
from wavelens.spaces import NetworkSpaces, invert

INVERTIBLE = ("selu", "tanh", "sigmoid", "leaky_relu:0.3", "identity")


def square_net(n, depth, activation, seed):
    """Orthogonal matrices times a gentle spectrum: activations are not driven to their ends."""
    rng = np.random.default_rng(seed)
    weights = []
    for _ in range(depth):
        q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        weights.append((q * rng.uniform(0.5, 1.5, n)) @ np.linalg.qr(rng.standard_normal((n, n)))[0])
    return weights, [0.1 * rng.standard_normal(n) for _ in weights], activation


def answers(net, x):
    from wavelens.spaces._network_maps import as_map

    return as_map(net).values(x)


@pytest.mark.parametrize("method", ["newton", "layerwise"])
@pytest.mark.parametrize("activation", INVERTIBLE)
@settings(max_examples=8, deadline=None)
@given(n=st.integers(1, 12), depth=st.integers(1, 4), seed=st.integers(0, 999))
def test_square_networks_are_inverted(method, activation, n, depth, seed):
    net = square_net(n, depth, activation, seed)
    x = np.random.default_rng(seed).uniform(-1, 1, (3, n))
    found = invert(net, answers(net, x), method)
    assert found.reached.all()
    np.testing.assert_allclose(found.inputs, x, atol=1e-8)
    assert found.endings.tolist() == ["reached"] * 3


def test_both_methods_give_the_least_norm_solution_of_one_layer():
    rng = np.random.default_rng(1)
    w, b = rng.standard_normal((4, 9)), rng.standard_normal(4)
    targets = np.tanh(rng.standard_normal((5, 4)))
    wanted = (np.arctanh(targets) - b) @ np.linalg.pinv(w).T
    for method in ("newton", "layerwise"):
        found = invert(([w], [b], "tanh"), targets, method)
        np.testing.assert_allclose(found.inputs, wanted, atol=1e-9)


def test_a_value_outside_the_range_is_named():
    net = ([np.eye(3), np.diag([1.0, 1.0, 2.0])], None, ["tanh", "identity"])
    with pytest.warns(
        WavelensWarning, match=r"2 of 3 outputs have no inverse layer by layer, .*layer1 \(tanh"
    ):
        found = invert(net, [[0.5, 0.5, 1.0], [0.5, 1.25, 1.0], [0.5, 0.5, -5.0]], "layerwise")
    assert found.reached.tolist() == found.exists.tolist() == [True, False, False]
    assert np.isnan(found.inputs[1:]).all()
    assert np.isinf(found.distances[1:]).all()
    assert found.endings.tolist() == ["reached", "no inverse", "no inverse"]
    where = [(each.layer, each.activation, each.unit, each.n_samples) for each in found.out_of_range]
    assert where == [("layer1", "tanh", 1, 1), ("layer1", "tanh", 2, 1)]
    np.testing.assert_allclose([each.distance for each in found.out_of_range], [0.25, 1.5])
    report = found.report()
    assert "1 of 3 outputs reached layer by layer" in report
    assert "(-1, 1)): 2 of its units are outside, by up to 1.5 (unit 2, in 1 samples)" in report


def test_the_end_of_the_range_is_reached_only_at_infinity():
    with pytest.warns(WavelensWarning, match="at its very end, reached only at infinity"):
        found = invert(([np.eye(2)], None, "sigmoid"), [[0.5, 1.0]], "layerwise")
    assert found.out_of_range[0].distance == 0


def test_a_tall_layer_takes_the_nearest_and_says_so():
    rng = np.random.default_rng(2)
    w = rng.standard_normal((5, 3))
    targets = rng.standard_normal((4, 5))
    found = invert(([w], None, "identity"), targets, "layerwise")
    assert not found.reached.any()
    assert found.endings.tolist() == ["missed"] * 4
    assert found.rejected_out[0].n_samples == 4
    assert found.rejected_out[0].distance == pytest.approx(found.distances.max())
    np.testing.assert_allclose(found.inputs, targets @ np.linalg.pinv(w).T, atol=1e-12)
    np.testing.assert_allclose(invert(([w], None, "identity"), targets).inputs, found.inputs, atol=1e-9)
    assert "has rank 3 for 5 outputs: 4 samples ask for what it cannot give" in found.report()
    # What the layer does give is not reported as rejected.
    assert invert(([w], None, "identity"), rng.standard_normal((4, 3)) @ w.T, "layerwise").reached.all()


def test_a_zero_matrix_gives_its_bias_only():
    net = ([np.zeros((2, 3))], [np.array([1.0, 2.0])], "identity")
    for method in ("newton", "layerwise"):
        found = invert(net, [[1.0, 2.0], [1.0, 3.0]], method)
        assert found.reached.tolist() == [True, False]
        np.testing.assert_array_equal(found.inputs, 0)
        np.testing.assert_allclose(found.distances, [0, 1])


@pytest.mark.parametrize("activation", ["relu", "softmax", "clip:0:6", "leaky_relu:0"])
def test_activations_without_inverse_are_named(activation):
    net = ([np.eye(3)] * 2, None, ["selu", activation])
    with pytest.raises(
        ValueError, match=f"back through layer2 of .*activation {activation} has no inverse: .*newton"
    ):
        invert(net, np.full((1, 3), 0.3), "layerwise")
    assert np.isfinite(invert(net, np.full((1, 3), 1 / 3)).inputs).all()


def test_relu_without_biases_is_started_off_zero():
    rng = np.random.default_rng(3)
    net = ([rng.standard_normal((20, 10)), rng.standard_normal((3, 20))], None, ["relu", "identity"])
    targets = answers(net, rng.random((4, 10)))
    assert invert(net, targets).reached.all()


def test_bounds_may_be_arrays_and_hold():
    rng = np.random.default_rng(4)
    w = rng.standard_normal((3, 8))
    low, high = np.full(8, -0.5), np.full(8, 0.5)
    low[0] = high[0] = 0.125
    inside = rng.uniform(-0.3, 0.3, (5, 8))
    inside[:, 0] = 0.125
    found = invert(([w], None, "tanh"), np.tanh(inside @ w.T), bounds=(low, high))
    assert found.reached.all()
    np.testing.assert_array_equal(found.inputs[:, 0], 0.125)
    assert np.abs(found.inputs).max() <= 0.5


def test_the_solution_is_near_the_start():
    rng = np.random.default_rng(5)
    w = rng.standard_normal((3, 8))
    start = rng.standard_normal((2, 8))
    found = invert(([w], None, "identity"), rng.standard_normal((2, 3)), start=start)
    null = np.eye(8) - np.linalg.pinv(w) @ w
    np.testing.assert_allclose((found.inputs - start) @ null, 0, atol=1e-9)


class Blind(Model):
    """A NumPy network of which only outputs and gradients are seen."""

    def __init__(self, inner, dtype="float64"):
        from wavelens.models._input_map import InputMap

        self.inner = inner
        super().__init__(
            name="blind",
            kind="test",
            input_shape=inner.input_shape,
            n_outputs=inner.n_outputs,
            outputs="logits",
            batch_size=3,
            _map=InputMap(dtype=dtype),
        )

    def run(self, batch):
        return self.inner.run(batch)

    def run_back(self, batch, keep):
        return self.inner.run_back(batch, keep)


def mlp(dtype=np.float64, activation="selu", **more):
    rng = np.random.default_rng(6)
    sizes = (48, 30, 5)
    weights = [(rng.standard_normal(s) / np.sqrt(s[0])).astype(dtype) for s in itertools.pairwise(sizes)]
    biases = [(0.1 * rng.standard_normal(n)).astype(dtype) for n in sizes[1:]]
    return NumpyMLP(weights, biases, [activation, "identity"], input_shape=(3, 4, 4), **more)


@pytest.mark.parametrize("rule", [None, "rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_models_are_inverted_with_their_preprocessing(rule, layout):
    preprocessing = rule and Preprocessing(
        size=(4, 4),
        color=rule,
        layout=layout,
        value_range=(0, 255),
        mean=(100.0, 120.0, 130.0),
        std=(60.0, 50.0, 40.0),
    )
    model = mlp(preprocessing=preprocessing)
    targets = model.predict(np.random.default_rng(7).random((7, 3, 4, 4)))
    found = invert(model, targets, bounds=(0, 1), start=np.full((3, 4, 4), 0.5))
    assert found.inputs.shape == (7, 3, 4, 4)
    assert found.reached.all()
    np.testing.assert_allclose(model.predict(found.inputs), targets, atol=1e-9)


def test_any_model_gives_what_the_analytic_network_gives():
    model = mlp()
    targets = model.predict(np.random.default_rng(8).random((7, 3, 4, 4)))
    analytic, blind = invert(model, targets), invert(Blind(model), targets)
    assert blind.reached.all()
    np.testing.assert_allclose(blind.inputs, analytic.inputs, atol=1e-9)
    np.testing.assert_array_equal(blind.steps, analytic.steps)


def test_float32_weights_are_inverted_in_float64():
    model = mlp(np.float32)
    targets = model.predict(np.random.default_rng(9).random((3, 3, 4, 4)))
    found = invert(model, targets)
    assert found.reached.all()
    assert found.rtol == 1e-10
    np.testing.assert_allclose(model.predict(found.inputs.astype(np.float32)), targets, atol=1e-5)


def test_float32_arithmetic_says_what_it_allows():
    model = mlp(np.float32)
    found = invert(Blind(model, "float32"), model.predict(np.random.default_rng(9).random((3, 3, 4, 4))))
    assert found.reached.all()
    assert found.rtol == pytest.approx(1.2e-5, rel=0.01)
    assert found.distances.max() < 1e-4
    assert "computes in float32" in found.report()


def test_the_layers_of_a_network_are_inverted_alike():
    model = mlp()
    layers = read_layers(model)
    targets = model.predict(0.1 * np.random.default_rng(10).standard_normal((4, 3, 4, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WavelensWarning)
        for method in ("newton", "layerwise"):
            np.testing.assert_allclose(
                invert(layers, targets, method).inputs, invert(model, targets, method).inputs, atol=1e-9
            )


def test_the_spaces_of_a_network_are_inverted():
    weights, biases, _ = square_net(6, 3, "selu", 11)
    spaces = NetworkSpaces.from_arrays(weights, biases, ["selu"] * 3)
    x = np.random.default_rng(12).uniform(-1, 1, (2, 6))
    for method in ("newton", "layerwise"):
        found = invert(spaces, answers(spaces, x), method)
        np.testing.assert_allclose(found.inputs.reshape(2, 6), x, atol=1e-8)


def test_networks_that_are_no_chains_of_linear_layers_are_told_of_newton():
    kernels = np.ones((2, 1, 3, 3))
    layer = WeightLayer(name="conv1", kind="convolution", weights=kernels, input_shape=(1, 4, 4))
    network = WeightLayers("net.onnx", "ONNX file", (layer,))
    with pytest.raises(
        ModelError,
        match=r"net.onnx cannot be inverted layer by layer: conv1 is a convolution; .*method='newton' .*open_model",
    ):
        invert(network, np.zeros((1, 2)), "layerwise")
    with pytest.raises(ModelError, match=r"only chains of linear layers .*: conv1 is a convolution; open"):
        invert(network, np.zeros((1, 2)))
    network.why_not_chain = "It is no chain of layers and activations: Add ('sum') joins 2 branches."
    with pytest.raises(ModelError, match=r"layer by layer: it is no chain .* joins 2 branches; only chains"):
        invert(network, np.zeros((1, 2)), "layerwise")


def test_branches_are_named():
    layers = read_layers(mlp())
    layers.why_not_chain = "the sum 'add1' joins two branches"
    with pytest.raises(
        ModelError, match=r"cannot be inverted layer by layer: the sum 'add1' joins .*method='newton'"
    ):
        invert(layers, np.zeros((1, 5)), "layerwise")
    with pytest.raises(ModelError, match=r"known by its layers alone, .*open_model"):
        invert(layers, np.zeros((1, 5)))
    with pytest.raises(ModelError, match="blind is a test, of which only outputs and gradients are seen"):
        invert(Blind(mlp()), np.zeros((1, 5)), "layerwise")


def test_functions_have_no_gradient():
    model = open_model(
        lambda x: np.stack([x.mean((1, 2, 3)), x.max((1, 2, 3))], axis=1), input_shape=(1, 4, 4)
    )
    with pytest.raises(ModelError, match="no gradient"):
        invert(model, [[0.5, 0.5]])


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("method", ["newton", "layerwise"])
def test_weights_of_any_size_are_inverted(method, size):
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((4, 4)), rng.standard_normal((3, 4))
    outputs = (x @ w.T) * size
    found = invert(([w * size], None, "identity"), outputs, method)
    assert found.reached.all()
    assert np.isfinite(found.distances).all()
    np.testing.assert_allclose(found.inputs, x, rtol=1e-9)
    mixed = invert(([w], None, "identity"), np.concatenate([outputs, x @ w.T]), method)
    assert mixed.reached[3:].all()
    np.testing.assert_allclose(mixed.inputs[3:], x, rtol=1e-9)
    # Inputs of such a size may be out of a search's reach; it says so, and does not call them reached.
    for i in range(3):
        if mixed.reached[i]:
            np.testing.assert_allclose(mixed.inputs[i] / size, x[i], rtol=1e-9)
        else:
            assert 0 < mixed.distances[i] < np.inf
    # What cannot be reached is told with its distance, neither 0 nor infinite.
    lacking = invert(([w[[0, 0]] * size], None, "identity"), size * np.array([[1.0, -1.0]]), method)
    assert not lacking.reached.any()
    np.testing.assert_allclose(lacking.distances / size, np.sqrt(2), rtol=1e-9)


NET = ([np.eye(3)[:2]], None, "tanh")


@pytest.mark.parametrize(
    ("network", "outputs", "options", "message"),
    [
        (NET, [[0.5, 0.5, 0.5]], {}, "`outputs` must have 2 columns"),
        (NET, [[0.5, np.nan]], {}, "`outputs` must be finite, got nan at row 0, column 1"),
        (NET, [0.5, 0.5], {}, "`outputs` must have 2 dimensions"),
        (
            NET,
            [[0.5, 0.5]],
            {"method": "exact"},
            "`method` must be one of 'newton', 'layerwise', got 'exact'",
        ),
        (NET, [[0.5, 0.5]], {"rtol": 0}, "`rtol` must be between 0 and 1, got 0"),
        (NET, [[0.5, 0.5]], {"max_steps": 0}, "`max_steps` must be at least 1"),
        (NET, [[0.5, 0.5]], {"bounds": (1, 0)}, "`bounds` must have low ≤ high, got 1 and 0"),
        (NET, [[0.5, 0.5]], {"bounds": 1}, r"`bounds` must be \(low, high\), got 1"),
        (NET, [[0.5, 0.5]], {"bounds": (0, np.nan)}, "`bounds` must have low ≤ high, got 0 and nan"),
        (NET, [[0.5, 0.5]], {"bounds": (0, [1, 1])}, r"of the input's shape \(3,\), got \(2,\)"),
        (
            NET,
            [[0.5, 0.5]],
            {"bounds": (0, 1), "method": "layerwise"},
            "`bounds` and `start` are for method='newton'",
        ),
        (
            NET,
            [[0.5, 0.5]],
            {"start": np.zeros(2)},
            r"`start` must have shape \(3,\) or \(1, 3\), got \(2,\)",
        ),
        (NET, [[0.5, 0.5]], {"start": np.full(3, np.inf)}, "`start` must be finite"),
        (([np.eye(2), np.eye(3)], None, "tanh"), [[0.5, 0.5]], {}, r"weights 1 must have shape \(n_out, 2\)"),
        (([np.full((2, 2), np.nan)], None, "tanh"), [[0.5, 0.5]], {}, "must be finite"),
        (([np.eye(2)], [[0.0] * 3], "tanh"), [[0.5, 0.5]], {}, r"biases 0 \(n_out,\)"),
        (([np.eye(2)], None, ["tanh", "tanh"]), [[0.5, 0.5]], {}, "as many weights, biases and activations"),
        (([np.eye(2)], None, "gelu"), [[0.5, 0.5]], {}, "must be among .* got 'gelu'"),
    ],
)
def test_bad_input_is_refused(network, outputs, options, message):
    with pytest.raises(ValueError, match=message):
        invert(network, outputs, **options)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (([np.eye(2) * 1j], None, "tanh"), "weights 0 must hold real numbers, got dtype complex128"),
        (([["a"]], None, "tanh"), "weights 0 must hold real numbers"),
        (([np.eye(2)], None, None), "activations must be a sequence, one a layer, got None"),
        (([np.eye(2)], 1.0, "tanh"), "biases must be a sequence, one a layer, got 1.0"),
    ],
)
def test_bad_networks_are_refused(network, message):
    with pytest.raises(TypeError, match=message):
        invert(network, [[0.5, 0.5]])


def test_bounds_must_be_numbers():
    with pytest.raises(TypeError, match="`bounds` must hold real numbers, got 'low'"):
        invert(NET, [[0.5, 0.5]], bounds=("low", 1))


def test_a_path_is_refused_with_the_way():
    with pytest.raises(TypeError, match=r"got str; wavelens\.models\.open_model opens files"):
        invert("net.onnx", [[0.5]])


@pytest.mark.parametrize("network", [np.eye(3), "net.onnx", None])
def test_other_networks_are_refused(network):
    with pytest.raises(TypeError, match=r"`network` must be a model of wavelens.models, a NetworkSpaces, or"):
        invert(network, [[0.5]])
