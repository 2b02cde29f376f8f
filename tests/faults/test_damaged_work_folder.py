"""Whatever happens to the files of an unfinished run, it is found when the run goes on: no other result comes out.

The run is held still at some moments, as a kill would leave it, and its folder copied. Each file of each copy is then
damaged in every way.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys

import fault_runs
import numpy as np
import pytest
from campaign import examples, factor
from file_damage import cases, damaged_copy

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGSTOP")


def held_still(context, path, folder, moments, **more):
    """Run a fit, hold it still at some moments, and return a copy of its folder at each."""
    job = {"path": str(path), "work": str(folder / "work"), "outcome": str(folder / "outcome"), **more}
    process = fault_runs.process_of(context, job | {"pause": 0.015, "hurry": 1000})
    copies = []
    fault_runs.wait_until_begun(process, job["work"])
    for k in range(moments):
        # Within each of these the run writes something.
        process.join(0.11)
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGSTOP)
        copies.append(folder / f"copy{k}")
        shutil.copytree(job["work"], copies[-1])
        os.kill(process.pid, signal.SIGCONT)
    process.kill()
    process.join()
    return copies


@pytest.fixture(scope="module")
def folders(sources, processes, tmp_path_factory):
    """Return copies of the folder of an unfinished run at some moments, and of one of other images at the same."""
    made = {}

    def folders_of(kind, cache):
        if (kind, cache) not in made:
            path, _ = sources(kind)
            folder = tmp_path_factory.mktemp("run")
            other = fault_runs.write_source(kind, folder / "source", *fault_runs.make_images(seed=5))
            moments = 6 if factor() is None else 12
            pairs = []
            for name, each in (("this", path), ("that", other)):
                (folder / name).mkdir()
                pairs.append(held_still(processes, each, folder / name, moments, cache=cache))
            made[kind, cache] = list(zip(*pairs, strict=False))
        return made[kind, cache]

    return folders_of


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("kind", ["npy", "png"])
def test_found_when_the_run_goes_on(kind, cache, folders, sources, processes, tmp_path, record_property):
    path, expected = sources(kind)
    rng = np.random.default_rng([cache, kind == "npy"])
    failures, n = [], 0
    for copy, file, same, damage in cases(folders(kind, cache), rng, examples(25, 600)):
        work = tmp_path / "work"
        if not damaged_copy(copy, work, file, same, damage, rng):
            continue
        n += 1
        job = {"path": str(path), "work": str(work), "outcome": str(tmp_path / "outcome"), "cache": cache}
        what = f"{file.relative_to(copy)} of {copy.name}, {damage.__name__ if damage else 'missing'}"
        try:
            found = fault_runs.result_of(fault_runs.process_of(processes, job), job)
            if isinstance(found, dict):
                fault_runs.check_same(found, expected)
            elif found[0] != "DataError":
                failures.append(f"{what}: {found[0]}: {found[1][:200]}")
        except AssertionError as error:
            failures.append(f"{what}: {' '.join(str(error).split())[:100]}")
    record_property("damaged files of a run", n)
    assert n > 10
    assert not failures, "\n".join([f"{len(failures)} of {n}", *failures])
