from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavelens.cli import main


def write_folder(where: Path, *, copies=True, leak=True, n=12) -> Path:
    rng = np.random.default_rng(0)
    for class_ in ("cat", "a dog"):
        (where / class_).mkdir(parents=True)
        for i in range(n):
            image = Image.fromarray(rng.integers(0, 255, (16, 20), dtype=np.uint8))
            if leak and class_ == "cat":
                image = image.convert("RGB")
            image.save(where / class_ / f"image ({i}).png")
    if copies:
        pixels = np.asarray(Image.open(where / "cat" / "image (3).png").convert("L"))
        Image.fromarray(pixels).save(where / "a dog" / "image (5).png")
        Image.fromarray(pixels // 2 + 9).save(where / "a dog" / "image (7).png")
    return where


def test_a_summary_in_words(tmp_path, capsys):
    assert main(["check", str(write_folder(tmp_path / "images"))]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("images: 24 images of 16 × 20 (a dog: 12, cat: 12)")
    assert "2 images are exact copies" in text
    assert "1 of them with different labels (a dog/image (5).png = cat/image (3).png)" in text
    assert "a dog/image (5).png ≈ a dog/image (7).png" in text
    assert "Colour mode: of a dog, all 12 are L; of cat, all 12 are RGB" in text
    assert "Not checked: - Labels of all classes" in text
    assert "--csv FILE" in text


def test_nothing_found(tmp_path, capsys):
    source = write_folder(tmp_path / "images", copies=False, leak=False)
    assert main(["check", str(source), "--fail-on-findings"]) == 0
    assert "Nothing found." in capsys.readouterr().out


def test_json_and_the_exit_code(tmp_path, capsys):
    source = write_folder(tmp_path / "images")
    (source / "cat" / "broken.png").write_bytes(b"no image")
    assert main(["check", str(source), "--json", "--fail-on-findings"]) == 3
    captured = capsys.readouterr()
    assert "left out" in captured.err
    said = json.loads(captured.out)
    assert said["duplicates"] == [
        {"images": ["a dog/image (5).png", "cat/image (3).png"], "across_classes": True}
    ]
    assert said["classes"] == {"a dog": 12, "cat": 12}
    assert "broken.png" in said["skipped"][0]["file"]
    assert {each["kind"] for each in said["findings"]} == {"duplicates", "near-duplicates", "leak"}
    assert main(["check", str(source), "--json", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_line_for_each_image_concerned(tmp_path, capsys):
    source, path = write_folder(tmp_path / "images"), tmp_path / "found.csv"
    Image.new("L", (20, 16), 7).save(source / "cat" / "empty.png")
    assert main(["check", str(source), "--csv", str(path)]) == 0
    assert "--csv FILE" not in capsys.readouterr().out
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["finding"]: row for row in csv.DictReader(file)}
    assert rows["duplicate"]["image"] == "cat/image (3).png"
    assert rows["duplicate"]["other_image"] == "a dog/image (5).png"
    assert rows["duplicate"]["other_class"] == "a dog"
    assert float(rows["near-duplicate"]["value"]) < 0.1
    assert rows["constant"]["image"] == "cat/empty.png"
    assert {each.name for each in tmp_path.iterdir()} == {"images", "found.csv"}


def test_one_class_and_unlabelled_arrays(tmp_path, capsys):
    source = write_folder(tmp_path / "images")
    assert main(["check", str(source / "cat")]) == 0
    assert "there is only one class" in capsys.readouterr().out
    images = np.random.default_rng(0).random((20, 9, 9))
    images[4] = images[11]
    np.save(tmp_path / "images.npy", images)
    assert main(["check", str(tmp_path / "images.npy")]) == 0
    assert "2 images are exact copies" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check"], 2, "source"),
        (["check", "nowhere"], 1, "nowhere"),
        (["check", "digits", "--near", "2"], 2, "from 0 to 1"),
        (["check", "digits", "--near", "close"], 2, "from 0 to 1"),
        (["check", "digits", "--limit", "0"], 2, "above 0"),
        (["check", "digits", "--limit", "9", "--csv", "missing/folder.csv"], 1, "missing"),
    ],
)
def test_bad_command_lines(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    try:
        found = main(arguments)
    except SystemExit as stop:
        found = stop.code
    captured = capsys.readouterr()
    assert found == code
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    text = capsys.readouterr().out
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert text.count("(default") >= len(options) > 12


def test_analyze_tells_it_as_well(tmp_path):
    source, out = write_folder(tmp_path / "images"), tmp_path / "out"
    assert main(["analyze", str(source), "--coefficients", "6", "--out", str(out), "--quiet"]) == 0
    with (out / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert rows["cat/image (3).png"]["duplicate_of"] == "a dog/image (5).png"
    assert rows["a dog/image (5).png"]["duplicate_of"] == ""
    assert rows["a dog/image (7).png"]["near_duplicate_of"] == "a dog/image (5).png"
    assert {rows["cat/image (1).png"][name] for name in ("label_doubt", "constant", "saturated")} == {""}
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["quality"]["is_sound"] is False
    assert len(summary["quality"]["duplicates"]) == 1
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Is the data sound?" in page
    assert "exact copies" in page
