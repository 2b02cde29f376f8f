"""Measures the methods on one image after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.explain._curves import deletion, insertion, rank, rate_distortion
from wavelens.explain._measures import conciseness_preciseness, hallucination, information
from wavelens.explain._methods import Method
from wavelens.explain._parts import ImageParts
from wavelens.explain._scores import Counted

__all__ = ["Judge"]

Array = npt.NDArray[Any]


class Judge:
    """Measures on one image after the other; what all methods of a basis share is found once."""

    def __init__(self, counted: Counted, shares: Array, n_samples: int, random_state: int) -> None:
        self.counted, self.shares, self.n_samples = counted, shares, n_samples
        self.random_state = random_state

    def begin(self, index: int, plane: Array, target: int, score: float, methods: Sequence[Method]) -> None:
        """Take the next image: its parts in each basis, and the ends of the curves."""
        self.index, self.target, self.score = index, target, score
        self.grey = plane.mean(axis=0)
        kinds = {each.basis: each.transform for each in methods}
        self.parts = {basis: ImageParts(plane, transform) for basis, transform in kinds.items()}
        self.grey_parts = {basis: ImageParts(self.grey[None], each) for basis, each in kinds.items()}
        self.ends = {basis: self._ends(parts) for basis, parts in self.parts.items()}

    def _ends(self, parts: ImageParts) -> tuple[float, float, float]:
        """Return the distortion with nothing kept, and the probability without and with everything."""
        order, none = np.arange(parts.size), np.zeros(1)
        (empty,) = rate_distortion(
            self.counted, parts, order, self.target, self.score, none, 2 * self.n_samples, self._seed(0)
        )
        (without,) = insertion(self.counted, parts, order, self.target, none)
        return float(empty), float(without), self.score

    def _seed(self, purpose: int) -> int:
        """Noise of its own for each image and purpose."""
        words = np.random.SeedSequence([self.random_state, self.index, purpose]).generate_state(1)
        return int(words[0])

    def measure(
        self, row: int, method: Method, mask: Array, values: dict[str, Array], curves: dict[str, Array]
    ) -> None:
        """Fill in what one method gets for this image."""
        i, parts = self.index, self.parts[method.basis]
        arguments = (self.counted, parts, rank(method.relevance[i], self.random_state), self.target)
        inner = self.shares[1:-1]
        empty, without, whole = self.ends[method.basis]
        bent = rate_distortion(*arguments, self.score, inner, self.n_samples, self._seed(1))
        curves["rate_distortion"][row, i] = [empty, *bent, 0.0]
        curves["insertion"][row, i] = [without, *insertion(*arguments, inner), whole]
        curves["deletion"][row, i] = [whole, *deletion(*arguments, inner), without]
        values["rate"][row, i] = mask.mean(dtype=np.float64)
        values["distortion"][row, i] = self._distortion(parts, mask)
        kept = np.clip(parts.keep(mask), 0, 1)
        grey = np.clip(self.grey_parts[method.basis].keep(mask)[0], 0, 1)
        probability = float(self.counted.of(kept[None], np.array([self.target]))[0])
        values["conciseness_preciseness"][row, i] = conciseness_preciseness(
            self.score, probability, information(self.grey, grey)
        )
        values["hallucination"][row, i] = hallucination(self.grey, grey)

    def _distortion(self, parts: ImageParts, mask: Array) -> float:
        n = 2 * self.n_samples
        shown = parts.obscure(mask, n, self._seed(2), 0)
        return float(np.mean((self.counted.of(shown, np.full(n, self.target)) - self.score) ** 2))
