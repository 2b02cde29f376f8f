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
from networks import need_torch
from PIL import Image

import wavelens.models
from wavelens.cli import main
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
    assert "explaining 4 images in wavelets, at 2 λ" in said.err
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
        assert "Explained is “digit 8”, as asked" in (out / "report.html").read_text(encoding="utf-8")


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


def test_the_command_line_is_checked(digits, capsys):
    for wrong in (("--lambdas", "1,0"), ("--lambdas", "a"), ("--method", "saliency"), ("--seed", "-1")):
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
