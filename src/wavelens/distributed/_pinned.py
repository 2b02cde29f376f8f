"""The threads of a worker: BLAS has one, the engine as many as Dask gave the worker.

A worker may run several tasks at once, in threads. The settings are one for the whole process; they are made when
the first task begins and put back when the last one ends, so that a worker in somebody's own process leaves no trace.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from distributed import get_worker

from wavelens._threads import num_threads, set_num_threads, take_control

__all__ = ["pinned"]

_lock = threading.Lock()
_inside = 0
_before: tuple[int, Any] | None = None


@contextmanager
def pinned() -> Iterator[None]:
    """Set the threads while a task runs."""
    global _inside, _before
    with _lock:
        if _inside == 0:
            # A nanny tells its worker's libraries to use one thread, which the engine would follow.
            _before = num_threads(), _one_blas_thread()
            set_num_threads(max(1, int(get_worker().state.nthreads)))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _before is not None:
                threads, limiter = _before
                _before = None
                take_control(_libraries())
                limiter.restore_original_limits()
                set_num_threads(threads)


def _one_blas_thread() -> Any:
    take_control(_libraries())
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> Any:
    # Looking them up takes milliseconds, as long as a small portion. SciPy's is there: the engine has loaded it.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
