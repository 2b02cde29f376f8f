"""Checks of what the explainers are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_images, check_integer
from wavelens.exceptions import DataError
from wavelens.explain._distortion import probabilities_of

__all__ = ["as_planes", "check_lambdas", "check_model", "check_number", "check_targets", "first_answers"]

Floats = npt.NDArray[np.float32]


def check_number(
    value: object, name: str, *, above: float | None = None, least: float | None = None
) -> float:
    """Return `value` as a finite float above `above`, or at least `least`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"`{name}` must be a number, got {value!r}")
    number = float(value)
    if (
        not np.isfinite(number)
        or (above is not None and number <= above)
        or (least is not None and number < least)
    ):
        bound = f"above {above:g}" if above is not None else f"at least {least:g}"
        raise ValueError(f"`{name}` must be a finite number {bound}, got {value!r}")
    return number


def check_lambdas(lambdas: object) -> tuple[float, ...]:
    """Return different λ, the largest first."""
    given = np.atleast_1d(np.asarray(lambdas, dtype=object))
    if given.ndim != 1 or len(given) == 0:
        raise ValueError("`lambdas` must be a sequence of at least one number")
    numbers = {check_number(each, "lambdas", above=0.0) for each in given}
    return tuple(sorted(numbers, reverse=True))


def check_model(model: Any) -> Any:
    """Return `model` if it has the face that is needed."""
    for name in ("predict", "outputs", "has_gradient"):
        if not hasattr(model, name):
            raise TypeError(
                f"`model` must be a model of wavelens.models, with predict(), outputs and has_gradient; "
                f"{type(model).__name__} has no `{name}`: open it with wavelens.models.open_model"
            )
    if model.outputs not in ("probabilities", "logits"):
        raise ValueError(f"`model.outputs` must be 'probabilities' or 'logits', got {model.outputs!r}")
    if model.has_gradient and not hasattr(model, "forward"):
        raise TypeError("`model` says that it has a gradient, but it has no forward()")
    return model


def as_planes(images: npt.ArrayLike, model: Any) -> tuple[Floats, bool]:
    """Return images as (n, channels, height, width) in [0, 1], and whether they had an axis of channels."""
    array = as_images(images, "images")
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 1:
            hint = "; divide by 255" if low >= 0 and 1 < high <= 255 else ""
            raise ValueError(
                f"`images` must be uint8 (0 to 255) or floats in [0, 1], got values from {low:g} to {high:g}{hint}"
            )
        scaled = array.astype(np.float32)
    elif array.dtype == np.uint8:
        scaled = array.astype(np.float32) / np.float32(255)
    else:
        raise TypeError(f"`images` must be uint8 (0 to 255) or floats in [0, 1], got dtype {array.dtype}")
    in_colour = scaled.ndim == 4
    planes = np.moveaxis(scaled, 3, 1) if in_colour else scaled[:, None]
    wanted = getattr(model, "input_shape", None)
    if wanted is not None:
        for axis, (size, name) in enumerate(zip(wanted, ("channels", "height", "width"), strict=True)):
            got = planes.shape[1 + axis]
            if size is not None and size != got:
                raise ValueError(
                    f"`images` must be of the model's size, {_said(wanted)} (channels, height, width); "
                    f"got {name} {got} (images of shape {array.shape})"
                )
    return np.ascontiguousarray(planes), in_colour


def _said(shape: tuple[int | None, ...]) -> str:
    return " × ".join("any" if size is None else str(size) for size in shape)


def first_answers(model: Any, planes: Floats) -> npt.NDArray[np.float64]:
    """Return the model's probabilities for the images themselves; rows of NaN where it gave no numbers."""
    outputs = np.asarray(model.predict(planes))
    if outputs.ndim != 2 or len(outputs) != len(planes) or outputs.shape[1] < 2:
        raise DataError(
            f"the model must return one row of at least two classes for each image, "
            f"got an array of shape {outputs.shape} for {len(planes)} images"
        )
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.any():
        raise DataError("the model returns NaN or infinity for every image; is the preprocessing right?")
    if model.outputs == "probabilities":
        low, high = float(outputs[finite].min()), float(outputs[finite].max())
        if low < -1e-3 or high > 1 + 1e-3:
            raise DataError(
                f"the model says that it returns probabilities, but they reach from {low:.4g} to {high:.4g}; "
                "open it with outputs='logits'"
            )
    found = np.full(outputs.shape, np.nan)
    found[finite] = probabilities_of(outputs[finite], model.outputs)
    return found


def check_targets(target: object, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the class to explain of each image: the given one, or the likeliest."""
    n, n_outputs = probabilities.shape
    if target is None:
        return np.asarray(np.argmax(np.nan_to_num(probabilities, nan=-1.0), axis=1), dtype=np.intp)
    given = np.asarray(target)
    if given.ndim == 0:
        given = np.full(n, target)
    if given.dtype.kind not in "iu":
        raise TypeError(f"`target` must hold class numbers, got dtype {given.dtype}")
    if given.shape != (n,):
        raise ValueError(f"`target` must be one number or {n}, one for each image, got shape {given.shape}")
    for each in given:
        check_integer(each, "target", low=0, high=n_outputs - 1, why=f"the model has {n_outputs} outputs")
    return np.asarray(given, dtype=np.intp)
