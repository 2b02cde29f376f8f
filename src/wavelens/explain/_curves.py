"""Orders of parts, the pictures of a curve along them, and the area under it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.integrate import trapezoid

from wavelens.explain._parts import ImageParts

__all__ = ["SHARES", "area", "deletion", "insertion", "most_relevant", "obscured", "rank"]

# Closer where curves bend: explanations keep a few per cent.
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)

Array = npt.NDArray[Any]


def rank(relevance: Array, random_state: int) -> npt.NDArray[np.intp]:
    """Return the parts from the most relevant to the least; equals come in random order.

    A mask has many zeros and ones: in the order of the layout the coarsest coefficients would come first, and a
    mask that says nothing would be credited with it.
    """
    rng = np.random.default_rng(random_state)
    return np.lexsort((rng.random(len(relevance)), -np.asarray(relevance, np.float64)))


def most_relevant(order: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.float32]:
    """Return the mask that keeps the first `count` parts of an order."""
    mask = np.zeros(len(order), np.float32)
    mask[order[:count]] = 1
    return mask


def masks_of(order: npt.NDArray[np.intp], shares: Array) -> Array:
    """Return the masks that keep these shares of an order, (n_shares, k)."""
    return np.stack([most_relevant(order, round(float(share) * len(order))) for share in shares])


def obscured(parts: ImageParts, order: npt.NDArray[np.intp], shares: Array, n: int, seed: int) -> Array:
    """Return pictures with these shares kept and noise for the rest, n of each, (n_shares * n, c, h, w).

    The noise depends on `seed` and the place of the share alone: methods in one basis are compared under the same.
    """
    return np.concatenate([parts.obscure(mask, n, seed, i) for i, mask in enumerate(masks_of(order, shares))])


def insertion(parts: ImageParts, order: npt.NDArray[np.intp], shares: Array) -> Array:
    """Return pictures with these shares put in, most relevant first, (n_shares, c, h, w)."""
    return parts.insert(masks_of(order, shares))


def deletion(parts: ImageParts, order: npt.NDArray[np.intp], shares: Array) -> Array:
    """Return pictures with these shares taken out, most relevant first, (n_shares, c, h, w)."""
    return parts.insert(1 - masks_of(order, shares))


def area(shares: Array, curves: Array) -> Array:
    """Return the area under curves (..., n_shares), by trapezoids."""
    return np.asarray(trapezoid(curves, shares, axis=-1))
