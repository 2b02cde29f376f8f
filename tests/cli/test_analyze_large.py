"""The command on images that do not fit in the memory allowed."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import wavelens.patterns.fit._sequence as sequence
from wavelens.cli import main
from wavelens.patterns import PatternAnalysis


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (600, 10, 12), dtype=np.uint8)
    labels = np.arange(600) % 3
    images[labels == 1, 2:6, 2:6] //= 3
    np.savez(tmp_path / "some.npz", images=images, labels=labels, class_names=["one", "two", "three"])
    return tmp_path / "some.npz"


@pytest.fixture
def small(monkeypatch):
    """Have everything be too large, and show few images."""
    monkeypatch.setattr("wavelens.patterns._memory.physical_memory", lambda: 1.0)
    monkeypatch.setattr("wavelens.workflows._analysis_fit._most_shown", 60)


def test_interrupted_and_continued(source, small, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    command = ["analyze", str(source), "--coefficients", "12", "--permutations", "5", "--out", str(out)]

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sequence, "ho_gsvd", stop)
        assert main(command) == 130
    assert [each.name for each in out.iterdir()] == ["work"]
    assert f"what is done is kept in {out / 'work'}: --resume goes on from there" in capsys.readouterr().err
    assert main(command) == 1
    assert "holds an unfinished run; say --resume" in capsys.readouterr().err
    assert main([*command[:3], "13", *command[4:], "--resume"]) == 1
    assert "the n_coefficients (was 12, is 13)" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "continuing with 600 images" in capsys.readouterr().err
    assert {each.name for each in out.iterdir()} == {
        "report.html",
        "figures",
        "results.npz",
        "summary.json",
        "images.csv",
        "all-images.csv",
        "patterns.csv",
    }
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_images"] == 600
    assert 50 <= summary["n_images_shown"] <= 60
    assert summary["out_of_core"]["n_read"] == 600
    with (out / "all-images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 600
    found = PatternAnalysis.load(out / "results.npz")
    assert found.embedding_.shape == (600, 12)
    np.testing.assert_allclose([float(row["complexity"]) for row in rows], found.complexity(), rtol=1e-4)
    assert [row["class"] for row in rows[:3]] == ["one", "two", "three"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "What 600 images of 3 classes are made of" in page
    assert "come from all 600 images" in page
    assert "drawn at random" in page
    similarity = found.similarity_to_classes()
    own = similarity[np.arange(600), found.labels_]
    np.testing.assert_allclose([1 - float(row["isolation"]) for row in rows], own, atol=1e-5)
    assert summary["classes"]["one"]["n_images"] == 200
    assert summary["classes"]["two"]["most_isolated"] == str(found.isolated(1, 1)[0])
    assert summary["similarity"]["method"] == "exact"
    assert main(command) == 1
    assert "holds a result already" in capsys.readouterr().err


def test_force_begins_anew(source, small, tmp_path, monkeypatch):
    out = tmp_path / "out"
    (out / "work").mkdir(parents=True)
    (out / "work" / "run.json").write_text("nonsense")
    command = [
        "analyze",
        str(source),
        "--coefficients",
        "5",
        "--permutations",
        "0",
        "--out",
        str(out),
        "--quiet",
    ]
    monkeypatch.setattr("wavelens.report.write_patterns_report", lambda *_, **__: None)
    assert main([*command, "--resume"]) == 1
    assert main([*command, "--force"]) == 0
    assert not (out / "work").exists()
