"""The MobileNet in both its files, on photos: the same features, and those that were stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import need_onnx, need_torch

from wavelens.data import open_source
from wavelens.models import extract_features, load_features, recognise_preprocessing
from wavelens.models import open_network as open_file

pytestmark = [pytest.mark.networks, pytest.mark.realdata]
LAYERS = ("conv_pw_3", "conv_pw_13", "features", "logits")
# The exported program calls them so.
NODES = ("Clip_6", "Clip_26", "Flatten", "Gemm")


def test_one_network_in_two_files(real_data: Path) -> None:
    need_onnx()
    need_torch()
    source = open_source(real_data / "photos" / "imagenette160", color="rgb", limit=3)
    names = real_data / "models" / "imagenet_labels.json"
    model = real_data / "models" / "mobilenet_v1_0.75_224.onnx"
    one = extract_features(model, source, LAYERS, class_names=names)
    other = extract_features(model.with_suffix(".pt2"), source, NODES, class_names=names, batch_size=7)
    for layer, node in zip(LAYERS, NODES, strict=True):
        scale = np.abs(one.layers[layer]).max()
        np.testing.assert_allclose(one.layers[layer], other.layers[node], atol=1e-5 * scale, err_msg=layer)
    for found in (one, other):
        said = found.info["predictions"]
        assert said["n_judged"] == 30
        assert said["top1"] > 0.5
        assert said["top5"] > 0.8
        assert not said["suspicion"]
        assert found.class_names[:2] == ("tench", "English springer")
        assert found.info["preprocessing"]["value_range"] == [0.0, 255.0]


def test_the_stored_features_come_out_again(real_data: Path) -> None:
    need_onnx()
    models = real_data / "models"
    source = open_source(real_data / "photos" / "imagenette160", color="rgb", limit=3, split="all")
    found = extract_features(models / "mobilenet_v1_0.75_224.onnx", source, "features")
    stored = load_features(
        models / "mobilenet_imagenette_features.npz", class_names=models / "imagenet_labels.json"
    )
    assert len(stored.class_names) == 10
    row = {name: i for i, name in enumerate(stored.file_names)}
    index = [row[name] for name in found.file_names]
    expected = stored.layers["features"][index].astype(np.float32)
    np.testing.assert_allclose(found.layers["features"], expected, atol=4e-3)


def test_the_wrong_range_is_noticed(real_data: Path) -> None:
    need_onnx()
    models = real_data / "models"
    model = models / "mobilenet_v1_0.75_224.onnx"
    source = open_source(real_data / "photos" / "imagenette160", color="rgb", limit=3)
    wrong = recognise_preprocessing(open_file(model), value_range=(0, 1))
    found = extract_features(
        model, source, "logits", preprocessing=wrong, class_names=models / "imagenet_labels.json"
    )
    assert found.info["predictions"]["top1"] < 0.1
    assert "fed wrongly" in found.info["predictions"]["suspicion"]


def test_one_photo_a_class(real_data: Path) -> None:
    models = real_data / "models"
    found = load_features(models / "mobilenet_one_per_class_outputs.npz")
    assert list(found.layers) == ["features", "logits"]
    assert found.labels is None
    named = found.rows_as_classes(models / "imagenet_labels.json")
    assert len(set(named.class_names)) == 1000
    assert {named.class_names[i] for i in (134, 517)} == {"crane (134)", "crane (517)"}
    predicted = found.layers["logits"].argmax(axis=1)
    assert np.mean(predicted == named.labels) > 0.5
