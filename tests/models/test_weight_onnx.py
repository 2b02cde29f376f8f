"""Layers of ``.onnx`` files: what surrounds a product or a convolution is gathered, and nothing is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import need_onnx, write_onnx

from wavelens.exceptions import ModelError
from wavelens.models import read_layers

pytestmark = pytest.mark.networks


@pytest.fixture(autouse=True)
def _needs_onnx() -> None:
    need_onnx()


def write(path, nodes, tensors, shape, outputs=("y",), name="image", opset=17):
    """Write a graph of (operator, inputs, outputs, attributes)."""
    onnx = need_onnx()
    helper = onnx.helper
    value = helper.make_tensor_value_info
    made = [helper.make_node(op, ins, outs, **more) for op, ins, outs, more in nodes]
    stored = [onnx.numpy_helper.from_array(np.asarray(array), key) for key, array in tensors.items()]
    graph = helper.make_graph(
        made,
        "test",
        [value(name, onnx.TensorProto.FLOAT, shape)],
        [value(each, onnx.TensorProto.FLOAT, None) for each in outputs],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return path


def run(layers, batch, name):
    return layers.network.run(batch, [name])[name]


def dense(layer, values):
    """What a layer makes of what enters it, from its definition."""
    z = values.reshape(len(values), -1) @ layer.weights.T.astype(np.float64)
    z = z if layer.bias is None else z + layer.bias
    return z if layer.scale_out is None else z * layer.scale_out + layer.shift_out


def test_the_small_network(tmp_path):
    layers = read_layers(write_onnx(tmp_path / "small.onnx"))
    conv, head = layers
    assert (conv.name, conv.kind, conv.padding, conv.activation) == (
        "conv_node",
        "convolution",
        (1, 1, 1, 1),
        "relu",
    )
    assert (conv.input_name, conv.input_shape) == ("first", (3, 8, 8))
    assert (head.kind, head.weights.shape, head.input_name, head.input_shape) == (
        "linear",
        (5, 4),
        "gap",
        (4, 1, 1),
    )
    assert layers.why_not_chain.startswith(
        "It is no chain of layers and activations: the operator Div ('first')"
    )
    assert "conv_node: convolution 4 × 3 × 3 × 3, padding 1/1/1/1 (zeros), then relu" in layers.describe()
    batch = np.random.default_rng(0).random((2, 3, 8, 8), np.float32)
    values = layers.network.run(batch, [head.input_name, head.name])
    np.testing.assert_allclose(dense(head, values[head.input_name]), values[head.name], rtol=1e-5)


def test_neither_torch_nor_onnxruntime_is_imported(tmp_path):
    path = write_onnx(tmp_path / "small.onnx")
    code = (
        "import sys; from wavelens.models import read_layers; "
        f"assert len(read_layers({str(path)!r})) == 2; "
        "assert not {'torch', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 3.0)])
def test_gemm(tmp_path, turned, alpha, beta):
    rng = np.random.default_rng(0)
    b = rng.normal(size=(5, 6) if turned else (6, 5)).astype(np.float32)
    c = rng.normal(size=5).astype(np.float32)
    path = write(
        tmp_path / "gemm.onnx",
        [
            ("Flatten", ["image"], ["flat"], {}),
            ("Gemm", ["flat", "b", "c"], ["y"], {"transB": turned, "alpha": alpha, "beta": beta}),
        ],
        {"b": b, "c": c},
        ["N", 1, 2, 3],
    )
    layers = read_layers(path)
    (layer,) = layers
    assert layer.input_name == "image"
    assert layer.input_shape == (1, 2, 3)
    assert layers.is_chain
    batch = rng.random((4, 1, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(dense(layer, batch), run(layers, batch, "y"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "attributes", "tensors", "name"),
    [
        ("Relu", {}, [], "relu"),
        ("LeakyRelu", {"alpha": 0.2}, [], "leaky_relu:0.2"),
        ("LeakyRelu", {}, [], "leaky_relu:0.01"),
        ("Elu", {}, [], "elu:1"),
        ("Selu", {}, [], "selu"),
        ("Tanh", {}, [], "tanh"),
        ("Sigmoid", {}, [], "sigmoid"),
        ("Softmax", {"axis": 1}, [], "softmax"),
        ("Clip", {}, [0.0, 6.0], "clip:0:6"),
        ("Clip", {}, [0.0], "relu"),
        ("PRelu", {}, [0.25], "leaky_relu:0.25"),
        ("Sin", {}, [], None),
    ],
)
def test_activations_after_a_bias_of_its_own(tmp_path, operator, attributes, tensors, name):
    rng = np.random.default_rng(0)
    given = {f"p{i}": np.array(value, np.float32) for i, value in enumerate(tensors)}
    path = write(
        tmp_path / "a.onnx",
        [
            ("MatMul", ["image", "w"], ["z"], {}),
            ("Add", ["bias", "z"], ["sum"], {}),
            (operator, ["sum", *given], ["y"], attributes),
        ],
        {"w": rng.normal(size=(3, 4)).astype(np.float32), "bias": np.arange(4, dtype=np.float32), **given},
        ["N", 3],
    )
    layers = read_layers(path)
    (layer,) = layers
    assert layer.activation == name
    np.testing.assert_array_equal(layer.bias, np.arange(4))
    assert layers.is_chain == (name is not None)
    if name is None:
        assert "the operator Sin ('y') stands after 'sum'" in layers.why_not_chain


def test_normalization_and_scaling_fold(tmp_path):
    rng = np.random.default_rng(0)
    part = {each: rng.random(4).astype(np.float32) + 0.5 for each in ("gamma", "beta", "mean", "var")}
    path = write(
        tmp_path / "bn.onnx",
        [
            ("Conv", ["image", "w"], ["z"], {"strides": [2, 1], "dilations": [1, 2], "pads": [0, 1, 2, 3]}),
            ("Add", ["z", "b"], ["zb"], {}),
            ("BatchNormalization", ["zb", "gamma", "beta", "mean", "var"], ["n"], {"epsilon": 0.1}),
            ("Mul", ["n", "factor"], ["m"], {}),
            ("Relu", ["m"], ["y"], {}),
        ],
        {
            "w": rng.normal(size=(4, 2, 3, 2)).astype(np.float32),
            "b": rng.normal(size=(4, 1, 1)).astype(np.float32),
            "factor": np.array(2.0, np.float32),
            **part,
        },
        ["N", 2, 9, 8],
    )
    layers = read_layers(path)
    (layer,) = layers
    assert layers.is_chain
    assert (layer.stride, layer.dilation, layer.padding) == ((2, 1), (1, 2), (0, 2, 1, 3))
    folded = layers.folded().layers[0]
    assert folded.scale_out is None
    assert folded.weights.dtype == np.float32
    batch = rng.random((2, 2, 9, 8)).astype(np.float32)
    raw = layers.network.run(batch, ["z", "m"])
    expected = (raw["z"] + layer.bias[:, None, None]) * layer.scale_out[:, None, None] + layer.shift_out[
        :, None, None
    ]
    np.testing.assert_allclose(raw["m"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        folded.weights, layer.weights * layer.scale_out[:, None, None, None], rtol=1e-6
    )
    np.testing.assert_allclose(folded.bias, layer.bias * layer.scale_out + layer.shift_out, rtol=1e-5)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_same_padding(tmp_path, mode):
    w = np.ones((1, 1, 4, 3), np.float32)
    options = {"auto_pad": mode, "strides": [2, 2]}
    nodes = [("Conv", ["image", "w"], ["y"], options)]
    path = write(tmp_path / "same.onnx", nodes, {"w": w}, ["N", 1, 7, 8])
    (layer,) = read_layers(path)
    # 4 outputs each: (4 − 1)·2 + 4 − 7 = 3 rows of padding, (4 − 1)·2 + 3 − 8 = 1 column.
    assert layer.padding == ((1, 2, 0, 1) if mode == "SAME_UPPER" else (2, 1, 1, 0))
    free = write(tmp_path / "free.onnx", nodes, {"w": w}, ["N", 1, "h", "w"])
    with pytest.raises(ModelError, match=r"give input_shape=\(channels, height, width\)"):
        read_layers(free)
    assert read_layers(free, input_shape=(1, 7, 8)).layers[0].padding == layer.padding
    with pytest.raises(ValueError, match="`input_shape` is"):
        read_layers(path, input_shape=(1, 8, 8))


def test_a_pad_before_a_convolution_is_its_padding(tmp_path):
    nodes = [
        ("Pad", ["image", "pads"], ["p"], {}),
        ("Conv", ["p", "w"], ["y"], {"pads": [1, 0, 0, 0], "group": 2}),
    ]
    tensors = {"pads": np.array([0, 0, 0, 1, 0, 0, 2, 3]), "w": np.ones((4, 1, 3, 3), np.float32)}
    layers = read_layers(write(tmp_path / "pad.onnx", nodes, tensors, ["N", 2, 8, 8]))
    (layer,) = layers
    assert (layer.padding, layer.input_name, layer.groups, layer.is_depthwise) == (
        (1, 2, 1, 3),
        "image",
        2,
        True,
    )
    assert layers.is_chain


def test_branches_are_told(tmp_path):
    nodes = [
        ("Conv", ["image", "w"], ["a"], {}),
        ("Relu", ["a"], ["r"], {}),
        ("Conv", ["r", "w"], ["b"], {}),
        ("Add", ["b", "r"], ["s"], {}),
        ("Relu", ["s"], ["y"], {}),
    ]
    w = np.ones((2, 2, 1, 1), np.float32)
    layers = read_layers(write(tmp_path / "residual.onnx", nodes, {"w": w}, ["N", 2, 8, 8]))
    first, second = layers
    assert not layers.is_chain
    assert "what 'r' (Relu) gives goes 2 ways, into 'b' (Conv) and 's' (Add)" in layers.why_not_chain
    assert (first.activation, second.activation) == ("relu", None)
    assert (first.shares_with, second.shares_with) == (None, "a")


def test_sizes_for_a_reshape_are_no_branch(tmp_path):
    nodes = [
        ("Shape", ["image"], ["shape"], {}),
        ("Gather", ["shape", "zero"], ["n"], {"axis": 0}),
        ("Concat", ["n", "rest"], ["to"], {"axis": 0}),
        ("Reshape", ["image", "to"], ["flat"], {}),
        ("Transpose", ["w"], ["turned"], {"perm": [1, 0]}),
        ("MatMul", ["flat", "turned"], ["y"], {}),
    ]
    w = np.random.default_rng(0).normal(size=(4, 12)).astype(np.float32)
    tensors = {"zero": np.array([0]), "rest": np.array([-1]), "w": w}
    layers = read_layers(write(tmp_path / "view.onnx", nodes, tensors, ["N", 3, 2, 2]))
    assert layers.is_chain
    assert layers.layers[0].input_name == "image"
    np.testing.assert_array_equal(layers.layers[0].weights, w)


def test_half_precision_becomes_single(tmp_path):
    onnx = need_onnx()
    nodes = [
        ("Cast", ["w"], ["wide"], {"to": onnx.TensorProto.FLOAT}),
        ("MatMul", ["image", "wide"], ["y"], {}),
    ]
    w = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float16)
    (layer,) = read_layers(write(tmp_path / "half.onnx", nodes, {"w": w}, ["N", 3]))
    assert layer.weights.dtype == np.float32
    np.testing.assert_array_equal(layer.weights, w.T)


def test_what_is_refused(tmp_path):
    quantized = [("DequantizeLinear", ["q", "s"], ["w"], {}), ("MatMul", ["image", "w"], ["y"], {})]
    tensors = {"q": np.ones((3, 4), np.int8), "s": np.array(0.1, np.float32)}
    with pytest.raises(
        ModelError, match=r"quantized \(DequantizeLinear\); take the network as it was before"
    ):
        read_layers(write(tmp_path / "q.onnx", quantized, tensors, ["N", 3]))
    bad = {"w": np.full((3, 4), np.nan, np.float32)}
    with pytest.raises(ModelError, match="the weights of the layer 'y' hold NaN or infinity"):
        read_layers(write(tmp_path / "nan.onnx", [("MatMul", ["image", "w"], ["y"], {})], bad, ["N", 3]))
    with pytest.raises(ModelError, match="has no linear or convolution layer"):
        read_layers(write(tmp_path / "relu.onnx", [("Relu", ["image"], ["y"], {})], {}, ["N", 3]))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match="cannot be read as an"):
        read_layers(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="no such file"):
        read_layers(Path(tmp_path / "none.onnx"))
    turned = [("ConvTranspose", ["image", "w"], ["y"], {})]
    with pytest.raises(
        ModelError,
        match=r"; “y” is left out: transposed convolutions are not taken apart, only linear layers",
    ):
        read_layers(
            write(tmp_path / "t.onnx", turned, {"w": np.ones((2, 1, 2, 2), np.float32)}, ["N", 2, 4, 4])
        )
