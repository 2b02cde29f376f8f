"""The shared MobileNet and MNIST: both files of the network agree, and the figures are what they should be."""

from __future__ import annotations

import numpy as np
import pytest
from networks import need_onnx, need_torch

import wavelens.data
from wavelens.models import read_layers
from wavelens.spaces import NetworkSpaces, SignalSpaces

pytestmark = pytest.mark.realdata
CLASSES = ("n01440764", "n02979186", "n03028079")


@pytest.fixture
def photos(real_data, tmp_path):
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for each in sorted((real_data / "photos" / "imagenette160" / "val" / name).iterdir())[:2]:
            (tmp_path / name / each.name).write_bytes(each.read_bytes())
    return tmp_path


@pytest.mark.networks
def test_mobilenet_as_onnx_and_as_a_program(real_data, photos):
    need_onnx()
    need_torch()
    paths = [real_data / "models" / f"mobilenet_v1_0.75_224.{each}" for each in ("onnx", "pt2")]
    layers = [read_layers(each) for each in paths]
    assert [len(each) for each in layers] == [28, 28]
    for a, b in zip(*layers, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        for name in ("kind", "stride", "padding", "dilation", "groups", "activation", "input_shape"):
            assert getattr(a, name) == getattr(b, name), (a.name, name)
        if a.scale_out is not None:
            np.testing.assert_allclose(a.scale_out, b.scale_out, rtol=1e-6)
            np.testing.assert_allclose(a.shift_out, b.shift_out, rtol=1e-5, atol=1e-6)
    assert layers[0].layers[0].padding == (0, 1, 0, 1)
    flows = [NetworkSpaces.from_file(each).energy_flow(photos) for each in paths]
    np.testing.assert_allclose(flows[0].shares, flows[1].shares, atol=1e-5)
    flow = flows[0]
    assert flow.classes == CLASSES
    depthwise = np.array([each == "depthwise" for each in flow.kinds])
    assert depthwise.sum() == 13
    np.testing.assert_allclose(flow.chance[depthwise], 8 / 9, atol=1e-3)
    # Pointwise layers hold all that their images hold, though not all directions.
    assert flow.overall[~depthwise].max() < 0.05


@pytest.mark.networks
def test_mobilenet_convolutions_are_what_the_network_computes(real_data):
    need_onnx()
    network = NetworkSpaces.from_onnx(real_data / "models" / "mobilenet_v1_0.75_224.onnx", fold=False)
    batch = np.random.default_rng(0).random((1, 3, 224, 224), np.float32) * 255
    for each in (network.layers[0], network.layers[3]):
        values = network.weights.network.run(batch, [each.input_name, each.name])
        operator = each.convolution.as_operator()
        got = operator @ values[each.input_name].ravel().astype(np.float64)
        expected = values[each.name].ravel()
        np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.networks
def test_mobilenet_layers_are_split_exactly(real_data):
    """Each layer's kernels as rows: energies add up, the bases are complementary, and NumPy's SVD says the same."""
    need_onnx()
    network = NetworkSpaces.from_onnx(real_data / "models" / "mobilenet_v1_0.75_224.onnx")
    assert len(network) == 28
    rng = np.random.default_rng(0)
    for each in network:
        weights = each.layer.weights.reshape(len(each.layer.weights), -1).astype(np.float64)
        n_out, n_in = weights.shape
        spaces = SignalSpaces(weights, rtol=each.linear.shape[1] * np.finfo(np.float32).eps)
        exact = np.linalg.svd(weights, compute_uv=False)
        np.testing.assert_allclose(spaces.singular_values, exact, atol=1e-13 * exact[0])
        np.testing.assert_allclose(each.linear.singular_values, exact, atol=1e-13 * exact[0])
        assert spaces.rank == (exact > spaces.shape[1] * np.finfo(np.float32).eps * exact[0]).sum(), each.name
        # Photos' values are far from centred: an offset makes the parts as unlike in size as theirs.
        x = rng.random((64, n_in)) + 2
        found = spaces.decompose(x)
        total = (x**2).sum(axis=1)
        np.testing.assert_allclose(found.signal_energy + found.rejected_energy, total, rtol=1e-12)
        assert np.abs(found.signal + found.rejected - x).max() <= 1e-15 * np.abs(x).max() * np.sqrt(n_in)
        leak = np.linalg.norm(weights @ found.rejected.T, axis=0) / np.sqrt(total)
        assert (leak <= spaces.rank * np.finfo(np.float32).eps * exact[0]).all(), each.name
        for kept, left, n in (
            (spaces.signal, spaces.rejected, n_in),
            (spaces.signal_out, spaces.rejected_out, n_out),
        ):
            whole = np.concatenate([kept, left], axis=1)
            assert np.abs(whole.T @ whole - np.eye(n)).max() <= 1e-13, each.name


def test_a_network_of_mnist(real_data):
    from sklearn.linear_model import LogisticRegression

    data = wavelens.data.load(real_data / "mnist.npz")
    images, labels = data.images[::20], data.labels[::20]
    classifier = LogisticRegression(C=1e-3, tol=0.05).fit(images.reshape(len(images), -1) / 255.0, labels)
    network = NetworkSpaces.from_model(classifier)
    flow = network.energy_flow(images, labels)
    assert flow.shapes == ((10, 784),)
    assert flow.chance[0] == pytest.approx(1 - flow.ranks[0] / 784)
    # Ten directions of 784 keep far more of the digits than of noise, and yet reject most of them.
    assert 0.5 < flow.overall[0] < 0.97
    assert flow.beyond_chance[0] < 0
    assert flow.rejected.shape == (1, 10)
