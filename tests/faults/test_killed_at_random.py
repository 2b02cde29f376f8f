"""A fit that is killed at random moments, again and again, continues and finds what one finds that nothing stops."""

from __future__ import annotations

import os
import signal
import sys

import fault_runs
import numpy as np
import pytest
from campaign import examples

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("kind", fault_runs.KINDS)
def test_killed_again_and_again(kind, cache, sources, processes, tmp_path, record_property):
    path, expected = sources(kind)
    rng = np.random.default_rng([fault_runs.KINDS.index(kind), cache])
    wanted, killed, run = examples(3, 50), 0, 0
    while killed < wanted:
        work = tmp_path / f"work{run}"
        run += 1
        for _ in range(60):
            job = {
                "path": str(path),
                "work": str(work),
                "outcome": str(tmp_path / "outcome"),
                "cache": cache,
                "pause": 0.01,
                "hurry": 1000,
            }
            process = fault_runs.process_of(processes, job)
            # Long enough that a run comes to its end after some kills, which is compared then.
            process.join(float(rng.uniform(0.05, 0.6)))
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                killed += 1
                continue
            fault_runs.check_same(fault_runs.result_of(process, job), expected)
            break
        else:
            job |= {"pause": 0}
            fault_runs.check_same(fault_runs.result_of(fault_runs.process_of(processes, job), job), expected)
    record_property("kills of a fit", killed)
