"""What a convolution rejects of an image: exactly by frequencies, or by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wavelens.spaces._conv_operator import ConvolutionOperator
from wavelens.spaces._conv_spectrum import FrequencyBlocks, in_threads

__all__ = ["rejected_by_frequencies", "signal_by_iteration"]

_Doubles = npt.NDArray[np.float64]


def rejected_by_frequencies(
    blocks: FrequencyBlocks,
    images: _Doubles,
    threshold: float,
    progress: Callable[[float], None] | None = None,
) -> _Doubles:
    """Return the rejected part of images (n, c, h, w): at every frequency, what its matrix maps to zero.

    Singular values up to `threshold` count as zero.
    """
    g = blocks.geometry
    n = len(images)
    transform = np.fft.fft2(images, norm="ortho")
    rejected = np.zeros_like(transform)
    height, width = g.input_shape[1:]
    per_group = g.kernels[1]

    def work(which: slice) -> None:
        matrices = blocks.matrices(which)
        vertical, horizontal = blocks.aliases(0, which), blocks.aliases(1, which)
        f, (sh, sw) = len(matrices), g.stride
        rows = np.broadcast_to(vertical[:, :, None], (f, sh, sw)).reshape(f, -1)
        columns = np.broadcast_to(horizontal[:, None, :], (f, sh, sw)).reshape(f, -1)
        found = transform[:, :, rows, columns]  # (n, c, f, s²)
        x = found.reshape(n, g.groups, per_group, f, sh * sw).transpose(3, 1, 4, 2, 0)
        x = x.reshape(f, g.groups, sh * sw * per_group, n)
        rest = _rejected(matrices, x, threshold)
        rest = rest.reshape(f, g.groups, sh * sw, per_group, n).transpose(4, 1, 3, 0, 2)
        rest = rest.reshape(found.shape)
        rejected[:, :, -rows % height, -columns % width] = rest.conj()
        rejected[:, :, rows, columns] = rest

    in_threads(work, list(blocks.chunks()), progress)
    return np.fft.ifft2(rejected, norm="ortho").real


def _rejected(
    matrices: npt.NDArray[np.complex128], x: npt.NDArray[np.complex128], threshold: float
) -> npt.NDArray[np.complex128]:
    """Return the part of x (f, groups, n_in, n) in the null spaces of matrices (f, groups, n_out, n_in)."""
    if matrices.shape[-2] >= matrices.shape[-1]:
        values = np.linalg.svd(matrices, compute_uv=False)
        deficient = np.asarray((values <= threshold).any(axis=-1))
        rest = np.zeros_like(x)
        if deficient.any():
            rest[deficient] = _without_signal(matrices[deficient], x[deficient], threshold)
        return rest
    return _without_signal(matrices, x, threshold)


def _without_signal(
    matrices: npt.NDArray[np.complex128], x: npt.NDArray[np.complex128], threshold: float
) -> npt.NDArray[np.complex128]:
    _, values, right = np.linalg.svd(matrices, full_matrices=False)
    right = right * (values > threshold)[..., None]
    across = right.conj().swapaxes(-1, -2)
    rest = x - across @ (right @ x)
    return np.asarray(rest - across @ (right @ rest))  # twice, for where little is left


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
