"""The search for a mask without a gradient: random trials on blocks of coefficients.

A model that only predicts tells nothing of single coefficients within a budget that anyone would wait for. The mask
is therefore constant on blocks, one for each scale and cell of a grid of 7 × 7 (pixels: 14 × 14). Three steps share
the budget of model evaluations:

1. A third: masks that keep each block or not at random; a block's relevance is the mean distortion without it
   less that with it (V. Petsiuk, A. Das, K. Saenko, "RISE", BMVC 2018).
2. A few: the most relevant blocks alone, more and more of them; the best number is where step 3 starts.
3. The rest: antithetic evolution strategy with Adam's steps on the blocks' values: F(θ + σε) − F(θ − σε) on the same
   noise along random ε (T. Salimans et al., "Evolution strategies as a scalable alternative", 2017). The better of
   start and end is kept.

It finds which parts matter, not the small masks that a gradient finds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wavelens.explain._basis import Basis, WaveletBasis
from wavelens.explain._choice import CHOICE_STREAM
from wavelens.explain._objective import ModelAnswerError, Objective
from wavelens.explain._search import Found

__all__ = ["blocks_of", "search_blocks"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_shares = (0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0)
_together = 16
_sigma = 0.1
_rate = 0.05


def blocks_of(basis: Basis) -> npt.NDArray[np.intp]:
    """Return the number of each coefficient's block."""
    found = np.empty(basis.k, dtype=np.intp)
    if isinstance(basis, WaveletBasis):
        for band in basis.transform.bands:
            scale = basis.transform.level - band.level + (band.orientation != "approximation")
            found[band.slice] = scale * 49 + _cells(band.shape, 7).ravel()
    else:
        found[:] = _cells(basis.size, 14).ravel()
    return np.unique(found, return_inverse=True)[1].astype(np.intp)


