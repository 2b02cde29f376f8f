"""The batched two-dimensional wavelet transform, the layout of its coefficients, pixels, and signals taken apart."""

from __future__ import annotations

from wavelens.wavelets._panels import FourierPanel, WaveletPanel, fourier_panel, wavelet_panel
from wavelens.wavelets._pixels import PixelTransform
from wavelens.wavelets._transform import Band, WaveletTransform

__all__ = [
    "Band",
    "FourierPanel",
    "PixelTransform",
    "WaveletPanel",
    "WaveletTransform",
    "fourier_panel",
    "wavelet_panel",
]
