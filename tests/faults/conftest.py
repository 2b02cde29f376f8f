"""The sources of the campaign, and what a fit of each gives that nothing disturbs."""

from __future__ import annotations

import fault_runs
import pytest


@pytest.fixture(scope="session")
def processes():
    """Start processes that have everything imported already."""
    return fault_runs.processes()


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """Return a function that gives what to open of a kind, and what a fit in chunks finds in it, undisturbed."""
    known = {}

    def source_of(kind):
        if kind not in known:
            if kind == "h5":
                pytest.importorskip("h5py")
            folder = tmp_path_factory.mktemp(kind)
            path = fault_runs.write_source(kind, folder, *fault_runs.make_images())
            if kind == "png":
                fault_runs.damage_files(path, [7, 8, 300, 599])
            job = {"path": str(path), "work": str(folder / "whole")}
            known[kind] = path, fault_runs.arrays_of(fault_runs.fit(job))
        return known[kind]

    return source_of


def pytest_terminal_summary(terminalreporter):
    """Say how many faults there were: what the tests have recorded."""
    counts = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, n in report.user_properties if report.when == "call" else ():
                counts[name] = counts.get(name, 0) + n
    if counts:
        terminalreporter.section("faults")
        for name, n in counts.items():
            terminalreporter.line(f"{n:,} {name}")
