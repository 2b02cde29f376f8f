"""What the kernels of a convolution keep and reject of the patches that they see.

Kernels are taken as rows: a kernel of c channels and h × w taps sees at each place a patch of n = c·h·w values,
and what all kernels of its group together reject of it is the part of the patch orthogonal to all of them. The
patches are never put into a matrix: with an orthonormal basis reshaped to kernels, the coefficients of all patches
are a convolution, computed tap by tap as a product of matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from wavelens import _core
from wavelens._arguments import FloatArray
from wavelens._threads import blas_threads
from wavelens.models import WeightLayer

__all__ = ["PatchSpaces"]

PAD = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
# Of the values that one chunk of images may have, in bytes.
CHUNK = 2**25
# Energies within these are sums of squares that are well within the range of float32.
LEAST, MOST = 1e-20, 1e30


class PatchSpaces:
    """Signal and rejected space of the patches of a convolution, for each group of channels.

    Parameters
    ----------
    layer : WeightLayer
        A convolution; normalization is taken in.
    rtol : float, optional
        As in `SignalSpaces`; relative to the largest singular value of all groups.

    Attributes
    ----------
    n_in : int
        Values of one patch of one group.
    ranks : (groups,) ndarray of int
        Of each group's kernels as rows.
    """

    def __init__(self, layer: WeightLayer, rtol: float | None = None) -> None:
        self.layer = layer = layer.folded()
        kernels = layer.weights.astype(np.float64)
        # Scaled to about 1, so that no square leaves the range.
        kernels = np.ldexp(kernels, -int(np.frexp(np.abs(kernels).max())[1]))
        out, channels, *_ = kernels.shape
        rows = kernels.reshape(layer.groups, out // layer.groups, -1)
        self.n_in = rows.shape[2]
        self.rows_of_group = rows.shape[1]
        values, vt = _singular(rows, full=False)
        eps = np.finfo(layer.weights.dtype).eps
        tolerance = (max(rows.shape[1:]) * eps if rtol is None else rtol) * values.max()
        self.ranks = (values > tolerance).sum(axis=1)
        least, most = int(self.ranks.min()), int(self.ranks.max())
        # The smaller of the two bases; where groups differ in rank, columns of zeros fill it up.
        self.by_rejected = bool(self.ranks.mean() > self.n_in / 2)
        if self.by_rejected:
            if least < self.n_in and vt.shape[1] < self.n_in:
                vt = _singular(rows, full=True)[1]
            basis = vt[:, least : self.n_in].copy()
            for group, rank in enumerate(self.ranks):
                basis[group, : rank - least] = 0
        else:
            basis = vt[:, :most].copy()
            for group, rank in enumerate(self.ranks):
                basis[group, rank:] = 0
        self._basis = basis.reshape(*basis.shape[:2], channels, *kernels.shape[2:])

    def shares(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return which share of the energy of each image's patches is rejected.

        Parameters
        ----------
        values : (n, channels, height, width) ndarray
            What enters the layer, before padding; finite.

        Returns
        -------
        (n,) ndarray of float64
            Of all patches that the stride visits, zeros of the padding among them; NaN where these are all zero.
        """
        found = np.empty(len(values))
        dtype = np.float64 if values.dtype == np.float64 else np.float32
        step = max(1, CHUNK // max(1, values[0].size * np.dtype(dtype).itemsize)) if len(values) else 1
        for start in range(0, len(values), step):
            part = slice(start, start + step)
            found[part] = self._shares(values[part].astype(dtype, copy=False))
        return found

    def _shares(self, x: FloatArray) -> npt.NDArray[np.float64]:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            rejected, total = self._energies(self._padded(x))
        for i in np.flatnonzero(~((total > LEAST) & (total < MOST))):
            # Squares that leave the range: once more, scaled.
            exponent = int(np.frexp(np.abs(x[i]).max())[1])
            rejected[i : i + 1], total[i : i + 1] = self._energies(
                self._padded(np.ldexp(x[i : i + 1], -exponent))
            )
        with np.errstate(invalid="ignore"):
            return np.asarray(rejected / total)

    def _padded(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not any(self.layer.padding):
            return values
        top, bottom, left, right = self.layer.padding
        around = ((0, 0), (0, 0), (top, bottom), (left, right))
        mode: Any = PAD[self.layer.padding_mode]
        return np.pad(values, around, mode)

    def _energies(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        n, _, height, width = x.shape
        groups, k, own, *kernel = self._basis.shape
        x = x.reshape(n, groups, own, height, width)
        sides = [
            (size - self.layer.dilation[i] * (kernel[i] - 1) - 1) // self.layer.stride[i] + 1
            for i, size in enumerate((height, width))
        ]
        squares = np.einsum("ngchw,ngchw->nhw", x, x)
        coefficients = np.zeros((n, groups, k, sides[0] * sides[1]), x.dtype)
        basis = self._basis.astype(x.dtype)
        total = np.zeros(n)
        for i, j in np.ndindex(*kernel):
            window = self._window(i, j, sides)
            total += squares[(slice(None), *window)].sum(axis=(1, 2), dtype=np.float64)
            if not k:
                continue
            seen = x[(slice(None), slice(None), slice(None), *window)].reshape(n, groups, own, -1)
            tap = np.ascontiguousarray(basis[..., i, j])
            if own == 1:
                coefficients += tap * seen
                continue
            for image, group in np.ndindex(n, groups):
                coefficients[image, group] += _core.gemm(tap[group], seen[image, group])
        inside = np.einsum("ngkp,ngkp->n", coefficients, coefficients, dtype=np.float64, casting="same_kind")
        return (inside if self.by_rejected else np.maximum(total - inside, 0)), total

    def _window(self, i: int, j: int, sides: list[int]) -> tuple[slice, slice]:
        """Return what one tap sees of the maps, for all places of the kernel."""
        (down, across), (apart_down, apart_across) = self.layer.stride, self.layer.dilation
        top, left = i * apart_down, j * apart_across
        return (
            slice(top, top + (sides[0] - 1) * down + 1, down),
            slice(left, left + (sides[1] - 1) * across + 1, across),
        )

    def sample(self, values: npt.NDArray[Any], count: int, rng: np.random.Generator) -> FloatArray:
        """Draw patches.

        Parameters
        ----------
        values : (n, channels, height, width) ndarray
            What enters the layer, before padding.
        count : int
            Of each image.
        rng : Generator
            For the places.

        Returns
        -------
        (n · count, groups, n_in) ndarray of float64
        """
        x = self._padded(values)
        height, width = x.shape[2:]
        kernel = self._basis.shape[3:]
        places = []
        for i, size in enumerate((height, width)):
            reach = self.layer.dilation[i] * (kernel[i] - 1)
            starts = rng.integers(0, (size - reach - 1) // self.layer.stride[i] + 1, (len(x), count))
            taps = np.arange(kernel[i]) * self.layer.dilation[i]
            places.append(starts[..., None] * self.layer.stride[i] + taps)
        rows, columns = places[0][..., :, None], places[1][..., None, :]
        images = np.arange(len(x))[:, None, None, None]
        # Advanced indices on both sides of a slice come first: (n, count, taps down, taps across, channels).
        patches = np.moveaxis(x[images, :, rows, columns], 4, 2)
        return patches.reshape(len(x) * count, len(self.ranks), self.n_in).astype(np.float64)


def _singular(
    rows: npt.NDArray[np.float64], *, full: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return singular values and right singular vectors, as rows, of each group's matrix."""
    if rows.shape[1] == 1 and not full:
        # A depthwise layer: one kernel, and that is its space.
        values = np.linalg.norm(rows, axis=2)
        return values, rows / np.where(values > 0, values, 1)[:, :, None]
    with blas_threads(1):
        parts = [scipy.linalg.svd(each, full_matrices=full, check_finite=False)[1:] for each in rows]
    return np.stack([each[0] for each in parts]), np.stack([each[1] for each in parts])
