"""On a full disk a fit ends with a sentence, keeps what is done, and goes on when there is room."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import fault_runs
import numpy as np
import pytest
from campaign import examples

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mounts a disk, limits the size of files")


@pytest.fixture
def disk(tmp_path):
    """Give a small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def write_on(file, content):
    while True:
        file.write(content)


def fill(folder):
    """Leave no room on a disk."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                write_on(file, bytes(size))
    return path


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("kind", ["npy", "png"])
def test_a_disk_that_fills_up(kind, cache, disk, sources, processes, tmp_path, record_property):
    path, expected = sources(kind)
    rng = np.random.default_rng([cache, kind == "npy"])
    refused, kept = 0, 0
    for run in range(examples(4, 60)):
        job = {
            "path": str(path),
            "work": str(disk / f"work{run}"),
            "outcome": str(tmp_path / "outcome"),
            "cache": cache,
        }
        process = fault_runs.process_of(processes, job | {"pause": 0.01, "hurry": 1000})
        fault_runs.wait_until_begun(process, job["work"])
        process.join(float(rng.uniform(0.05, 0.5)))
        filler = fill(disk)
        found = fault_runs.result_of(process, job)
        if isinstance(found, tuple):
            refused += 1
            assert found[0] == "DataError", found
            assert str(disk) in found[1]
        else:
            fault_runs.check_same(found, expected)
        filler.unlink()
        found = fault_runs.result_of(fault_runs.process_of(processes, job), job)
        fault_runs.check_same(found, expected)
        readings = 2 if cache else 3
        kept += int(found["n_chunks_read"]) < readings * -(-len(expected["labels_"]) // fault_runs.CHUNK)
        subprocess.run(["rm", "-r", job["work"]], check=True)
    record_property("fits refused on a full disk", refused)
    assert refused
    assert kept


@pytest.mark.parametrize("cache", [True, False])
def test_files_that_may_not_grow(cache, sources, processes, tmp_path, record_property):
    """A limit of the size of files stops at every write in turn."""
    path, expected = sources("npy")
    rng = np.random.default_rng(cache)
    refused = 0
    for run in range(examples(6, 100)):
        job = {
            "path": str(path),
            "work": str(tmp_path / f"work{run}"),
            "outcome": str(tmp_path / "outcome"),
            "cache": cache,
        }
        most = int(np.exp(rng.uniform(np.log(100), np.log(120_000))))
        found = fault_runs.result_of(
            fault_runs.process_of(processes, job | {"largest_file": most, "hurry": 1000, "pause": 0.002}), job
        )
        if isinstance(found, tuple):
            refused += 1
            assert found[0] == "DataError", found
            assert job["work"] in found[1]
        else:
            fault_runs.check_same(found, expected)
        found = fault_runs.result_of(fault_runs.process_of(processes, job), job)
        fault_runs.check_same(found, expected)
    record_property("fits refused on a full disk", refused)
    assert refused
