"""Which part of an image made a classifier say so: masks on wavelet coefficients (CartoonX) and on pixels."""

from __future__ import annotations

from wavelens.explain._cartoonx import CartoonX
from wavelens.explain._distortion import torch_distortion
from wavelens.explain._pixel_rde import PixelRDE
from wavelens.explain._results import ExplanationPath, Explanations, ScaleEnergy

__all__ = ["CartoonX", "ExplanationPath", "Explanations", "PixelRDE", "ScaleEnergy", "torch_distortion"]
