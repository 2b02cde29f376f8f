"""How near a mask is to an optimum of its own objective, judged on noise that the optimiser has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.explain._parts import ImageParts
from wavelens.explain._scores import Counted

__all__ = ["Optimality", "optimality"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Optimality:
    """What is known of one mask as a minimiser of D(s) + λ mean(s).

    Attributes
    ----------
    lam, rate : float
        λ, and mean(s).
    distortion, distortion_error : float
        D(s) on fresh noise, and its standard error.
    empty_distortion, empty_error : float
        D(0), of the empty mask.
    rate_bound : float
        D(0) / λ: no optimum keeps more, as the empty mask would be better.
    residual : float
        How far a projected gradient step moves the mask, ‖s − P(s − k∇/λ)‖ / √k, without the part that is due to
        the noise; 0 for an optimum, at most 1.
    residual_low, residual_high : float
        Interval of the residual, 95 %.
    gain : float
        By how much the objective could fall to first order, max over masks t of ⟨∇, s − t⟩; t is chosen on one
        half of the noise and judged on the other, so noise alone gains nothing.
    gain_error : float
        Standard error.
    """

    lam: float
    rate: float
    distortion: float
    distortion_error: float
    empty_distortion: float
    empty_error: float
    rate_bound: float
    residual: float
    residual_low: float
    residual_high: float
    gain: float
    gain_error: float

    @property
    def objective(self) -> float:
        """D(s) + λ mean(s)."""
        return self.distortion + self.lam * self.rate

    @property
    def beats_empty(self) -> bool:
        """Whether the mask is better than keeping nothing, two standard errors included."""
        return self.objective <= self.empty_distortion + 2 * (self.empty_error + self.distortion_error)


def optimality(
    counted: Counted,
    parts: ImageParts,
    mask: Array,
    lam: float,
    target: int,
    score: float,
    *,
    n_samples: int = 32,
    random_state: tuple[int, ...] = (0,),
) -> Optimality:
    """Judge a mask (k,) on fresh noise; the distortion is (p(image) − p(obscured))².

    The gradient is averaged over independent folds of the noise; products of different folds are free of the
    bias that the noise gives to a norm.
    """
    n_folds = max(2, min(8, n_samples // 4))
    per_fold = max(1, n_samples // n_folds)
    rng = np.random.default_rng([*random_state, 1])
    mask = np.asarray(mask, np.float64)
    squares, empty, gradients = [], [], []
    for _ in range(n_folds):
        noise = parts.noise(per_fold, rng)
        targets = np.full(per_fold, target)
        obscured = parts.obscure(np.broadcast_to(mask, (per_fold, parts.size)), noise)
        found, gradient = counted.gradient(obscured, targets)
        squares.append((found - score) ** 2)
        by_mask = parts.pull_back(obscured, gradient, noise)
        # k times the gradient, so that the penalty's part is λ.
        gradients.append(parts.size * 2 * ((found - score) @ by_mask) / per_fold + lam)
        nothing = parts.obscure(np.zeros((per_fold, parts.size)), noise)
        empty.append((counted.of(nothing, targets) - score) ** 2)
    distortion, error = _mean_and_error(np.concatenate(squares))
    at_zero, zero_error = _mean_and_error(np.concatenate(empty))
    steps = np.stack([mask - np.clip(mask - each / lam, 0, 1) for each in gradients])
    residual, low, high = _norm_without_noise(steps)
    gain, gain_error = _gain(mask, np.stack(gradients))
    return Optimality(
        float(lam),
        float(mask.mean()),
        distortion,
        error,
        at_zero,
        zero_error,
        at_zero / lam,
        residual,
        low,
        high,
        gain,
        gain_error,
    )


def _mean_and_error(values: Array) -> tuple[float, float]:
    spread = values.std(ddof=1) if len(values) > 1 else np.nan
    return float(values.mean()), float(spread / np.sqrt(len(values)))


def _norm_without_noise(steps: Array) -> tuple[float, float, float]:
    """Return the root mean square of the mean of folds (n_folds, k), with an interval by jackknife."""
    gram = steps @ steps.T / steps.shape[1]
    folds = len(gram)

    def square(chosen: Array) -> float:
        own = gram[np.ix_(chosen, chosen)]
        n = len(own)
        return float((own.sum() - np.trace(own)) / (n * (n - 1)))

    everything = np.arange(folds)
    middle = square(everything)
    if folds < 3:
        spread = abs(middle)
    else:
        left_out = np.array([square(np.delete(everything, i)) for i in everything])
        spread = float(np.sqrt((folds - 1) * np.mean((left_out - left_out.mean()) ** 2)))
    low, high = (float(np.sqrt(max(0.0, middle + sign * 1.96 * spread))) for sign in (-1, 1))
    return float(np.sqrt(max(0.0, middle))), low, high


def _gain(mask: Array, gradients: Array) -> tuple[float, float]:
    """Return the mean over folds of ⟨∇ of the fold, s − t⟩ / k with t from the other folds, and its error."""
    total = gradients.sum(axis=0)
    found = [
        float(np.mean(own * (mask - ((total - own) < 0)))) for own in gradients
    ]
    return _mean_and_error(np.array(found))
