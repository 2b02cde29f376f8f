"""Which of a network's outputs holds the classes, and whether it holds probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens.exceptions import ModelError
from wavelens.models._class_names import ClassNames
from wavelens.models._predictions import output_of_classes

__all__ = ["Output", "check_trial", "choose_output", "kind_of_outputs", "to_probabilities"]

Array = npt.NDArray[Any]
KINDS = ("probabilities", "logits")
SIGMOIDS = ("sigmoid", "hardsigmoid")
# Rows of a softmax in half precision sum to 1 no better than this.
SUM_ERROR = 2e-3


@dataclass(frozen=True)
class Output:
    """One of a network's outputs: the name, other names of it, its shape for one image, its last operator."""

    name: str
    shape: tuple[int, ...]
    aliases: tuple[str, ...] = ()
    operator: str = ""


def choose_output(
    name: str, outputs: Sequence[Output], wanted: str | int | None, n_classes: int | None
) -> int:
    """Find the output with one value for each class.

    Parameters
    ----------
    name : str
        Of the network, for errors.
    outputs : sequence of Output
        All of them.
    wanted : str or int, optional
        A name, or the place among the outputs.
    n_classes : int, optional
        How many values it should have.

    Returns
    -------
    int
        Its place: `wanted`; else the only flat one; else the one of `n_classes` values or of a telling name;
        else the first flat one, as is the custom.
    """
    listed = ", ".join(f"{i}: {each.name} {each.shape}" for i, each in enumerate(outputs))
    if wanted is None:
        flat = [i for i, each in enumerate(outputs) if is_flat(each.shape)]
        if not flat:
            raise ModelError(
                f"{name}: no output has one value for each of several classes; for one image they are {listed}"
            )
        shapes: dict[str, tuple[int, ...]] = {str(i): (width(outputs[i].shape),) for i in flat}
        telling: dict[str, tuple[int, ...]] = {outputs[i].name: (width(outputs[i].shape),) for i in flat}
        named = output_of_classes(telling, n_classes)
        if named is not None:
            return next(i for i in flat if outputs[i].name == named)
        fitting = None if n_classes is None else output_of_classes(shapes, n_classes)
        return flat[0] if fitting is None else int(fitting)
    if isinstance(wanted, str):
        found = [i for i, each in enumerate(outputs) if wanted in (each.name, *each.aliases)]
        if not found:
            raise ModelError(f"{name}: no output {wanted!r}; for one image the outputs are {listed}")
        place = found[0]
    else:
        place = check_integer(wanted, "class_output", low=0, high=len(outputs) - 1)
    if not is_flat(outputs[place].shape):
        raise ModelError(
            f"{name}: the output {outputs[place].name!r} has no classes: for one image its shape is "
            f"{outputs[place].shape}; the outputs are {listed}"
        )
    return place


def is_flat(shape: tuple[int, ...]) -> bool:
    """Whether this is one value for each of several classes; maps of 1 × 1 are."""
    return bool(shape) and shape[0] > 1 and all(each == 1 for each in shape[1:])


def width(shape: tuple[int, ...]) -> int:
    """Return the number of values."""
    return int(np.prod(shape, dtype=np.int64))


def kind_of_outputs(values: Array, given: str | None, name: str = "", operator: str = "") -> tuple[str, str]:
    """Tell probabilities from logits.

    Parameters
    ----------
    values : ndarray of shape (n, n_outputs)
        What a trial gave.
    given : {"probabilities", "logits"}, optional
        What is known.
    name, operator : str
        Of the output.

    Returns
    -------
    kind : str
    reason : str
    """
    if given is not None:
        return check_choice(given, "outputs", KINDS), "given"
    inside = bool((values >= 0).all() and (values <= 1 + SUM_ERROR).all())
    if inside and bool((np.abs(values.sum(axis=1) - 1) <= SUM_ERROR).all()):
        return "probabilities", "in a trial they sum to 1"
    if inside and operator.casefold().rpartition(".")[2] in SIGMOIDS:
        return "probabilities", "each comes out of a sigmoid; they need not sum to 1"
    low, high = float(values.min()), float(values.max())
    reason = f"in a trial they run from {low:.3g} to {high:.3g}"
    return "logits", f"by the name {name!r}; {reason}" if "logit" in name.casefold() else reason


def check_trial(name: str, values: Array, class_names: ClassNames | None) -> None:
    """Refuse a network whose trial shows that it is no classifier, or not of these classes.

    Parameters
    ----------
    name : str
        Of the network.
    values : ndarray
        What a trial gave.
    class_names : ClassNames or None
        Of its outputs.
    """
    if values.ndim != 2 or values.shape[1] < 2:
        got = f"{values.shape[1:]} for one image" if values.ndim else "a single number"
        raise ModelError(
            f"{name}: expected one value for each of several classes, got {got}; of a network that answers "
            "yes or no, give both: (0, z) for a logit z, (1 − p, p) for a probability p"
        )
    if not np.isfinite(values).any():
        raise ModelError(f"{name}: gives nothing but NaN or infinity for trial images")
    if class_names is not None and len(class_names) != values.shape[1]:
        raise ValueError(
            f"`class_names` must name the {values.shape[1]} outputs of {name}, got {len(class_names)} names"
        )


def to_probabilities(values: Array, kind: str) -> Array:
    """Apply softmax to logits.

    Parameters
    ----------
    values : ndarray of shape (n, n_outputs)
        A model's outputs.
    kind : {"probabilities", "logits"}
        What they are.

    Returns
    -------
    ndarray of shape (n, n_outputs)
    """
    if kind == "probabilities":
        return values
    risen = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities: Array = risen / risen.sum(axis=1, keepdims=True)
    return probabilities
