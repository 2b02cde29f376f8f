"""What `CartoonX` and `PixelRDE` have in common: options, images into groups, the search, and the figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens._bytes import parse_bytes
from wavelens._progress import progress_share
from wavelens.explain._basis import Basis
from wavelens.explain._blocks import search_blocks
from wavelens.explain._checks import (
    as_planes,
    check_lambdas,
    check_model,
    check_number,
    check_targets,
    first_answers,
)
from wavelens.explain._distortion import as_distortion
from wavelens.explain._exchange import exchange
from wavelens.explain._gathered import Gathered
from wavelens.explain._noise import NOISES, make_noise
from wavelens.explain._objective import Objective
from wavelens.explain._report import report
from wavelens.explain._results import ExplanationPath, Explanations, recommend
from wavelens.explain._search import Found, Schedule, quantiles, search

__all__ = ["RateDistortion", "masks_only"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_default_limit = 512 * 2**20
_state_arrays = 30  # of the length of a mask, for each image, at the peak
_most_at_once = 64
_tolerance = 0.05
_judging = 100  # time of judging a mask, in steps with the gradient
_trials = 4  # for each step that a search with the gradient would make


@dataclass(frozen=True)
class Defaults:
    """What options are where they are not given."""

    lam: float
    optimizer: str
    n_steps: int
    n_samples: int
    rate: float
    init: str
    distortion: str = "probability"
    spatial: float = 0.0


class RateDistortion(ABC):
    """Search for the smallest mask under which a model's answer stays; see `CartoonX` and `PixelRDE`."""

    method: ClassVar[str]
    presets: ClassVar[dict[str | None, Defaults]]

    def __init__(self, model: Any, options: dict[str, Any]) -> None:
        self.model = check_model(model)
        preset = options.pop("preset")
        if preset not in self.presets:
            names = ", ".join(repr(name) for name in self.presets)
            raise ValueError(f"`preset` must be one of {names}, got {preset!r}")
        self.preset = preset
        base = self.presets[preset]
        given = {name: value for name, value in options.items() if value is not None}
        self.lam = check_number(given.get("lam", base.lam), "lam", above=0.0)
        self.noise = check_choice(given.get("noise", "gaussian"), "noise", NOISES)
        self.distortion = given.get("distortion", base.distortion)
        self._distort = as_distortion(self.distortion)
        self.spatial = check_number(given.get("spatial", base.spatial), "spatial", least=0.0)
        self.init = given.get("init", base.init)
        if isinstance(self.init, str):
            check_choice(self.init, "init", ("gradient", "ones"))
        self.optimizer = check_choice(
            given.get("optimizer", base.optimizer), "optimizer", ("continuation", "adam")
        )
        self.n_steps = check_integer(given.get("n_steps", base.n_steps), "n_steps", low=1)
        self.n_samples = check_integer(given.get("n_samples", base.n_samples), "n_samples", low=1)
        self.learning_rate = check_number(given.get("learning_rate", base.rate), "learning_rate", above=0.0)
        self.n_test = check_integer(given.get("n_test", 64), "n_test", low=2)
        self.random_state = check_integer(given.get("random_state", 0), "random_state", low=0, high=2**64 - 1)
        limit = given.get("memory_limit")
        self.memory_limit = _default_limit if limit is None else parse_bytes(limit, "memory_limit")
        self.progress = options.get("progress")

    @abstractmethod
    def _basis(self, size: tuple[int, int]) -> Basis:
        """Return what masks of images of `size` lie on."""

    def explain(self, images: npt.ArrayLike, target: Any = None) -> Explanations:
        """Search the mask of each image.

        Parameters
        ----------
        images : array of shape (n, height, width) or (n, height, width, channels)
            uint8 (0 to 255) or floats in [0, 1]; finite, of the model's size. One image is ``images[None]``.
        target : int or array of n ints, optional
            Class to explain; by default the likeliest of each image.

        Returns
        -------
        Explanations

        Raises
        ------
        ValueError, TypeError
            If images, target or the mask to start from don't fit.
        DataError
            If the model's answer is none: no classes, not finite for every image, no probabilities. Where it is not
            finite for some images or midway, these stop, `Explanations.stopped` says so, and the others go on.
        """
        return self._run(images, (self.lam,), target)[0]

    def path(self, images: npt.ArrayLike, lambdas: Any, target: Any = None) -> ExplanationPath:
        """Search the masks for several λ, each from the one before.

        Parameters
        ----------
        images : array of shape (n, height, width) or (n, height, width, channels)
            As in `explain`.
        lambdas : sequence of float
            Above 0. The largest is searched first, then the others in falling order from its mask, in half
            as many steps each ("adam" starts each anew and takes all its steps). In the end each λ gets the mask that
            is best for it of all that were found, on noise that no search has seen, so that a larger λ does not keep
            more (the published schedule stays as it is).
        target : int or array of n ints, optional
            As in `explain`.

        Returns
        -------
        ExplanationPath
            With the λ recommended for each image.

        Raises
        ------
        ValueError, TypeError, DataError
            As `explain`.
        """
        ordered = check_lambdas(lambdas)
        found = tuple(self._run(images, ordered, target))
        return ExplanationPath(ordered, found, recommend(found, _tolerance), _tolerance)

    def _run(
        self,
        images: npt.ArrayLike,
        lambdas: tuple[float, ...],
        target: Any,
        *,
        judged: bool = True,
        told: Callable[[float], None] | None = None,
    ) -> list[Explanations]:
        """Explain at each λ; masks alone if not `judged`, which leaves the figures NaN."""
        planes, in_colour = as_planes(images, self.model)
        basis = self._basis((planes.shape[2], planes.shape[3]))
        probabilities = first_answers(self.model, planes)
        targets = check_targets(target, probabilities)
        start = self._given_start(len(planes), basis.k)
        ready = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
        gathered = [Gathered(len(planes), basis.k) for _ in lambdas]
        group = self._images_at_once(planes.shape[1], basis)
        what = f"explaining {len(planes)} {'image' if len(planes) == 1 else 'images'}"
        with progress_share(what, self.progress) as bar:
            show = told or bar
            for begin in range(0, len(ready), group):
                rows = ready[begin : begin + group]

                def tick(done: float, begin: int = begin, size: int = len(rows)) -> None:
                    if show is not None:
                        show((begin + size * done) / len(ready))

                objective = self._objective(planes[rows], basis, probabilities[rows], targets[rows])
                given = None if start is None else start[rows]
                self._group(objective, given, lambdas, rows, gathered, judged, tick)
        shown = np.ascontiguousarray(np.moveaxis(planes, 1, 3)) if in_colour else planes[:, 0]
        own = probabilities[np.arange(len(planes)), targets]
        return [
            Explanations(
                method=self.method,
                lam=lam,
                images=shown,
                targets=targets,
                probabilities=own,
                distortion=self.distortion if isinstance(self.distortion, str) else "custom",
                gradient=self._gradient_used(),
                noise=self.noise,
                seed=self.random_state,
                header=basis.header(),
                **each.fields(),
            )
            for lam, each in zip(lambdas, gathered, strict=True)
        ]

    def _gradient_used(self) -> str:
        if self.model.has_gradient:
            return "exact"
        return "none: the model only predicts; blocks of coefficients were searched by random trials"

    def _group(
        self,
        objective: Objective,
        given: Floats | None,
        lambdas: tuple[float, ...],
        rows: npt.NDArray[np.intp],
        gathered: list[Gathered],
        judged: bool,
        tick: Callable[[float], None],
    ) -> None:
        """Search, judge and store one group of images at every λ."""
        # The first search runs at two λ, and is twice as long as those that start from its mask.
        first = 2.0 if self.optimizer == "continuation" and self.model.has_gradient else 1.0
        judging = _judging / (self.n_steps * self.n_samples) * len(lambdas) * judged
        whole = first + len(lambdas) - 1 + judging
        mask = given
        found, used = [], []
        for i, lam in enumerate(lambdas):
            begin, size = (0.0, first) if i == 0 else (first + i - 1, 1.0)
            before = objective.n_evaluations.copy()

            def searched(done: float, begin: float = begin, size: float = size) -> None:
                tick((begin + size * done) / whole)

            found.append(self._one(objective, mask, given, lam, i > 0, searched))
            used.append(objective.n_evaluations - before)
            mask = found[-1].masks
        if len(lambdas) > 1 and self.optimizer == "continuation":
            before = objective.n_evaluations.copy()
            exchange(objective, found, lambdas)
            for each in used:  # what is known of each mask serves every λ
                each += (objective.n_evaluations - before) // len(lambdas)
        for i, lam in enumerate(lambdas):
            figures = report(objective, found[i], lam, self.n_test) if judged else None
            gathered[i].store(rows, found[i], figures, used[i])
            tick((whole - judging * (1 - (i + 1) / len(lambdas))) / whole)

    def _one(
        self,
        objective: Objective,
        mask: Floats | None,
        given: Floats | None,
        lam: float,
        warm: bool,
        tick: Callable[[float], None],
    ) -> Found:
        """Search one group of images at one λ."""
        schedule = Schedule(
            self.optimizer, self.n_steps, self.n_samples, self.learning_rate, self.presets[None].lam
        )
        all_lam = np.full(len(objective.planes), lam)
        if not self.model.has_gradient:
            return search_blocks(objective, mask, all_lam, _trials * self.n_steps * self.n_samples, tick)
        fresh = None
        if mask is None or warm:
            fresh = self._start(objective) if given is None else given
            mask = fresh if mask is None else mask
        start = fresh if fresh is not None and self.optimizer == "adam" else mask
        return search(objective, start, all_lam, schedule, tick, fresh=fresh if warm else None)

    def _start(self, objective: Objective) -> Floats:
        n = len(objective.planes)
        if isinstance(self.init, str) and self.init == "gradient":
            return quantiles(objective.importance(np.arange(n)))
        return np.ones((n, objective.k), dtype=np.float32)

    def _objective(
        self, planes: Floats, basis: Basis, probabilities: Doubles, targets: npt.NDArray[np.intp]
    ) -> Objective:
        coefficients = basis.analyze(planes)
        per_sample = 4 * planes.shape[1] * (basis.k + 3 * planes.shape[2] * planes.shape[3])
        return Objective(
            model=self.model,
            basis=basis,
            distortion=self._distort,
            planes=planes,
            coefficients=coefficients,
            noise=make_noise(self.noise, planes, coefficients, basis),
            probabilities=probabilities,
            targets=targets,
            spatial=self.spatial,
            seed=self.random_state,
            samples_at_once=max(1, min(self._most_samples(), self.memory_limit // 2 // per_sample)),
        )

    def _most_samples(self) -> int:
        """Return how many images the model takes at a time: of more, its pullback would run it once again."""
        sizes = [getattr(self.model, name, None) for name in ("fixed_batch", "batch_size")]
        return next((min(each, _most_at_once) for each in sizes if isinstance(each, int)), _most_at_once)

    def _images_at_once(self, channels: int, basis: Basis) -> int:
        per_image = 4 * basis.k * (_state_arrays + 3 * channels)
        return int(max(1, min(_most_at_once, self.memory_limit // 2 // per_image)))

    def _given_start(self, n: int, k: int) -> Floats | None:
        if isinstance(self.init, str):
            return None
        try:
            start = np.asarray(self.init, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise TypeError(f"`init` must be 'gradient', 'ones' or an array of numbers: {error}") from error
        if start.shape == (k,):
            start = np.broadcast_to(start, (n, k))
        if start.shape != (n, k):
            raise ValueError(
                f"`init` must be 'gradient', 'ones' or masks of shape ({k},) or ({n}, {k}), got {start.shape}"
            )
        if not ((start >= 0) & (start <= 1)).all():
            raise ValueError("`init` must hold numbers in [0, 1]")
        return np.array(start)


def masks_only(
    explainer: RateDistortion, images: npt.ArrayLike, targets: Any, told: Callable[[float], None] | None
) -> Explanations:
    """Explain without judging the masks: the figures on fresh noise are NaN.

    Parameters
    ----------
    explainer : RateDistortion
    images, targets
        As of `RateDistortion.explain`.
    told : callable or None
        Called with the share done.

    Returns
    -------
    Explanations
    """
    return explainer._run(images, (explainer.lam,), targets, judged=False, told=told)[0]
