"""Pivoted QR from its definition: residuals by least squares, one column at a time."""

from __future__ import annotations

import numpy as np


def residual_norms(a, chosen):
    """Return the distance of every column of `a` from the span of the chosen ones."""
    if len(chosen) == 0:
        return np.linalg.norm(a, axis=0)
    q = np.linalg.qr(a[:, chosen])[0]
    rest = a - q @ (q.T @ a)
    return np.linalg.norm(rest - q @ (q.T @ rest), axis=0)


def greedy(a, k, rtol=None):
    """Return pivots and their residual norms: the longest residual next, the lowest index among equals."""
    a = np.asarray(a, dtype=np.float64)
    rtol = max(a.shape) * np.finfo(a.dtype).eps if rtol is None else rtol
    pivots, lengths = [], []
    while len(pivots) < k:
        norms = residual_norms(a, pivots)
        norms[pivots] = 0
        best = int(np.argmax(norms))
        if norms[best] <= (rtol * lengths[0] if lengths else 0):
            break
        pivots.append(best)
        lengths.append(norms[best])
    return np.array(pivots, dtype=np.intp), np.array(lengths)


def left_out(a, pivots):
    """Return the Frobenius norm of what the chosen columns do not span."""
    return float(np.linalg.norm(residual_norms(np.asarray(a, dtype=np.float64), pivots)))


def diagonal(a, pivots):
    """Return the distance of each chosen column from the span of those before it."""
    return np.abs(np.diag(np.linalg.qr(np.asarray(a, dtype=np.float64)[:, pivots], mode="r")))


def largest_exchange(a, pivots):
    """Return max |C⁺A| over the columns left out, and by how much one exchange can raise det(CᵀC)^½."""
    chosen = a[:, pivots]
    others = np.setdiff1d(np.arange(a.shape[1]), pivots)
    inverse = np.linalg.pinv(chosen, rcond=1e-17)
    w = inverse @ a[:, others]
    gamma = residual_norms(a, pivots)[others]
    rho = np.sqrt(w**2 + np.outer(np.linalg.norm(inverse, axis=1), gamma) ** 2)
    return np.abs(w).max(initial=0), rho.max(initial=0)


def largest_full_prefix(a, pivots, groups):
    """Return how many first pivots leave every group's rows with full column rank, by singular values."""
    for j in range(1, len(pivots) + 1):
        for label in np.unique(groups):
            if np.linalg.matrix_rank(a[np.asarray(groups) == label][:, pivots[:j]]) < j:
                return j - 1
    return len(pivots)
