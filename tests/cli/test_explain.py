from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from explained import CLASSES, digit_images, digit_model, digit_weights
from html_page import Page
from networks import need_torch
from PIL import Image

import wavelens.explain
import wavelens.models
from wavelens.cli import main
from wavelens.exceptions import DataError
from wavelens.explain import Explanations
from wavelens.models import ClassNames, NumpyMLP, Preprocessing
from wavelens.models import open_model as really_open_model

QUICK = ("--steps", "20", "--lambdas", "0.5,2", "--no-evaluate")


@pytest.fixture
def digits(tmp_path):
    """Four digits as files."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for i, image in enumerate(digit_images(4)):
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(folder / f"digit {i}.png")
    return folder


@pytest.fixture
def opened(monkeypatch):
    """Open the classifier of digits whatever the file is called; returns the arguments of `open_model`."""
    given = {}

    def open_model(path, **options):
        given.update(path=path, **options)
        return NumpyMLP(
            *digit_weights(),
            ["softmax"],
            preprocessing=Preprocessing(size=(8, 8), color="grey", value_range=(0, 1), resize="stretch"),
            class_names=ClassNames(CLASSES, CLASSES),
        )

    monkeypatch.setattr(wavelens.models, "open_model", open_model)
    return given


def explain(digits, out, *more):
    return main(["explain", str(digits), "--model", "digits.pt2", "--out", str(out), *QUICK, *more])


def test_it_shows_the_labels_and_writes_everything(digits, opened, tmp_path, capsys):
    out = tmp_path / "out"
    assert explain(digits, out, "--evaluate", "--seed", "3") == 0
    said = capsys.readouterr()
    labels = [line for line in said.out.splitlines() if line.startswith("digit ")]
    assert [line.split("  ")[0] for line in labels] == [f"digit {i}.png" for i in range(4)]
    answers = digit_model().predict(digit_images(4)[:, None].astype(np.float32)).argmax(axis=1)
    assert [line.split("  ")[1].split()[:2] for line in labels] == [["digit", str(i)] for i in answers]
    # The labels are told before anything takes time.
    assert "explaining 4 images in wavelets and pixels, at 2 λ: less than a minute" in said.err
    assert said.out.splitlines()[-1] == f"The report is at {(out / 'report.html').resolve()}"
    assert {each.name for each in out.iterdir()} == {
        "report.html",
        "figures",
        "cartoonx.npz",
        "pixel_rde.npz",
        "summary.json",
    }
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [each["image"] for each in summary["images"]] == [f"digit {i}.png" for i in range(4)]
    assert [step["lambda"] for step in summary["images"][0]["methods"]["cartoonx"]["steps"]] == [2.0, 0.5]
    assert [step["lambda"] for step in summary["images"][0]["methods"]["pixel_rde"]["steps"]] == [0.4, 0.1]
    assert summary["evaluation"]["n_images"] == 4
    for name in ("cartoonx", "pixel_rde"):
        found = Explanations.load(out / f"{name}.npz")
        assert found.method == name
        np.testing.assert_allclose(found.images, np.rint(digit_images(4) * 255) / 255, atol=1e-6)
    assert len(list((out / "figures").glob("*.png"))) == 4 * 3 + 1


def test_the_target_is_a_name_or_a_number(digits, opened, tmp_path):
    for k, asked in enumerate(("digit 8", "DIGIT_8", "8")):
        out = tmp_path / str(k)
        assert explain(digits, out, "--target", asked, "--method", "pixel", "--quiet") == 0
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        assert {each["class"] for each in summary["images"]} == {"digit 8"}
        page = Page((out / "report.html").read_text(encoding="utf-8"))
        assert "Explained is “digit 8”, as asked" in "".join(page.text)


def test_options_reach_the_model(digits, opened, tmp_path):
    options = (
        "--labels",
        "names.json",
        "--range",
        "signed",
        "--color",
        "bgr",
        "--batch",
        "7",
        "--method",
        "pixel",
    )
    assert explain(digits, tmp_path / "out", *options, "--limit", "1", "--quiet") == 0
    assert opened["path"] == "digits.pt2"
    assert opened["preprocessing"] == {"value_range": (-1.0, 1.0), "color": "bgr"}
    assert opened["class_names"] == "names.json"
    assert opened["batch_size"] == 7
    assert len(json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["images"]) == 1


def test_quiet_says_nothing(digits, opened, tmp_path, capsys):
    assert explain(digits, tmp_path / "out", "--quiet", "--method", "pixel") == 0
    assert capsys.readouterr() == ("", "")


def test_an_unreadable_image_is_left_out_and_told(digits, opened, tmp_path, capsys):
    (digits / "broken.png").write_bytes(b"no image")
    assert explain(digits, tmp_path / "out", "--method", "pixel") == 0
    assert "left out" in capsys.readouterr().err
    assert "broken.png was left out" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["images"]) == 4
    assert "broken.png" in summary["notes"][0]


def test_a_model_without_gradient_says_so(digits, opened, tmp_path, monkeypatch, capsys):
    weights, biases = (each[0] for each in digit_weights())

    def scores(x):
        values = x.reshape(len(x), -1) @ weights + biases
        values = np.exp(values - values.max(axis=1, keepdims=True))
        return values / values.sum(axis=1, keepdims=True)

    model = really_open_model(scores, input_shape=(1, 8, 8))
    monkeypatch.setattr(wavelens.models, "open_model", lambda path, **options: model)
    assert explain(digits, tmp_path / "out", "--method", "pixel", "--limit", "1") == 0
    assert "no gradient" in capsys.readouterr().err


def error(capsys):
    captured = capsys.readouterr().err
    return captured[captured.index("wavelens: error: ") :]


def test_clear_errors(digits, opened, tmp_path, capsys):
    out = tmp_path / "out"
    assert explain(digits, out, "--target", "dgit 8") == 1
    assert "there is no class 'dgit 8'; did you mean 'digit " in error(capsys)
    assert explain(digits, out, "--target", "10") == 1
    assert "the classes are 0 to 9" in error(capsys)
    assert explain(digits, out, "--pixel-lambdas", "1") == 1
    assert "as many as --lambdas, 2, got 1" in error(capsys)
    assert explain(tmp_path / "nothing.png", out) == 1
    assert "nothing.png: no such file or folder" in error(capsys)
    (tmp_path / "empty").mkdir()
    assert explain(tmp_path / "empty", out) == 1
    assert "no images in this folder" in error(capsys)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    assert explain(broken, out) == 1
    assert "no image could be read; broken.png: " in error(capsys)
    assert not out.exists()


def test_nothing_is_opened_where_options_cannot_be_meant(digits, tmp_path, monkeypatch, capsys):
    """What takes time comes last: the model is not even looked at."""

    def refuse(*_, **__):
        raise AssertionError("the model was opened")

    monkeypatch.setattr(wavelens.models, "open_model", refuse)
    assert explain(digits, tmp_path / "out", "--wavelet", "db333") == 1
    assert "--wavelet 'db333': " in error(capsys)
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert explain(digits, file / "out") == 1
    assert "cannot be made" in error(capsys)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    (tmp_path / "there").mkdir()
    for out in ("there", "new"):
        assert explain(digits, tmp_path / out) == 1
        assert "not a folder that may be written to" in error(capsys)


def test_a_wrong_file_of_labels_is_named(digits, tmp_path, monkeypatch, capsys):
    def open_model(path, *, class_names, **_):
        return really_open_model(digit_model().predict, input_shape=(1, 8, 8), class_names=class_names)

    monkeypatch.setattr(wavelens.models, "open_model", open_model)
    labels = tmp_path / "names.json"
    labels.write_text('["one", "two"]', encoding="utf-8")
    assert explain(digits, tmp_path / "out", "--labels", str(labels)) == 1
    said = error(capsys)
    assert f"--labels {labels} must name the 10 outputs" in said
    assert "got 2 names" in said


def test_a_method_that_fails_leaves_the_other(digits, opened, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise DataError("no image could be explained; the first one failed: NaN")

    monkeypatch.setattr(wavelens.explain.PixelRDE, "path", fail)
    out = tmp_path / "out"
    assert explain(digits, out, "--evaluate") == 0
    assert "note: pixel was left out: no image could be explained" in capsys.readouterr().err
    assert "pixel was left out" in (out / "report.html").read_text(encoding="utf-8")
    assert {each.name for each in out.glob("*.npz")} == {"cartoonx.npz"}
    monkeypatch.setattr(wavelens.explain.CartoonX, "path", fail)
    assert explain(digits, tmp_path / "none") == 1
    assert "no image could be explained" in error(capsys)


def test_explanations_outlive_a_failed_evaluation(digits, opened, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise DataError("the model returned NaN")

    monkeypatch.setattr(wavelens.explain, "evaluate", fail)
    out = tmp_path / "out"
    assert explain(digits, out, "--evaluate", "--method", "pixel") == 0
    assert "The evaluation was left out: the model returned NaN" in capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["evaluation"] is None
    assert "The evaluation was left out" in summary["notes"][0]


def test_an_image_that_fails_midway_leaves_the_others(digits, opened, tmp_path, monkeypatch, capsys):
    """The network gives NaN for what comes of one image, but not for the image itself."""
    black = np.zeros((8, 8), np.uint8)
    Image.fromarray(black).save(digits / "a black one.png")

    class Fails(NumpyMLP):
        def predict(self, x):
            found = np.array(super().predict(x))
            seen = np.asarray(x).reshape(len(found), -1)
            found[(seen.max(axis=1) > 0) & (seen.max(axis=1) < 0.05)] = np.nan
            return found

    model = Fails(
        *digit_weights(),
        ["softmax"],
        preprocessing=Preprocessing(size=(8, 8), color="grey", value_range=(0, 1)),
    )
    monkeypatch.setattr(wavelens.models, "open_model", lambda path, **options: model)
    Image.fromarray(black + np.eye(8, dtype=np.uint8) * 5).save(digits / "b nearly black.png")
    out = tmp_path / "out"
    assert explain(digits, out, "--method", "pixel", "--evaluate") == 0
    assert "b nearly black.png: failed: " in capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["images"]) == 6
    for each in summary["images"]:
        finite = each["methods"]["pixel_rde"]["steps"][0]["objective"] is not None
        assert finite == (each["image"] != "b nearly black.png")


def test_rates_do_not_rise_with_lambda(digits, opened, tmp_path):
    out = tmp_path / "out"
    assert main(["explain", str(digits), "--model", "digits.pt2", "--out", str(out), "--quiet"]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    for image in summary["images"]:
        for found in image["methods"].values():
            steps = sorted(found["steps"], key=lambda step: step["lambda"])
            assert len(steps) == 5
            rates = [step["rate"] for step in steps]
            assert rates == sorted(rates, reverse=True)
    # The evaluation asks less of the network than one λ of the explanations does.
    evaluation = summary["evaluation"]["n_evaluations"]
    assert evaluation < sum(
        found["steps"][0]["evaluations"] for image in summary["images"] for found in image["methods"].values()
    )


def test_the_command_line_is_checked(digits, capsys):
    for wrong in (
        ("--memory", "much"),
        ("--lambdas", "1,0"),
        ("--lambdas", "a"),
        ("--method", "saliency"),
        ("--seed", "-1"),
    ):
        with pytest.raises(SystemExit) as stopped:
            explain(digits, "out", *wrong)
        assert stopped.value.code == 2
        assert "expected" in capsys.readouterr().err


def test_a_result_is_replaced_only_if_asked(digits, opened, tmp_path, capsys):
    out = tmp_path / "out"
    assert explain(digits, out, "--method", "pixel", "--quiet") == 0
    assert explain(digits, out, "--method", "pixel", "--quiet") == 1
    assert "--force" in capsys.readouterr().err
    assert explain(digits, out, "--method", "pixel", "--quiet", "--force") == 0


def test_what_is_missing_is_named(digits, tmp_path, capsys, monkeypatch):
    """Without torch the error says which extra to install."""
    monkeypatch.setitem(sys.modules, "torch", None)
    model = tmp_path / "model.pt2"
    model.write_bytes(b"PK")
    assert main(["explain", str(digits), "--model", str(model), "--out", str(tmp_path / "out")]) == 1
    assert "wavelens[torch]" in capsys.readouterr().err


@pytest.mark.realdata
def test_photos_with_a_network_of_imagenet(real_data, tmp_path):
    need_torch()
    photos = sorted((real_data / "photos/imagenette160/val/n01440764").glob("*.JPEG"))[:2]
    models = real_data / "models"
    out = tmp_path / "out"
    model, labels = models / "mobilenet_v1_0.75_224.pt2", models / "imagenet_labels.json"
    given = [*photos, "--model", model, "--labels", labels, "--out", out, "--steps", 60, "--lambdas", "5,20"]
    assert main(["explain", *map(str, given), "--no-evaluate", "--quiet"]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert {each["class"] for each in summary["images"]} == {"tench"}
    for each in summary["images"]:
        for step in each["methods"]["cartoonx"]["steps"]:
            assert 0 < step["rate"] < 0.5
    assert (out / "report.html").stat().st_size < 1.5e6


def start(*arguments):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (Path(wavelens.__file__).parents[1],)))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "wavelens", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.realdata
@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems")
def test_ctrl_c_leaves_nothing(real_data, tmp_path):
    need_torch()
    photo = next((real_data / "photos/imagenette160/val/n01440764").glob("*.JPEG"))
    model = real_data / "models/mobilenet_v1_0.75_224.pt2"
    process = start("explain", photo, "--model", model, "--out", tmp_path / "out", "--preset", "published")
    for line in process.stderr:
        if "explaining" in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; no result was written" in said
    assert list(tmp_path.iterdir()) == []
