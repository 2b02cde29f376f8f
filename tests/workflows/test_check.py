from __future__ import annotations

import csv
import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from steps import Steps

from wavelens.cli import main
from wavelens.exceptions import WavelensError
from wavelens.workflows import CheckReport, ImageOptions, check


def make_images():
    images = np.random.default_rng(0).integers(0, 255, (30, 9, 9), dtype=np.uint8)
    images[20] = images[3]
    images[21] = 0
    return images, np.arange(30) % 2


@pytest.fixture(scope="module")
def report():
    return check(*make_images(), progress=False)


def test_findings(report):
    assert isinstance(report, CheckReport)
    assert report.quality.duplicate_groups == ((3, 20),)
    assert report.quality.constant.nonzero()[0].tolist() == [21]
    assert not report.is_sound
    assert report.names_images
    text = " ".join(report.summary().split())
    for each in report.quality.findings():
        assert each.text in text
    with pytest.raises(FrozenInstanceError):
        report.source = "other"


def test_save_writes_what_the_command_writes(report, tmp_path, capsys):
    images, labels = make_images()
    np.savez(tmp_path / "some.npz", images=images, labels=labels)
    assert main(["check", str(tmp_path / "some.npz"), "--json", "--csv", str(tmp_path / "found.csv")]) == 0
    printed = json.loads(capsys.readouterr().out)
    page = check(tmp_path / "some.npz", progress=False).save(tmp_path / "out")
    saved = json.loads(page.read_text(encoding="utf-8"))
    assert saved.pop("command") is None
    assert saved == printed
    assert (tmp_path / "out" / "images.csv").read_bytes() == (tmp_path / "found.csv").read_bytes()
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["finding"], row["image"], row["other_image"]) for row in rows[:1]] == [
        ("duplicate", "20", "3")
    ]


def test_an_earlier_result_stays_unless_forced(report, tmp_path):
    report.save(tmp_path / "out")
    with pytest.raises(WavelensError, match="`force=True`"):
        report.save(tmp_path / "out")
    report.save(tmp_path / "out", force=True)
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"images.csv", "summary.json"}


def test_labels_are_not_needed_and_options_are_passed_on():
    steps = Steps()
    report = check(make_images()[0], image_options=ImageOptions(size=(6, 5)), near=0.0, progress=steps)
    assert report.data.image_shape == (6, 5)
    assert not len(report.quality.near_pairs)
    assert any("30 images" in step for step in steps.steps)


def test_names_that_would_turn_the_text_around_are_visible():
    images, labels = make_images()
    text = check(images, np.array(["\u202ecat", "dog"])[labels], progress=False).summary()
    assert "U+202E" in text
    assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(("arguments", "name"), [({"near": 2.0}, "near"), ({"seed": -1}, "seed")])
def test_errors_name_the_argument(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        check(*make_images(), progress=False, **arguments)
