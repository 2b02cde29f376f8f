"""The search for masks: the published schedule and the default one, some images in lockstep.

**adam** is what the articles do: Adam by the mean gradient of many samples at one rate, projected onto [0, 1] after
each step, for a fixed number of steps.

**continuation**, the default, needs a hundredth of the model evaluations. What it does differently and why:

* It starts from the quantiles of the gradient's size at the image itself, not from all ones: half of the mask is
  gone at once, and what matters to the model stays.
* One fresh sample of noise a step. The gradient's mean is what counts in the end, and Adam averages over steps as
  well as over samples; the rate, held and then lowered along a cosine, settles what the noise stirs up.
* Entries pushed out of [0, 1] are remembered as far as 0.3 outside (lazy projection): projected at once, an
  irrelevant coefficient bounces off zero at each gradient that is only noise, and keeps the mask from emptying.
* It runs at λ₀ = 20·D(0) first (4·D(0) on pixels), D(0) the distortion of the empty mask, whatever λ is wanted, and
  goes on from there, at smaller rates, with that λ. Where λ is small, noise drowns it: an irrelevant coefficient drifts
  to zero at the speed of λ over the gradient's noise, while at λ₀ the mask is down to a twentieth at once. Where λ is
  large, the label would be lost on the way.
* Where the label is lost, the squared distance has no gradient any more and λ empties the mask. If the running mean
  of the distortion exceeds half of D(0), the search goes back to its last good mask and halves its rate.
* In the end the masks met on the way (the last one, the mean of the last ones, the best one, thresholds of the start),
  the full and the empty one are compared on the same fresh samples, what the last steps have seen counted in. The last
  one is kept unless another is better by more than the noise of that comparison. Masks that lose the label count at
  twice their price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens.explain._choice import CHOICE_STREAM, Candidate, choose, thresholds, unseen
from wavelens.explain._objective import ModelAnswerError, Objective

__all__ = ["Found", "Schedule", "quantiles", "search"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Tick = Callable[[float], None]

# Streams of noise: steps count from 0, what is not a step has streams of its own.
REPORT_STREAM = 2**31 + 1
RESIDUAL_STREAM = 2**31 + 2

_lost = 0.5
_memory = 0.95
_young = 20
_tail = 0.75
_nothing = 0.01
_rounding = 1e-9
_slack = 0.3
_gentle = 0.3
_second = 1.0
_betas = (0.9, 0.99)
_end = 0.02
_holds = (0.4, 0.1)
_look_every = 40
_settled = 1e-6
_n_look = 4


@dataclass(frozen=True)
class Schedule:
    """How a search goes.

    Attributes
    ----------
    optimizer : {"continuation", "adam"}
    n_steps : int
        At one λ.
    n_samples : int
        Of noise, in each step.
    rate : float
        Largest change of a coefficient of the mask in a step, about.
    heavy : float
        λ₀/D(0), for "continuation".
    """

    optimizer: str
    n_steps: int
    n_samples: int
    rate: float
    heavy: float = 20.0


@dataclass(eq=False)
class Found:
    """Masks and how they came about, one row or entry for each image.

    Attributes
    ----------
    masks : (n, k) array of float32
    stopped : list of str
        "finished", "settled", or "failed: …".
    history : list of dict of str to array
        Per step: "lam", "distortion" (mean over the step's samples) and "rate" (before the step).
    """

    masks: Floats
    stopped: list[str]
    history: list[dict[str, Doubles]] = field(default_factory=list)


def quantiles(values: Floats) -> Floats:
    """Return the share of each row's entries that are smaller, in [0, 1); ties get the lowest."""
    out = np.empty_like(values)
    for row, each in enumerate(values):
        out[row] = np.searchsorted(np.sort(each), each, side="left") / np.float32(len(each))
    return out


class Searcher:
    """State of all images of one search."""

    def __init__(self, objective: Objective, start: Floats, schedule: Schedule) -> None:
        self.objective = objective
        self.schedule = schedule
        self.masks = np.ascontiguousarray(start, dtype=np.float32).copy()
        self.n = len(start)
        self.stopped = ["finished"] * self.n
        self.failed = np.zeros(self.n, dtype=bool)
        self.rows: list[list[tuple[float, float, float]]] = [[] for _ in range(self.n)]
        self.stream = 0
        self._first = np.zeros_like(self.masks)
        self._second = np.zeros_like(self.masks)
        self._free = self.masks.copy()
        self._n_updates = np.zeros(self.n, dtype=np.intp)

    @property
    def alive(self) -> Index:
        """Images that have not failed."""
        return np.flatnonzero(~self.failed)

    def guarded(self, images: Index, run: Callable[[Index], None]) -> None:
        """Run on images; those whose model answers are not finite fail, and the others run again."""
        while len(images):
            try:
                run(images)
                return
            except ModelAnswerError as error:
                for image in error.images:
                    self.failed[image] = True
                    self.stopped[image] = f"failed: {error} after {len(self.rows[image])} steps"
                images = np.setdiff1d(images, error.images)

    def forget(self, images: Index) -> None:
        """Begin anew where the masks are: forget the moments, and what was pushed out of [0, 1]."""
        self._free[images] = self.masks[images]
        self._first[images] = 0
        self._second[images] = 0
        self._n_updates[images] = 0

    def step(self, images: Index, lam: Doubles, rates: Doubles, betas: tuple[float, float]) -> None:
        """Make one step; `lam` and `rates` have one entry for each image of the search."""

        def run(images: Index) -> None:
            o = self.objective
            n_samples = self.schedule.n_samples if o.random else 1
            masks = self.masks[images]
            values, gradients = o.gradients(images, masks, self.stream, n_samples)
            o.add_spatial_gradient(images, masks, gradients)
            for row, image in enumerate(images):
                self.rows[image].append((lam[image], values[row].mean(), masks[row].mean(dtype=np.float64)))
                self._update(image, gradients[row], lam[image], rates[image], betas)

        self.guarded(images, run)
        self.stream += 1

    def _update(
        self, image: int, gradient: Floats, lam: float, rate: float, betas: tuple[float, float]
    ) -> None:
        self._n_updates[image] += 1
        t = int(self._n_updates[image])
        # Adam does not see a factor of the gradient but through ε: k times the gradient is of the size of λ, and
        # ε = 1e-8 of the published one becomes k·1e-8.
        k = self.objective.k
        _core.mask_update(
            self.masks[image],
            gradient,
            self._first[image],
            self._second[image],
            self._free[image],
            rate,
            *betas,
            1e-8 * k,
            1 / (1 - betas[0] ** t),
            1 / (1 - betas[1] ** t),
            0.0 if self.schedule.optimizer == "adam" else _slack,
            float(k),
            lam,
        )


def search(
    objective: Objective,
    start: Floats,
    lam: Doubles,
    schedule: Schedule,
    tick: Tick,
    *,
    fresh: Floats | None = None,
) -> Found:
    """Search masks of all images of an objective.

    Parameters
    ----------
    objective : Objective
    start : (n, k) array of float32
    lam : (n,) array
    schedule : Schedule
    tick : callable
        Called with the share done.
    fresh : (n, k) array of float32, optional
        Where to start instead if `start`, then the solution for a larger λ, has lost the label.
    """
    searcher = Searcher(objective, start, schedule)
    if schedule.optimizer == "adam":
        _published(searcher, lam, tick)
    else:
        _continuation(searcher, lam, tick, fresh)
    history = [
        dict(
            zip(("lam", "distortion", "rate"), np.array(rows, dtype=np.float64).reshape(-1, 3).T, strict=True)
        )
        for rows in searcher.rows
    ]
    return Found(searcher.masks, searcher.stopped, history)


def _published(searcher: Searcher, lam: Doubles, tick: Tick) -> None:
    schedule = searcher.schedule
    rates = np.full(searcher.n, schedule.rate)
    for t in range(schedule.n_steps):
        if not len(searcher.alive):
            return
        searcher.step(searcher.alive, lam, rates, (0.9, 0.999))
        tick((t + 1) / schedule.n_steps)


def _continuation(searcher: Searcher, lam: Doubles, tick: Tick, fresh: Floats | None) -> None:
    o, n_steps = searcher.objective, searcher.schedule.n_steps
    empty, own = np.zeros(searcher.n), np.full(searcher.n, np.inf)

    def look(images: Index) -> None:
        n = _n_look if o.random else 1
        none = np.zeros((len(images), o.k), dtype=np.float32)
        empty[images] = o.distortions(images, none, CHOICE_STREAM, n).mean(axis=1)
        if fresh is not None:
            own[images] = o.distortions(images, searcher.masks[images], CHOICE_STREAM, n).mean(axis=1)

    searcher.guarded(searcher.alive, look)
    cold = own > _lost * empty
    candidates = [unseen(searcher.masks.copy())]
    if fresh is not None:
        searcher.masks[cold] = fresh[cold]
    start = searcher.masks.copy()
    heavy = np.where(empty > _rounding, searcher.schedule.heavy * empty, lam)
    first = np.intersect1d(np.flatnonzero(cold), searcher.alive)
    share = (n_steps if len(first) else 0) / ((1 + _second) * n_steps)
    paces = np.full(searcher.n, _gentle)
    if len(first):
        watch = _stage(
            searcher, first, heavy, empty, np.ones(searcher.n), n_steps, lambda done: tick(share * done)
        )
        candidates += watch.candidates()
        # Where λ₀ was too much the search goes on from the best mask before, at full rates.
        late = first[watch.lost(first)]
        searcher.masks[late] = np.where(watch.armed[late, None], watch.good[late], watch.fuller[late])
        paces[late] = 1.0
    second = searcher.alive
    searcher.stream = (
        n_steps  # whether the first stage was cut short or left out, for the images beside an image too
    )
    if len(second):
        watch = _stage(
            searcher,
            second,
            lam,
            empty,
            paces,
            max(1, round(_second * n_steps)),
            lambda done: tick(share + (1 - share) * done),
        )
        candidates += watch.candidates()
    others = [*(thresholds(start) if fresh is None else []), np.ones_like(start), np.zeros_like(start)]
    choose(searcher, lam, empty, [candidates.pop(), *candidates, *map(unseen, others)])
    tick(1.0)


def _stage(
    searcher: Searcher, images: Index, lam: Doubles, empty: Doubles, paces: Doubles, n_steps: int, tick: Tick
) -> _Watch:
    """Run at one λ for each image, at its pace: 1 holds the rate for four tenths of the steps, less for one."""
    hold = np.where(paces == 1, *_holds)
    watch = _Watch(searcher, lam, empty, paces)
    before = searcher.masks.copy()
    running = images.copy()
    searcher.forget(images)
    for t in range(n_steps):
        running = running[~searcher.failed[running]]
        if not len(running):
            break
        u = (t + 1) / n_steps
        fall = _end + (1 - _end) * 0.5 * (1 + np.cos(np.pi * np.maximum(u - hold, 0) / (1 - hold)))
        searcher.step(running, lam, watch.rates * fall, _betas)
        running = running[~searcher.failed[running]]
        for image in running:
            watch.look(int(image))
        if u > _tail:
            watch.add(running)
        if (t + 1) % _look_every == 0:
            still = np.abs(searcher.masks[running] - before[running]).mean(axis=1) < _settled
            for image in running[still]:
                searcher.stopped[image] = "settled"
            before[running] = searcher.masks[running]
            running = running[~still]
        tick(u)
    return watch


class _Watch:
    """Running mean of each image's distortion: remembers the best mask, and goes back to it when the label is lost."""

    def __init__(self, searcher: Searcher, lam: Doubles, empty: Doubles, paces: Doubles) -> None:
        self.searcher, self.lam, self.empty = searcher, lam, empty
        self.rates = searcher.schedule.rate * paces
        self.good = searcher.masks.copy()
        # Where the label is lost at the start and never found, a fuller mask is the place to go back to.
        self.fuller = 0.5 + 0.5 * searcher.masks
        self._mean, self._age = np.zeros(searcher.n), np.zeros(searcher.n)
        self._least = np.full(searcher.n, np.inf)
        self.armed = np.zeros(searcher.n, dtype=bool)
        self._sum, self._n_added = np.zeros_like(searcher.masks), np.zeros(searcher.n)
        self._seen = np.zeros(searcher.n)

    def look(self, image: int) -> None:
        """See what the last step has shown of an image."""
        _, distortion, rate = self.searcher.rows[image][-1]
        self._age[image] += 1
        self._mean[image] += (distortion - self._mean[image]) * max(1 - _memory, 1 / self._age[image])
        mean, empty = self._mean[image], self.empty[image]
        if self._age[image] < _young:
            return
        if mean > _lost * empty and empty > _rounding:
            if self.armed[image]:
                self._back(image, self.good[image])
            elif rate < _nothing:
                self._back(image, self.fuller[image])
            return
        self.armed[image] |= mean < _lost / 2 * empty
        if mean + self.lam[image] * rate < self._least[image]:
            self._least[image] = mean + self.lam[image] * rate
            self.good[image] = self.searcher.masks[image]

    def lost(self, images: Index) -> npt.NDArray[np.bool_]:
        """Return for which images the label is lost, by the running mean."""
        return np.asarray((self._mean > _lost * self.empty)[images] & (self.empty[images] > _rounding))

    def add(self, images: Index) -> None:
        """Take the masks into the means of the last steps."""
        self._n_added[images] += 1
        self._sum[images] += self.searcher.masks[images]
        self._seen[images] += [self.searcher.rows[image][-1][1] for image in images]

    def averaged(self) -> Floats:
        """Return the mean of the masks of the last steps."""
        found = self.searcher.masks.copy()
        some = self._n_added > 0
        found[some] = self._sum[some] / self._n_added[some, None].astype(np.float32)
        return found

    def candidates(self) -> list[Candidate]:
        """Return the best, the mean and the last mask, with the distortion that the last steps have shown."""
        mean = self._seen / np.maximum(self._n_added, 1)
        masks = (self.good, self.averaged(), self.searcher.masks.copy())
        return [Candidate(each, mean, self._n_added) for each in masks]

    def _back(self, image: int, mask: Floats) -> None:
        self.searcher.masks[image] = mask
        self.searcher.forget(np.array([image]))
        self.rates[image] /= 2
        self._mean[image], self._age[image] = 0.0, 0
        self._sum[image], self._n_added[image], self._seen[image] = 0, 0, 0
