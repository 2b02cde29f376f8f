"""Ctrl-C ends every function that can take long with a KeyboardInterrupt, soon.

Each function runs in a process of its own on an input that would keep it busy for a minute or more. The bounds
are generous: they tell a function that hears the signal from one that does not, on a machine under load.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import campaign
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")

SOON = 5.0  # seconds from the signal to the KeyboardInterrupt
BUSY_AFTER = 0.7  # seconds of work before the signal

PRELUDE = """
import os, signal, sys, time
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
def normal(*shape):
    return rng.standard_normal(shape, dtype=np.float32)
"""
RUN = """
print("ready", flush=True)
try:
    work()
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("finished", flush=True)
os._exit(0)
"""

# What is set up, and what is called, which takes a minute or more on two cores.
QUICK = {
    "mmf, exhaustive": (
        "from wavelens.hierarchy import mmf; x = rng.standard_normal((150, 150)); c = x @ x.T",
        "mmf(c, 4, method='exhaustive')",
    ),
    "pairwise_distances": (
        "from wavelens.linalg import pairwise_distances; x = np.broadcast_to(normal(1, 60_000), (8_000, 60_000))",
        "pairwise_distances(x)",
    ),
    "pivoted_qr": (
        "from wavelens.linalg import pivoted_qr; a = normal(6_000, 4_000)",
        "pivoted_qr(a, 3_500, method='exact')",
    ),
}
CAMPAIGN = {
    "mmf, topk": (
        "from wavelens.hierarchy import mmf; x = rng.standard_normal((3_000, 3_000)); c = x @ x.T",
        "mmf(c, 6, method='topk')",
    ),
    "MMF.insert_many": (
        "from wavelens.hierarchy import mmf; x = rng.standard_normal((1_500, 1_500)); c = x @ x.T\n"
        "small = mmf(c[:300, :300], 8)",
        "small.insert_many(c[300:])",
    ),
    "pivoted_qr, blocked": (
        "from wavelens.linalg import pivoted_qr; a = normal(20_000, 8_000)",
        "pivoted_qr(a, 7_000, with_q=True)",
    ),
    "pivoted_qr, strong": (
        "from wavelens.linalg import pivoted_qr; a = normal(6_000, 12_000)",
        "pivoted_qr(a, 5_000, method='strong')",
    ),
    "pivoted_qr, sketch": (
        "from wavelens.linalg import pivoted_qr; a = np.broadcast_to(normal(1, 30_000), (500_000, 30_000))",
        "pivoted_qr(a, 3_000, method='sketch')",
    ),
    "select_columns": (
        "from wavelens.linalg import select_columns; a = normal(20_000, 12_000)",
        "select_columns(a, 5_000)",
    ),
    "ho_gsvd of three": (
        "from wavelens.linalg import ho_gsvd; parts = [normal(4_500, 4_000) for _ in range(3)]",
        "ho_gsvd(parts)",
    ),
    "ho_gsvd of two": (
        "from wavelens.linalg import ho_gsvd; parts = [normal(4_500, 4_000) for _ in range(2)]",
        "ho_gsvd(parts)",
    ),
    "ho_gsvd, rank-deficient": (
        "from wavelens.linalg import ho_gsvd; low = normal(300, 4_000)\n"
        "parts = [normal(4_500, 300) @ low for _ in range(3)]",
        "ho_gsvd(parts)",
    ),
    "k_nearest": (
        "from wavelens.linalg import k_nearest; x = np.broadcast_to(normal(1, 60_000), (8_000, 60_000))",
        "k_nearest(x, k=5)",
    ),
    "gaussian_similarity": (
        "from wavelens.linalg import gaussian_similarity\n"
        "x = np.broadcast_to(normal(1, 60_000), (8_000, 60_000))",
        "gaussian_similarity(x, bandwidth=1.0)",
    ),
    "class_similarity": (
        "from wavelens.linalg import class_similarity; x = normal(120_000, 300)",
        "class_similarity(x, np.arange(len(x)) % 10)",
    ),
    "a metric of the caller's": (
        "from wavelens.linalg import pairwise_distances; import numba; x = normal(3_000, 3_000)\n"
        "metric = numba.njit(lambda a, b: np.abs(np.sin(a) - np.cos(b)).sum() + np.abs(np.sin(b) - np.cos(a)).sum())",
        "pairwise_distances(x, metric=metric)",
    ),
    "TriangularFactor": (
        "from wavelens.linalg import TriangularFactor; d = normal(60_000, 6_000)",
        "TriangularFactor.empty(6_000, np.float32).partial_fit(d)",
    ),
    "RowSketch": (
        "from wavelens.linalg import RowSketch; d = np.broadcast_to(normal(1, 20_000), (3_000_000, 20_000))",
        "[RowSketch(20_000, 4_096, dtype=np.float32).partial_fit(d[i : i + 5_000]) for i in range(0, len(d), 5_000)]",
    ),
    "WaveletTransform": (
        "from wavelens.wavelets import WaveletTransform; x = np.broadcast_to(normal(64, 64), (2_000_000, 64, 64))\n"
        "transform = WaveletTransform((64, 64), 'db20')\n"
        "out = np.empty((20_000, transform.n_coefficients), np.float32)",
        "[transform.forward(x[i : i + 20_000], out=out) for i in range(0, len(x), 20_000)]",
    ),
    "PatternAnalysis": (
        "from wavelens.patterns import PatternAnalysis; x = normal(20_000, 48, 48)",
        "PatternAnalysis(n_coefficients=2_200, progress=False).fit(x, np.arange(len(x)) % 10)",
    ),
    "check_images": (
        "from wavelens.data import ImageData; from wavelens.quality import check_images\n"
        "x = rng.integers(0, 255, (60_000, 32, 32), dtype=np.uint8)\n"
        "names = tuple(f'{i}.png' for i in range(len(x)))\n"
        "data = ImageData(x, np.arange(len(x)) % 10, tuple('0123456789'), names)",
        "check_images(data)",
    ),
    "class_covariance": (
        "from wavelens.hierarchy import class_covariance\n"
        "x = np.broadcast_to(normal(1, 100_000), (60_000, 100_000))",
        "class_covariance(x, np.arange(len(x)) % 1_000)",
    ),
}


def outcome(setup: str, call: str) -> tuple[str, float]:
    """Run a call, interrupt it and return how it ended and how many seconds after the signal."""
    code = f"{PRELUDE}{setup}\ndef work():\n    {call}\n{RUN}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stop = threading.Timer(240, process.kill)
        stop.start()
        try:
            if process.stdout.readline().strip() != "ready":
                return "not started", 0.0
            time.sleep(BUSY_AFTER)
            process.send_signal(signal.SIGINT)
            sent = time.monotonic()
            return process.stdout.readline().strip(), time.monotonic() - sent
        finally:
            process.kill()
            stop.cancel()


@pytest.mark.parametrize("name", QUICK)
def test_interrupted(name: str) -> None:
    how, seconds = outcome(*QUICK[name])
    assert how == "interrupted"
    assert seconds < SOON


@pytest.mark.campaign
@pytest.mark.parametrize("name", CAMPAIGN)
def test_interrupted_in_a_campaign(name: str) -> None:
    how, seconds = outcome(*CAMPAIGN[name])
    assert how == "interrupted"
    assert seconds < SOON * max(1.0, campaign.factor() or 1.0)
