"""A fit that Ctrl-C or SIGTERM stops leaves what is done, and continues."""

from __future__ import annotations

import os
import signal
import sys

import fault_runs
import numpy as np
import pytest
from campaign import examples

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", fault_runs.KINDS)
def test_stopped_by_a_signal(kind, sent, sources, processes, tmp_path, record_property):
    path, expected = sources(kind)
    rng = np.random.default_rng(sent)
    job = {"path": str(path), "work": str(tmp_path / "work"), "outcome": str(tmp_path / "outcome")}
    stopped = 0
    for _ in range(examples(2, 20)):
        process = fault_runs.process_of(processes, job | {"pause": 0.02, "hurry": 1000})
        process.join(float(rng.uniform(0.1, 1.0)))
        if process.exitcode is None:
            os.kill(process.pid, sent)
            stopped += 1
            process.join(60)
            assert process.exitcode is not None
    record_property("signals to a fit", stopped)
    found = fault_runs.result_of(fault_runs.process_of(processes, job), job)
    fault_runs.check_same(found, expected)
