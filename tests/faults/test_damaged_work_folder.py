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

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGSTOP")

BLOCK = 512


def _flipped(content, other, rng):
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))


def _zeroed(content, other, rng):
    first = int(rng.integers(max(1, len(content) - BLOCK)))
    content[first : first + BLOCK] = bytes(len(content[first : first + BLOCK]))


def _two_blocks_exchanged(content, other, rng):
    blocks = len(content) // BLOCK
    if blocks > 1:
        i, j = (int(each) * BLOCK for each in rng.choice(blocks, 2, replace=False))
        content[i : i + BLOCK], content[j : j + BLOCK] = content[j : j + BLOCK], content[i : i + BLOCK]


def _a_block_of_another_run(content, other, rng):
    first = int(rng.integers(max(1, min(len(content), len(other)) - BLOCK)))
    content[first : first + BLOCK] = other[first : first + BLOCK]


def _the_file_of_another_run(content, other, rng):
    content[:] = other


def _short(content, other, rng):
    del content[int(rng.integers(len(content))) :]


def _long(content, other, rng):
    content.extend(bytes(BLOCK))


def _empty(content, other, rng):
    content.clear()


DAMAGES = (
    _flipped,
    _zeroed,
    _two_blocks_exchanged,
    _a_block_of_another_run,
    _the_file_of_another_run,
    _short,
    _long,
    _empty,
    None,  # the file is missing
)


def held_still(context, path, folder, moments, **more):
    """Run a fit, hold it still at some moments, and return a copy of its folder at each."""
    job = {"path": str(path), "work": str(folder / "work"), "outcome": str(folder / "outcome"), **more}
    process = fault_runs.process_of(context, job | {"pause": 0.015, "hurry": 1000})
    copies = []
    for k in range(moments):
        # Within each of these the run writes something; before the first it has hardly begun.
        process.join(0.11 if k else 0.3)
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


def cases(pairs, rng, most):
    """Return cases of a folder, a file in it and a damage: all of them, or some drawn at random."""
    found = []
    for copy, foreign in pairs:
        for file in sorted(each for each in copy.rglob("*") if each.is_file() and each.stat().st_size):
            same = foreign / file.relative_to(copy)
            found += [(copy, file, same, damage) for damage in DAMAGES if damage is not None or file.name]
    order = rng.permutation(len(found))
    # Every file and every damage once before any comes twice.
    chosen, seen = [], set()
    for i in order:
        copy, file, _, damage = found[i]
        key = (file.name, damage)
        if key not in seen:
            seen.add(key)
            chosen.append(found[i])
    chosen += [found[i] for i in order if not any(found[i] is each for each in chosen)]
    return chosen[:most]


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("kind", ["npy", "png"])
def test_found_when_the_run_goes_on(kind, cache, folders, sources, processes, tmp_path, record_property):
    path, expected = sources(kind)
    rng = np.random.default_rng([cache, kind == "npy"])
    failures, n = [], 0
    for copy, file, same, damage in cases(folders(kind, cache), rng, examples(45, 1000)):
        work = tmp_path / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(copy, work)
        target = work / file.relative_to(copy)
        before = target.read_bytes()
        content = bytearray(before)
        if damage is None:
            target.unlink()
        else:
            damage(content, same.read_bytes() if same.exists() else bytes(len(content)), rng)
            target.write_bytes(content)
        if bytes(content) == before and damage is not None:
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
    record_property("damages", n)
    assert n > 10
    assert not failures, "\n".join([f"{len(failures)} of {n}", *failures])
