"""Shared by all tests: the real data, and threads put back after each test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import campaign
import matplotlib
import pytest

import wavelens

matplotlib.use("Agg")
# A shell starts what runs in its background with Ctrl-C ignored; the tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `campaign` unless a campaign was asked for."""
    if campaign.factor() is not None:
        return
    skip = pytest.mark.skip(reason=f"{campaign.VARIABLE} is not set: set it to 1 to run the campaigns")
    for item in items:
        if item.get_closest_marker("campaign"):
            item.add_marker(skip)


@pytest.fixture
def real_data() -> Path:
    """Folder of the real data sets (`WAVELENS_DATA`)."""
    where = os.environ.get("WAVELENS_DATA")
    if not where:
        pytest.skip("WAVELENS_DATA does not name the folder of the real data")
    folder = Path(where)
    if not folder.is_dir():
        pytest.fail(f"WAVELENS_DATA names {folder}, which is no folder")
    return folder


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test with one engine thread and with two."""
    before = wavelens.num_threads()
    wavelens.set_num_threads(request.param)
    yield request.param
    wavelens.set_num_threads(before)
