"""What a convolution rejects of an image: exactly by frequencies, or by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.spaces._conv_operator import ConvolutionOperator
from wavelens.spaces._conv_spectrum import FrequencyBlocks, in_threads
from wavelens.spaces._decomposition import Decomposition
from wavelens.spaces._project import refuse_nonfinite

__all__ = ["FrequencyProjector", "signal_by_iteration", "split_images"]

_Doubles = npt.NDArray[np.float64]
_Complex = npt.NDArray[np.complex128]
_KEPT_ENTRIES = 2**25


def split_images(
    images: npt.NDArray[Any],
    split: Callable[[_Doubles], tuple[_Doubles, _Doubles, _Doubles]],
    *,
    dtype: np.dtype[Any],
    step: int,
    exact: bool,
    progress: Callable[[float], None] | None,
) -> Decomposition:
    """Put together what `split` makes of `step` images at a time: signal, rejected and leak.

    Raises
    ------
    ValueError
        If an image holds NaN or infinities (the place is named).
    """
    n = len(images)
    signal, rejected = np.empty(images.shape, dtype), np.empty(images.shape, dtype)
    energies, (share, leak) = np.empty((2, n)), np.empty((2, n))
    for first in range(0, n, step):
        here = slice(first, first + step)
        x = images[here].astype(np.float64)
        refuse_nonfinite(x.reshape(len(x), -1), "images", first, images.shape[1:])
        # Each image is scaled by a power of two to about 1, so that no square leaves the range.
        exponents = np.frexp(np.abs(x).max(axis=(1, 2, 3), keepdims=True))[1]
        *parts, leak[here] = split(np.ldexp(x, -exponents))
        found = np.stack([np.einsum("nchw,nchw->n", part, part) for part in parts])
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            share[here] = found[1] / found.sum(axis=0)
            energies[:, here] = np.ldexp(found, 2 * exponents.ravel())
            signal[here], rejected[here] = (np.ldexp(part, exponents) for part in parts)
        if progress is not None:
            progress(min(1.0, (first + step) / n))
    return Decomposition(signal, rejected, share, energies[0], energies[1], None if exact else leak)


class FrequencyProjector:
    """Takes from images what a block-circulant convolution keeps, frequency by frequency.

    Bases of the row spaces are kept for the next images where they take at most 512 MiB. Singular values up
    to `threshold` count as zero.
    """

    def __init__(self, blocks: FrequencyBlocks, threshold: float) -> None:
        self._blocks = blocks
        self._threshold = threshold
        g = blocks.geometry
        width = g.stride[0] * g.stride[1] * g.kernels[1]
        entries = len(blocks.rows) * g.groups * width * min(width, g.kernels[0] // g.groups)
        self._kept: dict[tuple[int, int], _Complex | None] | None = {} if entries <= _KEPT_ENTRIES else None

    def rejected(self, images: _Doubles) -> _Doubles:
        """Return the rejected part of images (n, c, h, w): at every frequency, what its matrix maps to zero."""
        g = self._blocks.geometry
        n, (height, width), (sh, sw) = len(images), g.input_shape[1:], g.stride
        transform = np.fft.fft2(images, norm="ortho")
        rejected = np.zeros_like(transform)

        def work(which: slice) -> None:
            rows_of = self._row_space(which)
            if rows_of is None:
                return
            vertical, horizontal = self._blocks.aliases(0, which), self._blocks.aliases(1, which)
            f = len(vertical)
            rows = np.broadcast_to(vertical[:, :, None], (f, sh, sw)).reshape(f, -1)
            columns = np.broadcast_to(horizontal[:, None, :], (f, sh, sw)).reshape(f, -1)
            found = transform[:, :, rows, columns]  # (n, c, f, s²)
            x = found.reshape(n, g.groups, -1, f, sh * sw).transpose(3, 1, 4, 2, 0)
            rest = _without(rows_of, x.reshape(f, g.groups, -1, n))
            rest = rest.reshape(f, g.groups, sh * sw, -1, n).transpose(4, 1, 3, 0, 2).reshape(found.shape)
            rejected[:, :, -rows % height, -columns % width] = rest.conj()
            rejected[:, :, rows, columns] = rest

        in_threads(work, self._blocks)
        return np.fft.ifft2(rejected, norm="ortho").real

    def _row_space(self, which: slice) -> _Complex | None:
        place = which.start, which.stop
        if self._kept is not None and place in self._kept:
            return self._kept[place]
        found = _row_space(self._blocks.matrices(which), self._threshold)
        if self._kept is not None:
            self._kept[place] = found
        return found


def _row_space(matrices: _Complex, threshold: float) -> _Complex | None:
    """Return orthonormal rows that span the row spaces, padded by zeros; None where nothing is rejected."""
    tall = matrices.shape[-2] >= matrices.shape[-1]
    if tall and (np.linalg.svd(matrices, compute_uv=False) > threshold).all():
        return None
    _, values, right = np.linalg.svd(matrices, full_matrices=False)
    return np.asarray(right * (values > threshold)[..., None])


def _without(rows: _Complex, x: _Complex) -> _Complex:
    across = rows.conj().swapaxes(-1, -2)
    rest = x - across @ (rows @ x)
    return np.asarray(rest - across @ (rows @ rest))  # twice, for where little is left


def signal_by_iteration(
    operator: ConvolutionOperator, images: _Doubles, largest: float, rtol: float, max_steps: int
) -> tuple[_Doubles, _Doubles]:
    """Return the signal part of images (n, c, h, w) and ‖A(x − signal)‖/(σ₁‖x‖) of each.

    Conjugate gradients on ‖Az − Ax‖ from z = 0 stay in the row space of A and so lead to the least z, which
    is the signal. Images are stepped together; those that are done wait.
    """
    axes = (1, 2, 3)

    def energies(x: _Doubles) -> _Doubles:
        return np.asarray(np.einsum("nchw,nchw->n", x, x))

    size = np.sqrt(energies(images)) * largest
    signal = np.zeros_like(images)
    residual = operator.forward(images).astype(np.float64)
    slope = operator.adjoint_product(residual).astype(np.float64)
    direction = slope.copy()
    gamma = energies(slope)
    leak = _quotient(np.sqrt(energies(residual)), size)
    for _ in range(max_steps):
        active = (leak > rtol) & (gamma > 0)
        if not active.any():
            break
        image = operator.forward(direction).astype(np.float64)
        step = np.where(active, _quotient(gamma, energies(image)), 0.0)
        signal += np.expand_dims(step, axes) * direction
        residual -= np.expand_dims(step, axes) * image
        slope = operator.adjoint_product(residual).astype(np.float64)
        previous, gamma = gamma, np.where(active, energies(slope), gamma)
        direction = slope + np.expand_dims(_quotient(gamma, previous), axes) * direction
        leak = _quotient(np.sqrt(energies(residual)), size)
    # The residual of the recurrence drifts; this is the one that holds.
    return signal, _quotient(np.sqrt(energies(operator.forward(images - signal).astype(np.float64))), size)


def _quotient(a: _Doubles, b: _Doubles) -> _Doubles:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
