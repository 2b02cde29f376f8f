"""A convolution as a linear map: its geometry, its products and those of its adjoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator

from wavelens import _core
from wavelens._arguments import FloatArray

__all__ = ["ConvolutionOperator", "Geometry"]

_BAND_ENTRIES = 2**22


@dataclass(frozen=True)
class Geometry:
    """Sizes of a two-dimensional convolution; `padding` is ((top, bottom), (left, right)).

    Output pixel i of an axis is Σ_a kernel[a]·x[i·stride + a·dilation − padding before], with x continued by
    zeros, or periodically if `circular`.
    """

    kernels: tuple[int, int, int, int]
    input_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    groups: int
    circular: bool

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(c_out, height, width) of the output."""
        sizes = [
            (self.input_shape[1 + axis] + sum(self.padding[axis]) - reach) // self.stride[axis] + 1
            for axis, reach in enumerate(self.reach)
        ]
        return self.kernels[0], sizes[0], sizes[1]

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels from the first to the last tap of a kernel, both counted, by axis."""
        return (
            (self.kernels[2] - 1) * self.dilation[0] + 1,
            (self.kernels[3] - 1) * self.dilation[1] + 1,
        )

    @property
    def n_in(self) -> int:
        """Entries of an input."""
        return prod(self.input_shape)

    @property
    def n_out(self) -> int:
        """Entries of an output."""
        return prod(self.output_shape)

    @property
    def block_circulant(self) -> bool:
        """Whether the Fourier transform makes the operator block diagonal.

        So it does too where nothing is padded and kernels reach no further than the stride: no tap meets a
        border that continuing the input would move (1 × 1 kernels, disjoint patches).
        """
        disjoint = self.padding == ((0, 0), (0, 0)) and all(
            reach <= step for reach, step in zip(self.reach, self.stride, strict=True)
        )
        return (self.circular or disjoint) and all(
            size % step == 0 for size, step in zip(self.input_shape[1:], self.stride, strict=True)
        )


class ConvolutionOperator(LinearOperator):  # type: ignore[misc]
    """A convolution as a `scipy.sparse.linalg.LinearOperator` of shape (n_out, n_in) on flattened images.

    Products are direct, in bands of output rows: patches become columns of a matrix, which one product of
    the engine multiplies by the kernels. 2 n_out c_in/groups kh kw flops an image.
    """

    def __init__(self, kernels: FloatArray, geometry: Geometry) -> None:
        super().__init__(dtype=kernels.dtype, shape=(geometry.n_out, geometry.n_in))
        self.kernels = kernels
        self.geometry = geometry

    def forward(self, images: FloatArray) -> FloatArray:
        """Return the outputs (n, c_out, ho, wo) of images (n, c, h, w), without bias."""
        g, n = self.geometry, len(images)
        padded = self._pad(images)
        out = np.zeros((n, *g.output_shape), self.dtype)
        if g.groups > 1 and g.kernels[1] == 1:
            return self._forward_by_taps(padded, out)
        inputs, outputs = g.kernels[1], g.kernels[0] // g.groups
        for group, rows in self._bands(n):
            patches = self._patches(padded[:, group * inputs : (group + 1) * inputs], rows)
            here = slice(group * outputs, (group + 1) * outputs)
            found = _core.gemm(self.kernels[here].reshape(outputs, -1), patches)
            out[:, here, rows] = found.reshape(outputs, n, -1, out.shape[3]).swapaxes(0, 1)
        return out

    def adjoint_product(self, outputs: FloatArray) -> FloatArray:
        """Return Aᵀy (n, c, h, w) for outputs y (n, c_out, ho, wo)."""
        g, n = self.geometry, len(outputs)
        (_, height, width), (vertical, horizontal) = g.input_shape, g.padding
        padded = np.zeros((n, g.input_shape[0], height + sum(vertical), width + sum(horizontal)), self.dtype)
        if g.groups > 1 and g.kernels[1] == 1:
            self._adjoint_by_taps(outputs, padded)
            return self._fold(padded)
        count = g.kernels[0] // g.groups
        for group, rows in self._bands(n):
            here = slice(group * count, (group + 1) * count)
            values = outputs[:, here, rows].swapaxes(0, 1).reshape(count, -1)
            patches = _core.gemm(self.kernels[here].reshape(count, -1).T, np.ascontiguousarray(values))
            self._scatter(patches, padded, group, rows)
        return self._fold(padded)

    def patches(self, images: FloatArray) -> Iterator[tuple[int, FloatArray]]:
        """Yield the group and patches, as columns (c_in/groups kh kw, some), until all have been."""
        padded, inputs = self._pad(images), self.geometry.kernels[1]
        for group, rows in self._bands(len(images)):
            yield group, self._patches(padded[:, group * inputs : (group + 1) * inputs], rows)

    def dense(self) -> FloatArray:
        """Return the matrix (n_out, n_in); for small ones."""
        identity = np.eye(self.shape[1], dtype=self.dtype)
        return self.forward(identity.reshape(-1, *self.geometry.input_shape)).reshape(self.shape[1], -1).T

    def _matvec(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._matmat(x.reshape(-1, 1))

    def _rmatvec(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._rmatmat(x.reshape(-1, 1))

    def _matmat(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        images = np.ascontiguousarray(x.T, dtype=self.dtype).reshape(-1, *self.geometry.input_shape)
        return self.forward(images).reshape(len(images), -1).T

    def _rmatmat(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        outputs = np.ascontiguousarray(x.T, dtype=self.dtype).reshape(-1, *self.geometry.output_shape)
        return self.adjoint_product(outputs).reshape(len(outputs), -1).T

    def _bands(self, n: int) -> list[tuple[int, slice]]:
        g = self.geometry
        row = n * g.output_shape[2] * prod(g.kernels[1:])
        step = max(1, _BAND_ENTRIES // max(1, row))
        height = g.output_shape[1]
        return [
            (group, slice(first, min(height, first + step)))
            for group in range(g.groups)
            for first in range(0, height, step)
        ]

    def _taps(self, a: int, b: int, rows: slice) -> tuple[slice, slice]:
        """Return where in the padded image tap (a, b) lies for the output rows."""
        g = self.geometry
        (sh, sw), (dh, dw), width = g.stride, g.dilation, g.output_shape[2]
        top, left = a * dh + rows.start * sh, b * dw
        return (
            slice(top, top + (rows.stop - rows.start - 1) * sh + 1, sh),
            slice(left, left + (width - 1) * sw + 1, sw),
        )

    def _patches(self, padded: FloatArray, rows: slice) -> FloatArray:
        """Return the patches as columns, (c kh kw, n rows wo)."""
        (_, _, kh, kw), (n, channels) = self.geometry.kernels, padded.shape[:2]
        width = self.geometry.output_shape[2]
        patches = np.empty((channels, kh, kw, n, rows.stop - rows.start, width), self.dtype)
        for a in range(kh):
            for b in range(kw):
                vertical, horizontal = self._taps(a, b, rows)
                patches[:, a, b] = padded[:, :, vertical, horizontal].swapaxes(0, 1)
        return patches.reshape(channels * kh * kw, -1)

    def _scatter(self, patches: FloatArray, padded: FloatArray, group: int, rows: slice) -> None:
        _, channels, kh, kw = self.geometry.kernels
        width = self.geometry.output_shape[2]
        shaped = patches.reshape(channels, kh, kw, len(padded), rows.stop - rows.start, width)
        part = padded[:, group * channels : (group + 1) * channels]
        for a in range(kh):
            for b in range(kw):
                vertical, horizontal = self._taps(a, b, rows)
                part[:, :, vertical, horizontal] += shaped[:, a, b].swapaxes(0, 1)

    def _forward_by_taps(self, padded: FloatArray, out: FloatArray) -> FloatArray:
        g = self.geometry
        shaped = out.reshape(len(out), g.groups, -1, *out.shape[2:])
        for a in range(g.kernels[2]):
            for b in range(g.kernels[3]):
                vertical, horizontal = self._taps(a, b, slice(0, out.shape[2]))
                tap = self.kernels[:, 0, a, b].reshape(g.groups, -1, 1, 1)
                shaped += tap * padded[:, :, None, vertical, horizontal]
        return out

    def _adjoint_by_taps(self, outputs: FloatArray, padded: FloatArray) -> None:
        g = self.geometry
        shaped = outputs.reshape(len(outputs), g.groups, -1, *outputs.shape[2:])
        for a in range(g.kernels[2]):
            for b in range(g.kernels[3]):
                vertical, horizontal = self._taps(a, b, slice(0, outputs.shape[2]))
                tap = self.kernels[:, 0, a, b].reshape(g.groups, -1, 1, 1)
                padded[:, :, vertical, horizontal] += (tap * shaped).sum(axis=2)

    def _pad(self, images: FloatArray) -> FloatArray:
        images = images.astype(self.dtype, copy=False)
        if not self.geometry.circular:
            return np.pad(images, ((0, 0), (0, 0), *self.geometry.padding))
        for axis, (before, after) in zip((2, 3), self.geometry.padding, strict=True):
            size = self.geometry.input_shape[axis - 1]
            images = images.take(np.arange(-before, size + after) % size, axis=axis)
        return images

    def _fold(self, padded: FloatArray) -> FloatArray:
        """Apply the adjoint of the padding."""
        for axis, (before, after) in zip((2, 3), self.geometry.padding, strict=True):
            size = self.geometry.input_shape[axis - 1]
            moved = np.moveaxis(padded, axis, 0)
            inner = moved[before : before + size]
            if self.geometry.circular:
                inner = inner.copy()
                for i in [*range(before), *range(before + size, before + size + after)]:
                    inner[(i - before) % size] += moved[i]
            padded = np.moveaxis(inner, 0, axis)
        return np.ascontiguousarray(padded)
