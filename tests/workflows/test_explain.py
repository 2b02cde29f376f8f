"""`explain` on digits, which need nothing but NumPy."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from explained import digit_images, digit_model
from html_page import page_text
from PIL import Image
from steps import Steps

import wavelens.explain
import wavelens.models
from wavelens._utils._names import without_isolates
from wavelens.cli import main
from wavelens.exceptions import DataError, WavelensError
from wavelens.explain import PixelRDE
from wavelens.workflows import ExplanationReport, explain

QUICK = {"steps": 10, "lambdas": (0.5, 2.0), "evaluate": False, "progress": False}


@pytest.fixture(scope="module")
def report():
    return explain(digit_model(), digit_images(2), **QUICK, seed=3)


def write(folder, n=2):
    folder.mkdir()
    for i, image in enumerate(digit_images(n)):
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def test_the_result_holds_what_the_explainer_finds(report):
    assert isinstance(report, ExplanationReport)
    assert [path.explanations[0].method for path in report.paths] == ["cartoonx", "pixel_rde"]
    alone = PixelRDE(digit_model(), n_steps=10, random_state=3, progress=False).path(
        digit_images(2).astype(np.float32), [0.1, 0.4]
    )
    for found, expected in zip(report.paths[1].explanations, alone.explanations, strict=True):
        np.testing.assert_array_equal(found.masks, expected.masks)
    assert report.evaluation is None
    assert len(report.image_names) == 2
    with pytest.raises(FrozenInstanceError):
        report.seed = 4


def test_the_summary_has_the_sentences_of_the_page(report, tmp_path):
    findings, _ = wavelens.report.explanations_in_words(
        report.paths, report.model, image_names=report.image_names, random_state=report.seed
    )
    text = " ".join(report.summary().split())
    page = page_text(report.save(tmp_path / "out", progress=False))
    assert findings
    for each in map(without_isolates, findings):
        assert each in text
        assert each in page


def test_save_writes_what_the_command_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(wavelens.models, "open_model", lambda path, **_: digit_model())
    folder = write(tmp_path / "digits")
    command = ["explain", str(folder), "--model", "some.pt2", "--steps", "10", "--lambdas", "0.5,2"]
    assert main([*command, "--quiet", "--out", str(tmp_path / "command")]) == 0
    found = explain("some.pt2", folder, **QUICK | {"evaluate": True})
    found.save(tmp_path / "function", progress=False)
    names = [
        {str(file.relative_to(tmp_path / each)) for file in (tmp_path / each).rglob("*") if file.is_file()}
        for each in ("command", "function")
    ]
    assert names[0] == names[1]
    pair = [json.loads((tmp_path / each / "summary.json").read_text()) for each in ("command", "function")]
    for each in pair:
        del each["command"]
    assert pair[0] == pair[1]
    assert pair[0]["evaluation"]["n_images"] == 2
    with pytest.raises(WavelensError, match="`force=True`"):
        found.save(tmp_path / "function", progress=False)


def test_predictions_come_before_the_search():
    class Stop(Steps):
        def step(self, text):
            super().step(text)
            if "explaining" in text:
                raise KeyboardInterrupt

    steps = Stop()
    with pytest.raises(KeyboardInterrupt):
        explain(digit_model(), digit_images(2), **QUICK | {"progress": steps})
    assert len(steps.previews) == 1
    assert len(steps.previews[0].splitlines()) >= 2


def test_a_broken_file_is_noted_and_left_out(tmp_path):
    folder = write(tmp_path / "digits")
    (folder / "broken.png").write_bytes(b"no image")
    steps = Steps()
    found = explain(digit_model(), [folder], method=["pixel"], **QUICK | {"progress": steps})
    assert found.image_names == ("0.png", "1.png")
    assert any("broken.png" in note for note in found.notes)
    assert any("broken.png" in note for note in steps.notes)


def test_what_fails_leaves_the_rest(monkeypatch):
    def fail(*_, **__):
        raise DataError("no image could be explained")

    monkeypatch.setattr(PixelRDE, "path", fail)
    found = explain(digit_model(), digit_images(1), **QUICK)
    assert [path.explanations[0].method for path in found.paths] == ["cartoonx"]
    assert any("pixel was left out" in note for note in found.notes)
    with pytest.raises(DataError, match="no image could be explained"):
        explain(digit_model(), digit_images(1), method=["pixel"], **QUICK)


def test_the_target_is_a_name_or_an_index():
    model = digit_model()
    for target in (8, "8"):
        found = explain(model, digit_images(2), target=target, method=["pixel"], **QUICK)
        assert found.paths[0].explanations[0].targets.tolist() == [8, 8]


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"method": ["saliency"]}, ValueError, "`method`"),
        ({"method": "pixel"}, ValueError, "`method`"),
        ({"lambdas": [0.0]}, ValueError, "`lambdas`"),
        ({"pixel_lambdas": [1.0]}, ValueError, "`pixel_lambdas`"),
        ({"preset": "fast"}, ValueError, "`preset`"),
        ({"wavelet": "db333"}, ValueError, "`wavelet="),
        ({"steps": 0}, ValueError, "`steps`"),
        ({"samples": 0}, ValueError, "`samples`"),
        ({"noise": "loud"}, ValueError, "`noise`"),
        ({"distortion": "much"}, ValueError, "`distortion`"),
        ({"memory": "lots"}, ValueError, "`memory`"),
        ({"seed": -1}, ValueError, "`seed`"),
        ({"target": 10}, WavelensError, "`target=10`"),
        ({"target": "tench"}, WavelensError, "`target='tench'`"),
        ({"images": []}, ValueError, "`images`"),
        ({"images": ["nothing.png"]}, DataError, r"nothing\.png"),
        ({"images": np.full((2, 8, 8), np.nan)}, ValueError, "`images`"),
    ],
)
def test_errors_name_the_argument(arguments, error, name):
    with pytest.raises(error, match=name):
        explain(**{"model": digit_model(), "images": digit_images(1)} | QUICK | arguments)


def test_a_wrong_list_of_labels_is_named():
    with pytest.raises(ValueError, match="`labels`"):
        explain(
            lambda x: digit_model().predict(x),
            digit_images(1),
            labels=["one", "two"],
            preprocessing={"size": (8, 8), "color": "grey"},
            **QUICK,
        )
