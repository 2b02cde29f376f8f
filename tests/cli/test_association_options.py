from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavelens.cli import main


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for class_ in ("cat", "dog"):
        (tmp_path / "pets" / class_).mkdir(parents=True)
        for i in range(24):
            pixels = rng.integers(0, 100 if class_ == "cat" else 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / class_ / f"{class_} {i // 4}-{i}.png")
    return tmp_path / "pets"


def run(source: Path, out: Path, *more: str) -> tuple[dict, str]:
    assert main(["analyze", str(source), "--coefficients", "8", "--out", str(out), *more]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return summary, (out / "report.html").read_text(encoding="utf-8")


def test_the_test_is_made_and_told(source, tmp_path):
    summary, page = run(source, tmp_path / "out", "--permutations", "30")
    found = summary["association"]
    assert found["n_permutations"] == 30
    assert found["pvalue"] == pytest.approx(1 / 31)
    assert found["statistic"] - found["null_mean"] == pytest.approx(found["difference"])
    assert found["curve"][0] == {"share_shuffled": 0.0, "statistic": found["statistic"]}
    assert "held_out" not in summary
    assert "Are patterns tied to classes?" in page
    assert found["in_words"].split(".")[0] in page
    assert (tmp_path / "out" / "figures" / "association.svg").is_file()


def test_it_can_be_left_out(source, tmp_path):
    summary, page = run(source, tmp_path / "out", "--permutations", "0")
    assert "association" not in summary
    assert "Are patterns tied to classes?" not in page


def test_groups_by_file_name_are_held_out_whole(source, tmp_path, capsys):
    pattern = r"(\w+ \d)-\d+\.png"
    summary, page = run(source, tmp_path / "out", "--groups", pattern, "--permutations", "5")
    assert summary["association"]["n_groups"] == summary["held_out"]["n_groups"] == 12
    assert summary["held_out"]["n_splits"] == 5
    assert summary["held_out"]["mean_accuracy"] > 0.8
    assert "Images held out" in page
    assert "without --groups" not in capsys.readouterr().err


def test_groups_from_a_table(source, tmp_path):
    table = tmp_path / "who.csv"
    lines = [f"{each.parent.name}/{each.name},{each.name[4]}" for each in sorted(source.glob("*/*.png"))]
    table.write_text("\n".join(["file,owner", *lines]))
    summary, _ = run(source, tmp_path / "out", "--groups", f"{table}:owner", "--held-out", "9")
    # Each owner has a cat and a dog: labels cannot be shuffled between owners.
    assert summary["association"]["n_groups"] is None
    assert summary["held_out"]["n_groups"] == summary["held_out"]["n_splits"] == 6


def test_without_groups_a_note_says_what_may_leak(source, tmp_path, capsys):
    summary, page = run(source, tmp_path / "out", "--held-out", "2", "--permutations", "0")
    assert summary["held_out"]["n_splits"] == 2
    assert "without --groups" in capsys.readouterr().err
    assert "the score is too high" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--groups", "absent.csv"], "cannot read the groups"),
        (["--groups", "cat"], "needs parentheses"),
        (["--groups", "(zebra)"], "finds no group in 48 of 48 file names"),
        (["--groups", r"(\.png)"], "puts all images into one group"),
    ],
)
def test_what_cannot_be_used_is_said(source, tmp_path, capsys, options, message):
    assert main(["analyze", str(source), "--out", str(tmp_path / "out"), *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--held-out", "1"], ["--permutations", "-3"], ["--permutations", "x"]])
def test_numbers_are_checked(source, capsys, options):
    with pytest.raises(SystemExit):
        main(["analyze", str(source), *options])
    assert "expected" in capsys.readouterr().err
