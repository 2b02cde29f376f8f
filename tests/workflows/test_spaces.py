"""`measure_spaces` on networks of scikit-learn and NumPy, and on a file."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from explained import digit_images, digit_model
from networks import need_onnx, write_onnx
from sklearn.datasets import load_digits
from steps import Steps

from wavelens.cli import main
from wavelens.exceptions import WavelensError
from wavelens.spaces import NetworkSpaces
from wavelens.workflows import ImageOptions, SpacesReport, measure_spaces


@pytest.fixture(scope="module")
def report():
    digits = load_digits()
    return measure_spaces(digit_model(), digits.images / 16, digits.target, ideal="untrained", progress=False)


def files(folder):
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


def test_the_result_holds_what_the_spaces_say(report):
    assert isinstance(report, SpacesReport)
    (fact,) = report.facts
    assert fact.rank == NetworkSpaces.from_model(digit_model()).layers[0].linear.rank
    assert len(report.flow.labels) == 1797
    assert report.means.shape[0] == 10
    assert report.ideal.ideal.shape[0] == 10
    with pytest.raises(FrozenInstanceError):
        report.source = "other"


def test_the_summary_has_the_findings(report, tmp_path):
    text = " ".join(report.summary().split())
    found = report.to_dict()
    assert found["findings"]
    for each in (*found["findings"], *found["remarks"]):
        assert " ".join(each.split()) in text
    page = report.save(tmp_path / "out", progress=False)
    assert page.exists()
    assert {"layers.csv", "energy.csv", "summary.json"} <= files(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == {"command": None} | found


def test_weights_alone_need_no_images():
    found = measure_spaces(digit_model(), progress=False)
    assert found.flow is None
    assert found.ideal is None
    assert found.to_dict()["images"] is None
    again = measure_spaces(found.network, layer=found.facts[0].spaces.name, progress=False)
    assert again.layer == (found.facts[0].spaces.name,)


@pytest.mark.networks
def test_save_writes_what_the_command_writes(tmp_path):
    need_onnx()
    network = write_onnx(tmp_path / "net.onnx", size=8)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (20, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "some.npz", images=images, labels=np.arange(20) % 5)
    command = ["spaces", str(network), "--images", str(tmp_path / "some.npz"), "--limit", "3"]
    assert main([*command, "--ideal", "untrained", "--quiet", "--out", str(tmp_path / "command")]) == 0
    found = measure_spaces(
        network,
        tmp_path / "some.npz",
        image_options=ImageOptions(limit=3),
        ideal="untrained",
        progress=False,
    )
    found.save(tmp_path / "function", progress=False)
    assert files(tmp_path / "command") == files(tmp_path / "function")
    for name in ("layers.csv", "energy.csv"):
        assert (tmp_path / "command" / name).read_bytes() == (tmp_path / "function" / name).read_bytes()
    with pytest.raises(WavelensError, match="`force=True`"):
        found.save(tmp_path / "function", progress=False)


def test_notes_are_reported_and_kept():
    steps = Steps()
    found = measure_spaces(digit_model(), digit_images(4), progress=steps)
    assert found.ideal is None
    assert any("labels" in note for note in found.notes)
    assert steps.notes == list(found.notes)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"layer": "dense9"}, WavelensError, "`layer=dense9`"),
        ({"ideal": "best"}, ValueError, "`ideal`"),
        ({"batch": 0}, ValueError, "`batch`"),
        ({"seed": -1}, ValueError, "`seed`"),
        ({"images": digit_images(2), "image_options": {"limit": 2}}, TypeError, "`image_options`"),
        ({"model": "missing.onnx"}, WavelensError, r"missing\.onnx"),
        ({"model": len}, TypeError, "`model`"),
    ],
)
def test_errors_name_the_argument(arguments, error, name):
    with pytest.raises(error, match=name):
        measure_spaces(**{"model": digit_model(), "progress": False} | arguments)
