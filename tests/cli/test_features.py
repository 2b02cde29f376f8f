from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
from data_files import write
from networks import need_onnx, photos, write_onnx

from wavelens.cli import main
from wavelens.models import load_features


@pytest.fixture
def network(tmp_path: Path) -> Path:
    need_onnx()
    return write_onnx(tmp_path / "small.onnx", size=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "pets"
    for code, name in enumerate(("cat", "dog")):
        for i, pixels in enumerate(photos(6, 20, seed=code)):
            write(where / name / f"{i}.png", pixels[:, : 14 + i])
    return where


@pytest.mark.networks
def test_a_file_of_features(network: Path, folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "made" / "f.npz"
    (folder / "dog" / "cut.png").write_bytes((folder / "dog" / "1.png").read_bytes()[:200])
    given = ["features", "--model", str(network), "--images", str(folder), "--out", str(out)]
    assert main([*given, "--layers", "conv,logits", "--pool", "grid:2", "--batch", "5"]) == 0
    captured = capsys.readouterr()
    assert "shorter side to 8, bilinear, the middle 8 × 8 of it; RGB, values 0 to 255" in captured.err
    assert "value range: the network's first steps are x · 0.003922 + 0" in captured.err
    assert "color: assumed" in captured.err
    assert "cut.png" in captured.err
    assert f"{out}: <LabelledFeatures 'pets': 12 images of 2 classes (conv: 16, logits: 5)>" in captured.out
    found = load_features(out)
    assert found.shapes == {"conv": (4, 2, 2), "logits": (5,)}
    assert found.class_counts == {"cat": 6, "dog": 6}
    assert found.file_names[0] == "cat/0.png"
    assert [each.name for each in out.parent.iterdir()] == ["f.npz"]
    assert main(given) == 1
    assert "say --force" in capsys.readouterr().err
    assert main([*given, "--force", "--quiet", "--dtype", "float16", "--limit", "2", "--threads", "1"]) == 0
    assert capsys.readouterr() == ("", "")
    assert load_features(out).layers["features"].dtype == np.float16
    assert load_features(out).n_images == 4


@pytest.mark.networks
def test_preprocessing_can_be_given(network: Path, folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "f.npz"
    given = ["features", "--model", str(network), "--images", str(folder), "--out", str(out)]
    rule = [
        "--range",
        "signed",
        "--mean",
        "0.1,0.2,0.3",
        "--std",
        "0.5",
        "--color",
        "bgr",
        "--filter",
        "bicubic",
    ]
    assert main([*given, *rule, "--shorter-side", "10"]) == 0
    said = load_features(out).info["preprocessing"]
    assert said["value_range"] == [-1.0, 1.0]
    assert said["mean"] == [0.1, 0.2, 0.3]
    assert said["reasons"]["mean"] == "given"
    assert (said["color"], said["filter"], said["shorter_side"]) == ("bgr", "bicubic", 10)
    assert "shorter side to 10, bicubic" in capsys.readouterr().err


@pytest.mark.networks
def test_predictions_are_told(network: Path, folder: Path, tmp_path: Path, capsys) -> None:
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\nhorse\ncow\npig\n")
    given = ["features", "--model", str(network), "--images", str(folder), "--class-names", str(names)]
    assert main([*given, "--out", str(tmp_path / "f.npz"), "--layers", "features"]) == 0
    told = capsys.readouterr().err
    assert "of 12 images are predicted right" in told
    assert "cat/0.png (cat): predicted" in told
    assert list(load_features(tmp_path / "f.npz").layers) == ["features"]


@pytest.mark.networks
def test_layers_are_listed(network: Path, capsys) -> None:
    assert main(["features", "--model", str(network), "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[1].split() == ["conv_z", "4", "x", "8", "x", "8", "Conv", "also", "conv_node"]
    assert lines[-1].split() == ["logits", "5", "MatMul", "output"]


@pytest.mark.networks
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say which --images, or --list"),
        (["--images", "missing"], "no such file or folder"),
        (["--images", "digits", "--layers", "convv"], "the nearest names are"),
        (["--images", "digits", "--pool", "mean"], "`--pool` must be"),
        (["--images", "digits", "--out", "f.txt"], "the file is an .npz file"),
        (["--images", "digits", "--out", "."], "is a folder"),
        (["--images", "digits", "--size", "9x9"], "takes images of 3 × 8 × 8"),
        (["--images", "digits", "--class-names", "missing.json"], "cannot read the class names"),
    ],
)
def test_what_cannot_be_done(network: Path, options, message, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["features", "--model", str(network), *options]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not list(tmp_path.glob("*.npz"))


@pytest.mark.networks
def test_interrupting_leaves_nothing(
    network: Path, folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    from wavelens.models._onnx import OnnxNetwork

    run, calls = OnnxNetwork.run, []

    def interrupted(self, batch, layers):
        calls.append(layers)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(self, batch, layers)

    monkeypatch.setattr(OnnxNetwork, "run", interrupted)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["features", "--model", str(network), "--images", str(folder), "--batch", "2"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("ending", "library", "extra"), [(".onnx", "onnxruntime", "onnx"), (".pt2", "torch", "torch")]
)
def test_without_the_library_it_says_what_to_install(
    ending: str, library: str, extra: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    real = builtins.__import__

    def missing(name, *arguments, **options):
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    model = tmp_path / f"net{ending}"
    model.write_bytes(b"anything")
    assert main(["features", "--model", str(model), "--list"]) == 1
    assert f'pip install "wavelens[{extra}]"' in capsys.readouterr().err


def test_help_explains_every_option(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["features", "--help"])
    text = capsys.readouterr().out
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    # All but --model, which has none.
    assert text.count("(default") >= len(options) - 1 > 20
