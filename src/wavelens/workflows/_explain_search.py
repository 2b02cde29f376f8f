"""Explains images for `explain`, evaluates the explanations, and estimates how long it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

import wavelens.explain
from wavelens._arguments import check_choice
from wavelens._bytes import parse_bytes
from wavelens.exceptions import WavelensError
from wavelens.explain import Evaluation, ExplanationPath
from wavelens.models import Model
from wavelens.report import usual_explanations
from wavelens.wavelets import WaveletTransform
from wavelens.workflows._argument_names import argument_names
from wavelens.workflows._explain_images import ExplainedImages
from wavelens.workflows._progress import WorkflowProgress

__all__ = ["SearchOptions", "evaluate_explanations", "explain_images"]

_methods = ("cartoonx", "pixel")
_pixel_share = 0.2
# What judging a mask takes, in steps with the gradient; trials of a search without, for each such step.
_judging = 100
_trials = 4
_most_timed = 16
# The first times a network is also set up; then it is timed for so long.
_set_up, _seconds_of_timing = 2, 1.0

_argument_of = {
    "n_steps": "`steps`",
    "n_samples": "`samples`",
    "random_state": "`seed`",
    "memory_limit": "`memory`",
}


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How masks are searched; see `explain`. What cannot be meant is refused before a network is opened."""

    method: Sequence[str]
    lambdas: Sequence[float]
    pixel_lambdas: Sequence[float] | None
    preset: str
    steps: int | None
    samples: int | None
    noise: str
    distortion: str | None
    wavelet: str
    memory: int | str | None
    seed: int

    def __post_init__(self) -> None:
        if not self.method or isinstance(self.method, str):
            raise ValueError(f"`method` must be one or more of {', '.join(_methods)}, got {self.method!r}")
        for each in self.method:
            check_choice(each, "method", _methods)
        check_choice(self.preset, "preset", ("default", "published"))
        for name in ("lambdas", "pixel_lambdas"):
            values = getattr(self, name)
            if values is not None and not (len(values) and all(0 < each < np.inf for each in values)):
                raise ValueError(f"`{name}` must be numbers above 0, got {values!r}")
        if self.pixel_lambdas is not None and len(self.pixel_lambdas) != len(self.lambdas):
            raise ValueError(
                f"`pixel_lambdas` must be as many as `lambdas`, {len(self.lambdas)}, got {len(self.pixel_lambdas)}"
            )
        if self.memory is not None:
            parse_bytes(self.memory, "memory")
        try:
            WaveletTransform((64, 64), self.wavelet, 1)
        except (ValueError, TypeError) as error:
            raise ValueError(f"`wavelet={self.wavelet!r}`: {error}") from error

    def lambdas_of(self, method: str) -> Sequence[float]:
        """Return the prices λ of a method."""
        if method == "cartoonx":
            return self.lambdas
        if self.pixel_lambdas is not None:
            return self.pixel_lambdas
        return [_pixel_share * each for each in self.lambdas]

    def explainers(self, model: Model, progress: WorkflowProgress) -> dict[str, Any]:
        """Return an explainer for each method; all are made before the first works, so that errors come at once."""
        common: dict[str, Any] = {
            "noise": self.noise,
            "distortion": self.distortion,
            "preset": None if self.preset == "default" else self.preset,
            "n_steps": self.steps,
            "n_samples": self.samples,
            "random_state": self.seed,
            "memory_limit": None if self.memory is None else parse_bytes(self.memory, "memory"),
            "progress": progress.bars,
        }
        found: dict[str, Any] = {}
        with argument_names(**_argument_of):
            for name in self.method:
                if name == "cartoonx":
                    found[name] = wavelens.explain.CartoonX(model, wavelet=self.wavelet, **common)
                else:
                    found[name] = wavelens.explain.PixelRDE(model, **common)
        return found


def explain_images(
    options: SearchOptions,
    model: Model,
    images: ExplainedImages,
    target: int | None,
    progress: WorkflowProgress,
    notes: list[str],
) -> list[ExplanationPath]:
    """Explain by each method; a method that fails is noted, as long as one is left."""
    explainers = options.explainers(model, progress)
    n = len(images.names)
    what = " and ".join("wavelets" if name == "cartoonx" else "pixels" for name in explainers)
    seconds = _expected_seconds(model, images, list(explainers.values()), len(options.lambdas))
    progress.step(
        f"explaining {n:,} {'image' if n == 1 else 'images'} in {what}, at {len(options.lambdas)} λ: "
        f"{_duration(seconds)}"
    )
    paths, failures = [], []
    for name, explainer in explainers.items():
        if len(explainers) > 1:
            progress.step("wavelets" if name == "cartoonx" else "pixels")
        try:
            paths.append(explainer.path(images.pixels, options.lambdas_of(name), target))
        except (WavelensError, RuntimeError) as error:
            progress.check()
            failures.append(error)
            _note(f"{name} was left out: {error}.", progress, notes)
        progress.check()
    if not paths:
        raise failures[0]
    for i, image in enumerate(images.names):
        stopped = {each.stopped[i] for path in paths for each in path.explanations}
        for reason in sorted(each for each in stopped if each.startswith("failed")):
            progress.note(f"{image}: {reason}")
    return paths


def evaluate_explanations(
    options: SearchOptions,
    model: Model,
    paths: list[ExplanationPath],
    progress: WorkflowProgress,
    notes: list[str],
) -> Evaluation | None:
    """Evaluate at the usual λ; the explanations are worth keeping even if that fails."""
    progress.step("measuring how far to trust them, beside other methods (`evaluate=False` leaves this out)")
    usual = [usual_explanations(path) for path in paths]
    # Explainers that find masks again as these were found, at the λ that suits most images.
    explainers = {each.method: each for each in options.explainers(model, progress).values()}
    for each in usual:
        explainers[each.method].lam = each.lam
    try:
        found = wavelens.explain.evaluate(
            usual,
            model,
            explainers=[explainers[each.method] for each in usual],
            random_state=options.seed,
            progress=progress.bars,
        )
    except (WavelensError, RuntimeError, ValueError) as error:
        progress.check()
        _note(f"The evaluation was left out: {error}.", progress, notes)
        return None
    progress.check()
    return found


def _note(text: str, progress: WorkflowProgress, notes: list[str]) -> None:
    progress.note(text)
    notes.append(text)


def _expected_seconds(
    model: Model, images: ExplainedImages, explainers: Sequence[Any], n_lambdas: int
) -> float:
    """Time steps of the network on images, and multiply the quickest."""
    planes = images.planes[:_most_timed]
    n = len(planes)
    one = end = np.inf
    for i in count():
        start = time.perf_counter()
        if i == _set_up:
            end = start + _seconds_of_timing
        if start > end:
            break
        if model.has_gradient:
            outputs, pullback = model.forward(planes)
            pullback(np.zeros_like(outputs))
        else:
            model.predict(planes)
        one = min(one, (time.perf_counter() - start) / n)
    steps = 0.0
    for each in explainers:
        first = 2 if each.optimizer == "continuation" and model.has_gradient else 1
        price = 1 if model.has_gradient else _trials
        steps += (first + n_lambdas - 1) * each.n_steps * each.n_samples * price + _judging * n_lambdas
    return one * steps * len(images.names)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return "about a minute" if seconds > 30 else "less than a minute"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"
