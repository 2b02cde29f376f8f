"""How far a model's answer to a masked image is from its answer to the image: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DISTORTIONS", "Distortion", "as_distortion", "probabilities_of", "torch_distortion"]

Doubles = npt.NDArray[np.float64]
Distortion = Callable[[Doubles, Doubles, int], tuple[Any, Any]]

DISTORTIONS = ("relative", "probability", "l2", "kl", "maximize")
_smallest = 1e-300
_least_answer = 1e-6


def _probability(p: Doubles, reference: Doubles, target: int) -> tuple[Doubles, Doubles]:
    difference = p[:, target] - reference[target]
    gradient = np.zeros_like(p)
    gradient[:, target] = 2 * difference
    return difference**2, gradient


def _relative(p: Doubles, reference: Doubles, target: int) -> tuple[Doubles, Doubles]:
    answer = max(float(reference[target]), _least_answer)
    values, gradient = _probability(p, reference, target)
    return values / answer**2, gradient / answer**2


def _l2(p: Doubles, reference: Doubles, target: int) -> tuple[Doubles, Doubles]:
    difference = p - reference
    return (difference**2).sum(axis=1), 2 * difference


def _kl(p: Doubles, reference: Doubles, target: int) -> tuple[Doubles, Doubles]:
    q, r = np.maximum(p, _smallest), np.maximum(reference, _smallest)
    return (reference * (np.log(r) - np.log(q))).sum(axis=1), -reference / q


def _maximize(p: Doubles, reference: Doubles, target: int) -> tuple[Doubles, Doubles]:
    gradient = np.zeros_like(p)
    gradient[:, target] = -1
    return 1 - p[:, target], gradient


_named: dict[str, Distortion] = dict(
    zip(DISTORTIONS, (_relative, _probability, _l2, _kl, _maximize), strict=True)
)


def as_distortion(distortion: object) -> Distortion:
    """Return the function that a name or a function stands for; its results are checked at each call."""
    if isinstance(distortion, str) and distortion in _named:
        return _named[distortion]
    if not callable(distortion):
        expected = ", ".join(map(repr, DISTORTIONS))
        raise ValueError(f"`distortion` must be one of {expected} or a function, got {distortion!r}")

    def checked(p: Doubles, reference: Doubles, target: int) -> tuple[Doubles, Doubles]:
        found = distortion(p, reference, target)
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(
                "`distortion` must return two arrays, the values and their gradients by the probabilities, "
                f"got {type(found).__name__}"
            )
        values, gradient = (np.asarray(each, dtype=np.float64) for each in found)
        if values.shape != (len(p),) or gradient.shape != p.shape:
            raise ValueError(
                f"`distortion` must return arrays of shapes {(len(p),)} and {p.shape}, "
                f"got {values.shape} and {gradient.shape}"
            )
        return values, gradient

    return checked


def torch_distortion(function: Callable[[Any, Any, int], Any]) -> Distortion:
    """Make a distortion of a function that torch differentiates.

    Parameters
    ----------
    function : callable
        Takes the probabilities of masked images, a float64 tensor of shape (n, n_outputs), those of the image,
        of shape (n_outputs,), and the target; returns n values. Needs the extra ``torch`` when it is called.

    Returns
    -------
    callable
        What `CartoonX` and `PixelRDE` take as ``distortion``: NumPy arrays in, values and gradients out.

    Examples
    --------
    >>> from wavelens.explain import torch_distortion
    >>> entropy = torch_distortion(lambda p, reference, target: -(reference * p.log()).sum(1))
    """
    if not callable(function):
        raise TypeError(f"`function` must be a function, got {function!r}")

    def distortion(p: Doubles, reference: Doubles, target: int) -> tuple[Doubles, Doubles]:
        try:
            import torch
        except ImportError as error:
            raise ImportError(
                'torch_distortion needs torch; install it with: pip install "wavelens[torch]"'
            ) from error
        with torch.enable_grad():
            inputs = torch.from_numpy(np.array(p)).requires_grad_(True)
            values = function(inputs, torch.from_numpy(np.array(reference)), target)
            (gradient,) = torch.autograd.grad(values.sum(), inputs)
        return values.detach().numpy(), gradient.numpy()

    return distortion


def probabilities_of(outputs: npt.NDArray[Any], kind: str) -> Doubles:
    """Return outputs of a model as probabilities, by softmax where they are logits."""
    p = np.asarray(outputs, dtype=np.float64)
    if kind == "probabilities":
        return p
    e = np.exp(p - p.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def output_cotangent(p: Doubles, gradient: Doubles, kind: str) -> npt.NDArray[np.float32]:
    """Turn the gradient by probabilities into that by the model's outputs."""
    if kind == "logits":
        gradient = p * (gradient - (p * gradient).sum(axis=1, keepdims=True))
    return gradient.astype(np.float32)
