"""Inversion layer by layer: x = W⁺(f⁻¹(a) − b), from the last layer to the first (equation 5 of the paper).

W⁺ gives the least-norm input of a layer, which need not be one that the activation before can give: SELU never gives
less than −1.758. Such a value has no way back. It is reported with its layer, unit and distance, and the sample ends
there: moving the value into the range would give a picture of other outputs. Where a layer has more outputs than
inputs, W⁺ takes the nearest that it can give, and the part that it cannot give (in `rejected_out`) is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import svd

from wavelens._threads import blas_threads
from wavelens.models._numpy_model import product
from wavelens.spaces._inverse_activations import inverse_activation, why_no_inverse
from wavelens.spaces._lengths import lengths
from wavelens.spaces._smooth_maps import ChainLayer, ChainMap

__all__ = ["OutOfRange", "RejectedOut", "invert_layerwise"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OutOfRange:
    """A unit that would have to give what its activation cannot give.

    Attributes
    ----------
    layer : str
        Whose activation it is.
    activation : str
        Its name.
    unit : int
        Of the layer's outputs, counted from 0.
    n_samples : int
        In how many samples.
    distance : float
        From the range, at most; 0 for its very end, which is reached only at infinity.
    low, high : float
        The range.
    """

    layer: str
    activation: str
    unit: int
    n_samples: int
    distance: float
    low: float
    high: float


@dataclass(frozen=True)
class RejectedOut:
    """A layer that would have to give what no input makes it give.

    Attributes
    ----------
    layer : str
        Its name.
    rank, n_outputs : int
        Of its weights.
    n_samples : int
        In how many samples.
    distance : float
        From what it can give (its space `signal_out`), before the activation, at most.
    """

    layer: str
    rank: int
    n_outputs: int
    n_samples: int
    distance: float


def invert_layerwise(
    chain: ChainMap, outputs: Array
) -> tuple[Array, tuple[OutOfRange, ...], tuple[RejectedOut, ...]]:
    """Go back through a chain.

    Parameters
    ----------
    chain : ChainMap
        The network.
    outputs : ndarray of float64, shape (n, n_outputs)
        Of its last layer.

    Returns
    -------
    inputs : ndarray of float64, shape (n, n_inputs)
        NaN in the rows of samples that have no way back.
    out_of_range : tuple of OutOfRange
        Where and how far; empty where all have one.
    rejected_out : tuple of RejectedOut
        The layers that give only the nearest.

    Raises
    ------
    ValueError
        If an activation has no inverse.
    """
    inverses = []
    for layer in chain.layers:
        inverse = inverse_activation(layer.activation)
        if inverse is None:
            raise ValueError(
                f"`method` 'layerwise' cannot go back through {layer.name} of {chain.name}: its activation "
                f"{layer.activation or 'unknown'} has no inverse: {why_no_inverse(layer.activation)}; "
                "method='newton' needs none"
            )
        inverses.append(inverse)
    alive = np.arange(len(outputs))
    a = outputs
    outside: list[OutOfRange] = []
    rejected: list[RejectedOut] = []
    for layer, inverse in zip(reversed(chain.layers), reversed(inverses), strict=True):
        inside, distances = inverse.inside(a), inverse.outside(a)
        for unit in np.flatnonzero(~inside.all(axis=0)).tolist():
            outside.append(
                OutOfRange(
                    layer.name,
                    inverse.name,
                    unit,
                    int((~inside[:, unit]).sum()),
                    float(distances[:, unit].max()),
                    inverse.low,
                    inverse.high,
                )
            )
        well = inside.all(axis=1)
        alive, a = alive[well], a[well]
        if not len(alive):
            break
        a, lost = _back(layer, inverse.inverse(a))
        if lost is not None:
            rejected.append(lost)
    inputs = np.full((len(outputs), chain.n_inputs), np.nan)
    if len(alive):
        inputs[alive] = a
    return inputs, tuple(outside), tuple(rejected)


def _back(layer: ChainLayer, z: Array) -> tuple[Array, RejectedOut | None]:
    """Return W⁺(z − b), and what of z the layer cannot give."""
    y = z - layer.bias
    with blas_threads(1):
        u, sigma, vt = svd(layer.weights, full_matrices=False, check_finite=False)
    rank = int((sigma > sigma[0] * max(layer.weights.shape) * np.finfo(np.float64).eps).sum())
    c = product(y, np.ascontiguousarray(u[:, :rank]))
    x = product(c / sigma[:rank], np.ascontiguousarray(vt[:rank]))
    if rank == len(layer.weights):
        return x, None
    distances = lengths(y - product(c, np.ascontiguousarray(u[:, :rank].T)))
    # Rounding puts every sample a hair away.
    off = distances > 1e-10 * lengths(y)
    if not off.any():
        return x, None
    return x, RejectedOut(layer.name, rank, len(layer.weights), int(off.sum()), float(distances.max()))
