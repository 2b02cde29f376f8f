"""One step of a pipeline in a thread of its own, so that it works while the next one does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Generic, TypeVar

__all__ = ["ahead"]

_T = TypeVar("_T")


class _End(Generic[_T]):
    """The last thing a thread hands over: nothing more, or what went wrong."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextmanager
def ahead(items: Iterator[_T], depth: int = 1) -> Iterator[Iterator[_T]]:
    """Give an iterator whose items are made in a thread, at most `depth` of them waiting.

    With one more in the making and one in use, ``depth + 2`` are alive at once. An error in the thread is
    raised where its item would have come. On leaving, the thread ends after the item that it is making.
    """
    waiting: queue.Queue[_T | _End[_T]] = queue.Queue(maxsize=depth)
    left = threading.Event()

    def hand_over(item: _T | _End[_T]) -> bool:
        while not left.is_set():
            try:
                waiting.put(item, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in items:
                if not hand_over(item):
                    return
                del item  # or the one handed over would live until the next is made
        except BaseException as error:
            hand_over(_End(error))
        else:
            hand_over(_End())
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=run, name="wavelens-ahead", daemon=True)

    def taken() -> Generator[_T]:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
            del item

    thread.start()
    try:
        with closing(taken()) as given:
            yield given
    finally:
        left.set()
        thread.join()
