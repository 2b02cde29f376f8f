"""Spaces of networks: the flow of energy against its definition, and what chance would reject."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.exceptions import ModelError
from wavelens.models import NumpyMLP, WeightLayer, WeightLayers
from wavelens.spaces import ConvolutionSpaces, NetworkSpaces, PatchSpaces
from wavelens.spaces._energy_flow import chance_spread, mean_interval
from wavelens.spaces._layer_spaces import convolution_spaces


def chain(seed=0, sizes=(12, 8, 5, 3), dtype=np.float64):
    rng = np.random.default_rng(seed)
    return NetworkSpaces.from_arrays(
        [rng.normal(size=(b, a)).astype(dtype) for a, b in pairwise(sizes)],
        activations=["tanh"] * (len(sizes) - 2) + ["identity"],
    )


def rejected_share(w, x):
    _, s, vt = np.linalg.svd(w)
    null = vt[(s > 1e-9 * s[0]).sum() :]
    return ((x @ null.T) ** 2).sum(1) / (x**2).sum(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_flow_is_what_its_definition_says(dtype):
    network = chain(dtype=dtype)
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(300, 12)).astype(dtype), np.repeat(["b", "a", "c"], 100)
    flow = network.energy_flow(x, labels)
    assert flow.classes == ("a", "b", "c")
    assert flow.layers == ("layer1", "layer2", "layer3")
    a = x.astype(np.float64)
    for i, each in enumerate(network):
        w = each.layer.weights.astype(np.float64)
        expected = rejected_share(w, a)
        np.testing.assert_allclose(flow.shares[:, i], expected, atol=1e-6)
        np.testing.assert_allclose(flow.rejected[i, 1], expected[:100].mean(), atol=1e-6)
        np.testing.assert_allclose(flow.overall[i], expected.mean(), atol=1e-6)
        assert flow.chance[i] == pytest.approx(1 - w.shape[0] / w.shape[1])
        assert (flow.interval[i, :, 0] <= flow.rejected[i]).all()
        assert (flow.interval[i, :, 1] >= flow.rejected[i]).all()
        a = np.tanh(a @ w.T)
    assert flow.ranked()[0] == flow.layers[int(np.argmax(flow.overall))]


def test_noise_is_rejected_as_chance_says_and_signal_is_not():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(10, 40))
    network = NetworkSpaces.from_arrays([w])
    noise = network.energy_flow(rng.normal(size=(2000, 40)))
    assert noise.overall[0] == pytest.approx(0.75, abs=0.01)
    assert abs(noise.beyond_chance[0]) < 5
    seen = network.energy_flow(rng.normal(size=(100, 10)) @ w)
    assert seen.overall[0] < 1e-12
    assert seen.beyond_chance[0] < -2
    assert "1 reject less than chance" in str(seen)


def test_the_spread_of_chance_is_that_of_random_spaces():
    rng = np.random.default_rng(0)
    n, r, groups = 12, 4, 3
    scales = 2.0 ** -np.arange(n) * np.array([1, 2, 0.5])[:, None]
    x = rng.normal(size=(4000, groups, n)) * scales
    told = chance_spread(x, np.arange(4000), np.full(groups, r))
    shares = []
    for _ in range(3000):
        kept = 0.0
        for g in range(groups):
            q = np.linalg.qr(rng.normal(size=(n, r)))[0]
            kept += (q**2 * (scales[g] ** 2)[:, None]).sum()
        shares.append(1 - kept / (scales**2).sum())
    assert np.mean(shares) == pytest.approx(1 - r / n, abs=0.01)
    assert told == pytest.approx(np.std(shares), rel=0.08)


def test_a_full_layer_rejects_nothing_and_an_empty_one_all():
    network = NetworkSpaces.from_arrays([np.eye(6), np.zeros((2, 6))])
    flow = network.energy_flow(np.random.default_rng(0).random((50, 6)))
    np.testing.assert_array_equal(flow.overall, [0, 1])
    np.testing.assert_array_equal(flow.chance, [0, 1])
    np.testing.assert_array_equal(flow.random_layer, [0, 1 - 2 / 6])
    assert "1 layer has as many independent weights as inputs" in flow.words()[1]


def test_images_enter_through_the_preprocessing():
    rng = np.random.default_rng(0)
    model = NumpyMLP([rng.normal(size=(64, 9)), rng.normal(size=(9, 3))], [np.zeros(9), np.zeros(3)])
    network = NetworkSpaces.from_model(model)
    images = rng.integers(0, 256, (20, 8, 8), dtype=np.uint8)
    labels = np.arange(20) % 2
    flow = network.energy_flow(images, labels, batch_size=3)
    rows = network.energy_flow(images.reshape(20, 64) / 255.0, labels)
    np.testing.assert_allclose(flow.shares, rows.shares, atol=1e-6)
    assert network.layers[0].linear.signal_images().shape == (9, 1, 8, 8)
    only = network.energy_flow(images, layers=["layer2"])
    np.testing.assert_allclose(only.shares[:, 0], flow.shares[:, 1], atol=1e-12)
    assert only.classes == ("all images",)


def test_tables_and_json():
    flow = chain().energy_flow(np.random.default_rng(0).normal(size=(4, 12)), ["x", "x", "x", "y"])
    table = flow.table()
    assert table["layer"] == ["layer1", "layer2", "layer3"]
    assert set(map(len, table.values())) == {3}
    assert "rejected: y" in table
    found = json.loads(json.dumps(flow.to_dict(), allow_nan=False))
    assert found["interval"][0][1] == [None, None]  # one image tells no interval
    assert found["counts"] == [3, 1]
    assert str(flow).splitlines()[1].split()[:4] == ["layer", "kind", "matrix", "rank"]
    shown = chain().table()
    assert shown["rank"] == [8, 5, 3]
    assert set(map(len, shown.values())) == {3}
    assert repr(chain()) == "NetworkSpaces('network': 3 layers)"


def test_an_image_of_zeros_counts_as_missing():
    x = np.random.default_rng(0).normal(size=(5, 12))
    x[2] = 0
    flow = chain().energy_flow(x)
    assert np.isnan(flow.shares[2]).all()
    np.testing.assert_allclose(flow.overall, np.nanmean(flow.shares, axis=0))
    nothing = chain().energy_flow(np.zeros((3, 12)))
    assert "nan" not in str(nothing)
    assert "Nothing but zeros enters" in str(nothing)


@settings(max_examples=40, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 4]),
    out=st.integers(1, 5),
    own=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.integers(1, 2),
    padding=st.tuples(*[st.integers(0, 2)] * 4),
    low_rank=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_patches_agree_with_the_operator_of_the_convolution(
    groups, out, own, kernel, stride, dilation, padding, low_rank, seed
):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(groups * out, own, *kernel))
    if low_rank:
        weights[out // 2 :] = 0
        weights[:1] = 1
    layer = WeightLayer(
        name="c",
        kind="convolution",
        weights=weights,
        stride=stride,
        padding=padding,
        dilation=(dilation, dilation),
        groups=groups,
        input_shape=(groups * own, 7, 8),
    )
    x = rng.normal(size=(3, groups * own, 7, 8))
    patches = PatchSpaces(layer)
    shares = patches.shares(x)
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = [(side - 1) * dilation + 1 for side in kernel]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], ::dilation, ::dilation]
    expected = np.zeros(3)
    for g in range(groups):
        seen = windows[:, g * own : (g + 1) * own].transpose(0, 2, 3, 1, 4, 5).reshape(3, -1, patches.n_in)
        w = weights[g * out : (g + 1) * out].reshape(out, -1)
        _, s, vt = np.linalg.svd(w)
        null = vt[(s > 1e-9).sum() :]
        assert patches.ranks[g] == (s > 1e-9).sum()
        expected += ((seen @ null.T) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(shares, expected / (windows**2).sum(axis=(1, 2, 3, 4, 5)), atol=1e-9)
    drawn = patches.sample(x, 2, rng)
    assert drawn.shape == (6, groups, patches.n_in)
    choice = windows.transpose(0, 2, 3, 1, 4, 5).reshape(3, -1, groups, patches.n_in)
    assert all((np.abs(choice[i // 2] - each).max(axis=(1, 2)) == 0).any() for i, each in enumerate(drawn))


def test_layers_that_are_convolutions():
    rng = np.random.default_rng(0)
    layer = WeightLayer(
        name="c",
        kind="convolution",
        weights=rng.normal(size=(4, 1, 3, 3)),
        padding=(1, 1, 1, 1),
        groups=4,
        scale_out=np.array([1.0, 2, 3, 0]),
        shift_out=np.zeros(4),
        input_shape=(4, 6, 6),
    )
    network = NetworkSpaces(WeightLayers("n", "test", (layer,)).folded())
    (each,) = network
    assert each.kind == "depthwise"
    assert each.linear.shape == (4, 9)
    assert isinstance(each.spaces, ConvolutionSpaces)
    assert each.spaces.shape == (144, 144)
    # A channel that normalization has switched off keeps nothing.
    assert each.patches.ranks.tolist() == [1, 1, 1, 0]
    with pytest.raises(ModelError, match="n: there are weights alone, nothing to run"):
        network.energy_flow(np.zeros((2, 6, 6), np.uint8))
    with pytest.raises(ValueError, match="is no convolution"):
        _ = chain().layers[0].patches


@pytest.mark.parametrize(("taps", "padding"), [(3, (1, 1, 1, 1)), (4, (1, 2, 1, 2)), (5, (2, 2, 2, 2))])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_circular_layers_are_operators_with_any_stride(taps, padding, stride):
    rng = np.random.default_rng(0)
    layer = WeightLayer(
        name="c",
        kind="convolution",
        weights=rng.normal(size=(2, 3, taps, taps)),
        padding=padding,
        padding_mode="circular",
        stride=(stride, stride),
        input_shape=(3, 6, 7),
    )
    top, bottom, left, right = padding
    x = rng.normal(size=(1, 3, 6, 7))
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, taps), axis=(2, 3))
    expected = np.einsum("nchwab,ocab->nohw", windows[:, :, ::stride, ::stride], layer.weights)
    np.testing.assert_allclose(convolution_spaces(layer).as_operator().forward(x), expected, atol=1e-12)
    for changes in ({"padding": (0, taps - 1, 1, 1)}, {"padding_mode": "reflect"}):
        with pytest.raises(
            ValueError, match="its operator is known for zeros, and for circular padding by half"
        ):
            convolution_spaces(replace(layer, **changes))


def test_wrong_arguments():
    network = chain()
    with pytest.raises(ValueError, match="`images` must have 12 columns, one for each value"):
        network.energy_flow(np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"`labels` must have shape \(3,\), got \(2,\)"):
        network.energy_flow(np.ones((3, 12)), [0, 1])
    with pytest.raises(KeyError, match="no layer 'conv'"):
        network.energy_flow(np.ones((3, 12)), layers=["conv"])
    with pytest.raises(ValueError, match="`layers` must name at least one layer"):
        network.energy_flow(np.ones((3, 12)), layers=[])
    with pytest.raises(ValueError, match="`images` must be finite"):
        network.energy_flow(np.full((3, 12), np.nan))
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        network.energy_flow(np.ones((3, 12)), batch_size=0)


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    mean, interval = mean_interval(0.5 + 0.1 * rng.normal(size=(6, 4000)))
    inside = (interval[:, 0] <= 0.5) & (interval[:, 1] >= 0.5)
    assert inside.mean() == pytest.approx(0.95, abs=0.015)
    assert mean.shape == (4000,)
