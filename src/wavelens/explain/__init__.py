"""Why a classifier said so: the parts of an image that keep its answer, and how far to trust them."""

from __future__ import annotations

from wavelens.explain._baselines import (
    Attribution,
    gradient_times_input,
    integrated_gradients,
    random_wavelet_mask,
    smooth_grad,
)
from wavelens.explain._evaluate import evaluate
from wavelens.explain._evaluation import Curves, Evaluation, Measure, Summary
from wavelens.explain._optimality import Optimality

__all__ = [
    "Attribution",
    "Curves",
    "Evaluation",
    "Measure",
    "Optimality",
    "Summary",
    "evaluate",
    "gradient_times_input",
    "integrated_gradients",
    "random_wavelet_mask",
    "smooth_grad",
]
