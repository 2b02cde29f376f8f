"""Measures all methods on images; pictures of all of them go to the model together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.explain._curves import deletion, insertion, obscured, rank
from wavelens.explain._measures import conciseness_preciseness, hallucination, information
from wavelens.explain._methods import Method
from wavelens.explain._objective import image_keys
from wavelens.explain._parts import ImageParts
from wavelens.explain._scores import Counted

__all__ = ["CURVES", "Judge", "Queue", "cost_of_judging"]

CURVES = ("rate_distortion", "insertion", "deletion")

# Draws of noise for a mask's own distortion, for each draw at a point of the curve.
_own_samples = 4

Array = npt.NDArray[Any]


def cost_of_judging(n_shares: int, n_samples: int, n_methods: int, n_bases: int) -> int:
    """Return how many pictures the judge shows to the model for one image."""
    one = (n_samples + 2) * (n_shares - 2) + _own_samples * n_samples + 1
    return n_methods * one + n_bases * (_own_samples * n_samples + 1)


class Queue:
    """Pictures that wait until there are enough for a large batch of the model.

    A network takes a few pictures hardly faster than a full batch. What is asked, by which method and for which
    image, makes no difference to it.
    """

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._most = counted.large
        self._waiting: list[tuple[Array, int, Callable[[Array], None]]] = []
        self._n = 0

    def ask(self, pictures: Array, target: int, use: Callable[[Array], None]) -> None:
        """Have `use` called with the target's probability on each picture, now or later."""
        self._waiting.append((pictures, target, use))
        self._n += len(pictures)
        if self._n >= self._most:
            self.finish()

    def finish(self) -> None:
        """Ask the model for all that waits."""
        if not self._waiting:
            return
        waiting, self._waiting, self._n = self._waiting, [], 0
        pictures = np.concatenate([each for each, _, _ in waiting])
        targets = np.concatenate([np.full(len(each), target) for each, target, _ in waiting])
        found, begin = self._counted.of(pictures, targets), 0
        for each, _, use in waiting:
            use(found[begin : begin + len(each)])
            begin += len(each)


class Judge:
    """Measures on one image after the other; what all methods of a basis share is found once."""

    def __init__(self, counted: Counted, shares: Array, n_samples: int, random_state: int) -> None:
        self.queue = Queue(counted)
        self.shares, self.n_samples = shares, n_samples
        self.random_state = random_state

    def image(
        self,
        i: int,
        plane: Array,
        target: int,
        score: float,
        methods: Sequence[Method],
        values: dict[str, Array],
        curves: dict[str, Array],
    ) -> None:
        """Measure all methods on one image; the last figures are there after `queue.finish`."""
        self.i, self.target, self.score = i, target, score
        self.key = int(image_keys(plane[None])[0])
        self.grey = plane.mean(axis=0)
        share = float(methods[0].mask(i).mean())
        usable = [(row, method) for row, method in enumerate(methods) if method.usable[i]]
        for basis in dict.fromkeys(method.basis for _, method in usable):
            rows = [(row, method) for row, method in usable if method.basis == basis]
            transform = rows[0][1].transform
            parts = ImageParts(plane, transform)
            grey_parts = ImageParts(self.grey[None], transform)
            self._ends(parts, [row for row, _ in rows], curves)
            for row, method in rows:
                order = rank(method.relevance[i], self.random_state)
                self._curves(parts, order, row, curves)
                self._mask(parts, grey_parts, method.mask(i, share), row, values)

    def _seed(self, purpose: int) -> int:
        """Noise of its own for each image, whatever is beside it, and purpose."""
        words = np.random.SeedSequence([self.random_state, self.key, purpose]).generate_state(1)
        return int(words[0])

    def _ends(self, parts: ImageParts, rows: list[int], curves: dict[str, Array]) -> None:
        """Ask for the distortion and the probability with nothing kept; with everything they are known."""
        distortion, inserted, deleted = (curves[name] for name in CURVES)
        i, score = self.i, self.score
        distortion[rows, i, -1] = 0.0
        inserted[rows, i, -1] = score
        deleted[rows, i, 0] = score

        def distorted(found: Array) -> None:
            distortion[rows, i, 0] = np.mean((found - score) ** 2)

        def without(found: Array) -> None:
            inserted[rows, i, 0] = deleted[rows, i, -1] = found[0]

        order, none, n = np.arange(parts.size), np.zeros(1), _own_samples * self.n_samples
        self.queue.ask(obscured(parts, order, none, n, self._seed(0)), self.target, distorted)
        self.queue.ask(insertion(parts, order, none), self.target, without)

    def _curves(
        self, parts: ImageParts, order: npt.NDArray[np.intp], row: int, curves: dict[str, Array]
    ) -> None:
        inner, i, score, n = self.shares[1:-1], self.i, self.score, self.n_samples

        def distorted(found: Array) -> None:
            curves["rate_distortion"][row, i, 1:-1] = ((found - score) ** 2).reshape(-1, n).mean(axis=1)

        def inserted(found: Array) -> None:
            curves["insertion"][row, i, 1:-1] = found

        def deleted(found: Array) -> None:
            curves["deletion"][row, i, 1:-1] = found

        self.queue.ask(obscured(parts, order, inner, n, self._seed(1)), self.target, distorted)
        self.queue.ask(insertion(parts, order, inner), self.target, inserted)
        self.queue.ask(deletion(parts, order, inner), self.target, deleted)

    def _mask(
        self, parts: ImageParts, grey_parts: ImageParts, mask: Array, row: int, values: dict[str, Array]
    ) -> None:
        i, score = self.i, self.score
        grey = np.clip(grey_parts.keep(mask)[0], 0, 1)
        left = information(self.grey, grey)
        values["rate"][row, i] = mask.mean(dtype=np.float64)
        values["hallucination"][row, i] = hallucination(self.grey, grey)

        def distorted(found: Array) -> None:
            values["distortion"][row, i] = np.mean((found - score) ** 2)

        def kept(found: Array) -> None:
            values["conciseness_preciseness"][row, i] = conciseness_preciseness(score, float(found[0]), left)

        shown = parts.obscure(mask, _own_samples * self.n_samples, self._seed(2), 0)
        self.queue.ask(shown, self.target, distorted)
        self.queue.ask(np.clip(parts.keep(mask), 0, 1)[None], self.target, kept)
