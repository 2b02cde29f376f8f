"""Spaces of a trained layer: what it keeps, what it rejects, and which input it wants."""

from __future__ import annotations

from wavelens.spaces._chance import SpectrumAgainstChance, spectrum_against_chance
from wavelens.spaces._conv_operator import ConvolutionOperator
from wavelens.spaces._convolution import ConvolutionSpaces
from wavelens.spaces._decomposition import Decomposition, Projection
from wavelens.spaces._energy_flow import EnergyFlow
from wavelens.spaces._extreme import ExtremeSingularValues
from wavelens.spaces._ideal import IdealInputs, ideal_inputs, ideal_outputs
from wavelens.spaces._invert import Inversion, invert
from wavelens.spaces._layer_spaces import LayerSpaces
from wavelens.spaces._layerwise import OutOfRange, RejectedOut
from wavelens.spaces._network import NetworkSpaces
from wavelens.spaces._patches import PatchSpaces
from wavelens.spaces._signal_spaces import SignalSpaces

__all__ = [
    "ConvolutionOperator",
    "ConvolutionSpaces",
    "Decomposition",
    "EnergyFlow",
    "ExtremeSingularValues",
    "IdealInputs",
    "Inversion",
    "LayerSpaces",
    "NetworkSpaces",
    "OutOfRange",
    "PatchSpaces",
    "Projection",
    "RejectedOut",
    "SignalSpaces",
    "SpectrumAgainstChance",
    "ideal_inputs",
    "ideal_outputs",
    "invert",
    "spectrum_against_chance",
]
