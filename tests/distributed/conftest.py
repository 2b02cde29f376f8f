"""Clusters for the tests: two workers in processes of their own, or a scheduler and workers started by hand."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cluster_by_hand import ByHand

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


@pytest.fixture
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    """A scheduler in a process of its own, without workers yet."""
    started = ByHand(tmp_path_factory.mktemp("cluster"))
    yield started
    started.stop()
