"""Threads of the engine and of the BLAS under it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from wavelens import _core
from wavelens._arguments import check_integer
from wavelens._cpu_limit import cpu_limit

__all__ = ["blas_libraries", "blas_threads", "num_threads", "set_num_threads", "take_control"]

_MOST_THREADS = 1024


def num_threads() -> int:
    """Return how many threads the engine uses.

    Returns
    -------
    int
        The number set by `set_num_threads`, else ``WAVELENS_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the
        number of CPUs in the affinity of this process, or of the CPU quota of its container, rounded up, if
        that is less.
    """
    return _core.num_threads()


def set_num_threads(count: int) -> None:
    """Set how many threads the engine uses.

    Parameters
    ----------
    count : int
        Between 1 and 1024. Results do not depend on it except where a function's documentation says so.

    Raises
    ------
    ValueError
        If `count` is out of range.
    TypeError
        If `count` is no integer.

    Examples
    --------
    >>> import wavelens
    >>> before = wavelens.num_threads()
    >>> wavelens.set_num_threads(1)
    >>> wavelens.num_threads()
    1
    >>> wavelens.set_num_threads(before)
    """
    _core.set_num_threads(check_integer(count, "count", low=1, high=_MOST_THREADS))


def _initial_threads() -> int:
    for name in ("WAVELENS_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if text.isdigit() and int(text) >= 1:
            return min(int(text), _MOST_THREADS)
    return min(cpu_limit(), _MOST_THREADS)


@cache
def _blas() -> Any:
    # SciPy's BLAS, which the engine calls; NumPy may have brought another one, which is left alone. Looking
    # the libraries up takes a millisecond; setting their threads through the controller, microseconds.
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().select(user_api="blas")
    scipys = [each["filepath"] for each in libraries.info() if "scipy" in each["filepath"].split(os.sep)[-2]]
    return libraries.select(filepath=scipys) if scipys else libraries


def blas_libraries() -> list[str]:
    """Return name, version and kernel of the BLAS that the engine uses: "openblas 0.3.30 (SkylakeX)"."""

    def named(library: dict[str, Any]) -> str:
        kernel = library.get("architecture")
        return f"{library['internal_api']} {library['version']}" + (f" ({kernel})" if kernel else "")

    return [named(each) for each in _blas().info()]


_limit_lock = threading.Lock()
_limits: list[tuple[object, int, int]] = []  # key, limit and the thread that set it
_limiter: Any = None


@contextmanager
def blas_threads(limit: int) -> Iterator[None]:
    """Let BLAS use at most `limit` threads inside; for the calls into the engine.

    The setting is one for the whole process. Where several Python threads are inside at once the smallest
    limit holds, and what was set before comes back when the last one leaves.
    """
    key = object()
    with _limit_lock:
        _limits.append((key, limit, threading.get_ident()))
        _apply_limits()
    try:
        yield
    finally:
        with _limit_lock:
            _limits[:] = [each for each in _limits if each[0] is not key]
            _apply_limits()


def take_control(libraries: Any) -> None:
    """Have the calling thread be heeded when it sets the threads of these libraries.

    From its version 3.8 on threadpoolctl heeds the first thread that ever set those of OpenBLAS, as long as it
    lives, and silently no other. Here a lock sees to it that threads do not get in each other's way.
    """
    for each in libraries.lib_controllers:
        clear = getattr(each, "clear_controlling_thread", None)
        if clear is not None:
            clear(force=True)


def _apply_limits() -> None:
    global _limiter
    take_control(_blas())
    if _limiter is not None:
        _limiter.restore_original_limits()
        _limiter = None
    if _limits:
        _limiter = _blas().limit(limits=min(limit for _, limit, _ in _limits), user_api="blas")


def _forget_other_threads() -> None:
    # In a forked child the threads that were inside `blas_threads` don't exist: none of them will leave, nor
    # release the lock. Their limits go, and BLAS gets back what it had.
    global _limit_lock, _limits
    _limit_lock = threading.Lock()
    own = threading.get_ident()
    _limits = [each for each in _limits if each[2] == own]
    if _limiter is not None:
        _apply_limits()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
_core.set_num_threads(_initial_threads())
if "WAVELENS_ISA" in os.environ:
    _core.set_isa(os.environ["WAVELENS_ISA"])
