"""Explanations and baselines, measured side by side in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens._progress import progress_bar
from wavelens.explain._baselines import (
    Attribution,
    gradient_times_input,
    integrated_gradients,
    random_wavelet_mask,
    smooth_grad,
)
from wavelens.explain._curves import SHARES, area, deletion, insertion, most_relevant, rank, rate_distortion
from wavelens.explain._evaluation import MEASURES, Curves, Evaluation
from wavelens.explain._measures import conciseness_preciseness, hallucination, information, overlap
from wavelens.explain._optimality import Optimality, optimality
from wavelens.explain._parts import ImageParts
from wavelens.explain._randomized import other_classes, randomized
from wavelens.explain._scores import Counted, as_planes
from wavelens.wavelets import WaveletTransform

__all__ = ["BASELINES", "evaluate"]

BASELINES = ("integrated_gradients", "smooth_grad", "gradient_times_input", "random_wavelet")
_titles = {
    "cartoonx": "CartoonX",
    "pixel_rde": "Pixel RDE",
    "integrated_gradients": "integrated gradients",
    "smooth_grad": "SmoothGrad",
    "gradient_times_input": "gradient × input",
    "random_wavelet": "random wavelets",
}
_curve_names = ("rate_distortion", "insertion", "deletion")

Array = npt.NDArray[Any]
# Relevance or masks (n, k) again, for a model, classes and a seed.
Again = Callable[[Any, npt.NDArray[np.intp], int], Array]


@dataclass(eq=False)
class _Method:
    """One row: an order of the parts, and a mask if the method has one."""

    name: str
    relevance: Array
    transform: WaveletTransform | None
    masks: Array | None
    lam: float | None
    evaluations: Array
    again: Again | None
    by_chance: bool

    @property
    def basis(self) -> tuple[object, ...]:
        each = self.transform
        return () if each is None else (each.shape, each.wavelet, each.level, each.mode)


def evaluate(
    explanations: Any,
    model: Any,
    *,
    baselines: Sequence[str] = BASELINES,
    shares: npt.ArrayLike = SHARES,
    n_samples: int = 8,
    n_seeds: int = 1,
    random_model: bool = True,
    optimal: bool = True,
    confidence: float = 0.95,
    random_state: int = 0,
    progress: bool | None = None,
) -> Evaluation:
    """Measure how far explanations can be trusted, beside the baselines.

    Parameters
    ----------
    explanations : Explanations, Attribution, sequence or dict of them
        All of the same images and targets; a dict gives them their names. The first is the reference: methods
        without a mask keep as large a share of their parts as its masks do.
    model : Model
        The one that was explained.
    baselines : sequence of str
        Of "integrated_gradients", "smooth_grad", "gradient_times_input", "random_wavelet".
    shares : array of shape (n_shares,)
        Shares of parts kept at which the curves are taken, rising from 0 to 1.
    n_samples : int, default 8
        Draws of noise at each point of the rate–distortion curve; for a mask's own distortion twice as many.
    n_seeds : int, default 1
        How often a mask is found again with other random numbers; 0 for not at all.
    random_model : bool, default True
        Whether masks are found again for a model with shuffled weights.
    optimal : bool, default True
        Whether masks are judged as minimisers of their objective; needs gradients.
    confidence : float, default 0.95
        Of the intervals over images.
    random_state : int, default 0
    progress : bool or None, default None
        Show a progress bar: True everywhere, False nowhere, None on a terminal.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    Cost for each method and image: about ``(n_samples + 2) × n_shares + 3 × n_samples`` evaluations of the
    model; ``n_seeds + random_model`` explanations more; baselines some dozens with gradient.

    Noise is Gaussian with mean and deviation of each band (pixels: of the image), the same for all methods in
    one basis. Insertion and deletion replace what is left out by that mean. A model that only predicts has no
    gradients: baselines that need them and optimality are left out, and `notes` says so.

    Source: S. Kolek et al., *Cartoon Explanations of Image Classifiers*, ECCV 2022 (rate–distortion curve,
    equation 5 for the distortion); V. Petsiuk, A. Das, K. Saenko, *RISE*, BMVC 2018 (insertion, deletion).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.explain import evaluate, random_wavelet_mask
    >>> class Left:  # the probability of class 0 is the mean of the left half
    ...     def predict(self, x):
    ...         p = x[..., : x.shape[3] // 2].mean(axis=(1, 2, 3))
    ...         return np.stack([p, 1 - p], axis=1)
    >>> images = np.random.default_rng(0).random((3, 16, 16))
    >>> masks = random_wavelet_mask(images, 0, wavelet="haar", level=2)
    >>> found = evaluate(masks, Left(), baselines=())
    >>> found.rows
    ('random wavelets',)
    >>> found.summary("random wavelets", "rate_distortion").n
    3
    """
    given = _named(explanations)
    first = next(iter(given.values()))
    check_integer(n_samples, "n_samples", low=1)
    check_integer(n_seeds, "n_seeds", low=0)
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be between 0 and 1, got {confidence}")
    points = _checked_shares(shares)
    planes = as_planes(first.images)
    targets = np.asarray(first.targets, np.intp)
    _check_same(given, first)
    counted = Counted(model)
    probabilities = np.full(len(planes), np.nan)
    usable = np.flatnonzero(np.isfinite(_values(first)).all(axis=1))
    probabilities[usable] = counted.of(planes[usable], targets[usable])
    notes: list[str] = []
    if len(usable) < len(planes):
        notes.append(f"{len(planes) - len(usable)} of {len(planes)} images have no explanation and do not count.")
    methods = [_of_explanation(name, each) for name, each in given.items()]
    methods += _baseline_methods(baselines, counted, first, methods, random_state, notes)
    for method in methods:
        _check_basis(method, planes)
    judge = _Judge(counted, planes, targets, probabilities, points, n_samples, random_state)
    reference = methods[0]
    values = {each.key: np.full((len(methods), len(planes)), np.nan) for each in MEASURES}
    curves = {name: np.full((len(methods), len(planes), len(points)), np.nan) for name in _curve_names}
    found_optimal: dict[str, list[Optimality | None]] = {
        each.name: [None] * len(planes)
        for each in methods
        if optimal and counted.has_gradient and each.masks is not None and each.lam is not None
    }
    if optimal and not counted.has_gradient:
        notes.append("The model gives no gradient: how near the masks are to an optimum was left out.")
    with progress_bar(len(usable), "Evaluating", progress) as bar:
        for i in usable:
            judge.begin(int(i), methods)
            share = float(_mask(reference, i, None).mean())
            for row, method in enumerate(methods):
                if not np.isfinite(method.relevance[i]).all():
                    continue
                mask = _mask(method, i, share)
                judge.measure(row, method, mask, values, curves)
                if method.name in found_optimal:
                    found_optimal[method.name][i] = judge.optimality(method, mask)
            bar.update()
    _overlaps(methods, values, counted, targets, usable, n_seeds, random_model, random_state, notes)
    for row, method in enumerate(methods):
        values["evaluations"][row, usable] = method.evaluations[usable]
    for name in _curve_names:
        values[name][:] = area(points, curves[name])
    return Evaluation(
        rows=tuple(each.name for each in methods),
        columns=tuple(each for each in MEASURES if np.isfinite(values[each.key]).any()),
        values={key: each for key, each in values.items() if np.isfinite(each).any()},
        curves={name: Curves(points, each) for name, each in curves.items()},
        optimality={name: tuple(each) for name, each in found_optimal.items()},
        targets=targets,
        probabilities=probabilities,
        n_evaluations=counted.evaluations,
        confidence=confidence,
        notes=tuple(notes),
    )


class _Judge:
    """Measures one image after the other; what all methods of a basis share is found once."""

    def __init__(
        self,
        counted: Counted,
        planes: Array,
        targets: Array,
        probabilities: Array,
        shares: Array,
        n_samples: int,
        random_state: int,
    ) -> None:
        self.counted, self.planes, self.targets = counted, planes, targets
        self.probabilities, self.shares, self.n_samples = probabilities, shares, n_samples
        self.random_state = random_state

    def begin(self, index: int, methods: Sequence[_Method]) -> None:
        """Take the next image: its parts in each basis, and the ends of the curves."""
        self.index = index
        self.target, self.score = int(self.targets[index]), float(self.probabilities[index])
        self.grey = self.planes[index].mean(axis=0)
        self.parts = {each.basis: ImageParts(self.planes[index], each.transform) for each in methods}
        self.ends: dict[tuple[object, ...], tuple[float, float, float, float]] = {}
        for basis, parts in self.parts.items():
            none = np.arange(parts.size)
            ends = np.array([0.0, 1.0])
            distortion = rate_distortion(
                self.counted, parts, none, self.target, self.score, ends, 2 * self.n_samples, self._seed(0)
            )
            put_in = insertion(self.counted, parts, none, self.target, ends)
            self.ends[basis] = (*distortion, *put_in)

    def _seed(self, what: int) -> tuple[int, ...]:
        return (self.random_state, self.index, what)

    def measure(
        self,
        row: int,
        method: _Method,
        mask: Array,
        values: dict[str, Array],
        curves: dict[str, Array],
    ) -> None:
        """Fill in what one method gets for this image."""
        i, parts = self.index, self.parts[method.basis]
        order = rank(method.relevance[i], self.random_state)
        inner = self.shares[1:-1]
        d0, d1, p0, p1 = self.ends[method.basis]
        arguments = (self.counted, parts, order, self.target)
        bent = rate_distortion(*arguments, self.score, inner, self.n_samples, self._seed(1))
        curves["rate_distortion"][row, i] = [d0, *bent, d1]
        curves["insertion"][row, i] = [p0, *insertion(*arguments, inner), p1]
        curves["deletion"][row, i] = [p1, *deletion(*arguments, inner), p0]
        values["rate"][row, i] = mask.mean()
        values["distortion"][row, i] = self._distortion(parts, mask)
        kept = parts.keep(mask[None])
        grey = ImageParts(self.grey[None], method.transform).keep(mask[None])[0, 0]
        probability = float(self.counted.of(np.clip(kept, 0, 1), np.array([self.target]))[0])
        values["conciseness_preciseness"][row, i] = conciseness_preciseness(
            self.score, probability, information(self.grey, grey)
        )
        values["hallucination"][row, i] = hallucination(self.grey, grey)

    def _distortion(self, parts: ImageParts, mask: Array) -> float:
        n = 2 * self.n_samples
        noise = parts.noise(n, np.random.default_rng([*self._seed(2), 0]))
        obscured = parts.obscure(np.broadcast_to(mask, (n, parts.size)), noise)
        return float(np.mean((self.counted.of(obscured, np.full(n, self.target)) - self.score) ** 2))

    def optimality(self, method: _Method, mask: Array) -> Optimality:
        """Judge a mask as a minimiser."""
        assert method.lam is not None
        return optimality(
            self.counted,
            self.parts[method.basis],
            mask,
            method.lam,
            self.target,
            self.score,
            n_samples=max(16, 2 * self.n_samples),
            random_state=self._seed(3),
        )


def _mask(method: _Method, i: int, share: float | None) -> Array:
    """Return the method's mask of an image; without one the most relevant `share`, by default a tenth."""
    if method.masks is not None:
        return np.asarray(method.masks[i])
    k = method.relevance.shape[1]
    return most_relevant(rank(method.relevance[i], 0), round((0.1 if share is None else share) * k))


def _overlaps(
    methods: Sequence[_Method],
    values: dict[str, Array],
    counted: Counted,
    targets: npt.NDArray[np.intp],
    usable: Array,
    n_seeds: int,
    random_model: bool,
    random_state: int,
    notes: list[str],
) -> None:
    """Find masks again, for a model that has learnt nothing and with other seeds, and compare."""
    other, classes = None, targets
    if random_model:
        other = randomized(counted.model, random_state)
        if other is None:
            n_outputs = getattr(counted.model, "n_outputs", None)
            if n_outputs is None or n_outputs < 2:
                random_model = False
                notes.append("The model's weights are not at hand: the random model was left out.")
            else:
                other, classes = counted.model, other_classes(targets, n_outputs, random_state)
                notes.append(
                    "The model's weights are not at hand to be shuffled: in place of a random model its masks for "
                    "classes drawn at random are compared."
                )
        else:
            notes.append("The random model has the weights of every layer shuffled, biases kept.")
    lacking = [each.name for each in methods if each.again is None]
    if lacking and (random_model or n_seeds):
        notes.append(f"Not found again, as how they were made is not known: {', '.join(lacking)}.")
    for row, method in enumerate(methods):
        if method.again is None:
            continue
        if random_model:
            found = method.again(other, classes, random_state)
            values["randomized_model"][row, usable] = _common(methods[0], method, found, usable)
        if n_seeds and method.by_chance:
            each = [
                _common(methods[0], method, method.again(counted.model, targets, random_state + 1 + s), usable)
                for s in range(n_seeds)
            ]
            values["seeds"][row, usable] = np.mean(each, axis=0)
        elif n_seeds:
            values["seeds"][row, usable] = 1.0


def _common(reference: _Method, method: _Method, found: Array, usable: Array) -> Array:
    out = np.full(len(usable), np.nan)
    for place, i in enumerate(usable):
        if not (np.isfinite(found[i]).all() and np.isfinite(method.relevance[i]).all()):
            continue
        share = float(_mask(reference, i, None).mean())
        mask = _mask(method, i, share)
        if method.masks is not None:
            out[place] = overlap(mask, found[i])
        else:
            out[place] = overlap(mask, most_relevant(rank(found[i], 0), int(mask.sum())))
    return out


def _named(explanations: Any) -> dict[str, Any]:
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


def _values(explanation: Any) -> Array:
    if hasattr(explanation, "masks"):
        return np.asarray(explanation.masks)
    return np.asarray(explanation.relevance())


def _check_same(given: Mapping[str, Any], first: Any) -> None:
    for name, each in given.items():
        if each.images.shape != first.images.shape or not np.array_equal(each.images, first.images):
            raise ValueError(f"`explanations` must be of the same images, got others in {name!r}")
        if not np.array_equal(each.targets, first.targets):
            raise ValueError(f"`explanations` must be of the same targets, got others in {name!r}")


def _check_basis(method: _Method, planes: Array) -> None:
    size = planes.shape[2] * planes.shape[3] if method.transform is None else method.transform.n_coefficients
    if method.relevance.shape != (len(planes), size):
        raise ValueError(
            f"`explanations`: {method.name!r} must have shape ({len(planes)}, {size}), got {method.relevance.shape}"
        )


def _checked_shares(shares: npt.ArrayLike) -> Array:
    points = np.asarray(shares, np.float64)
    if points.ndim != 1 or len(points) < 2 or points[0] != 0 or points[-1] != 1 or (np.diff(points) <= 0).any():
        raise ValueError(f"`shares` must rise from 0 to 1, got {shares!r}")
    return points


def _of_explanation(name: str, each: Any) -> _Method:
    """Make a row of what the user explained."""
    values = _values(each)
    has_mask = hasattr(each, "masks")
    again = getattr(each, "again", None)
    n = len(values)
    return _Method(
        name,
        values,
        getattr(each, "transform", None),
        values if has_mask else None,
        float(each.lam) if has_mask else None,
        np.broadcast_to(each.n_evaluations, (n,)),
        again,
        has_mask,
    )


def _baseline_methods(
    baselines: Sequence[str],
    counted: Counted,
    first: Any,
    methods: Sequence[_Method],
    random_state: int,
    notes: list[str],
) -> list[_Method]:
    images, targets = first.images, np.asarray(first.targets, np.intp)
    transform = next((each.transform for each in methods if each.transform is not None), None)
    found, skipped = [], []
    for name in baselines:
        check_choice(name, "baselines", BASELINES)
        if name != "random_wavelet" and not counted.has_gradient:
            skipped.append(_titles[name])
            continue

        def again(model: Any, classes: Array, seed: int, name: str = name) -> Array:
            return _run_baseline(name, model, images, classes, transform, seed).relevance()

        attribution = _run_baseline(name, counted, images, targets, transform, random_state)
        found.append(
            _Method(
                _titles[name],
                attribution.relevance(),
                attribution.transform,
                None,
                None,
                attribution.n_evaluations,
                again,
                name in ("smooth_grad", "random_wavelet"),
            )
        )
    if skipped:
        notes.append(f"The model gives no gradient: {', '.join(skipped)} were left out.")
    return found


def _run_baseline(
    name: str, model: Any, images: Array, targets: Array, transform: WaveletTransform | None, seed: int
) -> Attribution:
    if isinstance(model, Counted):
        model = model.model
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
