"""Distances, similarities, neighbours and class means from their definitions: one pair after another."""

from __future__ import annotations

import numpy as np


def distances(x, y):
    """sqrt(sum (x_i - y_j)²), in float64, each pair scaled by a power of two so that nothing overflows."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    result = np.empty((len(x), len(y)))
    for i, row in enumerate(x):
        halves = row / 2 - y / 2
        exponents = np.frexp(np.abs(halves).max(axis=1))[1]
        with np.errstate(over="ignore"):
            roots = np.sqrt((np.ldexp(halves, -exponents[:, None]) ** 2).sum(axis=1))
            result[i] = np.ldexp(roots, exponents + 1)
    return result


def similarity(x, y, p, q):
    """exp(-d² / (2 p_i q_j))."""
    return np.exp(-(distances(x, y) ** 2) / (2 * np.outer(p, q)))


def class_means(similarities, labels, own=None):
    """Mean over the rows of each class; with `own` labels a row does not count itself."""
    classes = np.unique(labels)
    means = np.full((len(similarities), len(classes)), np.nan)
    for i in range(len(similarities)):
        for c, name in enumerate(classes):
            members = [j for j in range(len(labels)) if labels[j] == name and (own is None or j != i)]
            if members:
                means[i, c] = np.mean(similarities[i, members])
    return means


def nearest(d, k, allowed):
    """Indices of the k smallest allowed entries of each row, ties to the lower index."""
    d = np.where(allowed, d, np.inf)
    return np.argsort(d, axis=1, kind="stable")[:, :k]
