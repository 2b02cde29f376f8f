from __future__ import annotations

import sys

import numpy as np
import pytest
from classifiers import central_differences, images, need_onnx, write_onnx

from wavelens.exceptions import ModelError, WavelensWarning
from wavelens.models import check_range, open_model
from wavelens.models._onnx_model import check_conversion


def test_predictions_alone_are_labelled(tmp_path):
    need_onnx()
    model = open_model(write_onnx(tmp_path / "n.onnx"), gradient=False)
    assert (model.has_gradient, model.outputs, model.kind) == (False, "logits", "ONNX file")
    assert "no gradient: opened for predictions alone (gradient=False)" in model.describe()
    x = images(5, 3, 6, 6, dtype=np.float32)
    assert model.predict(x).shape == (5, 4)
    with pytest.raises(ModelError, match="no gradient: opened for predictions alone"):
        model.forward(x)


@pytest.mark.parametrize("batch", ["N", 2])
@pytest.mark.parametrize("output", ["logits", "probabilities", None, 2])
def test_the_gradient_is_the_derivative_of_what_onnxruntime_says(tmp_path, output, batch):
    need_onnx(gradients=True)
    path = write_onnx(tmp_path / "n.onnx", batch=batch)
    model = open_model(path, class_output=output, batch_size=2)
    plain = open_model(path, class_output=output, gradient=False)
    assert model.outputs == plain.outputs == ("logits" if output in ("logits", None) else "probabilities")
    assert model.preprocessing.value_range == (0, 255)
    x = images(3, 3, 6, 6, dtype=np.float32)
    outputs, pullback = model.forward(x)
    np.testing.assert_allclose(outputs, plain.predict(x), rtol=1e-5, atol=1e-5)
    g = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    gradient = pullback(g)
    expected = central_differences(plain.predict, x, g, np.float32(0.01))
    np.testing.assert_allclose(gradient, expected, atol=2e-3 * np.abs(expected).max())


def test_an_operator_without_a_known_gradient_is_named(tmp_path):
    need_onnx(gradients=True)
    path = write_onnx(tmp_path / "n.onnx", operators=("Asinh",))
    with pytest.raises(
        ModelError, match=r"n.onnx: onnx2torch does not know its operator 'Asinh'.*gradient=False"
    ):
        open_model(path)
    assert open_model(path, gradient=False).predict(images(1, 3, 6, 6)).shape == (1, 4)


def test_no_stand_in_for_torchvision_is_left(tmp_path):
    need_onnx(gradients=True)
    before = "torchvision" in sys.modules
    open_model(write_onnx(tmp_path / "n.onnx"))
    assert ("torchvision" in sys.modules) == before


def test_a_conversion_that_differs_is_refused():
    values = np.ones((2, 3))
    check_conversion("n", values, values + 1e-5)
    for wrong in (values + 0.01, values[:1], values * np.nan):
        with pytest.raises(ModelError, match="answers differently from onnxruntime"):
            check_conversion("n", wrong, values)


def test_damaged_files_are_named(tmp_path):
    need_onnx()
    path = tmp_path / "n.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"n\.onnx"):
        open_model(path)


MOBILENET = "models/mobilenet_v1_0.75_224"


@pytest.fixture
def photos(real_data):
    from PIL import Image

    folders = sorted((real_data / "photos/imagenette160/val").iterdir())
    files = [file for folder in folders for file in sorted(folder.iterdir())[:1]]
    return [np.asarray(Image.open(each).convert("RGB")) for each in files], [
        each.parent.name for each in files
    ]


@pytest.mark.realdata
def test_the_file_of_torch_and_the_onnx_file_are_the_same_network(real_data, photos):
    need_onnx(gradients=True)
    names = real_data / "models/imagenet_labels.json"
    models = [open_model(real_data / f"{MOBILENET}{end}", class_names=names) for end in (".pt2", ".onnx")]
    x = np.concatenate([models[0].prepare(each[np.newaxis]) for each in photos[0]])
    g = np.random.default_rng(0).normal(size=(len(x), 1000)).astype(np.float32)
    results = [model.forward_backward(x, lambda _, part: g[part]) for model in models]
    scale = np.abs(results[0][1]).max()
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-4)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-4 * scale)
    for model in models:
        assert (model.outputs, model.n_outputs, model.input_shape) == ("logits", 1000, (3, 224, 224))
        assert model.preprocessing.value_range == (0, 255)
    plain = open_model(real_data / f"{MOBILENET}.onnx", gradient=False, class_names=names)
    np.testing.assert_allclose(plain.predict(x), results[0][0], atol=1e-3)


@pytest.mark.realdata
def test_a_wrong_range_is_noticed(real_data, photos):
    need_onnx()
    path, names = real_data / f"{MOBILENET}.onnx", real_data / "models/imagenet_labels.json"
    model = open_model(path, gradient=False, class_names=names)
    x = np.concatenate([model.prepare(each[np.newaxis]) for each in photos[0]])
    targets = [model.class_names.index_of(each) for each in photos[1]]
    check = check_range(model, x, targets=targets)
    assert check.suspicion == ""
    assert check.describe().startswith("image 0: tench 98")
    for wrong in ({"value_range": (0, 1)}, {"value_range": (-1, 1)}):
        other = open_model(path, gradient=False, preprocessing=wrong, class_names=names)
        for known in (None, targets):
            with pytest.warns(WavelensWarning, match="RGB, values 0 to 255"):
                check_range(other, x, targets=known)
        with pytest.warns(WavelensWarning, match="sure of its answers"):
            check_range(other, x[:1])
