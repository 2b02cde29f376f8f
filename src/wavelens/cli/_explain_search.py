"""Explains and evaluates for ``wavelens explain``, and says how long it will take."""

from __future__ import annotations

import argparse
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from wavelens.cli import _interrupt
from wavelens.cli._explain_images import Images
from wavelens.cli._steps import Steps
from wavelens.exceptions import WavelensError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wavelens.explain import Evaluation, ExplanationPath
    from wavelens.models import Model

__all__ = ["evaluate_explanations", "explain_images"]

# What judging a mask takes, in steps with the gradient; trials of a search without, for each such step.
_judging = 100
_trials = 4
_most_timed = 16
# The first times a network is also set up; then it is timed for so long.
_set_up, _seconds_of_timing = 2, 1.0


def explain_images(
    options: argparse.Namespace,
    model: Model,
    images: Images,
    target: int | None,
    say: Steps,
    notes: list[str],
) -> list[ExplanationPath]:
    """Explain by each method that is asked for; a method that fails is noted, as long as one is left."""
    explainers = _explainers(options, model)
    n = len(images.names)
    what = " and ".join("wavelets" if name == "cartoonx" else "pixels" for name in explainers)
    seconds = _expected_seconds(model, images.pixels, list(explainers.values()), len(options.lambdas))
    say(
        f"explaining {n:,} {'image' if n == 1 else 'images'} in {what}, at {len(options.lambdas)} λ: "
        f"{_said_time(seconds)}"
    )
    paths, failures = [], []
    for name, explainer in explainers.items():
        if len(explainers) > 1:
            say("wavelets" if name == "cartoonx" else "pixels")
        lambdas = options.lambdas if name == "cartoonx" else options.pixel_lambdas
        try:
            paths.append(explainer.path(images.pixels, lambdas, target))
        except (WavelensError, RuntimeError) as error:
            _interrupt.check()
            failures.append(error)
            _tell(f"{name} was left out: {error}.", say, notes)
        _interrupt.check()
    if not paths:
        raise failures[0]
    for i, image in enumerate(images.names):
        stopped = {each.stopped[i] for path in paths for each in path.explanations}
        for reason in sorted(each for each in stopped if each.startswith("failed")):
            say.note(f"{image}: {reason}")
    return paths


def evaluate_explanations(
    options: argparse.Namespace, model: Model, paths: list[ExplanationPath], say: Steps, notes: list[str]
) -> Evaluation | None:
    """Evaluate at the usual λ; the explanations are worth keeping even if that fails."""
    from wavelens.explain import evaluate
    from wavelens.report import usual_explanations

    say("measuring how far to trust them, beside other methods (--no-evaluate leaves this out)")
    try:
        found = evaluate(
            [usual_explanations(path) for path in paths],
            model,
            explainers=_usual_explainers(options, model, paths),
            random_state=options.seed,
            progress=False if options.quiet else None,
        )
    except (WavelensError, RuntimeError, ValueError) as error:
        _interrupt.check()
        _tell(f"The evaluation was left out: {error}.", say, notes)
        return None
    _interrupt.check()
    return found


def _tell(text: str, say: Steps, notes: list[str]) -> None:
    say.note(text)
    notes.append(text)


def _explainers(options: argparse.Namespace, model: Model) -> dict[str, Any]:
    """Make them all before the first works: what is wrong with the options is said at once."""
    from wavelens.explain import CartoonX, PixelRDE

    common: dict[str, Any] = {
        "noise": options.noise,
        "distortion": options.distortion,
        "preset": None if options.preset == "default" else options.preset,
        "n_steps": options.steps,
        "n_samples": options.samples,
        "random_state": options.seed,
        "memory_limit": options.memory,
        "progress": False if options.quiet else None,
    }
    found: dict[str, Any] = {}
    for name in options.method:
        if name == "cartoonx":
            found[name] = CartoonX(model, wavelet=options.wavelet, **common)
        else:
            found[name] = PixelRDE(model, **common)
    return found


def _usual_explainers(options: argparse.Namespace, model: Model, paths: list[ExplanationPath]) -> list[Any]:
    """Return explainers that find masks again as these were found, at the λ that suits most images."""
    from wavelens.report import usual_explanations

    made = {each.method: each for each in _explainers(options, model).values()}
    usual = [usual_explanations(path) for path in paths]
    for each in usual:
        made[each.method].lam = each.lam
    return [made[each.method] for each in usual]


def _expected_seconds(
    model: Model, pixels: npt.NDArray[np.float32], explainers: list[Any], n_lambdas: int
) -> float:
    """Time steps of the network on images, and multiply the quickest."""
    import numpy as np

    n = min(len(pixels), _most_timed)
    planes = pixels[:n, None] if pixels.ndim == 3 else np.moveaxis(pixels[:n], 3, 1)
    planes = np.ascontiguousarray(planes)
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
    return one * steps * len(pixels)


def _said_time(seconds: float) -> str:
    if seconds < 90:
        return "about a minute" if seconds > 30 else "less than a minute"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"
