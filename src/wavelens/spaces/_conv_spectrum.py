"""A periodic convolution frequency by frequency: small matrices whose singular values are the operator's.

The Fourier transform turns a periodic convolution into one matrix A(ω) (c_out × c_in) for every frequency
(Sedghi, Gupta and Long 2019). With a stride s that divides the size, the s² frequencies that alias to one of
the output share a matrix [A(ω₁) … A(ω_s²)]/s. Real kernels make A(−ω) the conjugate of A(ω): half the
matrices tell all. Kernels of one tap along an axis don't depend on its frequency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from wavelens._threads import num_threads
from wavelens.spaces._conv_operator import Geometry

__all__ = ["FrequencyBlocks", "in_threads", "spectrum"]

_Complex = npt.NDArray[np.complex128]
_Indices = npt.NDArray[np.intp]
_CHUNK_ENTRIES = 2**21
_WORTH_THREADS = 2**15


@dataclass(frozen=True, eq=False)
class FrequencyBlocks:
    """The matrices of a block-circulant convolution.

    `rows` and `columns` are frequencies of the output of which no two tell the same, `times` how many
    frequencies each stands for.
    """

    kernels: npt.NDArray[np.float64]
    geometry: Geometry
    rows: _Indices
    columns: _Indices
    times: _Indices

    @classmethod
    def of(cls, kernels: npt.NDArray[np.float64], geometry: Geometry, *, merge_axes: bool) -> FrequencyBlocks:
        """Return the blocks; `merge_axes` takes one frequency of an axis along which kernels have one tap."""
        _, height, width = geometry.output_shape
        merged = [merge_axes and taps == 1 for taps in geometry.kernels[2:]]
        grid = np.meshgrid(
            np.arange(1 if merged[0] else height), np.arange(1 if merged[1] else width), indexing="ij"
        )
        rows, columns = (each.ravel() for each in grid)
        opposite = (-rows) % height * width + (-columns) % width
        own = rows * width + columns
        keep = own <= opposite
        each = (height if merged[0] else 1) * (width if merged[1] else 1)
        times = np.where(own == opposite, 1, 2) * each
        return cls(kernels, geometry, rows[keep], columns[keep], times[keep])

    @property
    def _entries(self) -> int:
        g = self.geometry
        return g.kernels[0] * g.kernels[1] * g.stride[0] * g.stride[1]

    @property
    def are_small(self) -> bool:
        """Whether all matrices together are no work for threads, of ours or of BLAS."""
        return len(self.rows) * self._entries <= _WORTH_THREADS

    def chunks(self) -> Iterator[slice]:
        """Yield ranges of frequencies whose matrices take some 32 MiB."""
        step = max(1, _CHUNK_ENTRIES // self._entries)
        if not self.are_small:
            step = min(step, max(1, -(-len(self.rows) // (4 * num_threads()))))
        for first in range(0, len(self.rows), step):
            yield slice(first, min(len(self.rows), first + step))

    def aliases(self, axis: int, which: slice) -> _Indices:
        """Return the input's frequencies (f, stride) that alias to the output's, along an axis."""
        frequencies = (self.rows, self.columns)[axis][which]
        size, step = self.geometry.output_shape[1 + axis], self.geometry.stride[axis]
        return np.asarray(frequencies[:, None] + size * np.arange(step))

    def matrices(self, which: slice) -> _Complex:
        """Return the matrices (f, groups, c_out/groups, stride² c_in/groups)."""
        g = self.geometry
        c_out, c_in, kh, kw = g.kernels
        vertical, horizontal = (self._phases(axis, which) for axis in (0, 1))
        f, sh, sw = len(vertical), g.stride[0], g.stride[1]
        phases = (vertical[:, :, None, :, None] * horizontal[:, None, :, None, :]).reshape(-1, kh * kw)
        symbols: _Complex = phases @ self.kernels.reshape(c_out * c_in, kh * kw).T
        symbols = symbols.reshape(f, sh * sw, g.groups, c_out // g.groups, c_in) / np.sqrt(sh * sw)
        return symbols.transpose(0, 2, 3, 1, 4).reshape(f, g.groups, c_out // g.groups, sh * sw * c_in)

    def _phases(self, axis: int, which: slice) -> _Complex:
        g = self.geometry
        size = g.input_shape[1 + axis]
        shifts = np.arange(g.kernels[2 + axis]) * g.dilation[axis] - g.padding[axis][0]
        # Whole turns are taken off in integers, so that every phase is exact to rounding.
        turns = self.aliases(axis, which)[:, :, None] * shifts % size
        return np.asarray(np.exp(2j * np.pi * np.arange(size) / size)[turns])


@cache
def _all_blas() -> Any:
    return ThreadpoolController().select(user_api="blas")


def in_threads(
    work: Callable[[slice], Any], blocks: FrequencyBlocks, progress: Callable[[float], None] | None = None
) -> list[Any]:
    """Return what work(chunk) returns, in order; chunks run in as many threads as the engine uses."""
    chunks = list(blocks.chunks())
    if blocks.are_small:
        # To change the number of BLAS's threads and back takes longer than this does.
        return [work(each) for each in chunks]
    results: list[Any] = []
    # NumPy's BLAS, which may be another one than SciPy's, takes one thread for each chunk.
    with _all_blas().limit(limits=1):
        if len(chunks) == 1:
            return [work(chunks[0])]
        with ThreadPoolExecutor(min(num_threads(), len(chunks))) as pool:
            try:
                for result in pool.map(work, chunks):
                    results.append(result)
                    if progress is not None:
                        progress(len(results) / len(chunks))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return results


def spectrum(
    blocks: FrequencyBlocks, method: str, progress: Callable[[float], None] | None = None
) -> npt.NDArray[np.float64]:
    """Return all singular values of the operator, descending."""

    def work(which: slice) -> npt.NDArray[np.float64]:
        matrices = blocks.matrices(which)
        values = _svd_values(matrices) if method == "svd" else _gram_values(matrices)
        return np.repeat(values.reshape(len(matrices), -1), blocks.times[which], axis=0).ravel()

    values = np.concatenate(in_threads(work, blocks, progress))
    values.sort()
    return values[::-1]


def _svd_values(matrices: _Complex) -> npt.NDArray[np.float64]:
    if 1 in matrices.shape[-2:]:
        return np.asarray(np.linalg.norm(matrices.reshape(*matrices.shape[:2], -1), axis=-1))
    return np.asarray(np.linalg.svd(matrices, compute_uv=False))


def _gram_values(matrices: _Complex) -> npt.NDArray[np.float64]:
    conjugate = matrices.conj().swapaxes(-1, -2)
    wide = matrices.shape[-2] <= matrices.shape[-1]
    gram = matrices @ conjugate if wide else conjugate @ matrices
    return np.asarray(np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0)))
