"""A file is written whole or not at all, whatever other processes do, and nothing is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import sys
import time

import numpy as np
import pytest

from wavelens._utils._atomic_write import atomic_write, write_text
from wavelens._utils._temporaries import create_file, remove_abandoned
from wavelens.exceptions import DataError
from wavelens.hierarchy import MMF, mmf

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, links and modes of POSIX")


def partials(folder):
    return [each for each in os.listdir(folder) if each.endswith(".partial")]


def test_the_new_content_replaces_the_old(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "one\r\ntwo\n")
    assert path.read_bytes() == b"one\r\ntwo\n"
    write_text(path, "three", sync=True)
    assert path.read_text() == "three"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt(), ValueError("bad")])
def test_an_error_leaves_the_old_content(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with atomic_write(path) as file:
            file.write(b"half of it")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_names_as_long_as_the_system_allows(tmp_path):
    for name in ("x" * 250 + ".json", "ü" * 120 + ".csv"):
        write_text(tmp_path / name, "content")
        assert (tmp_path / name).read_text() == "content"
    assert len(os.listdir(tmp_path)) == 2


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_mode_is_what_the_umask_asks_for(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "new.txt", "new")
        (tmp_path / "old.txt").write_text("old")
        os.chmod(tmp_path / "old.txt", 0o640)
        write_text(tmp_path / "old.txt", "replaced")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "old.txt").stat().st_mode) == 0o640


@posix
def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path / "elsewhere") == ["real.txt"]


@posix
def test_a_temporary_name_is_never_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    trap = tmp_path / f".a.txt.wavelens-{os.getpid()}-{'0' * 16}.partial"
    trap.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "a.txt", "new")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "a.txt").exists()


@posix
def test_a_device_or_a_pipe_is_written_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "through the pipe")
    assert os.read(reader, 100) == b"through the pipe"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write_text(os.devnull, "gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(OSError, match=tmp_path.name):
        write_text(tmp_path, "text")


def hold_forever(path, started):
    with atomic_write(path) as file:
        file.write(b"x" * 1000)
        file.flush()
        started.set()
        time.sleep(1000)


@posix
def test_what_a_killed_process_leaves_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    context = multiprocessing.get_context("spawn")
    running = []
    for name in ("killed", "alive"):
        started = context.Event()
        process = context.Process(target=hold_forever, args=(tmp_path / name, started), daemon=True)
        process.start()
        assert started.wait(60)
        running.append(process)
    killed, alive = running
    (tmp_path / ".mine.partial").write_text("the user's")
    (tmp_path / ".not-ours.wavelens-1-zz.partial").write_text("the user's")
    try:
        write_text(tmp_path / "other", "x")
        ours = [each for each in partials(tmp_path) if f"-{killed.pid}-" in each or f"-{alive.pid}-" in each]
        assert len(ours) == 2
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        write_text(tmp_path / "another", "x")
        assert not any(f"-{killed.pid}-" in each for each in partials(tmp_path))
        assert any(f"-{alive.pid}-" in each for each in partials(tmp_path))
        assert {".mine.partial", ".not-ours.wavelens-1-zz.partial"} < set(partials(tmp_path))
    finally:
        alive.kill()
        alive.join()
    remove_abandoned(tmp_path)
    assert set(partials(tmp_path)) == {".mine.partial", ".not-ours.wavelens-1-zz.partial"}


@posix
def test_a_temporary_removed_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    from wavelens._utils import _temporaries

    real, removed = _temporaries.fcntl.flock, []

    def removed_first(handle, kind):
        if not removed:
            removed.append(next(tmp_path.glob(".a.*.partial")))
            removed[0].unlink()
        return real(handle, kind)

    monkeypatch.setattr(_temporaries.fcntl, "flock", removed_first)
    path, handle = create_file(tmp_path / "a")
    os.close(handle)
    assert path.exists()
    assert path != removed[0]


def save_often(seed, path, n, results):
    factors = mmf(np.cov(np.random.default_rng(seed).standard_normal((20 + 15 * seed, 100))), 2)
    for _ in range(n):
        factors.save(path)
        try:
            MMF.load(path)
        except DataError as error:
            results.put(str(error))
    results.put(None)


def test_processes_that_save_to_one_path_never_leave_a_damaged_file(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    path = tmp_path / "m.npz"
    processes = [context.Process(target=save_often, args=(i, path, 60, results)) for i in range(3)]
    for each in processes:
        each.start()
    damaged, ended = [], 0
    while ended < len(processes):
        found = results.get(timeout=120)
        ended += found is None
        damaged += [] if found is None else [found]
    for each in processes:
        each.join()
    assert damaged == []
    assert all(each.exitcode == 0 for each in processes)
    assert MMF.load(path).shape[0] in (20, 35, 50)
    assert os.listdir(tmp_path) == ["m.npz"]
