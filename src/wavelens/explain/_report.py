"""How good masks are, on noise that the search has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wavelens.explain._objective import ModelFailure, Objective
from wavelens.explain._search import REPORT_STREAM, RESIDUAL_STREAM, Found

__all__ = ["Report", "report"]

Doubles = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

_groups = 8
_samples_of_group = 4
_farthest = 0.05


@dataclass(eq=False)
class Report:
    """One entry for each image; see `Explanations`."""

    distortions: Doubles
    distortion_errors: Doubles
    masked_probabilities: Doubles
    objectives: Doubles
    empty_distortions: Doubles
    residuals: Doubles
    residual_errors: Doubles

    names: ClassVar = (
        "distortions",
        "distortion_errors",
        "masked_probabilities",
        "objectives",
        "empty_distortions",
        "residuals",
        "residual_errors",
    )


def report(objective: Objective, found: Found, lam: float, n_test: int) -> Report:
    """Judge the masks of one group of images; figures of an image are NaN where the model fails on it."""
    n = len(found.masks)
    figures = Report(*(np.full(n, np.nan) for _ in Report.names))
    for i in range(n):
        try:
            _judge(objective, found, lam, n_test if objective.random else 1, i, figures)
        except ModelFailure as error:
            if not found.stopped[i].startswith("failed"):
                found.stopped[i] = f"failed: {error} after the search"
    return figures


def _judge(o: Objective, found: Found, lam: float, n_test: int, i: int, out: Report) -> None:
    one = np.array([i])
    mask = found.masks[one]
    values, p = o.answers(one, mask, REPORT_STREAM, n_test)
    out.distortions[i] = values.mean()
    out.distortion_errors[i] = values.std(ddof=1) / np.sqrt(n_test) if n_test > 1 else 0.0
    out.masked_probabilities[i] = p.mean()
    out.objectives[i] = out.distortions[i] + o.penalties(one, mask, lam)[0]
    out.empty_distortions[i] = o.answers(one, np.zeros_like(mask), REPORT_STREAM, n_test)[0].mean()
    if o.model.has_gradient:
        out.residuals[i], out.residual_errors[i] = _residual(o, one, mask, lam)


def _residual(o: Objective, one: Index, mask: npt.NDArray[np.float32], lam: float) -> tuple[float, float]:
    """Estimate how much a small projected-gradient step would lower the objective, and the standard error."""
    groups = _groups if o.random else 1
    gradients = []
    for group in range(groups):
        _, g = o.gradients(
            one, mask, RESIDUAL_STREAM + group, _samples_of_group if o.random else 1, count=False
        )
        o.add_spatial_gradient(one, mask, g)
        gradients.append(g[0].astype(np.float64) + lam / o.k)
    g = np.array(gradients)
    halves = [np.arange(groups) % 2 == side for side in (0, 1)] if groups > 1 else [np.array([True])] * 2
    gains = np.empty(groups)
    s = mask[0].astype(np.float64)
    for own, other in (halves, halves[::-1]):
        step = g[own].mean(axis=0) * o.k / lam
        moved = np.clip(s - np.clip(step, -_farthest, _farthest), 0, 1)
        gains[other] = g[other] @ (s - moved)
    error = gains.std(ddof=1) / np.sqrt(groups) if groups > 1 else 0.0
    return float(gains.mean()), float(error)
