"""Which part of an image made a classifier say so: masks on wavelet coefficients (CartoonX) and on pixels.

`evaluate` measures how far to trust them, beside baselines by gradients.
"""

from __future__ import annotations

from wavelens.explain._baselines import (
    Attribution,
    gradient_times_input,
    integrated_gradients,
    random_wavelet_mask,
    smooth_grad,
)
from wavelens.explain._cartoonx import CartoonX
from wavelens.explain._distortion import torch_distortion
from wavelens.explain._evaluate import evaluate
from wavelens.explain._evaluation import Curves, Evaluation, Measure, Optimality, Summary
from wavelens.explain._pixel_rde import PixelRDE
from wavelens.explain._results import ExplanationPath, Explanations, ScaleEnergy

__all__ = [
    "Attribution",
    "CartoonX",
    "Curves",
    "Evaluation",
    "ExplanationPath",
    "Explanations",
    "Measure",
    "Optimality",
    "PixelRDE",
    "ScaleEnergy",
    "Summary",
    "evaluate",
    "gradient_times_input",
    "integrated_gradients",
    "random_wavelet_mask",
    "smooth_grad",
    "torch_distortion",
]
