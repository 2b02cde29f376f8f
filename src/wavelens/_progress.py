"""Progress bars: on stderr, after a second, and on a terminal only unless asked otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["progress_bar", "progress_share"]


def progress_bar(total: int, what: str, progress: bool | None, unit: str = " images") -> Any:
    """Return a tqdm bar; `progress` True shows it everywhere, False nowhere, None on a terminal."""
    from tqdm import tqdm

    disable = None if progress is None else not progress
    return tqdm(total=total, desc=what, unit=unit, delay=1.0, disable=disable, leave=False)


@contextmanager
def progress_share(what: str, progress: bool | None) -> Iterator[Callable[[float], None] | None]:
    """Give a callback that takes the share done, in [0, 1], as the engine reports it; None if nobody looks."""
    with progress_bar(100, what, progress, unit="%") as bar:

        def show(done: float) -> None:
            bar.update(int(100 * done) - bar.n)

        yield None if bar.disable else show
