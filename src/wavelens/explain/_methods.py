"""The rows of an evaluation: explanations as given, baselines, and how each is found again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice
from wavelens.explain._baselines import (
    Attribution,
    gradient_times_input,
    integrated_gradients,
    random_wavelet_mask,
    smooth_grad,
)
from wavelens.explain._curves import most_relevant, rank
from wavelens.explain._explainer import RateDistortion, masks_only
from wavelens.explain._given import explained, relevance_of, transform_of
from wavelens.explain._scores import Counted
from wavelens.wavelets import WaveletTransform

__all__ = ["BASELINES", "Method", "baseline_methods", "given_methods", "named"]

BASELINES = ("integrated_gradients", "smooth_grad", "gradient_times_input", "random_wavelet")
_titles = {
    "cartoonx": "CartoonX",
    "pixel_rde": "Pixel RDE",
    "integrated_gradients": "integrated gradients",
    "smooth_grad": "SmoothGrad",
    "gradient_times_input": "gradient × input",
    "random_wavelet": "random wavelets",
}

Array = npt.NDArray[Any]
# Relevance or masks (rows, k) again and how many images the model was shown: for a model, classes of the rows, a seed,
# the rows, the length of a search, and who is told of the share done.
Again = Callable[
    [Any, npt.NDArray[np.intp], int, npt.NDArray[np.intp], float, Callable[[float], None]], tuple[Array, int]
]


@dataclass(eq=False)
class Method:
    """One row: an order of the parts, and a mask if the method has one.

    Attributes
    ----------
    name : str
    source : Explanations or Attribution
    relevance : ndarray of shape (n, k)
    transform : WaveletTransform or None
    has_masks : bool
        Whether the relevance is a mask.
    usable : ndarray of bool, shape (n,)
        Which images have an explanation.
    again : callable or None
        Finds it for another model, other classes, another seed.
    by_chance : bool
        Whether it depends on a seed.
    """

    name: str
    source: Any
    relevance: Array
    transform: WaveletTransform | None
    has_masks: bool
    usable: npt.NDArray[np.bool_]
    again: Again | None
    by_chance: bool

    @property
    def basis(self) -> tuple[object, ...]:
        """What tells bases apart."""
        each = self.transform
        return () if each is None else (each.shape, each.wavelet, each.level, each.mode)

    def mask(self, i: int, share: float = 0.1) -> Array:
        """Return the mask of an image; without one that of the most relevant `share`."""
        if self.has_masks:
            return np.asarray(self.relevance[i])
        return most_relevant(rank(self.relevance[i], 0), round(share * self.relevance.shape[1]))


def given_methods(
    given: Mapping[str, Any], explainers: Sequence[Any] | None, notes: list[str]
) -> list[Method]:
    """Make rows of what the user explained."""
    if explainers is not None and len(explainers) != len(given):
        raise ValueError(
            f"`explainers` must be {len(given)}, one for each explanation, got {len(explainers)}"
        )
    methods, defaults = [], []
    for place, (name, each) in enumerate(given.items()):
        has_masks = hasattr(each, "masks")
        explainer = None if explainers is None else explainers[place]
        if explainer is None and has_masks and hasattr(each, "header"):
            explainer = _default_explainer(each)
            defaults.append(name)
        again = None if explainer is None else _explaining(explainer, each.images)
        if again is None and getattr(each, "method", "") in BASELINES:
            again = _again(each.method, each.images, transform_of(each))
        by_chance = has_masks or each.method in ("smooth_grad", "random_wavelet")
        methods.append(
            Method(
                name,
                each,
                relevance_of(each),
                transform_of(each),
                has_masks,
                explained(each),
                again,
                by_chance,
            )
        )
    if defaults:
        notes.append(
            f"Found again with the default search, as `explainers` does not say otherwise: {', '.join(defaults)}."
        )
    return methods


def _default_explainer(explanations: Any) -> Any:
    """Return an explainer with the λ, noise and transform of explanations, without a model as yet."""
    from wavelens.explain import CartoonX, PixelRDE

    header = explanations.header
    if explanations.method == "pixel_rde":
        return lambda model: PixelRDE(model, lam=explanations.lam, noise=explanations.noise)
    options = {name: header[name] for name in ("wavelet", "level", "mode")}
    return lambda model: CartoonX(model, lam=explanations.lam, noise=explanations.noise, **options)


def _explaining(explainer: Any, images: Array) -> Again:
    def again(
        model: Any, classes: Array, seed: int, rows: Array, share: float, told: Callable[[float], None]
    ) -> tuple[Array, int]:
        own = copy.copy(explainer) if hasattr(explainer, "explain") else explainer(model)
        own.model, own.random_state, own.progress = model, seed, False
        if isinstance(own, RateDistortion):
            own.n_steps = max(1, round(share * own.n_steps))
            if not isinstance(own.init, str) and np.ndim(own.init) == 2:
                own.init = own.init[rows]
            found = masks_only(own, images[rows], classes, told)
        else:
            found = own.explain(images[rows], classes)
        return relevance_of(found), int(np.sum(found.n_evaluations))

    return again


def baseline_methods(
    baselines: Sequence[str],
    counted: Counted,
    methods: Sequence[Method],
    targets: npt.NDArray[np.intp],
    random_state: int,
    notes: list[str],
) -> list[Method]:
    """Make rows of baselines for the images of the first method."""
    images = methods[0].source.images
    transform = next((each.transform for each in methods if each.transform is not None), None)
    found, skipped = [], []
    for name in baselines:
        check_choice(name, "baselines", BASELINES)
        if any(getattr(each.source, "method", "") == name for each in methods):
            continue
        if name != "random_wavelet" and not counted.has_gradient:
            skipped.append(_titles[name])
            continue
        each = _run(name, counted.model, images, targets, transform, random_state)
        counted.evaluations += int(each.n_evaluations.sum())
        found.append(
            Method(
                _titles[name],
                each,
                each.relevance(),
                each.transform,
                False,
                explained(each),
                _again(name, images, transform),
                name in ("smooth_grad", "random_wavelet"),
            )
        )
    if skipped:
        notes.append(f"The model gives no gradient: {', '.join(skipped)} were left out.")
    return found


def _again(name: str, images: Array, transform: WaveletTransform | None) -> Again:
    def again(
        model: Any, classes: Array, seed: int, rows: Array, share: float, told: Callable[[float], None]
    ) -> tuple[Array, int]:
        found = _run(name, model, images[rows], classes, transform, seed)
        return found.relevance(), int(found.n_evaluations.sum())

    return again


def _run(
    name: str, model: Any, images: Array, targets: Array, transform: WaveletTransform | None, seed: int
) -> Attribution:
    if name == "random_wavelet":
        options: dict[str, Any] = {}
        if transform is not None:
            options = {"wavelet": transform.wavelet, "level": transform.level, "mode": transform.mode}
        return random_wavelet_mask(images, targets, random_state=seed, **options)
    if name == "integrated_gradients":
        return integrated_gradients(model, images, targets)
    if name == "smooth_grad":
        return smooth_grad(model, images, targets, random_state=seed)
    return gradient_times_input(model, images, targets)


def named(explanations: Any) -> dict[str, Any]:
    """Return explanations by their names."""
    if isinstance(explanations, Mapping):
        given = {str(name): each for name, each in explanations.items()}
    else:
        listed = list(explanations) if isinstance(explanations, list | tuple) else [explanations]
        names = [_titles.get(each.method, str(each.method)) for each in listed if hasattr(each, "method")]
        if len(names) < len(listed):
            raise TypeError("`explanations` must be Explanations or Attributions, one or several")
        given = {}
        for name, each in zip(names, listed, strict=True):
            if names.count(name) > 1:
                name = f"{name}, λ = {each.lam:g}" if hasattr(each, "lam") else f"{name} {len(given) + 1}"
            given[name if name not in given else f"{name} ({len(given) + 1})"] = each
    if not given:
        raise ValueError("`explanations` must hold at least one")
    return given
