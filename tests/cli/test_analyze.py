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
from PIL import Image

from wavelens.cli import main
from wavelens.cli._values import stem
from wavelens.patterns import PatternAnalysis


def write_folder(where: Path, n=12, size=(10, 12), classes=("cat", "a dog")) -> Path:
    rng = np.random.default_rng(0)
    for class_ in classes:
        (where / class_).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 255, size, dtype=np.uint8)
            Image.fromarray(pixels).save(where / class_ / f"image ({i}).png")
    return where


def files(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_a_folder_becomes_a_report(tmp_path, capsys):
    source = write_folder(tmp_path / "my images")
    out = tmp_path / "out"
    assert main(["analyze", str(source), "--coefficients", "8", "--out", str(out)]) == 0
    assert {"report.html", "figures", "results.npz", "summary.json", "images.csv", "patterns.csv"} == files(
        out
    )
    captured = capsys.readouterr()
    assert str(out / "report.html") in captured.out
    assert "finding the patterns of 24 images" in captured.err
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["n_images"] == 24
    assert summary["n_coefficients"] == 8
    assert set(summary["classes"]) == {"cat", "a dog"}
    with (out / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    for row in rows:
        assert row["nearest_other_class"] != row["class"] == row["image"].split("/")[0]
        assert -1 <= float(row["spectrum"]) <= 1
        assert 0 <= float(row["in_similarity"]) <= 1
        assert float(row["isolation"]) == pytest.approx(1 - float(row["in_similarity"]), abs=1e-5)
    analysis = PatternAnalysis.load(out / "results.npz")
    assert analysis.embedding_.shape == (24, 8)


def test_bundled_digits_with_the_default_number_of_coefficients(tmp_path):
    out = tmp_path / "out"
    assert main(["analyze", "digits", "--limit", "30", "--out", str(out), "--quiet"]) == 0
    assert json.loads((out / "summary.json").read_text(encoding="utf-8"))["n_images"] == 300


def test_the_default_folder_is_named_after_the_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "my images")
    assert main(["analyze", "my images", "--coefficients", "5", "--quiet"]) == 0
    assert "report.html" in files(tmp_path / "wavelens-report-my-images")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("photos/", "photos"),
        ("a b.npz", "a-b"),
        ("data/scans.tar.npz", "scans.tar"),
        (".", "here"),
        ("/", "images"),
    ],
)
def test_names_of_results_come_from_the_source(source, expected, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert stem(source, "images") == expected


def test_an_existing_result_stays_unless_forced(tmp_path, capsys):
    source = write_folder(tmp_path / "images")
    out = tmp_path / "out"
    arguments = ["analyze", str(source), "--coefficients", "5", "--out", str(out), "--quiet"]
    assert main(arguments) == 0
    (out / "report.html").write_text("old")
    assert main(arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert (out / "report.html").read_text() == "old"
    assert main([*arguments, "--force"]) == 0
    assert (out / "report.html").read_text(encoding="utf-8") != "old"
    (out / "note.txt").write_text("mine")
    assert main([*arguments, "--force"]) == 1
    assert "note.txt" in capsys.readouterr().err
    assert (out / "note.txt").read_text() == "mine"
    (out / "note.txt").unlink()
    assert files(tmp_path) == {"images", "out"}


def test_a_folder_with_other_things_is_never_replaced(tmp_path, capsys):
    source = write_folder(tmp_path / "images")
    out = tmp_path / "precious"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    (out / "summary.json").write_text("{}")
    assert main(["analyze", str(source), "--out", str(out), "--force", "--quiet"]) == 1
    assert "other things" in capsys.readouterr().err
    assert (out / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["analyze", "nowhere"], 1, "nowhere"),
        (["analyze", "images", "--coefficients", "500"], 1, "n_coefficients"),
        (["analyze", "images", "--wavelet", "nope"], 1, "wavelet"),
        (["analyze", "images", "--mode", "nope"], 1, "mode"),
        (["analyze", "images", "--size", "10"], 2, "HEIGHTxWIDTH"),
        (["analyze", "images", "--size", "0x10"], 2, "HEIGHTxWIDTH"),
        (["analyze", "images", "--limit", "0"], 2, "above 0"),
        (["analyze", "images", "--coefficients", "-3"], 2, "above 0"),
        (["analyze", "images", "--bandwidth", "wide"], 2, "median"),
        (["analyze", "images", "--labels", "missing.csv"], 1, "missing.csv"),
        (["analyze"], 2, "source"),
        ([], 2, "COMMAND"),
        (["fly"], 2, "fly"),
    ],
)
def test_bad_command_lines(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "images")
    try:
        found = main(arguments)
    except SystemExit as stop:
        found = stop.code
    captured = capsys.readouterr()
    assert found == code
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert files(tmp_path) == {"images"}


