"""How much of several passes is done, in time and not in images, so that what is left can be said honestly.

A running pass is counted with what it took so far; one that has not begun, with a guess of its work an image, at
the speed of the running one. The share done is elapsed / (elapsed + left).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from wavelens._progress import progress_bar

__all__ = ["PASSES", "ProgressEstimator", "estimated_progress"]

PASSES = ("Sketching", "Factoring", "Embedding")


class ProgressEstimator:
    """The clock of a run of several passes over the same images.

    Parameters
    ----------
    n_images : int
    guesses : mapping of str to float
        Work an image of each pass, in their order, in one unit.
    show : callable
        Called with the name of the pass, the share done in [0, 1] and the seconds left.
    """

    def __init__(
        self,
        n_images: int,
        guesses: Mapping[str, float],
        show: Callable[[str, float, float], object] | None = None,
    ) -> None:
        self._n = n_images
        self._guesses = dict(guesses)
        self._left = dict.fromkeys(guesses, n_images)
        self._show = show
        self._start = time.perf_counter()
        self._measured: dict[str, float] = {}
        self._scale = 1.0
        self._began: tuple[str, float, int] | None = None
        self.seconds: dict[str, float] = {}

    def begin(self, name: str, done: int = 0) -> None:
        """Begin a pass, of which an earlier run did some images."""
        names = list(self._left)
        for earlier in names[: names.index(name)]:
            self._left[earlier] = 0
        self._left[name] = self._n - done
        self._began = (name, time.perf_counter(), done)

    def update(self, done: int) -> None:
        """Note how many images the running pass has done."""
        if self._began is None:
            return
        name, began, before = self._began
        now = time.perf_counter()
        self._left[name] = self._n - done
        self.seconds[name] = now - began
        if done > before:
            self._measured[name] = (now - began) / (done - before)
            self._scale = self._measured[name] / self._guesses[name]
        if self._show is not None:
            left = self.seconds_left
            elapsed = now - self._start
            self._show(name, elapsed / (elapsed + left) if elapsed + left > 0 else 1.0, left)

    @property
    def seconds_left(self) -> float:
        """Seconds that all passes will still take."""
        return sum(
            left * self._measured.get(name, self._scale * self._guesses[name])
            for name, left in self._left.items()
        )


@contextmanager
def estimated_progress(
    n_images: int, guesses: Mapping[str, float], progress: bool | None
) -> Iterator[ProgressEstimator]:
    """Give a clock that shows a bar with the time left over all passes."""
    with progress_bar(100, "Analyzing in chunks", progress, unit="%") as bar:
        bar.bar_format = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone, {postfix}"

        def show(name: str, share: float, left: float) -> None:
            bar.set_description(name, refresh=False)
            bar.set_postfix_str(f"about {_duration(left)} left", refresh=False)
            bar.update(min(99.0, 100 * share) - bar.n)

        yield ProgressEstimator(n_images, guesses, None if bar.disable else show)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
