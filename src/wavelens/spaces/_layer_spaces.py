"""The spaces of one layer of a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from wavelens.models import WeightLayer
from wavelens.spaces._convolution import ConvolutionSpaces
from wavelens.spaces._patches import PatchSpaces
from wavelens.spaces._signal_spaces import SignalSpaces

__all__ = ["LayerSpaces", "convolution_spaces"]


@dataclass(eq=False)
class LayerSpaces:
    """One layer of a network with its spaces, which are computed when first asked for.

    Attributes
    ----------
    layer : WeightLayer
        With its weights, and what else it does.
    rtol : float or None
        As in `SignalSpaces`.
    """

    layer: WeightLayer
    rtol: float | None = None

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.layer.name

    @property
    def kind(self) -> str:
        """``"linear"``, ``"convolution"``, or of convolutions ``"pointwise"`` and ``"depthwise"``."""
        if self.layer.is_depthwise:
            return "depthwise"
        return "pointwise" if self.layer.is_pointwise else self.layer.kind

    @property
    def activation(self) -> str | None:
        """What follows."""
        return self.layer.activation

    @property
    def input_name(self) -> str:
        """Whose values enter."""
        return self.layer.input_name

    @cached_property
    def linear(self) -> SignalSpaces:
        """Of the weights as a matrix; of a convolution its kernels as rows (the papers' view).

        Of grouped convolutions the kernels of all groups are rows of one matrix, though no two groups see the same
        channels; `patches` keeps them apart.
        """
        weights, shape = self.layer.weights, self.layer.input_shape
        if self.layer.kind == "convolution":
            shape = weights.shape[1:]
        elif shape is not None and int(np.prod(shape)) != weights.shape[1]:
            shape = None
        return SignalSpaces(weights.reshape(len(weights), -1), input_shape=shape, rtol=self.rtol)

    @cached_property
    def patches(self) -> PatchSpaces:
        """Of a convolution: what its kernels keep and reject of the patches that they see."""
        if self.layer.kind != "convolution":
            raise ValueError(f"the layer {self.name!r} is no convolution")
        return PatchSpaces(self.layer, self.rtol)

    @cached_property
    def convolution(self) -> ConvolutionSpaces:
        """Of a convolution: the operator on whole maps.

        Raises
        ------
        ValueError
            If the layer is no convolution, or the size of its input is not known.
        """
        layer = self.layer
        if layer.kind != "convolution":
            raise ValueError(f"the layer {self.name!r} is no convolution")
        if layer.input_shape is None:
            raise ValueError(
                f"the size of the maps that enter {self.name!r} is not known; read the network with input_shape"
            )
        return convolution_spaces(layer, self.rtol)

    @property
    def spaces(self) -> SignalSpaces | ConvolutionSpaces:
        """`linear` or `convolution`, as the layer is."""
        return self.convolution if self.layer.kind == "convolution" else self.linear

    def __repr__(self) -> str:
        return f"LayerSpaces({self.layer.describe()})"


def convolution_spaces(layer: WeightLayer, rtol: float | None = None) -> ConvolutionSpaces:
    """Make the operator of a convolution layer.

    Parameters
    ----------
    layer : WeightLayer
        A convolution whose `input_shape` is known.
    rtol : float, optional
        As in `ConvolutionSpaces`.

    Returns
    -------
    ConvolutionSpaces

    Raises
    ------
    ValueError
        If the layer pads by reflection or repetition, which is no convolution at the border.
    """
    top, bottom, left, right = layer.padding
    padding: Any = ((top, bottom), (left, right))
    if layer.padding_mode != "zeros":
        spans = [layer.dilation[i] * (layer.weights.shape[2 + i] - 1) for i in (0, 1)]
        whole = ((spans[0] // 2, -(-spans[0] // 2)), (spans[1] // 2, -(-spans[1] // 2)))
        if layer.padding_mode != "circular" or padding != whole:
            raise ValueError(
                f"the layer {layer.name!r} pads its input by {layer.padding_mode}; its operator is known for zeros, "
                "and for circular padding by half the kernels' reach"
            )
        padding = "circular"
    return ConvolutionSpaces(
        layer.weights,
        input_shape=layer.input_shape or (),
        stride=layer.stride,
        padding=padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
        rtol=rtol,
    )
