"""Networks that take the values of an image in a row: known as images where that can mean one thing only."""

from __future__ import annotations

import math

import numpy as np
import pytest
from classifiers import check_pullback, images, need_torch
from hypothesis import given
from hypothesis import strategies as st
from networks import photos

from wavelens.exceptions import ModelError
from wavelens.models import Preprocessing, extract_features, open_model, read_layers, recognise_preprocessing
from wavelens.models._recognise import pixels_of_row
from wavelens.models._weight_numpy import read_arrays
from wavelens.spaces import NetworkSpaces


def network_of(n, shape=None):
    return read_arrays([np.random.default_rng(0).standard_normal((3, n))], input_shape=shape).network


@given(side=st.integers(1, 400))
def test_a_row_of_pixels_is_one_kind_of_square(side):
    assert pixels_of_row(side * side) == (1, (side, side))
    assert pixels_of_row(3 * side * side) == (3, (side, side))


@given(n=st.integers(1, 5000))
def test_what_is_no_square_is_no_image_without_a_size(n):
    found = pixels_of_row(n)
    if found is None:
        assert math.isqrt(n) ** 2 != n
        assert n % 3 or math.isqrt(n // 3) ** 2 != n // 3
    assert pixels_of_row(2 * n, (2, n)) == (1, (2, n))
    assert pixels_of_row(6 * n, (2, n)) == (3, (2, n))
    assert pixels_of_row(2 * n, (2, n + 1)) is None


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("color", ["rgb", "bgr", "grey"])
def test_a_flat_rule_gives_the_same_values_in_a_row(layout, color):
    image = photos(1)[0]
    rule = Preprocessing(size=(6, 5), resize="stretch", color=color, layout=layout, value_range=(0, 1))
    flat = rule.replace(flat=True)
    assert flat.shape == (rule.n_channels * 30,)
    assert flat.image_shape == rule.shape
    np.testing.assert_array_equal(flat(image), rule(image).ravel())
    assert f"{flat.shape[0]} values in a row" in flat.describe()


def test_rows_of_a_square_number_are_grey_images():
    rule = recognise_preprocessing(network_of(64))
    assert (rule.size, rule.color, rule.flat, rule.value_range) == ((8, 8), "grey", True, (0, 1))
    assert "64 values in a row: 8 × 8 grey pixels" in rule.reasons["flat"]
    assert rule.reasons["value_range"].startswith("assumed")
    assert recognise_preprocessing(network_of(10), size=(5, 2)).image_shape == (1, 5, 2)


def test_colour_needs_its_order():
    with pytest.raises(ModelError, match=r"192 values in a row, as 8 × 8 coloured .*--layout nchw or nhwc"):
        recognise_preprocessing(network_of(192))
    for layout in ("nchw", "nhwc"):
        rule = recognise_preprocessing(network_of(192), layout=layout)
        assert (rule.layout, rule.flat, rule.n_channels) == (layout, True, 3)


@pytest.mark.parametrize(
    ("n", "given", "message"),
    [
        (10, {}, "takes 10 values in a row, neither the pixels of a square grey .*--size"),
        (10, {"size": (3, 3)}, "takes 10 values in a row, which 3 × 3 pixels do not have"),
    ],
)
def test_other_rows_are_refused(n, given, message):
    with pytest.raises(ModelError, match=message):
        recognise_preprocessing(network_of(n), **given)


def test_a_rule_that_is_not_flat_does_not_fit_a_row():
    with pytest.raises(
        ValueError, match=r"takes 64 values of each image; this preprocessing gives 1 × 8 × 8"
    ):
        recognise_preprocessing(network_of(64), flat=False)


@pytest.mark.parametrize("shape", [None, (8, 8), (1, 8, 8)])
def test_energies_are_those_of_the_rows(shape):
    rng = np.random.default_rng(0)
    pixels = rng.random((9, 8, 8)).astype(np.float32)
    network = NetworkSpaces.from_arrays([rng.standard_normal((3, 64))], input_shape=shape)
    expected = network.energy_flow(pixels.reshape(9, 64))
    np.testing.assert_allclose(network.energy_flow(pixels).shares, expected.shares, rtol=1e-5)


def test_images_of_the_rows_own_size_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    weights, pixels = rng.standard_normal((3, 36)), rng.random((9, 4, 9)).astype(np.float32)
    network = NetworkSpaces.from_arrays([weights])
    found = network.energy_flow(pixels)
    np.testing.assert_allclose(found.shares, network.energy_flow(pixels.reshape(9, 36)).shares, rtol=1e-5)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_flat_classifier_of_torch_has_its_gradient(layout, tmp_path):
    torch = need_torch()
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(48, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    batch = torch.zeros(2, 48, dtype=torch.float64)
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(
        torch.export.export(module.eval(), (batch,), dynamic_shapes=shapes), tmp_path / "flat.pt2"
    )
    model = open_model(
        tmp_path / "flat.pt2", preprocessing={"layout": layout, "value_range": (-1, 1)}, batch_size=2
    )
    assert model.input_shape == (3, 4, 4)
    x = images(3, 3, 4, 4)
    check_pullback(model, x)
    rows = (x if layout == "nchw" else np.moveaxis(x, 1, 3)).reshape(3, 48) * 2 - 1
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(x), module(torch.from_numpy(rows)).numpy(), atol=1e-12)
    layers = read_layers(tmp_path / "flat.pt2")
    assert [each.shape for each in layers] == [(5, 48), (3, 5)]
    pixels = (np.moveaxis(x, 1, 3) * 255).round().astype(np.uint8)
    rule = recognise_preprocessing(layers.network, layout=layout, value_range=(-1, 1))
    found = extract_features(tmp_path / "flat.pt2", pixels, preprocessing=rule)
    (features,) = found.layers.values()
    np.testing.assert_allclose(features, model.predict(model.prepare(pixels)), rtol=1e-5, atol=1e-6)
