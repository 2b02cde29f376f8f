"""`wavelens.analyze`, in memory and in chunks."""

from __future__ import annotations

import json
import signal
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from html_page import page_text
from steps import Steps

import wavelens
from wavelens._utils._names import without_isolates
from wavelens.cli import main
from wavelens.exceptions import DataError, WavelensError
from wavelens.patterns import PatternAnalysis
from wavelens.workflows import AnalysisReport, ImageOptions, WorkflowProgress, analyze


def make_images(n=60):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    images = rng.integers(0, 255, (n, 10, 12), dtype=np.uint8)
    images[labels == 1, 2:6, 2:6] //= 3
    images[labels == 2, 5:9, 4:8] //= 4
    return images, np.array(["one", "two", "three"])[labels]


def write(path, n=60):
    images, labels = make_images(n)
    names, codes = np.unique(labels, return_inverse=True)
    np.savez(path, images=images, labels=codes, class_names=names)
    return path


@pytest.fixture(scope="module")
def report():
    return analyze(*make_images(), coefficients=8, permutations=3, progress=False)


@pytest.fixture
def small_memory(monkeypatch):
    """Nothing fits in memory, and few images are shown."""
    monkeypatch.setattr("wavelens.patterns._memory.physical_memory", lambda: 1.0)
    monkeypatch.setattr("wavelens.workflows._analysis_fit._most_shown", 30)


def files(folder):
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


def numbers(folder):
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key not in ("command", "out_of_core")}


def test_the_result_holds_what_the_estimator_finds(report):
    images, labels = make_images()
    alone = PatternAnalysis(n_coefficients=8).fit(images, labels)
    assert isinstance(report, AnalysisReport)
    np.testing.assert_array_equal(report.analysis.sigma_, alone.sigma_)
    assert report.shown is report.analysis
    assert report.association.n_permutations == 3
    assert report.held_out is None
    assert report.comparison is None
    assert not report.is_sample
    with pytest.raises(FrozenInstanceError):
        report.source = "other"


def test_the_summary_has_the_sentences_of_the_page(report, tmp_path):
    text = " ".join(report.summary().split())
    page = page_text(report.save(tmp_path / "out", progress=False))
    findings = wavelens.report.patterns_in_words(
        report.shown, report.data, quality=report.quality, association=report.association
    )
    assert len(findings) > 4
    for each in map(without_isolates, findings):
        assert each in text
        assert each in page
    assert all(len(line) <= 60 for line in report.summary(60).splitlines())


@pytest.mark.parametrize("large", [False, True])
def test_save_writes_what_the_command_writes(tmp_path, request, large):
    if large:
        request.getfixturevalue("small_memory")
    source = write(tmp_path / "some.npz")
    command = ["analyze", str(source), "--coefficients", "8", "--permutations", "3", "--held-out", "2"]
    assert main([*command, "--compare-basis", "--out", str(tmp_path / "command"), "--quiet"]) == 0
    found = analyze(source, coefficients=8, permutations=3, held_out=2, compare_basis=True, progress=False)
    assert found.is_sample == large
    page = found.save(tmp_path / "function", progress=False)
    assert page == tmp_path / "function" / "report.html"
    names = files(tmp_path / "command")
    assert names == files(tmp_path / "function")
    assert ("all-images.csv" in names) == large
    assert numbers(tmp_path / "command") == numbers(tmp_path / "function")
    for name in ("images.csv", "patterns.csv", *(["all-images.csv"] if large else [])):
        assert (tmp_path / "command" / name).read_bytes() == (tmp_path / "function" / name).read_bytes()
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_an_earlier_result_stays_unless_forced(report, tmp_path):
    out = tmp_path / "out"
    report.save(out, progress=False)
    (out / "report.html").write_text("old")
    with pytest.raises(WavelensError, match="`force=True`"):
        report.save(out, progress=False)
    assert (out / "report.html").read_text() == "old"
    report.save(out, force=True, command="how it was made", progress=False)
    assert json.loads((out / "summary.json").read_text())["command"] == "how it was made"
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(WavelensError, match="thesis"):
        report.save(out, force=True, progress=False)
    assert (out / "thesis.tex").read_text() == "mine"


