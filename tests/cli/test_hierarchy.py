"""`wavelens hierarchy`: from a file of features to a folder of results."""

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

from wavelens.cli import main
from wavelens.hierarchy import ClassHierarchy, MMFGraph, class_covariance

results = {
    "report.html",
    "figures",
    "hierarchy.npz",
    "covariance.npz",
    "graph.json",
    "graph.dot",
    "levels.csv",
    "classes.csv",
    "summary.json",
}


def features(n_classes=8, n=12, d=20, seed=0):
    """Pairs of like classes, and images about their means."""
    rng = np.random.default_rng(seed)
    means = np.repeat(rng.normal(size=((n_classes + 1) // 2, d)), 2, axis=0)[:n_classes]
    means = 2 + means + 0.3 * rng.normal(size=means.shape)
    labels = np.repeat(np.arange(n_classes), n)
    return means[labels] + 0.2 * rng.normal(size=(len(labels), d)), labels


def write_file(path: Path, **arrays) -> Path:
    values, labels = features()
    arrays = {"features": values, "labels": labels} | arrays
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def files(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def said(stream: str) -> str:
    return " ".join(stream.split())


def test_features_become_a_folder_of_results(tmp_path, capsys):
    names = [f"class {i}" for i in range(8)]
    source = write_file(tmp_path / "some features.npz", class_names=names)
    out = tmp_path / "out"
    assert main(["hierarchy", str(source), "--order", "3", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert files(out) == results
    assert str(out / "report.html") in captured.out
    assert "belong together first" in said(captured.out)
    assert "composing 8 classes of features" in captured.err
    values, labels = features()
    expected = class_covariance(values, np.array(names)[labels])
    with np.load(out / "covariance.npz") as file:
        np.testing.assert_allclose(file["covariance"], expected.matrix)
        assert file["class_names"].tolist() == names
        assert file["counts"].tolist() == [12] * 8
    hierarchy = ClassHierarchy.load(out / "hierarchy.npz")
    assert hierarchy.mmf_.order == 3
    graph = MMFGraph.from_json((out / "graph.json").read_text(encoding="utf-8"))
    assert graph.names == tuple(names)
    np.testing.assert_array_equal(graph.tuples, hierarchy.mmf_.tuples)
    assert (out / "graph.dot").read_text(encoding="utf-8").startswith("digraph")
    with (out / "levels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * hierarchy.mmf_.n_levels
    first = {row["class"]: float(row["weight"]) for row in rows if row["level"] == "1"}
    assert sum(w**2 for w in first.values()) == pytest.approx(1, abs=1e-5)
    with (out / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == names
    for row in rows:
        assert 0 <= float(row["all_others_leave"]) <= float(row["they_leave"]) + 1e-9 <= 1
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_classes"] == 8
    assert summary["n_images"] == 96
    assert summary["relative_error"] == pytest.approx(hierarchy.mmf_.relative_error)
    assert summary["stability"]["n_resamples"] == 20


def test_planted_pairs_are_told(tmp_path, capsys):
    names = ["red", "crimson", "cat", "tiger", "car", "van", "oak", "elm"]
    source = write_file(tmp_path / "data.npz", class_names=names)
    arguments = ["hierarchy", str(source), "--order", "2", "--center", "--quiet", "--json"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    summary = json.loads(captured.out)
    pairs = {frozenset(names[i : i + 2]) for i in range(0, 8, 2)}
    assert frozenset(summary["first_compositions"][0]["classes"]) in pairs
    assert summary["center"] is True


def test_several_layers_make_a_flow(tmp_path, capsys):
    values, _ = features()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))[0]
    source = write_file(
        tmp_path / "data.npz", conv=values, dense=values @ turn, logits=values[:, :8], features=None, x=values
    )
    out = tmp_path / "out"
    assert main(["hierarchy", str(source), "--key", "x", "--order", "3", "--out", str(out)]) == 0
    assert json.loads((out / "summary.json").read_text())["layer"] == "x"
    capsys.readouterr()
    arguments = ["hierarchy", str(source), "--order", "3", "--out", str(out), "--force"]
    assert main([*arguments, "--layer", "dense", "--layers", "conv,dense"]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["layers"]["names"] == ["conv", "dense"]
    assert summary["layers"]["verdicts"] == ["adds nothing"]
    assert summary["layers"]["settled_at"] == "conv"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="layers"' in page
    capsys.readouterr()
    assert main(arguments) == 0
    assert "logits: outputs of the network" in capsys.readouterr().err
    assert "logits" not in json.loads((out / "summary.json").read_text(encoding="utf-8"))["layers"]["names"]
    assert main([*arguments, "--layers", "none"]) == 0
    assert "layers" not in json.loads((out / "summary.json").read_text(encoding="utf-8"))


def test_rows_as_classes(tmp_path, capsys):
    values, _ = features(n=1)
    source = write_file(tmp_path / "data.npz", features=values, labels=None)
    out = tmp_path / "out"
    arguments = ["hierarchy", str(source), "--order", "3", "--out", str(out)]
    assert main(arguments) == 1
    captured = said(capsys.readouterr().err)
    assert "nothing says which class a row belongs to" in captured
    assert "--rows-are-classes" in captured
    assert main([*arguments, "--rows-are-classes"]) == 0
    assert "one row of the file" in said(capsys.readouterr().out)
    names = tmp_path / "names.json"
    names.write_text(json.dumps([f"kind {i}" for i in range(8)]), encoding="utf-8")
    assert main([*arguments, "--class-names", str(names), "--force"]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_images"] is None
    assert summary["stability"]["n_resamples"] == 0
    assert summary["first_compositions"][0]["classes"][0].startswith("kind")


def test_some_classes_by_name_or_at_random(tmp_path, capsys):
    names = ["red fox", "crimson", "cat", "tiger", "car", "van", "oak", "elm"]
    source = write_file(tmp_path / "data.npz", class_names=names)
    out = tmp_path / "out"
    arguments = ["hierarchy", str(source), "--order", "2", "--out", str(out), "--force", "--quiet"]
    assert main([*arguments, "--classes", "Red_Fox, cat,oak"]) == 0
    with np.load(out / "covariance.npz") as file:
        assert file["class_names"].tolist() == ["cat", "oak", "red fox"]
    assert main([*arguments, "--limit-classes", "4"]) == 0
    with np.load(out / "covariance.npz") as file:
        assert len(file["class_names"]) == 4
        assert set(file["class_names"].tolist()) <= set(names)
    assert main([*arguments, "--classes", "red fix,cat"]) == 1
    assert "did you mean 'red fox'?" in capsys.readouterr().err


def test_names_that_two_classes_share_stay_two(tmp_path):
    names = ["crane", "crane", "cat", "tiger", "car", "van", "oak", "elm"]
    source = write_file(tmp_path / "data.npz", class_names=names)
    out = tmp_path / "out"
    assert main(["hierarchy", str(source), "--out", str(out), "--quiet"]) == 0
    with np.load(out / "covariance.npz") as file:
        assert len(set(file["class_names"].tolist())) == 8


def test_fewer_classes_than_the_default_order(tmp_path):
    values, labels = features(n_classes=3)
    source = write_file(tmp_path / "data.npz", features=values, labels=labels)
    out = tmp_path / "out"
    assert main(["hierarchy", str(source), "--out", str(out), "--quiet"]) == 0
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["order"] == 3


def with_nan():
    values, _ = features()
    values[7, 3] = np.nan
    return values


@pytest.mark.parametrize(
    ("arrays", "arguments", "code", "message"),
    [
        ({}, ["nowhere.npz"], 1, "nowhere.npz"),
        ({}, ["."], 1, "wavelens features --model"),
        ({}, ["text.csv"], 1, "expected an .npz file"),
        ({}, ["broken.npz"], 1, "broken.npz"),
        ({"labels": None}, [], 1, "--labels-key"),
        ({"labels": np.zeros(96, dtype=int)}, [], 1, "at least two classes are needed, got one class, '0'"),
        ({}, ["--order", "9"], 1, "--order 8 or less"),
        ({}, ["--order", "1"], 1, "at least 2 classes"),
        ({}, ["--order", "0"], 2, "above 0"),
        ({}, ["--resamples", "1"], 2, "0 or a whole number from 2 on"),
        ({}, ["--method", "best"], 2, "best"),
        ({"features": with_nan()}, [], 1, "got nan at row 7"),
        ({}, ["--layer", "feature"], 1, "did you mean 'features'?"),
        ({}, ["--layer", "conv99"], 1, "there are 'features'"),
        ({}, ["--layers", "features"], 1, "two or more layers"),
        ({}, ["--classes", "0"], 1, "at least two classes are needed, got one class, '0'"),
        ({}, ["--class-names", "nowhere.json"], 1, "nowhere.json"),
        ({"labels": np.arange(5)}, [], 1, "labels"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, arrays, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path / "data.npz", **arrays)
    (tmp_path / "text.csv").write_text("a,b\n")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 no archive")
    before = files(tmp_path)
    source = [] if arguments and not arguments[0].startswith("--") else ["data.npz"]
    try:
        found = main(["hierarchy", *source, *arguments])
    except SystemExit as stop:
        found = stop.code
    captured = capsys.readouterr()
    assert found == code
    assert message.lower() in said(captured.err).lower()
    assert "Traceback" not in captured.err
    assert files(tmp_path) == before


def test_an_existing_result_stays_unless_forced(tmp_path, capsys):
    source = write_file(tmp_path / "data.npz")
    out = tmp_path / "out"
    arguments = ["hierarchy", str(source), "--out", str(out), "--quiet", "--resamples", "0"]
    assert main(arguments) == 0
    (out / "report.html").write_text("old")
    assert main(arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert (out / "report.html").read_text() == "old"
    assert main([*arguments, "--force"]) == 0
    assert (out / "report.html").read_text(encoding="utf-8") != "old"
    (out / "thesis.tex").write_text("years of work")
    assert main([*arguments, "--force"]) == 1
    assert "thesis.tex" in capsys.readouterr().err
    assert files(tmp_path) == {"data.npz", "out"}


def test_the_same_seed_gives_the_same_folder(tmp_path):
    source = write_file(tmp_path / "data.npz")
    pages = []
    for name in ("a", "b"):
        arguments = ["hierarchy", str(source), "--out", str(tmp_path / name), "--quiet", "--method", "random"]
        assert main(arguments) == 0
        pages.append(
            [(tmp_path / name / each).read_bytes() for each in ("report.html", "levels.csv", "graph.json")]
        )
    assert pages[0] == pages[1]


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["hierarchy", "--help"])
    text = capsys.readouterr().out
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert text.count("(default") >= len(options) > 15


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize("wait_for", ["trying", "writing"])
def test_an_interrupt_leaves_nothing_behind(tmp_path, wait_for):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", features=rng.normal(size=(600, 50)), labels=np.arange(600) % 120)
    command = [sys.executable, "-m", "wavelens", "hierarchy", "data.npz", "--resamples", "60"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if wait_for in line:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), rest
    assert "Traceback" not in rest
    assert files(tmp_path) == {"data.npz"}


@pytest.mark.realdata
def test_photographs_by_a_network(tmp_path, real_data):
    models = real_data / "models"
    arguments = ["--class-names", str(models / "imagenet_labels.json"), "--quiet"]
    out = tmp_path / "photos"
    source = str(models / "mobilenet_imagenette_features.npz")
    assert main(["hierarchy", source, *arguments, "--out", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    first = dict(
        zip(
            summary["first_compositions"][0]["classes"],
            summary["first_compositions"][0]["weights"],
            strict=True,
        )
    )
    assert {name for name, weight in first.items() if weight > 0.25} == {
        "gas pump",
        "garbage truck",
        "cassette player",
    }
    assert summary["stability"]["is_steady"] is True
    assert summary["relative_error"] < 0.01


@pytest.mark.realdata
def test_a_row_for_each_of_many_classes(tmp_path, real_data):
    models = real_data / "models"
    source = str(models / "mobilenet_one_per_class_outputs.npz")
    out = tmp_path / "many"
    arguments = ["--class-names", str(models / "imagenet_labels.json"), "--quiet", "--out", str(out)]
    assert main(["hierarchy", source, *arguments]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_classes"] == 1000
    assert {"minivan", "racer", "limousine"} <= set(summary["first_compositions"][0]["classes"])
    assert any("more classes (1,000) than numbers" in each for each in summary["remarks"])
    assert (out / "report.html").stat().st_size < 8e6
    some = "bagel,pretzel,French loaf,guacamole,ice cream,trifle,strawberry,burrito,pizza,cheeseburger"
    assert main(["hierarchy", source, *arguments, "--classes", some, "--force"]) == 0
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["n_classes"] == 10


@pytest.mark.realdata
def test_pixels_of_digits(tmp_path, real_data):
    out = tmp_path / "pixels"
    assert main(["hierarchy", str(real_data / "mnist.npz"), "--quiet", "--out", str(out)]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_images"] == 60_000
    assert {"4", "7", "9"} <= set(summary["first_compositions"][0]["classes"])
