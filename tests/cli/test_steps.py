"""What commands print while they work."""

from __future__ import annotations

import warnings
from argparse import Namespace

import pytest

from wavelens.cli._steps import Steps, warnings_as_notes
from wavelens.exceptions import WavelensWarning


def steps(quiet=False):
    return Steps(Namespace(quiet=quiet, operands=(), labels=None))


def test_warnings_become_notes_where_they_occur(capsys):
    progress = steps()
    with warnings_as_notes(progress):
        progress.step("first")
        warnings.warn("few images; pass `labels`", WavelensWarning, stacklevel=1)
        progress.step("second")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in lines] == ["first", "--labels", "second"]
    assert "note: few images" in lines[1]


def test_other_warnings_stay_warnings():
    with pytest.warns(RuntimeWarning, match="something else"), warnings_as_notes(steps()):
        warnings.warn("something else", RuntimeWarning, stacklevel=1)


def test_a_warning_after_the_command_is_a_warning_again():
    with warnings_as_notes(steps()):
        pass
    with pytest.warns(WavelensWarning, match="late"):
        warnings.warn("late", WavelensWarning, stacklevel=1)


def test_quiet_prints_nothing(capsys):
    progress = steps(quiet=True)
    progress.step("a step")
    progress.note("a note")
    progress.preview("a result")
    assert progress.bars is False
    assert capsys.readouterr() == ("", "")
