"""A worker that is lost costs only what it held; without scheduler or workers nothing passes for a result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

from wavelens.cli import main
from wavelens.data import open_source
from wavelens.distributed import Cluster, connected, cut
from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis
from wavelens.patterns.fit._progress_estimate import ProgressEstimator

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL"),
    pytest.mark.filterwarnings("ignore:Creating scratch directories:UserWarning"),
]

RESULTS = ("coefficients_", "sigma_", "embedding_", "labels_", "bandwidth_")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (6000, 16, 16), dtype=np.uint8)
    labels = np.arange(6000) // 2000
    images[labels == 1, 2:6] //= 3
    images[labels == 2, :, 6:] //= 2
    path = tmp_path_factory.mktemp("images") / "x.npz"
    np.savez(path, images=images, labels=labels)
    return path


def fit(path, scheduler, **options):
    return PatternAnalysis(n_coefficients=60, progress=False).fit(path, scheduler=scheduler, **options)


@pytest.fixture(scope="module")
def whole(images):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as cluster:
        return fit(images, cluster)


def same(found, whole):
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), err_msg=name)


def during(monkeypatch, name, after, act):
    """Act once in the course of a pass, when so many of its portions are done."""
    begin, update = ProgressEstimator.begin, ProgressEstimator.update
    state = {"pass": "", "seen": 0, "acted": 0}

    def begun(self, name, done=0):
        state["pass"] = name
        begin(self, name, done)

    def updated(self, done):
        if state["pass"] == name:
            state["seen"] += 1
            if state["seen"] == after:
                state["acted"] += 1
                act()
        update(self, done)

    monkeypatch.setattr(ProgressEstimator, "begin", begun)
    monkeypatch.setattr(ProgressEstimator, "update", updated)
    return state


@pytest.mark.parametrize("name", ["Sketching", "Factoring", "Embedding"])
def test_a_worker_is_killed_in_a_pass(images, whole, name, monkeypatch, tmp_path):
    """With a nanny, which starts another."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit="2GB"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        pids = list(client.run(os.getpid).values())
        acted = during(monkeypatch, name, 7, lambda: os.kill(pids[0], signal.SIGKILL))
        same(fit(images, client, work_dir=tmp_path), whole)
        assert acted["acted"] == 1
        assert pids[0] not in client.run(os.getpid).values()


def test_workers_over_tcp_one_of_which_is_killed(images, whole, by_hand, monkeypatch, tmp_path):
    """Without a nanny: what is left does it all. In every pass one goes and one comes."""
    gone = []

    def exchange():
        worker = by_hand.workers[len(gone)]
        worker.kill()
        gone.append(worker)
        by_hand.start_worker()

    for _ in range(2):
        by_hand.start_worker()
    begin = ProgressEstimator.begin
    update = ProgressEstimator.update
    seen = {}

    def begun(self, name, done=0):
        seen.clear()
        begin(self, name, done)

    def updated(self, done):
        seen[done] = True
        if len(seen) == 9:
            exchange()
        update(self, done)

    monkeypatch.setattr(ProgressEstimator, "begin", begun)
    monkeypatch.setattr(ProgressEstimator, "update", updated)
    with connected(by_hand.address) as client:
        client.wait_for_workers(2, timeout=60)
        same(fit(images, client, work_dir=tmp_path / "work"), whole)
    assert len(gone) == 3


def test_all_workers_are_lost(images, by_hand, monkeypatch, tmp_path):
    import wavelens.distributed._cluster as module

    monkeypatch.setattr(module, "_seconds_between_looks", 0.2)
    monkeypatch.setattr(module.Cluster.__init__, "__defaults__", (2.0,))
    worker = by_hand.start_worker()
    during(monkeypatch, "Factoring", 3, worker.kill)
    with pytest.raises(DataError, match=r"has had no workers for 2 s; no result was written"):
        fit(images, by_hand.address, work_dir=tmp_path / "work")
    assert not (tmp_path / "work" / "embedding.npy").exists()


def test_the_disk_is_full_where_workers_write(images, whole, by_hand, tmp_path):
    def limit(most):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    by_hand.start_worker()
    with connected(by_hand.address) as client:
        client.run(limit, 50_000)
        with pytest.raises(DataError, match="the work folder cannot be written: File too large"):
            fit(images, client, work_dir=tmp_path)
        assert not (tmp_path / "embedding.npy").exists()
        client.run(limit, 2**40)
        same(fit(images, client, work_dir=tmp_path, resume=True), whole)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["Sketching", "Factoring", "Embedding"])
