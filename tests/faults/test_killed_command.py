"""`wavelens analyze` that is killed or interrupted goes on with --resume and writes the same, the summary included."""

from __future__ import annotations

import json
import signal
import sys
import time

import fault_runs
import numpy as np
import pytest
from campaign import examples
from cluster_by_hand import ByHand

pytestmark = [
    pytest.mark.campaign,  # a command takes half a minute to draw its page
    pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL"),
]

DAMAGED = (2, 30, 31, 450, 899)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give a folder of images of which some are damaged, and how its files are called."""
    where = tmp_path_factory.mktemp("command")
    path = fault_runs.write_source("png", where, *fault_runs.make_images(n=900, side=96))
    return path, sorted(each.name for each in fault_runs.damage_files(path, DAMAGED))


def finish(process):
    """Wait for a command; return its exit code and what it wrote on stderr."""
    told = process.communicate(timeout=300)[1]
    return process.returncode, told


def results_of(out):
    """Return what a command wrote, without what is of the run and not of the images."""
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    for name in ("seconds", "planned_memory"):
        summary["out_of_core"].pop(name)
    for name in ("out", "command", "created"):
        summary.pop(name, None)
    with np.load(out / "results.npz") as found:
        arrays = {name: found[name] for name in found.files if name != "header"}
    tables = {name: (out / name).read_text(encoding="utf-8") for name in ("all-images.csv", "images.csv")}
    return summary, arrays, tables


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """What the command writes if nothing disturbs it."""
    path, damaged = folder
    out = tmp_path_factory.mktemp("whole") / "out"
    code, told = finish(fault_runs.start_command(fault_runs.command(path, out)))
    assert code == 0, told
    found = results_of(out)
    assert sorted(each["file"].rsplit("/")[-1] for each in found[0]["skipped"]) == damaged
    return found


def check_same(out, whole):
    found = results_of(out)
    assert found[1].keys() == whole[1].keys()
    for name, values in whole[1].items():
        np.testing.assert_array_equal(found[1][name], values, err_msg=name)
    assert found[2] == whole[2]
    for name, values in whole[0].items():
        assert found[0][name] == values, name
    assert found[0].keys() == whole[0].keys()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"{len(DAMAGED)} files were left out" in page


def start(path, out, *more, pause=0.004):
    """Start the command and wait until it has begun to fit."""
    process = fault_runs.start_command(fault_runs.command(path, out, *more), pause=pause, hurry=1000)
    end = time.monotonic() + 120
    while process.poll() is None and not any(out.glob("work/*")):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert any(out.glob("work/*")), process.stderr.read()
    return process


def stop(process, seconds, sent):
    """Send a signal after a while; return the exit code, and what was written."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    if process.poll() is None:
        process.send_signal(sent)
    return finish(process)


def test_killed_again_and_again(folder, whole, tmp_path, record_property):
    path, _ = folder
    rng = np.random.default_rng(0)
    total = 0
    for run in range(examples(1, 10)):
        out = tmp_path / f"out{run}"
        kills = 0
        for _ in range(examples(2, 4)):
            process = start(path, out, *(("--resume",) if out.exists() else ()))
            kills += stop(process, float(rng.uniform(0.3, 4)), signal.SIGKILL)[0] == -signal.SIGKILL
            if (out / "summary.json").exists():
                break
        assert kills
        total += kills
        if not (out / "summary.json").exists():
            code, told = finish(fault_runs.start_command(fault_runs.command(path, out, "--resume")))
            assert code == 0, told
        check_same(out, whole)
    record_property("kills of the command", total)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(sent, folder, whole, tmp_path):
    path, _ = folder
    out = tmp_path / "out"
    code, told = stop(start(path, out), 1.0, sent)
    assert code in (130, 143)
    assert "--resume" in told
    assert "Traceback" not in told
    assert not (out / "summary.json").exists()
    code, told = finish(fault_runs.start_command(fault_runs.command(path, out, "--resume")))
    assert code == 0, told
    check_same(out, whole)


@pytest.mark.parametrize("written", ["*.np*", "embedding*"])
def test_strict_holds_for_what_was_left_out_before(written, folder, tmp_path):
    """Begun without --strict, the run has left files out; with it, it does not go on and says which.

    Once rows are written, no file is read again.
    """
    path, damaged = folder
    out = tmp_path / "out"
    process = start(path, out)
    while process.poll() is None and not any(out.glob(f"work/{written}")):
        time.sleep(0.002)
    assert stop(process, 0, signal.SIGKILL)[0] == -signal.SIGKILL
    for _ in range(2):
        command = fault_runs.command(path, out, "--resume", "--strict")
        code, told = finish(fault_runs.start_command(command))
        assert code == 1, told
        assert any(name in told for name in damaged), told
        assert not (out / "summary.json").exists()


def test_killed_on_a_cluster(folder, tmp_path):
    pytest.importorskip("distributed")
    path, damaged = folder
    rng = np.random.default_rng(2)
    cluster = ByHand(tmp_path)
    try:
        for _ in range(2):
            cluster.start_worker()
        where = ("--memory", "800MB", "--scheduler", cluster.address)
        code, told = finish(
            fault_runs.start_command(fault_runs.command(path, tmp_path / "whole", "--force", *where))
        )
        assert code == 0, told
        whole = results_of(tmp_path / "whole")
        assert sorted(each["file"].rsplit("/")[-1] for each in whole[0]["skipped"]) == damaged
        for run in range(examples(1, 3)):
            out = tmp_path / f"out{run}"
            for _ in range(2):
                process = start(path, out, "--resume" if out.exists() else "--force", *where)
                stop(process, float(rng.uniform(0, 1.5)), signal.SIGKILL)
            command = fault_runs.command(path, out, "--resume", *where)
            code, told = finish(fault_runs.start_command(command))
            assert code == 0, told
            check_same(out, whole)
    finally:
        cluster.stop()
