"""Explanations and baselines, measured side by side in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._progress import progress_share
from wavelens.explain._again import Again, chosen, find_again
from wavelens.explain._curves import SHARES, area
from wavelens.explain._evaluation import MEASURES, Curves, Evaluation
from wavelens.explain._given import optimality_of
from wavelens.explain._judge import CURVES, Judge, cost_of_judging
from wavelens.explain._methods import BASELINES, Method, baseline_methods, given_methods, named
from wavelens.explain._scores import Counted, as_planes

__all__ = ["evaluate"]

# Time of a step with the gradient, in predictions.
_gradient_price = 2.5

Array = npt.NDArray[Any]


def evaluate(
    explanations: Any,
    model: Any,
    *,
    explainers: Sequence[Any] | None = None,
    baselines: Sequence[str] = BASELINES,
    shares: npt.ArrayLike = SHARES,
    n_samples: int = 4,
    n_seeds: int = 1,
    random_model: bool = True,
    n_again: int | None = 3,
    again_share: float = 0.25,
    confidence: float = 0.95,
    random_state: int = 0,
    progress: bool | None = None,
    told: Callable[[float], None] | None = None,
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
    n_samples : int, default 4
        Draws of noise at each point of the rate–distortion curve; for a mask's own distortion four times as many.
    n_seeds : int, default 1
        How often a mask is found again with other random numbers; 0 for not at all.
    random_model : bool, default True
        Whether masks are found again for a model with shuffled weights, for its own answers.
    n_again : int or None, default 3
        On how many of the images masks are found again, evenly spread over them as they come; None: on all.
    again_share : float, default 0.25
        Length of the searches that find masks again, of an explainer's own: 1 for the same, which tells a little
        more in common (Notes).
    confidence : float, default 0.95
        Of the intervals over images.
    random_state : int, default 0
    progress : bool or None, default None
        Show a progress bar: True everywhere, False nowhere, None on a terminal.
    told : callable or None, default None
        Called with the share done, in place of the bar.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    Cost for each method and image: about ``(n_samples + 2) × (n_shares - 2) + 4 × n_samples`` predictions (64 by
    default); baselines 68 evaluations with gradient; and for each of `n_again` images and each mask
    ``n_seeds + random_model`` searches of `again_share` of an explanation's length (some 390 evaluations by
    default, where an explanation takes 1,400 with its report). Six photos, CartoonX, Pixel RDE and four baselines
    take 4,100 evaluations with gradient and 3,800 predictions, where explaining them at one λ takes 14,100 and
    2,800. ``n_again=None, again_share=1`` spares nothing.

    Short searches give masks that are not quite settled, and so have less in common with anything. On 16 digits and
    a small network, masks of full length had 0.68 (CartoonX) and 0.71 (Pixel RDE) in common with those of another
    seed and 0.17 and 0.11 with those of a random model; a quarter of the length gave 0.60, 0.67, 0.16 and 0.11: the
    same verdict. An eighth gave 0.52 and 0.61 for other seeds.

    A random model's answer may hardly depend on the image: its masks are next to empty then, which `notes` says.

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
    if n_again is not None:
        check_integer(n_again, "n_again", low=0)
    if not 0 < again_share <= 1:
        raise ValueError(f"`again_share` must be above 0 and at most 1, got {again_share}")
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
    with progress_share("evaluating", progress) as bar:
        show = told or bar or (lambda done: None)
        methods += baseline_methods(baselines, counted, methods, targets, random_state, notes)
        values = {each.key: np.full((len(methods), len(planes)), np.nan) for each in MEASURES}
        curves = {name: np.full((len(methods), len(planes), len(points)), np.nan) for name in CURVES}
        again = Again(chosen(usable, n_again), n_seeds, random_model, again_share, random_state)
        judging = _share_of_judging(again, methods, len(usable), points, n_samples)
        probabilities = np.full(len(planes), np.nan)
        if len(usable):
            probabilities[usable] = counted.of(planes[usable], targets[usable])
        judge = Judge(counted, points, n_samples, random_state)
        for place, i in enumerate(usable.tolist()):
            judge.image(i, planes[i], int(targets[i]), float(probabilities[i]), methods, values, curves)
            show(judging * (place + 1) / len(usable))
        judge.queue.finish()
        find_again(
            again,
            methods,
            values,
            counted,
            planes,
            targets,
            notes,
            lambda done: show(judging + (1 - judging) * done),
        )
        show(1.0)
    for row, method in enumerate(methods):
        values["evaluations"][row, usable] = np.asarray(method.source.n_evaluations)[usable]
    for name in CURVES:
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


def _share_of_judging(
    again: Again, methods: Sequence[Method], n_images: int, shares: Array, n_samples: int
) -> float:
    """Return how much of the time goes to judging, and not to finding masks again."""
    n_bases = len({method.basis for method in methods})
    judging = n_images * cost_of_judging(len(shares), n_samples, len(methods), n_bases)
    # What other explainers take is not known: the default is taken for all.
    searching = again.searches(methods) * len(again.rows) * again.share * 1245 * _gradient_price
    return judging / max(1.0, judging + searching)


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
