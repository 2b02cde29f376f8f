"""Singular values of random matrices, drawn entry by entry."""

from __future__ import annotations

import numpy as np


def spectra(shape, count, seed):
    rng = np.random.default_rng(seed)
    return np.array([np.linalg.svd(rng.standard_normal(shape), compute_uv=False) for _ in range(count)])
