"""``.onnx`` files: every tensor, whatever is declared, against the network's definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import need_onnx, photos, reference, write_onnx

from wavelens.exceptions import ModelError
from wavelens.models import (
    Preprocessing,
    extract_features,
    list_layers,
    open_network,
    recognise_preprocessing,
)
from wavelens.models._onnx_file import read_graph, with_outputs

pytestmark = pytest.mark.networks


@pytest.fixture(autouse=True)
def _needs_onnx() -> None:
    need_onnx()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "small.onnx")


def inner(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2) / 255


def test_all_tensors_are_there_and_right(model: Path) -> None:
    images = photos()
    expected = reference(inner(images))
    found = extract_features(model, images, list(expected), pool="none")
    for name, values in expected.items():
        assert found.shapes[name] == values.shape[1:]
        np.testing.assert_allclose(found.layers[name], values.reshape(7, -1), rtol=1e-5, atol=1e-5)
    assert found.file_names == tuple("0123456")
    assert found.labels is None


def test_outputs_by_default_and_nodes_by_name(model: Path) -> None:
    images = photos()
    assert list(extract_features(model, images).layers) == ["features", "logits"]
    by_node = extract_features(model, images, ["conv_node", "relu"])
    expected = reference(inner(images))
    np.testing.assert_allclose(by_node.layers["conv_node"], expected["conv_z"].mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(by_node.layers["relu"], expected["features"], rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_batches_do_not_matter(tmp_path: Path, batch_size: int, batch: int | str) -> None:
    model = write_onnx(tmp_path / "small.onnx", batch=batch)
    images = photos()
    found = extract_features(model, images, batch_size=batch_size)
    np.testing.assert_allclose(
        found.layers["logits"], reference(inner(images))["logits"], rtol=1e-4, atol=1e-5
    )


def test_layers_are_listed_in_order_with_shapes(model: Path) -> None:
    layers = {each.name: each for each in list_layers(model)}
    assert list(layers) == ["scaled", "conv_z", "conv", "gap", "features", "logits"]
    assert layers["conv"].shape == (4, 8, 8)
    assert layers["conv"].kind == "Relu"
    assert layers["conv_z"].aliases == ("conv_node",)
    assert [each.name for each in layers.values() if each.is_output] == ["features", "logits"]


def test_an_unknown_layer_gets_the_nearest_names(model: Path) -> None:
    with pytest.raises(ModelError, match=r"no layer 'Conf'; the nearest names are .*conv"):
        extract_features(model, photos(), "Conf")
    with pytest.raises(ModelError, match=r"no layer 'qqqq'; its outputs are features, logits.*all 6 layers"):
        extract_features(model, photos(), ["logits", "qqqq"])
    with pytest.raises(ValueError, match="`layers` must name at least one layer"):
        extract_features(model, photos(), [])


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (("Mul", [2 / 255]), (0, 255)),
        (("Div", [255.0]), (0, 255)),
        (("Div", [58.4, 57.1, 57.4]), (0, 255)),
        (("Sub", [123.7, 116.3, 103.5]), (0, 255)),
        (("Sub", [0.485, 0.456, 0.406]), (0, 1)),
        (("Mul", [4.4]), (0, 1)),
    ],
)
def test_the_first_steps_tell_the_range(tmp_path: Path, first: tuple, expected: tuple) -> None:
    rule = recognise_preprocessing(open_network(write_onnx(tmp_path / "small.onnx", first=first)))
    assert rule.value_range == expected
    assert rule.mean == (0,)
    assert "first steps are x" in rule.reasons["value_range"]


def test_without_a_hint_the_range_is_assumed_and_says_so(tmp_path: Path) -> None:
    network = open_network(write_onnx(tmp_path / "small.onnx", first=None))
    rule = recognise_preprocessing(network)
    assert rule.value_range == (0, 1)
    assert rule.mean == pytest.approx((0.485, 0.456, 0.406))
    assert rule.reasons["value_range"].startswith("assumed")
    given = recognise_preprocessing(network, value_range=(-1, 1))
    assert (given.mean, given.std, given.reasons["value_range"]) == ((0.0,), (1.0,), "given")


def test_metadata_of_the_standard_is_heard(tmp_path: Path) -> None:
    said = {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "Normalized_1_1"}
    path = write_onnx(tmp_path / "small.onnx", first=None, metadata=said)
    rule = recognise_preprocessing(open_network(path))
    assert (rule.color, rule.value_range, rule.mean) == ("bgr", (-1, 1), (0,))
    images = photos()
    expected = reference(images[..., ::-1].transpose(0, 3, 1, 2) / 127.5 - 1)["logits"]
    np.testing.assert_allclose(
        extract_features(path, images).layers["logits"], expected, rtol=1e-4, atol=1e-5
    )


def test_a_network_of_any_size_takes_an_array_as_it_is_and_asks_for_files(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "small.onnx", size="side")
    images = photos(size=11)
    expected = reference(inner(images))["logits"]
    np.testing.assert_allclose(
        extract_features(path, images).layers["logits"], expected, rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ModelError, match="does not tell the size of its images"):
        recognise_preprocessing(open_network(path))
    assert list_layers(path, size=(6, 6))[2].shape == (4, 6, 6)


def test_weights_beside_the_file_are_found(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "small.onnx", external=True)
    assert (tmp_path / "weights.bin").exists()
    images = photos()
    expected = reference(inner(images))["features"]
    found = extract_features(path, images, ["features", "conv"])
    np.testing.assert_allclose(found.layers["conv"], expected, rtol=1e-5)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        open_network(tmp_path / "nothing.onnx")
    for content in (b"", b"no model at all", write_onnx(tmp_path / "s.onnx").read_bytes()[:300], b"\0" * 50):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"bad\.onnx: (cannot be read|onnxruntime cannot open)"):
            open_network(tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match=r"expected a network with one input, got 2 \(image, more1\)"):
        open_network(write_onnx(tmp_path / "two.onnx", inputs=2))
    (tmp_path / "weights.pth").write_bytes(b"x")
    with pytest.raises(ModelError, match="holds weights without the network"):
        open_network(tmp_path / "weights.pth")
    with pytest.raises(TypeError, match="`model` must be the path"):
        open_network(3)


def test_a_preprocessing_that_does_not_fit_is_refused(model: Path) -> None:
    network = open_network(model)
    with pytest.raises(ValueError, match=r"takes images of 3 × 8 × 8; this preprocessing gives 3 × 9 × 9"):
        recognise_preprocessing(network, size=(9, 9))
    with pytest.raises(ValueError, match="this preprocessing gives 1 × 8 × 8"):
        recognise_preprocessing(network, color="grey")
    with pytest.raises(ModelError, match="onnxruntime cannot run it"):
        extract_features(model, photos(), preprocessing=Preprocessing(size=(9, 9)))


def test_values_that_are_no_numbers_name_the_layer_and_the_image(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "small.onnx", first=("Mul", [1e38]))
    with pytest.raises(ModelError, match=r"the layer 'logits' gives NaN or infinity for '0'"):
        extract_features(path, photos(), "logits")
    path = write_onnx(tmp_path / "large.onnx", first=("Mul", [1e6]))
    with pytest.raises(ModelError, match="beyond float16"):
        extract_features(path, photos(), "logits", dtype="float16")


def test_the_walk_through_the_file_agrees_with_the_onnx_package(model: Path) -> None:
    onnx = need_onnx()
    graph, theirs = read_graph(model.read_bytes()), onnx.load(model).graph
    assert [(each.operator, each.name, each.inputs, each.outputs) for each in graph.nodes] == [
        (each.op_type, each.name, tuple(each.input), tuple(each.output)) for each in theirs.node
    ]
    assert graph.inputs == ("image",)
    assert graph.outputs == ("logits", "features")
    assert graph.initializers == {each.name for each in theirs.initializer}
    np.testing.assert_array_equal(graph.constants["c"].ravel(), [255.0])
    assert set(graph.constants) == {"b", "c", "f"}
    more = onnx.load_from_string(with_outputs(model.read_bytes(), ["conv", "gap", "conv"])).graph
    assert [each.name for each in more.output] == ["logits", "features", "conv", "gap"]
    assert list(more.node) == list(theirs.node)
