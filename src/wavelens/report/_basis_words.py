"""What a report says of the basis that images are described in: wavelets or pixels."""

from __future__ import annotations

from wavelens.patterns import PatternAnalysis
from wavelens.report._words import count
from wavelens.wavelets import WaveletTransform

__all__ = ["basis_fact", "coefficients_said", "method_said"]


def coefficients_said(analysis: PatternAnalysis) -> str:
    """Say what the numbers are that describe an image."""
    n = analysis.basis_.n_coefficients
    if isinstance(analysis.basis_, WaveletTransform):
        return (
            f"Each image is described by {n:,} numbers, its wavelet coefficients, each of which tells of a "
            "small or large area of the image."
        )
    return f"Each image is described by {n:,} numbers, its pixels as they are."


def basis_fact(analysis: PatternAnalysis) -> tuple[str, str]:
    """Return the line of the overview that names the basis."""
    if isinstance(analysis.basis_, WaveletTransform):
        return "Wavelet", f"{analysis.wavelet}, {count(analysis.basis_.level, 'level')}"
    return "Basis", "pixels, without wavelets"


def method_said(analysis: PatternAnalysis) -> str:
    """Say how images become numbers, for the method in brief."""
    if isinstance(analysis.basis_, WaveletTransform):
        levels = count(analysis.basis_.level, "level")
        return f"Images become wavelet coefficients ({analysis.wavelet}, {levels})."
    return "Pixels are taken as coefficients, without a wavelet transform."
