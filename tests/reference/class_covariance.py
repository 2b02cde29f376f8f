"""Covariance of classes and what a row of it has of its own, from the definitions."""

from __future__ import annotations

import numpy as np


def class_covariance(features, labels, *, center=False, correlation=False):
    """1/(|i||j|) Σ Σ dᵀd over all pairs of images, one pair of classes after another."""
    rows = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    labels = np.asarray(labels)
    if center:
        rows = rows - rows.mean(axis=0)
    classes = np.unique(labels)
    c = np.empty((len(classes), len(classes)))
    for i, a in enumerate(classes):
        for j, b in enumerate(classes):
            c[i, j] = np.mean([x @ y for x in rows[labels == a] for y in rows[labels == b]])
    if correlation:
        c = c / np.sqrt(np.outer(np.diag(c), np.diag(c)))
    return c


def left_out_share(vectors, i):
    """Part of the energy of row i that a least-squares combination of the other rows leaves."""
    # Rows of norm 1, which changes no share, keep the least-squares problem well scaled.
    vectors = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    others = np.delete(vectors, i, axis=0)
    weights = np.linalg.lstsq(others.T, vectors[i], rcond=1e-12)[0]
    rest = vectors[i] - weights @ others
    return rest @ rest / (vectors[i] @ vectors[i])