def _cells(shape: tuple[int, int], most: int) -> npt.NDArray[np.intp]:
    """Return the number of each place's cell in a grid of at most `most` × `most`."""
    rows, cols = (np.arange(size) * min(most, size) // size for size in shape)
    return np.asarray(rows[:, None] * most + cols[None, :])


def search_blocks(
    objective: Objective, start: Floats | None, lam: Doubles, budget: int, tick: Callable[[float], None]
) -> Found:
    """Search masks with about `budget` model evaluations an image.

    Parameters
    ----------
    objective : Objective
    start : (n, k) array of float32 or None
        Masks whose blocks' means are tried too.
    lam : (n,) array
    budget : int
    tick : callable
        Called with the share done.
    """
    blocks = blocks_of(objective.basis)
    n = len(lam)
    masks = np.zeros((n, objective.k), dtype=np.float32)
    stopped, history = [], []
    for i in range(n):
        trials = _Trials(objective, i, lam[i], blocks)

        def show(done: float, i: int = i) -> None:
            tick((i + done) / n)

        try:
            theta = trials.run(None if start is None else start[i], budget, show)
            stopped.append("finished")
        except ModelAnswerError as error:
            theta = trials.last
            stopped.append(f"failed: {error} after {len(trials.rows)} trials")
        masks[i] = theta[blocks]
        columns = np.array(trials.rows, dtype=np.float64).reshape(-1, 3).T
        history.append(dict(zip(("lam", "distortion", "rate"), columns, strict=True)))
    return Found(masks, stopped, history)


class _Trials:
    """The search of one image."""

    def __init__(self, objective: Objective, image: int, lam: float, blocks: npt.NDArray[np.intp]) -> None:
        self.o = objective
        self.image = image
        self.lam = lam
        self.blocks = blocks
        self.sizes = np.bincount(blocks) / len(blocks)
        self.last = np.ones(len(self.sizes))
        self.rows: list[tuple[float, float, float]] = []
        self.stream = 0
        self.random = np.random.default_rng([objective.seed, 1])

    def distortions(self, thetas: Doubles, n_samples: int = 1, stream: int | None = None) -> Doubles:
        """Mean distortion for each row of values of blocks; all rows see the same noise."""
        masks = thetas[:, self.blocks].astype(np.float32)
        images = np.full(len(thetas), self.image)
        values = self.o.distortions(images, masks, self.stream if stream is None else stream, n_samples)
        self.stream += stream is None
        return np.asarray(values.mean(axis=1))

    def scores(self, thetas: Doubles, distortions: Doubles) -> Doubles:
        """Objective of rows whose distortions are known."""
        masks = thetas[:, self.blocks].astype(np.float32)
        return distortions + self.o.penalties(np.full(len(thetas), self.image), masks, self.lam)

    def run(self, start: Floats | None, budget: int, tick: Callable[[float], None]) -> Doubles:
        relevance = self._relevance(max(_together, budget // 3), tick)
        theta = self._best_share(relevance, start)
        self.last = theta
        spent = len(self.rows)
        moved = self._evolve(theta, max(1, (budget - spent) // 2), tick)
        both = np.stack([theta, moved])
        n = 16 if self.o.random else 1
        return np.asarray(both[int(self._judged(both, n).argmin())])

    def _judged(self, thetas: Doubles, n: int) -> Doubles:
        found = self.distortions(thetas, n, CHOICE_STREAM)
        empty = self.distortions(np.zeros_like(thetas[:1]), n, CHOICE_STREAM)
        return self.scores(thetas, found) + 1e6 * (found > 0.5 * empty)

    def _relevance(self, n_trials: int, tick: Callable[[float], None]) -> Doubles:
        """Mean distortion without a block less that with it."""
        count = len(self.sizes)
        with_sum, all_sum, kept = np.zeros(count), 0.0, np.zeros(count)
        for done in range(0, n_trials, _together):
            size = min(_together, n_trials - done)
            thetas = self.random.integers(0, 2, (size, count)).astype(np.float64)
            found = self.distortions(thetas)
            self.rows += [(self.lam, d, r) for d, r in zip(found, thetas @ self.sizes, strict=True)]
            with_sum += found @ thetas
            kept += thetas.sum(axis=0)
            all_sum += found.sum()
            tick(0.33 * (done + size) / n_trials)
        dropped = np.maximum(n_trials - kept, 1)
        return np.asarray((all_sum - with_sum) / dropped - with_sum / np.maximum(kept, 1))

    def _best_share(self, relevance: Doubles, start: Floats | None) -> Doubles:
        order = np.argsort(-relevance, kind="stable")
        share = np.empty(len(order))
        share[order] = np.cumsum(self.sizes[order])
        thetas = [(share <= each + 1e-12).astype(np.float64) for each in _shares]
        if start is not None:
            thetas.append(np.bincount(self.blocks, start) / np.bincount(self.blocks))
        stacked = np.array(thetas)
        return np.asarray(stacked[int(self._judged(stacked, 4 if self.o.random else 1).argmin())])

    def _evolve(self, theta: Doubles, n_pairs: int, tick: Callable[[float], None]) -> Doubles:
        theta = theta.copy()
        first, second = np.zeros_like(theta), np.zeros_like(theta)
        pairs = _together // 2
        n_steps = max(1, n_pairs // pairs)
        for t in range(1, n_steps + 1):
            directions = self.random.standard_normal((pairs, len(theta)))
            tried = np.clip(np.concatenate([theta + _sigma * directions, theta - _sigma * directions]), 0, 1)
            found = self.distortions(tried)
            values = self.scores(tried, found)
            self.rows += [(self.lam, d, r) for d, r in zip(found, tried @ self.sizes, strict=True)]
            g = (values[:pairs] - values[pairs:]) @ directions / (2 * _sigma * pairs)
            first = 0.9 * first + 0.1 * g
            second = 0.99 * second + 0.01 * g * g
            step = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.99**t)) + 1e-12)
            theta = np.clip(theta - _rate * step * 0.5 * (1 + np.cos(np.pi * t / (n_steps + 1))), 0, 1)
            self.last = theta
            tick(0.33 + 0.67 * t / n_steps)
        return theta
