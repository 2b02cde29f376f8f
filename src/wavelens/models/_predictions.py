"""Whether a network makes sense of its images: the commonest mistake is to feed it the wrong range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.models._class_names import ClassNames

__all__ = ["PredictionCheck", "check_predictions", "output_of_classes", "target_indices"]

Codes = npt.NDArray[np.intp]
CLASS_OUTPUTS = ("logit", "prob", "softmax", "score", "class", "prediction")
# Below this share of right answers (or little more than chance, where the classes are few) something is wrong
# with nearly every trained network; the same if one class takes most images of several classes.
LEAST_RIGHT = 0.25
CHANCES = 1.2
MOST_OF_ONE = 0.6
# With fewer images nothing is concluded.
FEWEST = 20


@dataclass(frozen=True)
class PredictionCheck:
    """What the network took the images for.

    Attributes
    ----------
    output : str
        The layer with one value for each class.
    n_classes : int
        Values that it has.
    top1, top5 : float or None
        Share of images whose class is the first, or among the first five; None where it is not known which
        outputs the classes are.
    n_judged : int
        Images behind `top1`.
    commonest : tuple of (str, float)
        The class predicted most often, and for which share of the images.
    examples : tuple of (str, str, str)
        A few images: file name, class, predicted class.
    suspicion : str
        In words what looks wrong; empty if nothing does.
    """

    output: str
    n_classes: int
    top1: float | None
    top5: float | None
    n_judged: int
    commonest: tuple[str, float]
    examples: tuple[tuple[str, str, str], ...]
    suspicion: str = ""

    def describe(self) -> str:
        """Tell it in one or two sentences.

        Returns
        -------
        str
        """
        if self.top1 is not None and self.top5 is not None:
            text = (
                f"{self.top1:.1%} of {self.n_judged:,} images are predicted right, {self.top5:.1%} among the "
                f"first five (output {self.output!r})"
            )
        else:
            text = f"{self.commonest[1]:.0%} of the images are taken for {self.commonest[0]!r}"
            text += f" (output {self.output!r})"
        return f"{text}. {self.suspicion}" if self.suspicion else f"{text}."

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON takes it.

        Returns
        -------
        dict
        """
        values = asdict(self)
        return values | {"commonest": list(self.commonest), "examples": [list(e) for e in self.examples]}


def output_of_classes(shapes: dict[str, tuple[int, ...]], n_classes: int | None) -> str | None:
    """Find the output that holds one value for each class.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Of the network's own outputs, for one image.
    n_classes : int, optional
        How many classes it should have.

    Returns
    -------
    str or None
        The only one of this width, else one of a telling name.
    """
    flat = {name: shape[0] for name, shape in shapes.items() if len(shape) == 1 and shape[0] > 1}
    fitting = [name for name, width in flat.items() if width == n_classes]
    telling = [name for name in flat if any(each in name.casefold() for each in CLASS_OUTPUTS)]
    both = [name for name in telling if name in fitting]
    if n_classes is not None:
        return both[0] if both else fitting[0] if len(fitting) == 1 else None
    return telling[0] if telling else None


def target_indices(
    class_names: Sequence[str], names: ClassNames | None, n_outputs: int
) -> tuple[int | None, ...] | None:
    """Find which output each class of a dataset is.

    Parameters
    ----------
    class_names : sequence of str
        Of the dataset.
    names : ClassNames or None
        Of the network's outputs.
    n_outputs : int
        Their number.

    Returns
    -------
    tuple of (int or None), or None
        By the names; without names, in order, where there are as many classes as outputs.
    """
    if names is not None and len(names) == n_outputs:
        found = tuple(names.index_of(each) for each in class_names)
        if any(each is not None for each in found):
            return found
        return None
    return tuple(range(n_outputs)) if len(class_names) == n_outputs else None


def check_predictions(
    output: str,
    values: npt.NDArray[Any],
    labels: Codes | None,
    class_names: Sequence[str],
    file_names: Sequence[str],
    names: ClassNames | None = None,
) -> PredictionCheck:
    """Compare what a network says with what is known.

    Parameters
    ----------
    output : str
        Name of the layer.
    values : ndarray of shape (n, n_outputs)
        Its values.
    labels : ndarray of int, shape (n,), optional
        Codes into `class_names`.
    class_names, file_names : sequence of str
        Of the dataset.
    names : ClassNames, optional
        Of the outputs.

    Returns
    -------
    PredictionCheck
    """
    n_outputs = values.shape[1]
    words = (
        names.names if names is not None and len(names) == n_outputs else [str(i) for i in range(n_outputs)]
    )
    predicted = values.argmax(axis=1)
    counts = np.bincount(predicted, minlength=n_outputs)
    commonest = (str(words[int(counts.argmax())]), float(counts.max() / len(values)))
    targets = None if labels is None else target_indices(class_names, names, n_outputs)
    top1 = top5 = None
    judged = np.empty(0, np.intp)
    n_labelled = 1
    if labels is not None and targets is not None:
        target = np.array([-1 if each is None else each for each in targets])[labels]
        judged = np.flatnonzero(target >= 0)
        n_labelled = len(np.unique(target[judged]))
        first = np.argpartition(-values[judged], min(4, n_outputs - 1), axis=1)[:, :5]
        top1 = float(np.mean(predicted[judged] == target[judged]))
        top5 = float(np.mean((first == target[judged, np.newaxis]).any(axis=1)))
    some = np.unique(np.linspace(0, len(values) - 1, min(5, len(values))).astype(np.intp))
    examples = tuple(
        (
            str(file_names[i]),
            "" if labels is None else str(class_names[labels[i]]),
            str(words[int(predicted[i])]),
        )
        for i in some
    )
    suspicion = ""
    if len(values) >= FEWEST:
        suspicion = _suspicion(
            top1, commonest, n_labelled if top1 is not None else len(class_names), n_outputs
        )
    return PredictionCheck(output, n_outputs, top1, top5, len(judged), commonest, examples, suspicion)


def _suspicion(top1: float | None, commonest: tuple[str, float], n_labelled: int, n_outputs: int) -> str:
    advice = "Are range, mean and order of the channels what the network was trained with?"
    if top1 is not None and top1 < max(LEAST_RIGHT if n_outputs >= 10 else 0.0, CHANCES / n_outputs):
        return f"So few suggest that it is fed wrongly. {advice}"
    if top1 is None and n_labelled > 2 and commonest[1] > MOST_OF_ONE:
        return f"So many of one class suggest that it is fed wrongly. {advice}"
    return ""
