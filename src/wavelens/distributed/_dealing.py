"""Which worker gets which portion next: neighbours to the same one, so that their states meet there."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

__all__ = ["Dealer"]


class Dealer:
    """Deals portions to workers, a group of neighbours to each.

    What a worker holds then stands for its own portions, and only states of whole groups travel. A worker that
    has nothing left takes from the end of another's group; the group of one that is gone goes to the others.

    Parameters
    ----------
    n : int
        Portions.
    group : int
        Neighbours that go together.

    Examples
    --------
    >>> dealer = Dealer(4, 2)
    >>> threads = {"a": 1, "b": 1}
    >>> [dealer.next({"a": 0, "b": 1}, threads) for _ in range(3)]
    [(0, 'a'), (1, 'a'), (2, 'a')]
    >>> dealer.next({"a": 3, "b": 0}, threads)
    (3, 'b')
    """

    def __init__(self, n: int, group: int) -> None:
        self._free = deque(deque(range(first, min(first + group, n))) for first in range(0, n, group))
        self._hands: dict[str, deque[int]] = {}
        self.left = n

    def next(self, running: Mapping[str, int], threads: Mapping[str, int]) -> tuple[int, str | None]:
        """Return the next portion, and the worker that should have it: the one with least to do.

        Parameters
        ----------
        running : mapping of str to int
            Portions that each worker has under way.
        threads : mapping of str to int
            Workers that are there.

        Returns
        -------
        tuple
            Number of a portion, and a worker; None if there is none.
        """
        for gone in [each for each in self._hands if each not in threads]:
            hand = self._hands.pop(gone)
            if hand:
                self._free.appendleft(hand)
        self.left -= 1
        worker = min(threads, key=lambda each: running.get(each, 0) / threads[each], default=None)
        hand = self._hands.get(worker or "", deque())
        if not hand and self._free:
            hand = self._free.popleft()
        number = hand.popleft() if hand else max(self._hands.values(), key=len).pop()
        if worker is not None:
            self._hands[worker] = hand
        elif hand:
            self._free.appendleft(hand)
        return number, worker
