"""The folder that a command writes: what killed runs left there and beside it is put right at the next start."""

from __future__ import annotations

import json
import os
import sys

import pytest

from wavelens.cli._output import check_output, whole_folder
from wavelens.exceptions import WavelensError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")


def result(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps({"wavelens": "0", "name": name}))


def name_of(folder):
    return json.loads((folder / "summary.json").read_text())["name"]


def test_what_killed_runs_left_is_removed_at_the_next_start(tmp_path):
    out = tmp_path / "out"
    result(out, "whole")
    for i in range(5):
        result(tmp_path / f".out.wavelens-{i}-{i:016x}.partial", "half")
    result(tmp_path / f".out.wavelens-9-{9:016x}.previous", "older")
    with pytest.raises(WavelensError, match="--force"):
        check_output(out, force=False)
    assert os.listdir(tmp_path) == ["out"]
    assert name_of(out) == "whole"


def test_an_old_result_is_put_back_and_not_overwritten(tmp_path):
    out = tmp_path / "out"
    result(tmp_path / f".out.wavelens-9-{9:016x}.previous", "old")
    with pytest.raises(WavelensError, match="--force"):
        check_output(out, force=False)
    assert name_of(out) == "old"
    with whole_folder(out, force=True) as folder:
        result(folder, "new")
    assert name_of(out) == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_another_command_is_writing_stays(tmp_path):
    with whole_folder(tmp_path / "one", force=False) as first:
        result(first, "one")
        with whole_folder(tmp_path / "two", force=False) as second:
            result(second, "two")
        assert first.exists()
    assert {name_of(tmp_path / each) for each in ("one", "two")} == {"one", "two"}
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


def test_an_error_leaves_the_old_result(tmp_path):
    out = tmp_path / "out"
    result(out, "old")

    def fail():
        with whole_folder(out, force=True) as folder:
            result(folder, "half")
            raise ValueError("bad data")

    with pytest.raises(ValueError, match="bad data"):
        fail()
    assert name_of(out) == "old"
    assert os.listdir(tmp_path) == ["out"]
