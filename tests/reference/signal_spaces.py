"""The four spaces of a matrix from its full singular value decomposition, dense."""

from __future__ import annotations

import numpy as np


def bases(w):
    """U, σ and V; the entry of largest modulus of every v_i positive."""
    u, values, vt = np.linalg.svd(w, full_matrices=False)
    signs = np.sign([row[np.abs(row).argmax()] for row in vt])
    return u * signs, values, vt.T * signs


def parts(w, x, rank):
    """Signal and rejected parts of rows x, each from its own basis."""
    v = np.linalg.svd(w, full_matrices=True)[2].T
    kept, left = v[:, :rank], v[:, rank:]
    return x @ kept @ kept.T, x @ left @ left.T
