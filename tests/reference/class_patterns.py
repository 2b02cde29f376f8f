"""Patterns of one class against the rest, straight from their definition."""

from __future__ import annotations

import numpy as np
import scipy.linalg


def filters(rows: np.ndarray, own: np.ndarray, ridge: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n strongest filters, as columns, and the mean of the rest."""
    rest = rows[~own]
    mean = rest.mean(axis=0)
    s_rest = sum(np.outer(x - mean, x - mean) for x in rest) / len(rest)
    s_own = sum(np.outer(x - mean, x - mean) for x in rows[own]) / np.count_nonzero(own)
    m = rows.shape[1]
    values, vectors = scipy.linalg.eigh(s_own, s_rest + ridge * np.trace(s_rest) / m * np.eye(m))
    return vectors[:, np.argsort(-values)[:n]], mean


def strengths(scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the ratio of root mean square scores of a class and of the rest."""
    return np.sqrt((scores[own] ** 2).mean(axis=0) / (scores[~own] ** 2).mean(axis=0))


def mean_shares(scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return which share of the class's mean square score a shift of its mean explains."""
    return scores[own].mean(axis=0) ** 2 / (scores[own] ** 2).mean(axis=0)


def pictures(coefficients: np.ndarray, scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the forward pictures, in all coefficients."""
    mean = coefficients[~own].mean(axis=0)
    found = [
        sum(s * (x - mean) for s, x in zip(scores[own, r], coefficients[own], strict=True))
        for r in range(scores.shape[1])
    ]
    return np.array(found) / (scores[own] ** 2).sum(axis=0)[:, None]
