"""From images on the scale 0–1 to what a network takes, and gradients on the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.models._preprocessing import Preprocessing

__all__ = ["InputMap"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class InputMap:
    """The map x · factor + shift of each channel, with channels and rows put as the network has them.

    Attributes
    ----------
    factor, shift : tuple of float
        For each channel of the network, or one for all.
    reverse : bool
        Whether the network has BGR.
    channels_last : bool
        Whether it has its channels last.
    dtype : str
        Of its input; gradients come back through a float type only.
    row_of : tuple of int
        Shape of one image, channels where the network has them, whose values it takes in one row; empty where it
        takes images as they are.
    """

    factor: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    reverse: bool = False
    channels_last: bool = False
    dtype: str = "float32"
    row_of: tuple[int, ...] = ()

    @classmethod
    def of(cls, rule: Preprocessing, dtype: str | None = None) -> InputMap:
        """Take the part of a preprocessing that comes after resizing.

        Parameters
        ----------
        rule : Preprocessing
            Of the network.
        dtype : str, optional
            Instead of the rule's.

        Returns
        -------
        InputMap
        """
        low, high = rule.value_range
        mean, std = np.broadcast_arrays(np.asarray(rule.mean), np.asarray(rule.std))
        return cls(
            factor=tuple(((high - low) / std).tolist()),
            shift=tuple(((low - mean) / std).tolist()),
            reverse=rule.color == "bgr",
            channels_last=rule.layout == "nhwc",
            dtype=dtype or rule.dtype,
            row_of=rule.image_shape if rule.flat else (),
        )

    @property
    def is_smooth(self) -> bool:
        """Whether a gradient can come back through it."""
        return np.dtype(self.dtype).kind == "f"

    def apply(self, x: Array) -> Array:
        """Turn images into the network's input.

        Parameters
        ----------
        x : ndarray of shape (n, channels, height, width)
            On the scale 0–1.

        Returns
        -------
        ndarray
            A new array, contiguous.
        """
        if self.reverse:
            x = x[:, ::-1]
        # Half precision and integers would lose what the scaling needs.
        work = self.dtype if self.dtype in ("float32", "float64") else "float32"
        out = np.multiply(x, self._column(self.factor, work), dtype=work, casting="same_kind")
        out += self._column(self.shift, work)
        if not self.is_smooth:
            np.rint(out, out=out)
            limits = np.iinfo(self.dtype)
            np.clip(out, limits.min, limits.max, out=out)
        if self.channels_last:
            out = np.moveaxis(out, 1, 3)
        out = np.ascontiguousarray(out, self.dtype)
        return out.reshape(len(out), -1) if self.row_of else out

    def pull_back(self, gradient: Array, dtype: Any) -> Array:
        """Take a gradient with respect to the network's input back to the images.

        Parameters
        ----------
        gradient : ndarray
            Of the shape that `apply` gives.
        dtype : dtype
            Of the images.

        Returns
        -------
        ndarray of shape (n, channels, height, width)
        """
        if self.row_of:
            gradient = gradient.reshape(len(gradient), *self.row_of)
        if self.channels_last:
            gradient = np.moveaxis(gradient, 3, 1)
        # Multiplied in the precision that it comes in: a factor of 1/255 must not underflow in float16.
        work = np.float64 if gradient.dtype == np.float64 else np.float32
        out = np.multiply(gradient, self._column(self.factor, work), dtype=work)
        if self.reverse:
            out = out[:, ::-1]
        return np.ascontiguousarray(out, dtype)

    @staticmethod
    def _column(values: tuple[float, ...], dtype: Any) -> Array:
        return np.asarray(values, dtype).reshape(-1, 1, 1)
