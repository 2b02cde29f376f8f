"""Ctrl-C and SIGTERM, noted as well as raised.

A KeyboardInterrupt can land where Python must swallow it (a weak reference's callback) or where an import turns
it into an ImportError. So the signal leaves a note, and `check` raises again wherever it is called.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["check", "ignore", "seen", "watch"]

_signals = (signal.SIGINT, signal.SIGTERM)
_seen = threading.Event()
_watching = threading.Event()


def _note(_: int, __: FrameType | None) -> None:
    _seen.set()
    raise KeyboardInterrupt


@contextmanager
def watch() -> Iterator[None]:
    """Note the signals inside; the handlers from before come back."""
    _seen.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, _note) for each in _signals}
    _watching.set()
    try:
        yield
    finally:
        _watching.clear()
        for each, handler in before.items():
            signal.signal(each, handler)


def seen() -> bool:
    """Tell whether a signal came."""
    return _seen.is_set()


def check() -> None:
    """Raise KeyboardInterrupt if a signal came."""
    if _seen.is_set():
        raise KeyboardInterrupt


def ignore() -> None:
    """Take no more signals inside `watch`: what is left takes no time and must not be left half done.

    Outside, in a Python session that goes on, signals are left alone.
    """
    if _watching.is_set() and threading.current_thread() is threading.main_thread():
        for each in _signals:
            signal.signal(each, signal.SIG_IGN)
    check()
