"""The batched two-dimensional discrete wavelet transform, the layout of its coefficients, and pixels."""

from __future__ import annotations

from wavelens.wavelets._pixels import PixelTransform
from wavelens.wavelets._transform import Band, WaveletTransform

__all__ = ["Band", "PixelTransform", "WaveletTransform"]
