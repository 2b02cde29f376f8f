"""A source that changes while it is fitted is refused with a sentence; no result mixes two states of it."""

from __future__ import annotations

import sys

import fault_runs
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="replaces files that are open")

N_CHUNKS = 600 // fault_runs.CHUNK
# The reading and the chunk before which the source changes: between passes, and in the midst of one.
MOMENTS = ([1, 0], [2, 0], [0, N_CHUNKS // 2], [1, N_CHUNKS // 2], [2, N_CHUNKS // 2])
CHANGES = ("rewritten", "written anew", "exchanged", "truncated")


_undisturbed = {}


def fit_while_changing(kind, how, moment, processes, folder, **more):
    path = fault_runs.write_source(kind, folder / "source", *fault_runs.make_images())
    if how == "another is damaged":
        fault_runs.damage_files(path, [3])
    calm = {"path": str(path), "work": str(folder / "calm"), "outcome": str(folder / "outcome")}
    key = kind, how == "another is damaged"
    if key not in _undisturbed:
        _undisturbed[key] = fault_runs.result_of(fault_runs.process_of(processes, calm), calm)
    job = calm | {"work": str(folder / "work"), "act": [[how, str(path)], *moment], **more}
    return _undisturbed[key], fault_runs.result_of(fault_runs.process_of(processes, job), job), job


def check_refused(found, path_or_name, expected):
    """Refused with a sentence that names the source; or read from the state that it had at first, to the bit."""
    if isinstance(found, dict):
        fault_runs.check_same(found, expected)
        return
    kind, text = found
    assert kind == "DataError", found
    assert path_or_name in text


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("kind", ["npy", "npz", "h5"])
def test_a_file(kind, how, moment, processes, tmp_path):
    if kind == "h5":
        pytest.importorskip("h5py")
    expected, found, job = fit_while_changing(kind, how, moment, processes, tmp_path, cache=False)
    if how in ("rewritten", "written anew", "truncated"):
        assert isinstance(found, tuple), "a result of two states"
    check_refused(found, "images", expected)
    # What was made of the first state is not continued with the second.
    if isinstance(found, tuple) and how != "exchanged":
        again = job | {"act": None}
        found = fault_runs.result_of(fault_runs.process_of(processes, again), again)
        if isinstance(found, dict) and how == "truncated":
            raise AssertionError("a result of half a file")


@pytest.mark.parametrize("moment", MOMENTS[:4], ids=str)
@pytest.mark.parametrize("how", [*CHANGES, "removed", "another is damaged"])
def test_a_folder(how, moment, processes, tmp_path):
    expected, found, _ = fit_while_changing("png", how, moment, processes, tmp_path, cache=False)
    assert isinstance(found, tuple) or how == "another is damaged"
    check_refused(found, "images", expected)


@pytest.mark.parametrize("how", [*CHANGES, "removed", "another is damaged"])
def test_a_folder_whose_coefficients_are_kept(how, processes, tmp_path):
    """The third pass does not read the files; the second does."""
    expected, found, _ = fit_while_changing("png", how, [1, 0], processes, tmp_path, cache=True)
    assert isinstance(found, tuple)
    check_refused(found, "images", expected)


@pytest.mark.parametrize("how", ["rewritten", "written anew", "exchanged"])
@pytest.mark.parametrize("kind", ["npy", "h5", "png"])
def test_between_a_kill_and_the_resume(kind, how, sources, processes, tmp_path):
    """The whole content is other images: the run is not continued with them."""
    if kind == "h5":
        pytest.importorskip("h5py")
    path = fault_runs.write_source(kind, tmp_path / "source", *fault_runs.make_images())
    job = {"path": str(path), "work": str(tmp_path / "work"), "outcome": str(tmp_path / "outcome")}
    process = fault_runs.process_of(processes, job | {"pause": 0.03, "hurry": 1000, "cache": False})
    process.join(0.8)
    assert process.exitcode is None
    process.kill()
    process.join()
    fault_runs.change(path, how)
    fresh = job | {"work": str(tmp_path / "fresh")}
    expected = fault_runs.result_of(fault_runs.process_of(processes, fresh), fresh)
    found = fault_runs.result_of(fault_runs.process_of(processes, job), job)
    # Begun anew by itself would do as well.
    check_refused(found, "changed", expected)
