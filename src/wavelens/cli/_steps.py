"""What a long command says while it works."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wavelens.cli import _interrupt

__all__ = ["Steps", "shown_share", "told"]


class Steps:
    """One line on stderr for each step, with the time since the start."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._start = time.perf_counter()

    def __call__(self, step: str) -> None:
        """Say what is begun."""
        _interrupt.check()
        if not self._quiet:
            print(f"[{time.perf_counter() - self._start:6.1f} s] {step}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Say what is worth knowing."""
        if not self._quiet:
            print(f"           note: {text}", file=sys.stderr, flush=True)

    def done(self, page: Path) -> None:
        """Say where the report is."""
        if not self._quiet:
            print(f"[{time.perf_counter() - self._start:6.1f} s] done", file=sys.stderr, flush=True)
            print(f"The report is at {page.resolve()}", flush=True)


@contextmanager
def told(say: Steps) -> Iterator[None]:
    """Turn warnings into notes."""
    from wavelens.exceptions import WavelensWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", WavelensWarning)
        yield
    for each in caught:
        if issubclass(each.category, WavelensWarning):
            say.note(str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


@contextmanager
def shown_share(what: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Give a callback of the share done that shows it, and hears Ctrl-C."""
    from wavelens._progress import progress_share

    with progress_share(what, False if quiet else None) as show:

        def told_share(done: float) -> None:
            _interrupt.check()
            if show is not None:
                show(done)

        yield told_share
