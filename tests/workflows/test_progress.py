from __future__ import annotations

import pytest

from wavelens.workflows import WorkflowProgress
from wavelens.workflows._progress import as_progress


@pytest.mark.parametrize("bars", [True, False, None])
def test_an_answer_to_whether_bars_are_shown_becomes_a_receiver(bars):
    receiver = as_progress(bars)
    assert receiver.bars is bars
    receiver.step("a step")
    receiver.note("a note")
    receiver.preview("a result")
    receiver.check()


def test_a_receiver_stays_itself():
    receiver = WorkflowProgress()
    assert as_progress(receiver) is receiver


def test_progress_of_a_step_can_stop_it(capsys):
    class Stop(WorkflowProgress):
        def check(self):
            raise KeyboardInterrupt

    with WorkflowProgress(False).share("Something") as share:
        share(0.5)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(KeyboardInterrupt), Stop(False).share("Something") as share:
        share(0.5)


def test_errors_name_the_argument():
    with pytest.raises(TypeError, match="`progress`"):
        as_progress(1)
