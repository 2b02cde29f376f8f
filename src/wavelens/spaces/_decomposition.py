"""Samples taken apart: what a layer keeps and rejects of them, and what a single neuron sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.spaces._project import SplitRows

__all__ = ["Decomposition", "Projection", "as_decomposition"]


@dataclass(frozen=True, eq=False)
class Decomposition:
    """What a layer keeps and rejects of every sample.

    Attributes
    ----------
    signal, rejected : ndarray
        The parts, of the shape of the samples; they add up to the samples, to rounding.
    energy : (n_samples,) ndarray of float64
        Share of the sample's energy that is rejected, ‖rejected‖²/‖x‖², in [0, 1]; NaN for a sample of zeros.
    signal_energy, rejected_energy : (n_samples,) ndarray of float64
        ‖signal‖² and ‖rejected‖².
    leak : (n_samples,) ndarray of float64 or None
        ‖A·rejected‖/(σ₁‖x‖) where the rejected part comes from an iteration: how much of it the layer still
        sees. None where the parts are exact to rounding.
    """

    signal: FloatArray
    rejected: FloatArray
    energy: npt.NDArray[np.float64]
    signal_energy: npt.NDArray[np.float64]
    rejected_energy: npt.NDArray[np.float64]
    leak: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Projection:
    """What one neuron sees of every sample.

    Attributes
    ----------
    projection, residual : ndarray
        p = (wᵀx/‖w‖²)w and x − p, of the shape of the samples.
    energy : (n_samples,) ndarray of float64
        Share of the sample's energy in the residual; NaN for a sample of zeros.
    """

    projection: FloatArray
    residual: FloatArray
    energy: npt.NDArray[np.float64]


def as_decomposition(split: SplitRows, swap: bool, shape: tuple[int, ...]) -> Decomposition:
    """Name the parts; with `swap` the basis was that of the rejected space."""
    assert split.inside is not None
    assert split.outside is not None
    inside, outside = split.inside.reshape(shape), split.outside.reshape(shape)
    if swap:
        return Decomposition(outside, inside, split.inside_share, split.outside_energy, split.inside_energy)
    return Decomposition(inside, outside, split.outside_share, split.inside_energy, split.outside_energy)
