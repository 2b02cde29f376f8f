"""Adam on the input of a frozen network: one pullback a step, whatever the number of outputs.

It decreases ½‖f(x) − t‖² (Kingma and Ba 2015, Adam: A Method for Stochastic Optimization) within bounds by putting
each iterate back into them. Its step is about `RATE` in each entry at first and falls to nothing along half a cosine,
so that the end is not spent jumping over the goal. The nearest point on the way is what is returned.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.spaces._smooth_maps import SmoothMap

__all__ = ["adam"]

Array = npt.NDArray[Any]
RATE = 0.02
MEAN, SQUARE, TINY = 0.9, 0.999, 1e-12


def adam(
    net: SmoothMap, targets: Array, start: Array, low: Array, high: Array, *, rtol: float, max_steps: int
) -> tuple[Array, Array]:
    """Search inputs with given outputs.

    Parameters
    ----------
    net : SmoothMap
        The network.
    targets : ndarray of float64, shape (n, n_outputs)
        The outputs.
    start : ndarray of float64, shape (n, n_inputs)
        Where to begin, on a scale of about 1; moved into the bounds.
    low, high : ndarray of float64, shape (n_inputs,)
        Bounds, infinite for none.
    rtol : float
        Rows end at this share of their target's length.
    max_steps : int
        At most so many.

    Returns
    -------
    x : ndarray of float64, shape (n, n_inputs)
        The nearest on the way.
    outputs : ndarray of float64, shape (n, n_outputs)
        Of these.
    """
    low, high = np.maximum(low, -net.farthest), np.minimum(high, net.farthest)
    x = np.clip(start, low, high)
    best, answers = x.copy(), net.values(x)
    nearest = np.linalg.norm(answers - targets, axis=1)
    enough = rtol * np.linalg.norm(targets, axis=1)
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for step in range(max_steps + 1):
        y, down = net.pulled_back(x, targets)
        distances = np.linalg.norm(y - targets, axis=1)
        nearer = distances < nearest
        best[nearer], answers[nearer], nearest[nearer] = x[nearer], y[nearer], distances[nearer]
        if step == max_steps or (nearest <= enough).all():
            break
        mean += (1 - MEAN) * (down - mean)
        square += (1 - SQUARE) * (down * down - square)
        size = np.sqrt(square / (1 - SQUARE ** (step + 1))) + TINY
        rate = RATE * 0.5 * (1 + math.cos(math.pi * step / max_steps))
        x = np.clip(x + rate * mean / (1 - MEAN ** (step + 1)) / size, low, high)
    return best, answers