def test_the_scheduler_is_lost_and_another_goes_on(images, whole, by_hand, name, monkeypatch, tmp_path):
    by_hand.start_worker()
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        during(patch, name, 5, by_hand.scheduler.kill)
        begun = time.perf_counter()
        with pytest.raises(DataError, match=r"can no longer be reached; no result was written"):
            fit(images, by_hand.address, work_dir=out)
        assert time.perf_counter() - begun < 60
    assert not (out / "embedding.npy").exists()
    shutil.copytree(out, tmp_path / "alone")
    by_hand.start_scheduler()
    by_hand.start_worker()
    passes = []
    begin = ProgressEstimator.begin
    monkeypatch.setattr(
        ProgressEstimator, "begin", lambda self, name, done=0: (passes.append(name), begin(self, name, done))
    )
    with pytest.raises(DataError, match="holds a run already"):
        fit(images, by_hand.address, work_dir=out)
    same(fit(images, by_hand.address, work_dir=out, resume=True), whole)
    # Passes that were done are not done again.
    assert passes[0] == name
    # One machine can go on just as well.
    alone = PatternAnalysis(n_coefficients=60).fit(images, work_dir=tmp_path / "alone", resume=True)
    np.testing.assert_array_equal(alone.coefficients_, whole.coefficients_)
    np.testing.assert_allclose(alone.sigma_, whole.sigma_, rtol=1e-10)


def test_the_command(images, by_hand, tmp_path, capsys, monkeypatch):
    by_hand.start_worker()
    command = [
        "analyze",
        str(images),
        "--coefficients",
        "20",
        "--permutations",
        "5",
        "--scheduler",
        by_hand.address,
    ]
    with monkeypatch.context() as patch:
        during(patch, "Factoring", 5, by_hand.scheduler.kill)
        assert main([*command, "--out", str(tmp_path / "out")]) == 1
    assert "can no longer be reached; no result was written" in capsys.readouterr().err
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["work"]
    by_hand.start_scheduler()
    by_hand.start_worker()
    command[-1] = by_hand.address
    assert main([*command, "--out", str(tmp_path / "out")]) == 1
    assert "say --resume" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "out"), "--resume"]) == 0
    told = capsys.readouterr().err
    assert f"on the cluster of {by_hand.address}" in told
    assert "workers of the cluster: 1" in told
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["out_of_core"]["workers"] == 1
    assert summary["n_images"] == 6000
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    found = PatternAnalysis.load(tmp_path / "out" / "results.npz")
    alone = PatternAnalysis(n_coefficients=20).fit(images, work_dir=tmp_path / "alone")
    np.testing.assert_allclose(found.sigma_, alone.sigma_, rtol=1e-10)


def test_nobody_answers_and_nobody_comes(by_hand, images):
    with (
        pytest.raises(
            DataError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'.*`dask scheduler`"
        ),
        connected("tcp://127.0.0.1:9", timeout=1),
    ):
        pass
    with (
        pytest.raises(
            DataError, match=r"has no workers, and none came within 1 s; start some with `dask worker tcp"
        ),
        connected(by_hand.address, timeout=1),
    ):
        pass
    # One that comes late is waited for.
    threading.Timer(1.0, by_hand.start_worker).start()
    with connected(by_hand.address, timeout=60) as client:
        assert len(client.nthreads()) == 1
    with pytest.raises(TypeError, match="must be an address"), connected(3):
        pass
    with (
        pytest.raises(DataError, match="no Dask scheduler answers at 'nonsense::'"),
        connected("nonsense::", timeout=1),
    ):
        pass


def test_images_that_bring_every_worker_down(monkeypatch):
    def fatal(portion, blocks, note):
        os.kill(os.getpid(), signal.SIGKILL)

    digits = open_source("digits")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 1))
        with pytest.raises(DataError, match=r"given up: 2 workers died one after the other"):
            Cluster(client).merged("fatal", fatal, cut(digits, digits.labels, 500), None, max)


def test_workers_without_the_same_wavelens_are_refused(by_hand, monkeypatch):
    import wavelens.distributed._client as module

    by_hand.start_worker()

    class Other:
        version = "9.9"

    monkeypatch.setattr(module, "_core", Other)
    with pytest.raises(DataError, match=r"has Wavelens \d.*, here it is 9\.9"), connected(by_hand.address):
        pass
