"""`wavelens spaces`: from a file of a network to a folder of results."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from networks import need_onnx, write_onnx
from PIL import Image

import wavelens
from wavelens.cli import main

weights_only = {"report.html", "figures", "layers.csv", "summary.json"}


@pytest.fixture
def model(tmp_path):
    return write_onnx(tmp_path / "net.onnx")


@pytest.fixture
def perceptron(tmp_path):
    return write_perceptron(tmp_path / "halves.onnx")


def write_perceptron(path, *, flat=False):
    """Sums of upper and lower halves of grey images of 6 × 6, or of their values in a row, as an .onnx file."""
    onnx = need_onnx()
    helper, of = onnx.helper, onnx.numpy_helper.from_array
    rng = np.random.default_rng(0)
    first = np.zeros((36, 4), np.float32)
    first[:18, :2] = first[18:, 2:] = 0.3
    first += rng.normal(size=first.shape).astype(np.float32) / 10
    second = np.array([[2, 1, -2, -1], [-2, -1, 2, 1]], np.float32).T
    nodes = [
        *([] if flat else [helper.make_node("Flatten", ["image"], ["flat"])]),
        helper.make_node("MatMul", ["image" if flat else "flat", "w"], ["first"]),
        helper.make_node("Relu", ["first"], ["active"]),
        helper.make_node("MatMul", ["active", "v"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "halves",
        [value("image", onnx.TensorProto.FLOAT, ["N", 36] if flat else ["N", 1, 6, 6])],
        [value("logits", onnx.TensorProto.FLOAT, ["N", 2])],
        [of(first, "w"), of(second, "v")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, path)
    return path


@pytest.fixture
def halves(tmp_path):
    """Images that are bright above or below."""
    rng = np.random.default_rng(1)
    for name in ("above", "below"):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 100, (6, 6))
            pixels[slice(0, 3) if name == "above" else slice(3, 6)] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "images"


def said(stream):
    return " ".join(stream.split())


def files(folder):
    return {each.name for each in folder.iterdir()}


def test_weights_alone_make_a_report(model, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["spaces", str(model), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert files(out) == weights_only
    assert str(out / "report.html") in captured.out
    assert "2 layers with weights" in captured.out
    assert "taking 2 layers apart" in captured.err
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [each["kind"] for each in summary["layers"]] == ["convolution", "linear"]
    assert summary["n_images"] is None
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "keeps and rejects" in page
    assert 'id="operators"' in page
    assert 'id="energy"' not in page
    assert main(["spaces", str(model), "--out", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["spaces", str(model), "--out", str(out), "--force", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_images_tell_what_is_rejected_and_wanted(perceptron, halves, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["spaces", str(perceptron), "--images", str(halves), "--range", "1", "--out", str(out)]
    assert main([*arguments, "--ideal", "untrained"]) == 0
    captured = capsys.readouterr()
    assert files(out) == weights_only | {"energy.csv"}
    assert "pushing 12 images through the network" in captured.err
    assert "alphabetical order" in said(captured.err)
    assert "recognises 100% of 12" in said(captured.err)
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["energy"]["classes"] == ["above", "below"]
    assert summary["ideal_inputs"]["answers"] == ["above", "below"]
    with (out / "energy.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    # The sums of halves are what images are made of: chance would reject 32 of 36 directions.
    assert float(rows[0]["chance"]) == pytest.approx(32 / 36, abs=1e-5)
    assert float(rows[0]["rejected"]) < 0.7
    page = (out / "report.html").read_text(encoding="utf-8")
    for section in ("pictures", "spectra", "energy", "ideal"):
        assert f'id="{section}"' in page


def test_a_row_of_values_is_an_image_where_it_can_be_one_only(halves, tmp_path, capsys):
    summaries = []
    for flat in (False, True):
        model, out = write_perceptron(tmp_path / "net.onnx", flat=flat), tmp_path / f"out-{flat}"
        arguments = ["spaces", str(model), "--images", str(halves), "--out", str(out)]
        assert main([*arguments, "--ideal", "untrained"]) == 0
        summaries.append(json.loads((out / "summary.json").read_text(encoding="utf-8")))
        assert (out / "figures" / "first-layer.png").is_file()
    assert "36 values in a row" in said(capsys.readouterr().err)
    assert any("36 values in a row" in note for note in summaries[1]["notes"])
    for key in ("energy", "ideal_inputs", "layers"):
        assert json.dumps(summaries[0][key]).replace("flat", "image") == json.dumps(summaries[1][key])


def test_names_say_which_output_a_class_is(model, halves, tmp_path):
    names = tmp_path / "names.json"
    names.write_text(json.dumps(["a", "below", "c", "above", "e"]), encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["spaces", str(model), "--images", str(halves), "--labels", str(names), "--out", str(out)]
    assert main([*arguments, "--ideal", "untrained", "--quiet", "--limit", "2"]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_images"] == 4
    assert summary["ideal_inputs"]["classes"] == ["above", "below"]
    assert any("2 of its 5 outputs" in note for note in summary["notes"])


def test_unknown_classes_leave_ideal_inputs_out(model, halves, tmp_path):
    out = tmp_path / "out"
    assert main(["spaces", str(model), "--images", str(halves), "--out", str(out), "--quiet"]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert "ideal_inputs" not in summary
    assert any("--labels with its classes would tell" in note for note in summary["notes"])


def test_json_is_the_summary(model, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["spaces", str(model), "--out", str(out), "--json", "--quiet", "--layer", "logits"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "summary.json").read_text("utf-8"))
    assert [each.name for each in (out / "figures").glob("spectrum-*.png")] == ["spectrum-1.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.onnx"], "missing.onnx: no such file"),
        (["{here}"], "expected a network as .onnx or .pt2 file"),
        (
            ["{model}", "--layer", "logit"],
            "--layer logit: there is no such layer with weights; there are logits",
        ),
        (["{model}", "--images", "nowhere"], "nowhere"),
        (["{model}", "--images", "{here}", "--labels", "{here}/none.json"], "cannot read the class names"),
    ],
)
def test_errors_come_early(model, tmp_path, capsys, arguments, message):
    given = [each.format(model=model, here=tmp_path) for each in arguments]
    out = tmp_path / "out"
    assert main(["spaces", *given, "--out", str(out)]) == 1
    captured = said(capsys.readouterr().err)
    assert message in captured
    assert "apart" not in captured
    assert not out.exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize(
    ("wait_for", "ideal"),
    [
        ("opening", "none"),
        ("apart", "none"),
        ("pushing", "none"),
        ("seeking", "adam"),
        ("writing", "untrained"),
    ],
)
def test_an_interrupt_leaves_nothing_behind(tmp_path, wait_for, ideal):
    """A network that takes its time in each step: a wide layer, and some images of many classes."""
    write_wide(tmp_path / "net.onnx")
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 20
    images = (rng.random((1000, 28, 28)) * 255 * (1 + labels[:, None, None]) / 21).astype(np.uint8)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    environment = os.environ | {"PYTHONPATH": str(Path(wavelens.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-m", "wavelens", "spaces", "net.onnx", "--images", "data.npz", "--ideal", ideal],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    for line in process.stderr:
        if wait_for in line:
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    # Where an import met the signal, Python itself ends by it, whatever the exit code: a shell sees 130 as well.
    assert process.returncode in (130, -signal.SIGINT), rest
    assert "Traceback" not in rest
    assert files(tmp_path) == {"net.onnx", "data.npz"}


def write_wide(path):
    """784 values, 700 units, 20 classes."""
    onnx = need_onnx()
    helper, of = onnx.helper, onnx.numpy_helper.from_array
    rng = np.random.default_rng(0)
    first, second = (
        (rng.normal(size=size) / np.sqrt(size[0])).astype(np.float32) for size in ((784, 700), (700, 20))
    )
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["first"]),
        helper.make_node("Relu", ["first"], ["active"]),
        helper.make_node("MatMul", ["active", "v"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "wide",
        [value("image", onnx.TensorProto.FLOAT, ["N", 784])],
        [value("logits", onnx.TensorProto.FLOAT, ["N", 20])],
        [of(first, "w"), of(second, "v")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
