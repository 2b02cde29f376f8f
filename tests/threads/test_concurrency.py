from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.linalg import blas
from threadpoolctl import threadpool_info

import wavelens
from wavelens._threads import blas_threads
from wavelens.linalg import class_similarity, ho_gsvd, k_nearest, pairwise_distances, pivoted_qr

rng = np.random.default_rng(0)
rows = rng.standard_normal((300, 120))
labels = np.arange(300) % 3

calls = {
    "pivoted_qr": lambda: pivoted_qr(rows, 60).pivots,
    "ho_gsvd": lambda: ho_gsvd([rows[labels == i, :40] for i in range(3)]).sigma,
    "pairwise_distances": lambda: pairwise_distances(rows),
    "k_nearest": lambda: k_nearest(rows, k=3).distances,
    "class_similarity": lambda: class_similarity(rows, labels).similarity,
}


@pytest.mark.parametrize("first", calls)
def test_two_python_threads_in_the_kernels_at_once(first):
    expected = {name: call() for name, call in calls.items()}
    with ThreadPoolExecutor(4) as pool:
        futures = [(name, pool.submit(calls[name])) for _ in range(5) for name in (first, *calls)]
        for name, future in futures:
            np.testing.assert_array_equal(future.result(), expected[name], err_msg=name)


def test_the_gil_is_released():
    big = rng.standard_normal((3000, 600))
    ticks = []
    running = threading.Event()
    running.set()

    def count():
        while running.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    start = time.perf_counter()
    pairwise_distances(big)
    stop = time.perf_counter()
    running.clear()
    thread.join()
    assert sum(start < tick < stop for tick in ticks) >= 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_pool_survives_a_fork():
    expected = pairwise_distances(rows)
    child = os.fork()
    if child == 0:
        same = np.array_equal(pairwise_distances(rows), expected)
        os._exit(0 if same else 1)
    deadline = time.monotonic() + 60
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if done == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert done == (child, 0)


def threads_of_scipys_blas():
    blas.ddot([1.0], [1.0])
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


def test_blas_threads_come_back():
    before = threads_of_scipys_blas()
    with blas_threads(1):
        assert 1 in threads_of_scipys_blas()
        with blas_threads(2):
            assert 1 in threads_of_scipys_blas()
    assert threads_of_scipys_blas() == before
    with pytest.raises(RuntimeError, match="inside"), blas_threads(1):
        raise RuntimeError("inside")
    assert threads_of_scipys_blas() == before


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize("kernel", ["pairwise", "pivoted_qr"])
def test_ctrl_c_stops_a_kernel(kernel):
    big = rng.standard_normal((20000, 1500), dtype=np.float32)
    big_call = {
        "pairwise": lambda: class_similarity(big, np.arange(20000) % 7, bandwidth=50.0),
        "pivoted_qr": lambda: pivoted_qr(big, 1400, method="exact"),
    }[kernel]
    timer = threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,))
    before = wavelens.num_threads()
    timer.start()
    start = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            big_call()
    finally:
        timer.cancel()
        timer.join()
    assert time.perf_counter() - start < 20
    assert wavelens.num_threads() == before
