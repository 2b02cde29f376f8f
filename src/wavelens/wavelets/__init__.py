"""The batched two-dimensional discrete wavelet transform and the layout of its coefficients."""

from __future__ import annotations

from wavelens.wavelets._transform import Band, WaveletTransform

__all__ = ["Band", "WaveletTransform"]
