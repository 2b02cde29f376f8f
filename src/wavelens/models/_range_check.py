"""What a classifier says of images, shown before anything is explained; and whether another scale suits it better.

To feed a network the wrong range is the commonest mistake, and nothing fails: it answers, but nonsense. Then it
mostly takes all images for one class, or is hardly sure of anything. The same images on other usual scales tell.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens.exceptions import WavelensWarning
from wavelens.models._input_map import InputMap
from wavelens.models._model import Model
from wavelens.models._outputs import to_probabilities
from wavelens.models._preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

__all__ = ["RangeCheck", "RangeTrial", "check_range"]

Array = npt.NDArray[Any]
MOST_IMAGES = 16
# Fewer images may well be of one class.
FEW = 4
# The answers of a network that sees what it was trained on; found with ImageNet's and MNIST's networks under
# all wrong scales: one class takes nearly all, or the confidence is less than half of that on the right scale.
NEARLY_ALL = 0.75
LESS_SURE = 0.5
MOSTLY_THE_SAME = 0.5
# The same image answered twice, or beside others.
UNSTABLE = 1e-3


@dataclass(frozen=True)
class RangeTrial:
    """The answers on one scale.

    Attributes
    ----------
    scale : str
        In words.
    confidence : float
        Mean probability of the predicted class.
    n_classes : int
        Different classes predicted.
    commonest : float
        Share of the images taken for the class that is predicted most often.
    agreement : float
        Share of the images predicted as on the model's own scale.
    right : float or None
        Share predicted right, if the classes are known.
    """

    scale: str
    confidence: float
    n_classes: int
    commonest: float
    agreement: float
    right: float | None = None


@dataclass(frozen=True, eq=False)
class RangeCheck:
    """What a classifier says of images.

    Attributes
    ----------
    classes : ndarray of int, shape (n, k)
        Indices of the likeliest classes of each image.
    probabilities : ndarray of shape (n, k)
        Their probabilities.
    names : tuple of tuple of str
        Their names; the index where there are none.
    trial : RangeTrial
        Of the scale that the model has.
    others : tuple of RangeTrial
        Of other usual scales.
    suspicion : str
        In words what looks wrong; empty if nothing does.
    """

    classes: Array
    probabilities: Array
    names: tuple[tuple[str, ...], ...]
    trial: RangeTrial
    others: tuple[RangeTrial, ...]
    suspicion: str = ""

    def describe(self) -> str:
        """Tell it: a line for each image, and what is suspicious.

        Returns
        -------
        str
        """
        lines = []
        for i, (words, shares) in enumerate(zip(self.names, self.probabilities, strict=True)):
            said = ", ".join(f"{word} {share:.1%}" for word, share in zip(words, shares, strict=True))
            lines.append(f"image {i}: {said}")
        return "\n".join([*lines, self.suspicion] if self.suspicion else lines)


def check_range(
    model: Model, x: npt.ArrayLike, *, targets: Sequence[int] | None = None, k: int = 3, warn: bool = True
) -> RangeCheck:
    """Show what a classifier says of images, and try them on other scales.

    Parameters
    ----------
    model : Model
        As `open_model` gives it.
    x : ndarray of shape (n, channels, height, width)
        On the scale 0–1, see `Model.prepare`. The other scales are tried with up to 16 of them.
    targets : sequence of int, optional
        The right classes, where they are known.
    k : int
        How many classes to tell of each image.
    warn : bool
        Warn where something is suspicious.

    Returns
    -------
    RangeCheck

    Raises
    ------
    ValueError, TypeError, ModelError
        As `Model.predict`; or if `targets` are not classes of this model.

    Warns
    -----
    WavelensWarning
        If the predictions look as if the images were on a scale that the network was not trained with, or
        depend on chance or on the other images of a batch.

    Notes
    -----
    It costs one run of all images and, of up to 16 of them, one for each of four or five other scales.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.models import NumpyMLP, check_range
    >>> model = NumpyMLP([np.eye(4)], [np.zeros(4)], ["softmax"])
    >>> print(check_range(model, np.eye(4).reshape(4, 1, 2, 2), k=2).describe().splitlines()[0])
    image 0: 0 47.5%, 1 17.5%
    """
    check_integer(k, "k", low=1)
    outputs = model.predict(x)
    images = np.asarray(x)
    shares = to_probabilities(outputs, model.outputs)
    k = min(k, model.n_outputs)
    classes = np.argsort(-shares, axis=1, kind="stable")[:, :k]
    words = _names(model)
    right = None if targets is None else _targets(targets, len(images), model.n_outputs)
    few = np.unique(np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).astype(np.intp))
    known = None if right is None else right[few]
    trial = _trial(_scale(model), shares[few], shares[few], known)
    others = tuple(
        _trial(
            words_of_scale, to_probabilities(other.predict(images[few]), model.outputs), shares[few], known
        )
        for words_of_scale, other in _alternatives(model)
    )
    suspicion = " ".join(
        each for each in (_unstable(model, images, outputs), _suspicion(trial, others, len(few))) if each
    )
    if suspicion and warn:
        warnings.warn(f"{model.name}: {suspicion}", WavelensWarning, stacklevel=2)
    return RangeCheck(
        classes=classes,
        probabilities=np.take_along_axis(shares, classes, axis=1),
        names=tuple(tuple(words[j] for j in row) for row in classes.tolist()),
        trial=trial,
        others=others,
        suspicion=suspicion,
    )


def _names(model: Model) -> tuple[str, ...]:
    names = model.class_names
    return tuple(str(i) for i in range(model.n_outputs)) if names is None else names.names


def _targets(targets: Sequence[int], n: int, n_outputs: int) -> Array:
    right = np.asarray(targets)
    if right.dtype.kind not in "iu" or right.shape != (n,):
        raise ValueError(
            f"`targets` must hold one integer for each of the {n} images, got shape {right.shape}"
        )
    if right.min() < 0 or right.max() >= n_outputs:
        bad = right[(right < 0) | (right >= n_outputs)][0]
        raise ValueError(f"`targets` must be between 0 and {n_outputs - 1} (the model's classes), got {bad}")
    return right


def _trial(scale: str, shares: Array, own: Array, right: Array | None) -> RangeTrial:
    finite = np.isfinite(shares).all(axis=1)
    if not finite.any():
        return RangeTrial(scale, 0.0, 0, 1.0, 0.0, None if right is None else 0.0)
    predicted = shares[finite].argmax(axis=1)
    counts = np.unique(predicted, return_counts=True)[1]
    return RangeTrial(
        scale=scale,
        confidence=float(shares[finite].max(axis=1).mean()),
        n_classes=len(counts),
        commonest=float(counts.max() / len(shares)),
        agreement=float((predicted == own[finite].argmax(axis=1)).mean()),
        right=None if right is None else float((predicted == right[finite]).sum() / len(right)),
    )


def _alternatives(model: Model) -> list[tuple[str, Model]]:
    """Give the same network its images on the other usual scales."""
    own = model._map
    size = (int(model.input_shape[1] or 1), int(model.input_shape[2] or 1))
    color = {1: "grey", 3: "rgb"}.get(model.input_shape[0])
    color = model.preprocessing.color if model.preprocessing is not None else color
    if color is None:
        maps = [
            (
                f"values {low:g} to {high:g}",
                replace(own, factor=(high - low,), shift=(low,), reverse=False),
            )
            for low, high in _RANGES
        ]
    else:
        layout = "nhwc" if own.channels_last else "nchw"
        flat = bool(own.row_of)
        rules = [
            Preprocessing(size, color=color, value_range=each, layout=layout, flat=flat) for each in _RANGES
        ]
        if color != "grey":
            rules.append(_imagenet(size, color, layout).replace(flat=flat))
            if model.preprocessing is not None:
                swapped = {"rgb": "bgr", "bgr": "rgb"}[color]
                rules.append(model.preprocessing.replace(color=swapped))
        maps = [(_words(each), InputMap.of(each, own.dtype)) for each in rules]
    found = []
    for words, each in maps:
        if not _same(each, own):
            other = copy.copy(model)
            other._map = each
            found.append((words, other))
    return found


_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))


def _imagenet(size: tuple[int, int], color: str, layout: str) -> Preprocessing:
    step = -1 if color == "bgr" else 1
    return Preprocessing(
        size,
        color=color,
        value_range=(0.0, 1.0),
        mean=IMAGENET_MEAN[::step],
        std=IMAGENET_STD[::step],
        layout=layout,
    )


def _words(rule: Preprocessing) -> str:
    low, high = rule.value_range
    text = f"values {low:g} to {high:g}"
    if set(rule.mean) != {0.0} or set(rule.std) != {1.0}:
        mean, std = (", ".join(f"{each:g}" for each in values) for values in (rule.mean, rule.std))
        text += f", minus ({mean}), divided by ({std})"
    return text if rule.color == "grey" else f"{rule.color.upper()}, {text}"


def _scale(model: Model) -> str:
    if model.preprocessing is not None:
        return _words(model.preprocessing)
    return "RGB, values 0 to 1" if model.input_shape[0] == 3 else "values 0 to 1"


def _same(a: InputMap, b: InputMap) -> bool:
    pairs = ((a.factor, b.factor), (a.shift, b.shift))
    return a.reverse == b.reverse and all(bool(np.isclose(x, y).all()) for x, y in pairs)


def _unstable(model: Model, images: Array, outputs: Array) -> str:
    again = model.predict(images[:1])
    apart = float(np.abs(again - outputs[:1]).max())
    if apart <= UNSTABLE * max(1.0, float(np.abs(outputs[0]).max())) or np.isnan(apart):
        return ""
    return (
        f"The answer to one image is not always the same (outputs differ by {apart:.2g}): it depends on chance "
        "or on the other images of a batch. Is some layer in training mode?"
    )


def _suspicion(trial: RangeTrial, others: Sequence[RangeTrial], n: int) -> str:
    advice = "Is it what the network was trained with? Say so with `preprocessing`."
    if trial.right is not None and n >= FEW:
        best = max(others, key=lambda each: each.right or 0.0, default=trial)
        if (best.right or 0.0) >= max(2 * trial.right, trial.right + 0.25):
            return (
                f"With {trial.scale}, {trial.right:.0%} of the images are predicted right; with {best.scale}, "
                f"{best.right:.0%}. {advice}"
            )
        if trial.right >= 0.5:
            return ""
    # Of a single photo the confidence may well double when red and blue change places.
    order = trial.scale.partition(",")[0]
    same_order = [each for each in others if each.scale.partition(",")[0] == order or n >= FEW]
    lively = [each for each in same_order if n < FEW or each.commonest < NEARLY_ALL]
    # Larger inputs make any network surer of the same answers; that tells nothing.
    differing = [each for each in lively if each.agreement < MOSTLY_THE_SAME]
    best = max(differing, key=lambda each: each.confidence, default=trial)
    if n >= FEW and trial.commonest >= NEARLY_ALL and lively:
        most = max(lively, key=lambda each: each.n_classes)
        return (
            f"With {trial.scale}, {trial.commonest:.0%} of the {n} images are taken for the same class; with "
            f"{most.scale} there are {most.n_classes} classes. {advice}"
        )
    if trial.confidence < LESS_SURE * best.confidence:
        few = " Few images are but a hint." if n < FEW else ""
        return (
            f"With {trial.scale}, it is {trial.confidence:.0%} sure of its answers on average; with "
            f"{best.scale}, {best.confidence:.0%}. {advice}{few}"
        )
    return ""
