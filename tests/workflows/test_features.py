from __future__ import annotations

import numpy as np
import pytest
from networks import need_onnx, photos, write_onnx
from steps import Steps

from wavelens.cli import main
from wavelens.exceptions import ModelError, WavelensError
from wavelens.models import Preprocessing, load_features
from wavelens.workflows import FeatureExtraction, ImageOptions, build_hierarchy, extract_features

pytestmark = pytest.mark.networks


@pytest.fixture
def network(tmp_path):
    need_onnx()
    return write_onnx(tmp_path / "small.onnx", size=8)


def images():
    return np.concatenate([photos(6, 8, seed=0), photos(6, 8, seed=1)]), np.repeat(["cat", "dog"], 6)


def test_features_in_memory(network, tmp_path):
    steps = Steps()
    found = extract_features(network, *images(), layers=["conv", "logits"], pool="grid:2", progress=steps)
    assert isinstance(found, FeatureExtraction)
    assert {name: each.shape for name, each in found.features.layers.items()} == {
        "conv": (12, 16),
        "logits": (12, 5),
    }
    assert found.features.class_counts == {"cat": 6, "dog": 6}
    assert isinstance(found.preprocessing, Preprocessing)
    (preview,) = steps.previews
    assert "small.onnx" in preview
    assert preview in found.summary()
    path = found.save(tmp_path / "saved.npz")
    np.testing.assert_array_equal(load_features(path).layers["conv"], found.features.layers["conv"])
    with pytest.raises(WavelensError, match="`force=True`"):
        found.save(path)
    found.save(path, force=True)
    assert len(build_hierarchy(path, resamples=0, progress=False).hierarchy.classes_) == 2


def test_save_writes_what_the_command_writes(network, tmp_path):
    pixels, labels = images()
    np.savez(tmp_path / "some.npz", images=pixels, labels=labels)
    command = ["features", "--model", str(network), "--images", str(tmp_path / "some.npz"), "--limit", "4"]
    more = ["--range", "1", "--quiet", "--out", str(tmp_path / "command.npz")]
    assert main([*command, "--layers", "conv,features", *more]) == 0
    arguments = {
        "image_options": ImageOptions(limit=4),
        "layers": ["conv", "features"],
        "preprocessing": {"value_range": (0.0, 1.0)},
        "progress": False,
    }
    extract_features(network, tmp_path / "some.npz", **arguments).save(tmp_path / "function.npz")
    extract_features(network, tmp_path / "some.npz", out=tmp_path / "streamed.npz", **arguments)
    with np.load(tmp_path / "command.npz") as expected:
        for name in ("function.npz", "streamed.npz"):
            with np.load(tmp_path / name) as found:
                assert set(found.files) == set(expected.files)
                for key in expected.files:
                    np.testing.assert_array_equal(found[key], expected[key])


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"pool": "mean"}, ValueError, "`pool`"),
        ({"dtype": "int8"}, ValueError, "`dtype`"),
        ({"batch": 0}, ValueError, "`batch`"),
        ({"seed": -1}, ValueError, "`seed`"),
        ({"layers": ["convv"]}, ModelError, "convv"),
        ({"out": "features.txt"}, WavelensError, r"`out`.*features\.txt"),
        ({"preprocessing": "none"}, TypeError, "`preprocessing`"),
    ],
)
def test_errors_name_the_argument(network, arguments, error, name):
    with pytest.raises(error, match=name):
        extract_features(network, *images(), progress=False, **arguments)
