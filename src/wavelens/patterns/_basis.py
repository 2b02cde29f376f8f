"""The basis in which images become coefficients."""

from __future__ import annotations

from wavelens._arguments import check_choice
from wavelens.wavelets import PixelTransform, WaveletTransform

__all__ = ["Basis", "make_basis"]

Basis = WaveletTransform | PixelTransform


def make_basis(shape: tuple[int, ...], basis: str, wavelet: str, level: int | None, mode: str) -> Basis:
    """Return the transform that `basis` names."""
    if check_choice(basis, "basis", ("wavelet", "pixel")) == "pixel":
        return PixelTransform(shape)
    return WaveletTransform(shape, wavelet, level, mode)
