"""Clusters for the tests: two workers in processes of their own, or a scheduler and workers started by hand."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import wavelens

if importlib.util.find_spec("dask") is not None:
    import distributed

# What the workers' processes import.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(wavelens.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
)


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """Two workers in processes of their own, of one thread each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit="2GB"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Images of three classes, two of which have something of their own."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1200, 12, 14), dtype=np.uint8)
    labels = rng.integers(0, 3, 1200)
    images[labels == 1, 2:6, 2:6] //= 3
    images[labels == 2, :, 8:] //= 2
    return images, labels


class ByHand:
    """A scheduler and workers, each started by its command and listening on TCP."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    def start_scheduler(self) -> None:
        file = self._folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--dashboard-address",
            ":0",
            "--scheduler-file",
            str(file),
        )
        for _ in range(300):
            if file.exists() and '"address"' in (text := file.read_text()):
                self.address = text.partition('"address": "')[2].partition('"')[0]
                return
            time.sleep(0.1)
        raise TimeoutError("no scheduler")

    def start_worker(self, *options: str) -> subprocess.Popen[bytes]:
        worker = self._start(
            "worker", self.address, "--no-nanny", "--nthreads", "1", "--dashboard-address", ":0", *options
        )
        self.workers.append(worker)
        return worker

    def _start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", command, *options], stdout=log, stderr=log, cwd=self._folder
            )
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for each in self._processes:
            each.kill()
        for each in self._processes:
            each.wait()


@pytest.fixture
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    """A scheduler in a process of its own, without workers yet."""
    started = ByHand(tmp_path_factory.mktemp("cluster"))
    yield started
    started.stop()
