"""What evaluations and Displays read from explanations: their transform, which images have one, how optimal it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.explain._evaluation import Optimality
from wavelens.wavelets import WaveletTransform

__all__ = ["explained", "optimality_of", "relevance_of", "transform_of"]


def transform_of(explanations: Any) -> WaveletTransform | None:
    """Return the transform of a plane that masks or values belong to; None for pixels."""
    if hasattr(explanations, "transform"):
        found = explanations.transform
    else:
        found = getattr(getattr(explanations, "basis", None), "transform", None)
    return found if isinstance(found, WaveletTransform) else None


def relevance_of(explanations: Any) -> npt.NDArray[Any]:
    """Return masks, or the relevance that an attribution gives, (n, k)."""
    if hasattr(explanations, "masks"):
        return np.asarray(explanations.masks)
    return np.asarray(explanations.relevance())


def explained(explanations: Any) -> npt.NDArray[np.bool_]:
    """Return which images have an explanation: the model gave numbers for them all the way."""
    found = np.isfinite(relevance_of(explanations)).all(axis=1)
    stopped = getattr(explanations, "stopped", None)
    if stopped is not None:
        found = found & np.array([not str(each).startswith("failed") for each in stopped])
    return np.asarray(found)


def optimality_of(explanations: Any, i: int) -> Optimality:
    """Return what is known of the mask of image i as a minimiser."""

    def figure(name: str) -> float:
        return float(getattr(explanations, name)[i])

    residual, error = figure("residuals"), figure("residual_errors")
    lam = float(explanations.lam)
    return Optimality(
        lam=lam,
        rate=figure("rates"),
        distortion=figure("distortions"),
        distortion_error=figure("distortion_errors"),
        objective=figure("objectives"),
        empty_distortion=figure("empty_distortions"),
        rate_bound=figure("empty_distortions") / lam,
        residual=residual,
        residual_low=residual - 1.96 * error,
        residual_high=residual + 1.96 * error,
    )
