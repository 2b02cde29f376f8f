"""Spaces of a trained layer: what it keeps, what it rejects, and which input it wants."""

from __future__ import annotations

from wavelens.spaces._ideal import IdealInputs, ideal_inputs, ideal_outputs
from wavelens.spaces._invert import Inversion, invert
from wavelens.spaces._layerwise import OutOfRange, RejectedOut

__all__ = [
    "IdealInputs",
    "Inversion",
    "OutOfRange",
    "RejectedOut",
    "ideal_inputs",
    "ideal_outputs",
    "invert",
]
