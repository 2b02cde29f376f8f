"""A folder of results stands for a whole result at any moment, even if the process is killed there."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import stat
import sys
import time

import pytest
from campaign import examples

from wavelens._utils import _replace_folder
from wavelens._utils._replace_folder import replace_folder, restore_folder, temporary_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of POSIX")

FILES = 20


def write_result(folder, name):
    for i in range(FILES):
        (folder / f"{i}.txt").write_text(name)


def content(folder):
    """Return the one text that all files of a whole result hold."""
    found = {(folder / f"{i}.txt").read_text() for i in range(FILES)}
    assert len(found) == 1
    assert len(os.listdir(folder)) == FILES
    return found.pop()


@pytest.fixture(params=["exchange", "set aside"])
def way(request, monkeypatch):
    if request.param == "set aside":
        monkeypatch.setattr(_replace_folder, "_renameat2", lambda: None)
    return request.param


def test_a_result_takes_the_place_of_another(tmp_path, way):
    out = tmp_path / "out"
    for name in ("first", "second", "third"):
        with temporary_folder(out) as new:
            write_result(new, name)
            replace_folder(new, out)
        assert content(out) == name
        assert os.listdir(tmp_path) == ["out"]


def test_an_empty_folder_is_replaced(tmp_path, way):
    (tmp_path / "out").mkdir()
    with temporary_folder(tmp_path / "out") as new:
        write_result(new, "first")
        replace_folder(new, tmp_path / "out")
    assert content(tmp_path / "out") == "first"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mode_is_what_the_umask_asks_for(tmp_path, mask):
    before = os.umask(mask)
    try:
        with temporary_folder(tmp_path / "out") as new:
            write_result(new, "first")
            replace_folder(new, tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~mask
    assert stat.S_IMODE((tmp_path / "out" / "0.txt").stat().st_mode) == 0o666 & ~mask


def test_only_the_folder_of_that_name_is_put_back(tmp_path):
    for name in (".out.wavelens-1-0123456789abcdef.previous", ".output.wavelens-1-0123456789abcdef.previous"):
        (tmp_path / name).mkdir()
        write_result(tmp_path / name, name)
    restore_folder(tmp_path / "out")
    assert content(tmp_path / "out").startswith(".out.")
    assert not (tmp_path / "output").exists()
    (tmp_path / "output").mkdir()  # empty, so that nothing is lost
    restore_folder(tmp_path / "output")
    assert content(tmp_path / "output").startswith(".output.")


def replace_forever(out, exchange, started):
    if not exchange:
        _replace_folder._renameat2 = lambda: None
    i = 0
    while True:
        with temporary_folder(out) as new:
            write_result(new, f"{os.getpid()} {i}")
            replace_folder(new, out)
        started.set()
        i += 1


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_random_moments(tmp_path, exchange):
    if exchange and _replace_folder._renameat2() is None:
        pytest.skip("the system cannot exchange two folders")
    out = tmp_path / "out"
    context = multiprocessing.get_context("spawn")
    dice = random.Random(7)
    for _ in range(examples(6, 200)):
        started = context.Event()
        process = context.Process(target=replace_forever, args=(out, exchange, started))
        process.start()
        assert started.wait(60)
        time.sleep(dice.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if exchange:  # at any moment, without help
            content(out)
        restore_folder(out)
        content(out)
        assert os.listdir(tmp_path) == ["out"]


def be_killed_between_the_renames(out):
    _replace_folder._renameat2 = lambda: None
    real = type(out).rename

    def rename(self, target):
        if str(target) == str(out):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)

    type(out).rename = rename
    with temporary_folder(out) as new:
        write_result(new, "new")
        replace_folder(new, out)


def test_between_the_two_renames(tmp_path):
    """Where folders cannot be exchanged there is a moment without a result; the next start ends it."""
    out = tmp_path / "out"
    out.mkdir()
    write_result(out, "old")
    process = multiprocessing.get_context("spawn").Process(target=be_killed_between_the_renames, args=(out,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not out.exists()
    restore_folder(out)
    assert content(out) == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_several_processes_replace_one_folder(tmp_path, way):
    out = tmp_path / "out"
    context = multiprocessing.get_context("spawn")
    started = [context.Event() for _ in range(3)]
    processes = [
        context.Process(target=replace_forever, args=(out, way == "exchange", each)) for each in started
    ]
    for each in processes:
        each.start()
    assert all(each.wait(60) for each in started)
    time.sleep(0.5)
    alive = [each.is_alive() for each in processes]
    for each in processes:
        each.kill()
        each.join()
    restore_folder(out)
    assert all(alive)
    content(out)
    assert os.listdir(tmp_path) == ["out"]
