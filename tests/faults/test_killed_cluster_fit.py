"""A fit on a cluster whose client or scheduler is killed, whose source changes or whose files are damaged."""

from __future__ import annotations

import shutil
import sys
import time

import fault_runs
import numpy as np
import pytest
from campaign import examples
from cluster_by_hand import ByHand
from file_damage import cases, damaged_copy

pytest.importorskip("dask")
pytest.importorskip("distributed")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")

N = 1200
KINDS = ("npz", "png")
# Short of a campaign, the changes that are hardest to see.
CHANGES = [
    ("npz", "rewritten"),
    ("png", "another is damaged"),
    *(
        pytest.param(kind, how, marks=pytest.mark.campaign)
        for kind in KINDS
        for how in ("written anew", "exchanged")
    ),
    *(pytest.param("png", how, marks=pytest.mark.campaign) for how in ("rewritten", "removed")),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers in processes of their own."""
    started = ByHand(tmp_path_factory.mktemp("cluster"))
    for _ in range(2):
        started.start_worker()
    yield started
    started.stop()


class Run:
    """Jobs of one source on a cluster."""

    def __init__(self, kind, folder, cluster, processes, seed=0):
        self.path = fault_runs.write_source(kind, folder / "source", *fault_runs.make_images(seed, N))
        self.folder, self._cluster, self._processes = folder, cluster, processes
        if kind == "png":
            fault_runs.damage_files(self.path, [3, 4, 900])

    def job(self, work):
        return {
            "path": str(self.path),
            "work": str(self.folder / work),
            "outcome": str(self.folder / "outcome"),
            "scheduler": self._cluster.address,
        }

    def start(self, work="work"):
        """Start a fit and wait until it has begun to work."""
        job = self.job(work)
        process = fault_runs.process_of(self._processes, job)
        end = time.monotonic() + 60
        while process.exitcode is None and not any(self.folder.glob(f"{work}/*")):
            assert time.monotonic() < end
            time.sleep(0.01)
        return process

    def finish(self, work="work"):
        job = self.job(work)
        return fault_runs.result_of(fault_runs.process_of(self._processes, job), job)


@pytest.fixture(scope="module")
def undisturbed():
    """What fits of each kind of source find that nothing disturbs, and the seconds that they work."""
    return {}


@pytest.fixture
def disturbed(tmp_path, cluster, processes, undisturbed):
    """Return a function that gives a run of a kind to disturb, what it should find, and the seconds it works."""

    def of(kind):
        run = Run(kind, tmp_path, cluster, processes)
        if kind not in undisturbed:
            process = run.start("calm")
            begun = time.monotonic()
            found = fault_runs.result_of(process, run.job("calm"))
            assert isinstance(found, dict), found
            undisturbed[kind] = found, time.monotonic() - begun
        return run, *undisturbed[kind]

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_is_killed(kind, disturbed, record_property):
    run, expected, lasts = disturbed(kind)
    rng = np.random.default_rng(0)
    wanted, kills, works = examples(3, 30), 0, 0
    while kills < wanted:
        process = run.start(f"work{works}")
        process.join(float(rng.uniform(0, 0.9 * lasts)))
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
            continue
        # It came to its end before; the next ones are killed sooner.
        fault_runs.check_same(fault_runs.result_of(process, run.job(f"work{works}")), expected)
        lasts *= 0.7
        works += 1
    fault_runs.check_same(run.finish(f"work{works}"), expected)
    record_property("kills of the client", kills)


@pytest.mark.parametrize("kind", KINDS)
def test_the_scheduler_is_killed(kind, disturbed, cluster, record_property):
    run, expected, lasts = disturbed(kind)
    rng = np.random.default_rng(1)
    for i in range(examples(1, 10)):
        process = run.start(f"work{i}")
        job = run.job(f"work{i}")
        process.join(float(rng.uniform(0, 0.8 * lasts)))
        cluster.scheduler.kill()
        found = fault_runs.result_of(process, job)
        if isinstance(found, tuple):
            assert found[0] == "DataError", found
        cluster.start_scheduler()
        for _ in range(2):
            cluster.start_worker()
        fault_runs.check_same(run.finish(f"work{i}"), expected)
    record_property("kills of the scheduler", examples(1, 10))


@pytest.mark.parametrize(("kind", "how"), CHANGES)
def test_the_source_changes(kind, how, disturbed, record_property):
    run, expected, lasts = disturbed(kind)
    refused = 0
    saved = run.folder / "saved"
    shutil.copytree(run.path.parent, saved)
    moments = examples(3, 12)
    for i in range(moments):
        shutil.rmtree(run.path.parent)
        shutil.copytree(saved, run.path.parent)
        process = run.start(f"work{i}")
        # The first at once, before the images can have been read as often as they are.
        process.join(0.8 * lasts * i / moments)
        if process.exitcode is None:
            fault_runs.change(run.path, how)
        found = fault_runs.result_of(process, run.job(f"work{i}"))
        if isinstance(found, tuple):
            refused += 1
            assert found[0] == "DataError", found
        else:
            # Either all was read before the change, or nothing was: then it is the fit of what is there now.
            now = run.finish(f"now{i}")
            if not isinstance(now, dict) or not np.array_equal(found["embedding_"], now["embedding_"]):
                fault_runs.check_same(found, expected)
    record_property("changes of a source on a cluster that were refused", refused)


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_the_work_folder_are_damaged(kind, disturbed, cluster, processes, record_property):
    run, expected, lasts = disturbed(kind)
    rng = np.random.default_rng(2)
    (run.folder / "other").mkdir()
    other = Run(kind, run.folder / "other", cluster, processes, seed=5)
    pairs = []
    for i in range(examples(2, 8)):
        for each in (run, other):
            process = each.start(f"work{i}")
            process.join(lasts * (0.25 + 0.7 * i / examples(2, 8)))
            process.kill()
            process.join()
        pairs.append((run.folder / f"work{i}", other.folder / f"work{i}"))
    failures, n = [], 0
    for copy, file, same, damage in cases(pairs, rng, examples(8, 150)):
        if not damaged_copy(copy, run.folder / "damaged", file, same, damage, rng):
            continue
        n += 1
        what = f"{file.relative_to(copy)} of {copy.name}, {damage.__name__ if damage else 'missing'}"
        try:
            found = run.finish("damaged")
            if isinstance(found, dict):
                fault_runs.check_same(found, expected)
            elif found[0] != "DataError":
                failures.append(f"{what}: {found[0]}: {found[1][:200]}")
        except AssertionError as error:
            failures.append(f"{what}: {' '.join(str(error).split())[:100]}")
    record_property("damaged files of a run on a cluster", n)
    assert n > 3
    assert not failures, "\n".join([f"{len(failures)} of {n}", *failures])
