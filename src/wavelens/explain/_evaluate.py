"""Explanations and baselines, measured side by side in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._progress import progress_bar
from wavelens.explain._curves import SHARES, area, most_relevant, rank
from wavelens.explain._evaluation import MEASURES, Curves, Evaluation
from wavelens.explain._given import optimality_of
from wavelens.explain._judge import Judge
from wavelens.explain._measures import overlap
from wavelens.explain._methods import BASELINES, Method, baseline_methods, given_methods, named
from wavelens.explain._randomized import other_classes, randomized
from wavelens.explain._scores import Counted, as_planes

__all__ = ["evaluate"]

_curve_names = ("rate_distortion", "insertion", "deletion")

Array = npt.NDArray[Any]


def evaluate(
    explanations: Any,
    model: Any,
    *,
    explainers: Sequence[Any] | None = None,
    baselines: Sequence[str] = BASELINES,
    shares: npt.ArrayLike = SHARES,
    n_samples: int = 8,
    n_seeds: int = 1,
    random_model: bool = True,
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
    explainers : sequence of CartoonX or PixelRDE, or None, default None
        What made the explanations, one each: they are asked again, for a model with shuffled weights and with
        other seeds. None: explainers with the same λ, noise and transform, and the default search.
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
    Cost for each method and image: about ``(n_samples + 2) × (n_shares - 2) + 2 × n_samples`` evaluations of the
    model; ``n_seeds + random_model`` explanations more; baselines some dozens with gradient.

    Noise is Gaussian with mean and deviation of each band (pixels: of the image), the same for all methods in
    one basis. Insertion and deletion replace what is left out by that mean. A model that only predicts has no
    gradients: baselines that need them are left out, and `notes` says so.

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
    given = named(explanations)
    first = next(iter(given.values()))
    check_integer(n_samples, "n_samples", low=1)
    check_integer(n_seeds, "n_seeds", low=0)
    check_integer(random_state, "random_state", low=0)
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be between 0 and 1, got {confidence}")
    points = _checked_shares(shares)
    planes = as_planes(first.images)
    targets = np.asarray(first.targets, np.intp)
    _check_same(given, first)
    counted = Counted(model)
    notes: list[str] = []
    methods = given_methods(given, explainers, notes)
    usable = np.flatnonzero(methods[0].usable)
    if len(usable) < len(planes):
        notes.append(
            f"{len(planes) - len(usable)} of {len(planes)} images have no explanation and do not count."
        )
    for method in methods:
        _check_basis(method, planes)
    methods += baseline_methods(baselines, counted, methods, targets, random_state, notes)
    probabilities = np.full(len(planes), np.nan)
    if len(usable):
        probabilities[usable] = counted.of(planes[usable], targets[usable])
    values = {each.key: np.full((len(methods), len(planes)), np.nan) for each in MEASURES}
    curves = {name: np.full((len(methods), len(planes), len(points)), np.nan) for name in _curve_names}
    judge = Judge(counted, points, n_samples, random_state)
    with progress_bar(len(usable), "Evaluating", progress) as bar:
        for i in usable.tolist():
            judge.begin(i, planes[i], int(targets[i]), float(probabilities[i]), methods)
            share = float(methods[0].mask(i).mean())
            for row, method in enumerate(methods):
                if method.usable[i]:
                    judge.measure(row, method, method.mask(i, share), values, curves)
            bar.update()
    _find_again(methods, values, counted, targets, usable, n_seeds, random_model, random_state, notes)
    for row, method in enumerate(methods):
        values["evaluations"][row, usable] = np.asarray(method.source.n_evaluations)[usable]
    for name in _curve_names:
        values[name][:] = area(points, curves[name])
    return Evaluation(
        rows=tuple(each.name for each in methods),
        columns=tuple(each for each in MEASURES if np.isfinite(values[each.key]).any()),
        values={key: each for key, each in values.items() if np.isfinite(each).any()},
        curves={name: Curves(points, each) for name, each in curves.items()},
        optimality={
            each.name: tuple(
                optimality_of(each.source, i) if each.usable[i] else None for i in range(len(planes))
            )
            for each in methods
            if hasattr(each.source, "empty_distortions")
        },
        targets=targets,
        probabilities=probabilities,
        n_evaluations=counted.evaluations,
        confidence=confidence,
        notes=tuple(notes),
    )


def _find_again(
    methods: Sequence[Method],
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
    other, classes = (
        _without_learning(counted, targets, random_state, notes) if random_model else (None, targets)
    )
    lacking = [each.name for each in methods if each.again is None]
    if lacking and (random_model or n_seeds):
        notes.append(f"Not found again, as how they were made is not known: {', '.join(lacking)}.")
    for row, method in enumerate(methods):
        if method.again is None:
            continue
        if other is not None:
            found = method.again(other, classes, random_state)
            values["randomized_model"][row, usable] = _common(methods[0], method, found, usable)
        if n_seeds and not method.by_chance:
            values["seeds"][row, usable] = 1.0
        elif n_seeds:
            each = [
                _common(
                    methods[0], method, method.again(counted.model, targets, random_state + 1 + s), usable
                )
                for s in range(n_seeds)
            ]
            values["seeds"][row, usable] = np.mean(each, axis=0)


def _without_learning(
    counted: Counted, targets: npt.NDArray[np.intp], random_state: int, notes: list[str]
) -> tuple[Any, npt.NDArray[np.intp]]:
    """Return the model with its weights shuffled, or else the model itself and other classes."""
    other = randomized(counted.model, random_state)
    if other is not None:
        notes.append("The random model has the weights of every layer shuffled; biases are kept.")
        return other, targets
    n_outputs = getattr(counted.model, "n_outputs", None)
    if n_outputs is None or n_outputs < 2:
        notes.append("The model’s weights are not at hand: the random model was left out.")
        return None, targets
    notes.append(
        "The model’s weights are not at hand to be shuffled: in place of a random model’s, masks for classes drawn "
        "at random are compared."
    )
    return counted.model, other_classes(targets, n_outputs, random_state)


def _common(reference: Method, method: Method, found: Array, usable: Array) -> Array:
    """Return for each image what two masks of a method have in common."""
    out = np.full(len(usable), np.nan)
    for place, i in enumerate(usable.tolist()):
        if not (method.usable[i] and np.isfinite(found[i]).all()):
            continue
        mask = method.mask(i, float(reference.mask(i).mean()))
        again = found[i] if method.has_masks else most_relevant(rank(found[i], 0), int(mask.sum()))
        out[place] = overlap(mask, again)
    return out


def _check_same(given: Mapping[str, Any], first: Any) -> None:
    for name, each in given.items():
        if each.images.shape != first.images.shape or not np.array_equal(each.images, first.images):
            raise ValueError(f"`explanations` must be of the same images, got others in {name!r}")
        if not np.array_equal(each.targets, first.targets):
            raise ValueError(f"`explanations` must be of the same targets, got others in {name!r}")


def _check_basis(method: Method, planes: Array) -> None:
    size = planes.shape[2] * planes.shape[3] if method.transform is None else method.transform.n_coefficients
    if method.relevance.shape != (len(planes), size):
        raise ValueError(
            f"`explanations`: {method.name!r} must have shape ({len(planes)}, {size}), got {method.relevance.shape}"
        )


def _checked_shares(shares: npt.ArrayLike) -> Array:
    points = np.asarray(shares, np.float64)
    if (
        points.ndim != 1
        or len(points) < 3
        or points[0] != 0
        or points[-1] != 1
        or (np.diff(points) <= 0).any()
    ):
        raise ValueError(f"`shares` must rise from 0 to 1, got {shares!r}")
    return points
