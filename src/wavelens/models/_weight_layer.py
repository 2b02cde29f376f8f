"""A layer with weights, with all that it does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["WeightLayer"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightLayer:
    """A linear or convolution layer: y = W x + b, then normalization, then activation.

    Attributes
    ----------
    name : str
        By which `wavelens.models.Network.run` gives what W x + b is.
    kind : {"linear", "convolution"}
        What it is.
    weights : ndarray
        (n_out, n_in), or of a convolution (channels_out, channels_in / groups, height, width), correlated with the
        image as is usual. float32 or float64; half precisions have become float32.
    bias : ndarray of shape (n_out,), or None
        b.
    stride, dilation : tuple of int
        Down and across; (1, 1) for linear layers.
    padding : tuple of int
        Of a convolution: above, below, left, right of its input.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What is there.
    groups : int
        Of a convolution's channels.
    scale_out, shift_out : ndarray of shape (n_out,), or None
        Of the batch normalization right after, as y · scale + shift; `folded` takes it into weights and bias.
    activation : str or None
        After that: ``"identity"``, ``"relu"``, ``"clip:0:6"``, ``"leaky_relu:0.01"``, ``"selu"``, ``"elu:1"``,
        ``"tanh"``, ``"sigmoid"``, ``"softmax"``, ``"gelu"``, …; None where what follows is something else, such
        as a sum with another branch.
    input_name : str
        Of the value that enters, before padding, and before flattening where it is flattened: the name of a
        layer of the network, or of its input.
    input_shape : tuple of int or None
        Of that value for one image; None where the file does not tell.
    shares_with : str or None
        The first layer that has the very same weights, if this is not the first.
    """

    name: str
    kind: str
    weights: Array = field(repr=False)
    bias: Array | None = field(default=None, repr=False)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    padding_mode: str = "zeros"
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    scale_out: Array | None = field(default=None, repr=False)
    shift_out: Array | None = field(default=None, repr=False)
    activation: str | None = "identity"
    input_name: str = ""
    input_shape: tuple[int, ...] | None = None
    shares_with: str | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the weights as a matrix; of a convolution, its kernels as rows."""
        return len(self.weights), int(np.prod(self.weights.shape[1:]))

    @property
    def is_pointwise(self) -> bool:
        """Whether each place of a map is treated by itself."""
        return self.kind == "convolution" and self.weights.shape[2:] == (1, 1) and not any(self.padding)

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is treated by itself."""
        return self.kind == "convolution" and self.groups > 1 and self.weights.shape[1] == 1

    def folded(self) -> WeightLayer:
        """Take the normalization into weights and bias.

        Returns
        -------
        WeightLayer
            Which does the same, without `scale_out` and `shift_out`; computed in float64, of the same dtype.
        """
        if self.scale_out is None or self.shift_out is None:
            return self
        scale, shift = self.scale_out.astype(np.float64), self.shift_out.astype(np.float64)
        weights = self.weights * scale.reshape(-1, *(1,) * (self.weights.ndim - 1))
        bias = shift if self.bias is None else self.bias * scale + shift
        dtype = self.weights.dtype
        return replace(
            self, weights=weights.astype(dtype), bias=bias.astype(dtype), scale_out=None, shift_out=None
        )

    def describe(self) -> str:
        """Tell in a line what it does.

        Returns
        -------
        str
        """
        size = " × ".join(map(str, self.weights.shape))
        parts = [f"{self.name}: {self.kind} {size}"]
        if self.stride != (1, 1):
            parts.append(f"stride {self.stride[0]} × {self.stride[1]}")
        if any(self.padding):
            parts.append(f"padding {'/'.join(map(str, self.padding))} ({self.padding_mode})")
        if self.dilation != (1, 1):
            parts.append(f"dilation {self.dilation[0]} × {self.dilation[1]}")
        if self.groups > 1:
            parts.append(f"{self.groups} groups")
        if self.scale_out is not None:
            parts.append("normalized")
        parts.append("then something else" if self.activation is None else f"then {self.activation}")
        return ", ".join(parts)
