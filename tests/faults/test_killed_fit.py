"""A fit that is killed at any moment, or whose disk is full, continues and gives the same result, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wavelens.exceptions import DataError
from wavelens.patterns import PatternAnalysis

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL, limits the size of files")

CHUNK = 40
RESULTS = ("coefficients_", "sigma_", "embedding_", "labels_", "bandwidth_")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1500, 12, 12), dtype=np.uint8)
    images[500:1000, 2:6] //= 3
    images[1000:, :, 6:] //= 2
    path = tmp_path_factory.mktemp("images") / "x.npz"
    np.savez(path, images=images, labels=np.arange(1500) // 500)
    return path


def fit(path, work, resume, *, largest_file=0, pause=0.0, cache=True, n_coefficients=30):
    """Fit with a checkpoint after every chunk, each of which takes at least `pause` seconds."""
    import wavelens.patterns.fit._in_chunks as in_chunks

    in_chunks.seconds_between_checkpoints = 0.0
    if largest_file:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    if pause:
        update = in_chunks.ProgressEstimator.update

        def slowly(self, done):
            time.sleep(pause)
            update(self, done)

        in_chunks.ProgressEstimator.update = slowly
    analysis = PatternAnalysis(n_coefficients=n_coefficients, progress=False)
    return analysis.fit(path, work_dir=work, resume=resume, cache=cache, chunk_size=CHUNK)


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    return fit(images, tmp_path_factory.mktemp("whole"), resume=False)


@pytest.fixture(scope="module")
def processes():
    """Start processes that have everything imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["wavelens.patterns", __name__])
    return context


def same(found, whole):
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), err_msg=name)
    np.testing.assert_array_equal(found.gsvd_.v, whole.gsvd_.v)


def in_process(processes, path, work, reports, **options):
    """Fit in a process; what it reports is what was raised, or that all went well."""
    process = processes.Process(target=_reporting, args=(path, work, reports, options))
    process.start()
    return process


def _reporting(path, work, reports, options):
    try:
        fit(path, work, True, **options)
        reports.put("done")
    except Exception as error:
        reports.put(f"{type(error).__name__}: {error}")


@pytest.mark.parametrize("cache", [False, True])
def test_killed_again_and_again(images, whole, processes, tmp_path, cache):
    rng = np.random.default_rng(int(cache))
    reports = processes.Queue()
    killed = 0
    for _ in range(40):
        process = in_process(processes, images, tmp_path, reports, pause=0.004, cache=cache)
        process.join(float(rng.uniform(0.02, 0.5)))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join()
        # What bears the name of a result is one.
        if (tmp_path / "embedding.npy").exists():
            np.testing.assert_array_equal(np.load(tmp_path / "embedding.npy"), whole.embedding_)
        if process.exitcode == 0 or killed == 8:
            break
    assert killed
    same(fit(images, tmp_path, resume=True, cache=cache), whole)


@pytest.mark.parametrize(
    "stage", ["sketch", "factors", "chosen", "decomposition", "rows", "embedding", "run"]
)
@pytest.mark.parametrize("before", [True, False])
def test_stopped_at_every_kind_of_write(images, whole, tmp_path, monkeypatch, stage, before):
    """Stop just before and just after each kind of file is put in place."""

    class Stop(BaseException):
        pass

    replace, n = Path.replace, 0

    def stopping(self, target):
        nonlocal n
        wanted = Path(target).name.startswith(stage)
        n += wanted
        last = wanted and n == (1 if stage in ("run", "embedding", "decomposition") else 4)
        if last and before:
            raise Stop
        found = replace(self, target)
        if last:
            raise Stop
        return found

    monkeypatch.setattr(Path, "replace", stopping)
    if stage == "chosen":  # written in place, never renamed
        fit(images, tmp_path, resume=False)
    else:
        with pytest.raises(Stop):
            fit(images, tmp_path, resume=False)
    monkeypatch.undo()
    same(fit(images, tmp_path, resume=True), whole)


@pytest.mark.parametrize("largest_file", [30_000, 130_000, 300_000])
def test_a_full_disk(images, whole, processes, tmp_path, largest_file):
    reports = processes.Queue()
    process = in_process(processes, images, tmp_path, reports, largest_file=largest_file)
    told = reports.get(timeout=120)
    process.join()
    assert told.startswith("DataError"), told
    assert "cannot be written" in told
    assert "--resume" in told
    assert not (tmp_path / "embedding.npy").exists()
    same(fit(images, tmp_path, resume=True), whole)


@pytest.mark.parametrize("name", ["run.json.partial", "sketch.npz.partial", "factors.npz.partial"])
def test_what_a_killed_process_left_half_written_is_no_obstacle(images, whole, tmp_path, name):
    (tmp_path / name).write_bytes(b"half")
    same(fit(images, tmp_path, resume=False), whole)
    assert {each.name for each in tmp_path.iterdir()} == {
        "run.json",
        "embedding.npy",
        "decomposition.npz",
        "lock",
    }


def test_too_little_room_is_seen_before_the_work(images, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(DataError, match="GB are needed on this disk"):
        fit(images, tmp_path, resume=False)


def test_what_has_changed_is_named(images, whole, tmp_path):
    mine = tmp_path / "x.npz"
    mine.write_bytes(images.read_bytes())
    work = tmp_path / "work"
    fit(mine, work, resume=False)
    with pytest.raises(DataError, match="holds a run already"):
        fit(mine, work, resume=False)
    with pytest.raises(DataError, match=r"the n_coefficients \(was 30, is 31\)"):
        fit(mine, work, resume=True, n_coefficients=31)
    os.utime(mine, ns=(1, 1))
    with pytest.raises(DataError, match=r"has changed since it was begun: the (file|images)"):
        fit(mine, work, resume=True)
    with np.load(images) as parts:
        np.savez(mine, images=parts["images"], labels=parts["labels"][::-1])
    with pytest.raises(DataError, match="the labels"):
        fit(mine, work, resume=True)
    np.savez(mine, images=np.zeros((1500, 16, 12), np.uint8), labels=np.arange(1500) // 500)
    with pytest.raises(DataError, match=r"the image size \(was 12 x 12, uint8, is 16 x 12, uint8\)"):
        fit(mine, work, resume=True)


@pytest.mark.parametrize("name", ["run.json", "selection.npz", "factors.npz"])
def test_a_damaged_state_is_refused(images, tmp_path, monkeypatch, name):
    import wavelens.patterns.fit._sequence as sequence

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sequence, "ho_gsvd", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(images, tmp_path, resume=False)
    monkeypatch.undo()
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content[: len(content) - 9] if name == "run.json" else content))
    with pytest.raises(DataError, match="is damaged"):
        fit(images, tmp_path, resume=True)


def test_one_run_at_a_time(images, tmp_path):
    from wavelens.patterns.fit._work_folder import WorkFolder

    with (
        WorkFolder(tmp_path).opened(),
        pytest.raises(DataError, match="is in use by another run"),
    ):
        fit(images, tmp_path, resume=True)
