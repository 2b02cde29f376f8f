"""A Dask cluster whose scheduler and workers are processes that tests start and kill."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

__all__ = ["ByHand"]


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