def test_a_result_that_cannot_be_written_leaves_nothing(report, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("wavelens.report.write_summary", fail)
    with pytest.raises(OSError, match="disk full"):
        report.save(tmp_path / "out", progress=False)
    assert not list(tmp_path.iterdir())


def test_saving_leaves_signals_of_the_session_alone(report, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    report.save(tmp_path / "out", progress=False)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"coefficients": 500}, ValueError, "coefficients"),
        ({"wavelet": "nope"}, ValueError, "wavelet"),
        ({"seed": -1}, ValueError, "seed"),
        ({"memory": "lots"}, ValueError, "memory"),
        ({"permutations": -1}, ValueError, "permutations"),
        ({"held_out": 1}, ValueError, "held_out"),
        ({"resume": True}, ValueError, "work_dir"),
        ({"image_options": {"size": 8}}, TypeError, "image_options"),
        ({"progress": "yes"}, TypeError, "progress"),
        ({"groups": ["a"] * 60}, WavelensError, "groups"),
        ({"groups": ["a", "b"]}, ValueError, "groups"),
        ({"memory": "1MB"}, DataError, "1.00 MB"),
    ],
)
def test_errors_name_the_argument(arguments, error, name):
    with pytest.raises(error, match=rf"`{name}`" if name.isidentifier() else name):
        analyze(*make_images(), **{"progress": False} | arguments)


def test_groups_may_be_an_array_or_a_specification(tmp_path):
    images, labels = make_images()
    groups = np.arange(60) // 6
    by_array = analyze(images, labels, coefficients=8, permutations=0, groups=groups, progress=False)
    table = tmp_path / "groups.csv"
    rows = [f"{name},{group}" for name, group in zip(by_array.data.image_names, groups, strict=True)]
    table.write_text("\n".join(["file,patient", *rows]))
    by_table = analyze(images, labels, coefficients=8, permutations=0, groups=table, progress=False)
    assert by_array.held_out.n_splits == 5
    np.testing.assert_array_equal(by_array.held_out.accuracy, by_table.held_out.accuracy)


def test_images_are_read_as_the_options_say():
    found = analyze(
        "digits",
        image_options=ImageOptions(limit=12, size=(6, 6)),
        coefficients=5,
        permutations=0,
        progress=False,
    )
    assert found.data.images.shape == (120, 6, 6)
    assert found.source == "digits"


def test_a_stopped_run_is_resumed(tmp_path, small_memory, monkeypatch):
    source = write(tmp_path / "some.npz", 300)
    work = tmp_path / "out" / "work"

    class Stop(Steps):
        def check(self):
            if work.exists():
                raise KeyboardInterrupt

    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        analyze(source, coefficients=8, permutations=0, work_dir=work, progress=stop)
    assert any(str(work) in note and "`resume=True`" in note for note in stop.notes)
    with pytest.raises(DataError, match="`resume=True`"):
        analyze(source, coefficients=8, permutations=0, work_dir=work, progress=False)
    steps = Steps()
    found = analyze(source, coefficients=8, permutations=0, work_dir=work, resume=True, progress=steps)
    assert any("continuing" in step for step in steps.steps)
    whole = analyze(source, coefficients=8, permutations=0, progress=False)
    np.testing.assert_array_equal(found.analysis.sigma_, whole.analysis.sigma_)
    np.testing.assert_array_equal(found.table.complexity, whole.table.complexity)
    assert found.data.n_images == found.shown.labels_.size < 300
    # The folder that holds the run itself becomes the result; that of another run does not.
    other = tmp_path / "other"
    (other / "work").mkdir(parents=True)
    (other / "work" / "run.json").write_text("{}")
    with pytest.raises(WavelensError, match="unfinished run"):
        found.save(other, progress=False)
    found.save(tmp_path / "out", progress=False)
    assert not work.exists()
    assert (tmp_path / "out" / "report.html").exists()


def test_an_unfinished_run_is_deleted_if_forced(tmp_path, small_memory):
    source = write(tmp_path / "some.npz")
    work = tmp_path / "work"
    work.mkdir()
    (work / "run.json").write_text("nonsense")
    arguments = {"coefficients": 5, "permutations": 0, "work_dir": work, "progress": False}
    with pytest.raises(WavelensError):
        analyze(source, **arguments)
    assert analyze(source, force=True, **arguments).is_sample


def test_a_test_without_memory_is_left_out_in_chunks_only(tmp_path, small_memory, monkeypatch):
    def fail(*_, **__):
        raise DataError("too little memory")

    monkeypatch.setattr(PatternAnalysis, "association_test", fail)
    steps = Steps()
    found = analyze(write(tmp_path / "some.npz"), coefficients=5, progress=steps)
    assert found.association is None
    assert any("too little memory" in note for note in steps.notes)
    monkeypatch.undo()
    monkeypatch.setattr(PatternAnalysis, "association_test", fail)
    with pytest.raises(DataError, match="too little memory"):
        analyze(*make_images(), coefficients=5, progress=False)


def test_nothing_is_printed(capsys, tmp_path):
    class Quiet(WorkflowProgress):
        pass

    analyze(*make_images(), coefficients=5, permutations=1, progress=Quiet(False)).save(tmp_path / "out")
    assert capsys.readouterr() == ("", "")
