from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.linalg import blas
from threadpoolctl import threadpool_info

import wavelens
from wavelens import _threads
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_forgets_limits_of_threads_it_has_not():
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with blas_threads(1), _threads._limit_lock:  # and forks while the lock is taken
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            free = not _threads._limits and _threads._limiter is None
            with blas_threads(2):
                code = 0 if free and len(_threads._limits) == 1 else 1
        finally:
            os._exit(code)
    try:
        deadline = time.monotonic() + 30
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        if done == (0, 0):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    finally:
        leave.set()
        thread.join()
    assert done == (child, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits address space as Linux does")
def test_a_system_that_gives_no_threads_only_slows_the_pool():
    code = """
import resource
import numpy as np, wavelens
from wavelens.linalg import pairwise_distances
x = np.random.default_rng(0).standard_normal((900, 60))
wavelens.set_num_threads(1)
expected = pairwise_distances(x)
size = 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1])
resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, resource.RLIM_INFINITY))
wavelens.set_num_threads(8)  # the stack of a thread, 4 GiB here, is more than is left
for _ in range(3):
    assert np.array_equal(pairwise_distances(x), expected)
"""
    large_stacks = (
        "import resource, os, sys; _, hard = resource.getrlimit(resource.RLIMIT_STACK); "
        "resource.setrlimit(resource.RLIMIT_STACK, (2**32, hard)); "
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", large_stacks, code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


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
@pytest.mark.parametrize("kernel", ["pairwise", "pivoted_qr", "ho_gsvd"])
def test_ctrl_c_stops_a_kernel(kernel):
    big = rng.standard_normal((20000, 1500), dtype=np.float32)
    big_call = {
        "pairwise": lambda: class_similarity(big, np.arange(20000) % 7, bandwidth=50.0),
        "pivoted_qr": lambda: pivoted_qr(big, 1400, method="exact"),
        "ho_gsvd": lambda: ho_gsvd([big[:, i::3] for i in range(3)] * 4),
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


def test_every_thread_can_limit_blas():
    """Not only the one that was the first to do so, as long as it lives."""
    import threading

    from threadpoolctl import ThreadpoolController

    from wavelens._threads import blas_threads

    libraries = ThreadpoolController().select(user_api="blas")

    def scipys():
        return [each["num_threads"] for each in libraries.info() if "scipy.libs" in each["filepath"]]

    def limit_and_look():
        with blas_threads(1):
            found.append(scipys())

    found = []
    with blas_threads(2):
        before = scipys()
    first_may_end = threading.Event()
    first = threading.Thread(target=lambda: (limit_and_look(), first_may_end.wait()))
    first.start()
    try:
        while not found:
            first_may_end.wait(0.01)
        for _ in range(2):
            other = threading.Thread(target=limit_and_look)
            other.start()
            other.join()
        limit_and_look()
    finally:
        first_may_end.set()
        first.join()
    assert found == [[1] * len(before)] * 4
