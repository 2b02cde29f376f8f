"""How good masks are, on noise that the search has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from wavelens.explain._blocks import blocks_of
from wavelens.explain._objective import ModelAnswerError, Objective
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
        except ModelAnswerError as error:
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
    out.empty_distortions[i] = _empty(o, i, n_test)
    if o.model.has_gradient:
        out.residuals[i], out.residual_errors[i] = _residual(o, one, mask, lam)


def _empty(o: Objective, i: int, n_test: int) -> float:
    """Return the distortion of the empty mask, which is the same at every λ."""
    if i not in o.empty:
        none = np.zeros((1, o.k), np.float32)
        o.empty[i] = float(o.answers(np.array([i]), none, REPORT_STREAM, n_test)[0].mean())
    return o.empty[i]


def _residual(o: Objective, one: Index, mask: npt.NDArray[np.float32], lam: float) -> tuple[float, float]:
    """Estimate how much less the objective would be after the best small change block by block, and the error.

    Each block of coefficients (a scale and a cell of a grid) may have its values scaled by 5 % either way, and its
    zeros raised by 0.05 times the block's mean. Which changes lower the objective, by more than two standard errors,
    is taken from one half of the groups of samples and judged by the other.
    """
    groups = _groups if o.random else 1
    s = mask[0].astype(np.float64)
    blocks = blocks_of(o.basis)
    n_blocks = int(blocks.max()) + 1
    zero = s == 0
    level = np.bincount(blocks, s, n_blocks) / np.bincount(blocks, minlength=n_blocks)
    changes = (
        (-s, np.ones_like(s)),
        (s * (s <= 1 - _farthest), np.ones_like(s)),
        (zero * 1.0, level[blocks]),
    )
    slopes = np.empty((groups, len(changes) * n_blocks))
    for group in range(groups):
        n = _samples_of_group if o.random else 1
        _, found = o.gradients(one, mask, RESIDUAL_STREAM + group, n, count=False)
        o.add_spatial_gradient(one, mask, found)
        g = found[0].astype(np.float64) + lam / o.k
        slopes[group] = np.concatenate([np.bincount(blocks, d * size * g, n_blocks) for d, size in changes])
    if groups == 1:
        return float(-_farthest * np.minimum(slopes, 0).sum()), 0.0
    gains = np.empty(groups)
    first = np.arange(groups) % 2 == 0
    for own in (first, ~first):
        mean = slopes[own].mean(axis=0)
        error = slopes[own].std(axis=0, ddof=1) / np.sqrt(own.sum())
        gains[~own] = -_farthest * (slopes[~own] @ (mean < -2 * error))
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(groups))
