"""The smallest singular values of a square convolution under any padding, by factorizing it once.

Lanczos finds the largest singular values in a few dozen products, and the smallest of a square operator hardly at all:
they crowd near zero. Those of the inverse are 1/σ, so that the smallest become the largest, well apart. A⁻¹ is never
formed: a convolution's matrix is sparse, and its LU decomposition (SuperLU, columns by COLAMD) of an h × w map with c
channels takes about 3c²hw·min(h, w) entries and 9c³hw·min(h, w)² flops, as elimination of a grid does. Each product
with (AᵀA)⁻¹ is then four triangular solutions, and some twenty products are enough (Ericsson and Ruhe 1980, The
spectral transformation Lanczos method). How good a pair is its residual with the operator itself tells, not the
factorization.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu

from wavelens._threads import blas_threads
from wavelens.spaces._conv_operator import ConvolutionOperator
from wavelens.spaces._extreme import ExtremeSingularValues, lanczos

__all__ = ["convolution_extremes", "is_worth_factorizing", "smallest_by_inverse", "sparse_matrix"]

_Doubles = npt.NDArray[np.float64]
# Of the decomposition: 12 bytes each.
_ENTRIES = 2**25
_ZEROS_AT_MOST = 50


def convolution_extremes(
    operator: ConvolutionOperator,
    k: int,
    least: float,
    *,
    rtol: float,
    size: int,
    max_products: int,
    seed: int,
) -> ExtremeSingularValues:
    """Return the k largest and the k smallest singular values above least·σ₁; see `ConvolutionSpaces`."""
    search: dict[str, Any] = {"rtol": rtol, "size": size, "max_products": max_products, "seed": seed}
    largest, high, products = lanczos(operator, k, "largest", **search)
    found = None
    if len(largest) and is_worth_factorizing(operator, size, max_products):
        found = smallest_by_inverse(operator, k, float(largest[0]), least, seed)
    if found is not None:
        (smallest, low, solutions), more = found, 0
    else:
        (smallest, low, more), solutions = lanczos(operator, k, "smallest", **search), 0
    converged = bool(len(largest) and max(high.max(), low.max()) <= rtol * largest[0])
    return ExtremeSingularValues(largest, smallest, high, low, False, converged, products + more, solutions)


def is_worth_factorizing(operator: ConvolutionOperator, size: int, max_products: int) -> bool:
    """Whether a square operator is factorized in some 400 MB, and in no more work than Lanczos is allowed."""
    g = operator.geometry
    (channels, height, width), per_group = g.input_shape, g.kernels[1]
    if operator.shape[0] != operator.shape[1]:
        return False
    side = min(height, width)
    fill = 3 * channels * per_group * height * width * side
    work = 3 * fill * per_group * side
    product = 2 * operator.shape[0] * per_group * g.kernels[2] * g.kernels[3]
    # Factorizing runs through its work about twice as fast as products of vectors do.
    return fill <= _ENTRIES and work <= 2 * max_products * (product + 4 * size * sum(operator.shape))


def smallest_by_inverse(
    operator: ConvolutionOperator, k: int, largest: float, least: float, seed: int
) -> tuple[_Doubles, _Doubles, int] | None:
    """Return the k smallest singular values above least·largest, ascending, their bounds, and the number of solutions.

    None where the operator is singular to rounding, or more than some fifty count as zero: how many there are is not
    known. A bound is ‖Aᵀu − σv‖ with u = Av/σ: so near lies a singular value.
    """
    n = operator.shape[1]
    count = 0
    with blas_threads(1):
        try:
            factors = splu(sparse_matrix(operator))
        except RuntimeError:  # exactly singular
            return None

        def solve(x: _Doubles) -> _Doubles:
            nonlocal count
            count += 2
            return np.asarray(factors.solve(factors.solve(x.ravel(), "T")))

        inverse = LinearOperator((n, n), matvec=solve, dtype=np.float64)
        start = np.random.default_rng(seed).standard_normal(n)
        wanted = k
        while wanted < n - 1:
            try:
                _, vectors = eigsh(inverse, wanted, v0=start)
            except ArpackNoConvergence:
                return None
            values, bounds = _singular_values(operator, vectors)
            if not values[0] > n * np.finfo(np.float64).eps * largest:
                return None
            above = values > least * largest
            if above.sum() >= k:
                return values[above][:k], bounds[above][:k], count
            if wanted > k + _ZEROS_AT_MOST:
                return None
            wanted = 2 * wanted + 8
    return None


def _singular_values(operator: ConvolutionOperator, vectors: _Doubles) -> tuple[_Doubles, _Doubles]:
    """Return the values that right singular vectors, as columns, stand for, ascending, and the bounds."""
    images = operator.matmat(vectors)
    values = np.linalg.norm(images, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        bounds = np.linalg.norm(operator.rmatmat(images / values) - values * vectors, axis=0)
    order = np.argsort(values)
    return values[order], bounds[order]


def sparse_matrix(operator: ConvolutionOperator) -> scipy.sparse.csc_matrix:
    """Return the matrix of a convolution, (n_out, n_in), with its zeros left out."""
    g = operator.geometry
    c_out, per_group, kh, kw = g.kernels
    inputs = np.arange(c_out) // (c_out // g.groups) * per_group
    channels = inputs[:, None] + np.arange(per_group)
    parts = []
    for a in range(kh):
        rows, from_rows = _met(operator, 0, a)
        for b in range(kw):
            columns, from_columns = _met(operator, 1, b)
            values = operator.kernels[:, :, a, b, None, None]
            to = _places(np.arange(c_out)[:, None], rows, columns, g.output_shape)
            entering = _places(channels, from_rows, from_columns, g.input_shape)
            shape = np.broadcast_shapes(to.shape, entering.shape)
            parts.append([np.broadcast_to(each, shape).ravel() for each in (values, to, entering)])
    entries, to, entering = (np.concatenate(each) for each in zip(*parts, strict=True))
    kept = entries != 0
    found = scipy.sparse.coo_matrix((entries[kept], (to[kept], entering[kept])), shape=operator.shape)
    return found.tocsc()


def _met(
    operator: ConvolutionOperator, axis: int, tap: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return which outputs of an axis a tap gives something to, and from where."""
    g = operator.geometry
    outputs = np.arange(g.output_shape[1 + axis])
    inputs = outputs * g.stride[axis] + tap * g.dilation[axis] - g.padding[axis][0]
    size = g.input_shape[1 + axis]
    if g.circular:
        return outputs, inputs % size
    inside = (inputs >= 0) & (inputs < size)
    return outputs[inside], inputs[inside]


def _places(
    channels: npt.NDArray[np.intp],
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    shape: tuple[int, int, int],
) -> npt.NDArray[np.intp]:
    """Return the places in a flattened map, (*channels, rows, columns)."""
    return (channels[..., None, None] * shape[1] + rows[:, None]) * shape[2] + columns