def test_a_bad_file_is_left_out_or_refused(tmp_path, capsys):
    source = write_folder(tmp_path / "images")
    (source / "cat" / "broken.jpg").write_bytes(b"no image")
    arguments = ["analyze", str(source), "--coefficients", "5", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--strict"]) == 1
    assert "broken.jpg" in capsys.readouterr().err
    assert main(arguments) == 0
    assert "left out" in capsys.readouterr().err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert "broken.jpg" in summary["skipped"][0]["file"]


def test_a_link_is_followed_and_kept(tmp_path):
    source = write_folder(tmp_path / "images")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    arguments = ["analyze", str(source), "--coefficients", "5", "--out", str(tmp_path / "link"), "--quiet"]
    assert main(arguments) == 0
    assert main([*arguments, "--force"]) == 0
    assert (tmp_path / "link").is_symlink()
    assert "report.html" in files(tmp_path / "real")


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(tmp_path, capsys):
    source = write_folder(tmp_path / "images")
    (tmp_path / "file").write_text("")
    assert main(["analyze", str(source), "--out", str(tmp_path / "file" / "out")]) == 1
    captured = capsys.readouterr().err
    assert "--out" in captured
    assert "reading" not in captured


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["analyze", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert len(options) > 15
    assert text.count("(default") >= len(options)


def test_version_and_info(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("wavelens 0.")
    assert main(["info"]) == 0
    assert "instruction set" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize("wait_for", ["loading", "reading", "finding", "drawing"])
def test_an_interrupt_leaves_nothing_behind(tmp_path, wait_for):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "data.npz",
        images=rng.integers(0, 255, (3000, 32, 32), dtype=np.uint8),
        labels=np.arange(3000) % 2,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "wavelens", "analyze", "data.npz", "--coefficients", "600"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
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
    assert files(tmp_path) == {"data.npz"}


def test_bases_are_compared_and_memory_is_kept_to(tmp_path, capsys):
    source = write_folder(tmp_path / "images", classes=("a", "b", "c"))
    out = tmp_path / "out"
    arguments = ["analyze", str(source), "--coefficients", "6", "--out", str(out)]
    assert main([*arguments, "--memory", "10MB"]) == 1
    assert "more than the 10.0 MB allowed" in capsys.readouterr().err
    assert main([*arguments, "--memory", "lots"]) == 1
    assert "`--memory` must be a number of bytes" in capsys.readouterr().err
    assert not out.exists()
    assert main([*arguments, "--memory", "2GB", "--compare-basis"]) == 0
    assert "of memory will be needed" in capsys.readouterr().err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="basis"' in page
    assert 'id="sharing"' in page


def test_more_coefficients_than_images_of_a_class(tmp_path, capsys):
    source = write_folder(tmp_path / "images")
    out = tmp_path / "out"
    arguments = ["analyze", str(source), "--rank", "any", "--coefficients", "16", "--basis", "pixel"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert "have a rank below the 16 coefficients" in capsys.readouterr().err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "too few images to show it" in page
    assert "pixels, without wavelets" in page
