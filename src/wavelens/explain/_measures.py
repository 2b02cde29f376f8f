"""Measures of one explanation of one image: how concise and precise it is, what edges it makes up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates, sobel

from wavelens.wavelets import WaveletTransform

__all__ = ["conciseness_preciseness", "edges", "hallucination", "information", "overlap"]

# Of the gradient, in grey levels from 0 to 1 a pixel.
_edge_strength = 0.04

Array = npt.NDArray[Any]


def information(picture: Array, kept: Array) -> float:
    """Return the share of a grey image's wavelet coefficients (l1 norm, Haar) that is left in what is kept.

    Haar serves for all methods, whatever the basis of their mask.
    """
    transform = WaveletTransform(picture.shape, "haar")
    whole, left = np.abs(transform.forward(np.stack([picture, kept]).astype(np.float64))).sum(axis=1)
    return float(left / whole) if whole > 0 else 0.0


def conciseness_preciseness(probability: float, kept_probability: float, share: float) -> float:
    """Return the share of the class's probability that is retained over the share of information retained.

    The whole image has 1, an explanation that keeps nothing 0; what raises the probability counts as retaining
    all of it, so that images with a low one don't decide. Source: S. Kolek et al., *Explaining Image
    Classifiers with Multiscale Directional Image Representation*, CVPR 2023, section 4.
    """
    if share <= 0:
        return 0.0
    return float(min(1.0, kept_probability / max(probability, 1e-12)) / share)


def edges(picture: Array) -> npt.NDArray[np.bool_]:
    """Return the pixels of a grey image on an edge: the gradient is steep, and steepest across.

    Canny's detector without following weak edges; the threshold is fixed, so that images can be compared.
    """
    smooth = gaussian_filter(np.asarray(picture, np.float64), 1.0, mode="nearest")
    down, across = (sobel(smooth, axis=axis, mode="nearest") / 8 for axis in (0, 1))
    steep = np.hypot(down, across)
    safe = np.where(steep > 0, steep, 1)
    places = np.indices(steep.shape).astype(np.float64)
    step = np.stack([down / safe, across / safe])
    ahead, behind = (
        map_coordinates(steep, places + sign * step, order=1, mode="nearest") for sign in (1, -1)
    )
    return np.asarray((steep > _edge_strength) & (steep >= ahead) & (steep > behind))


def hallucination(picture: Array, explanation: Array) -> float:
    """Return how many edges an explanation shows that the image has not, for each edge of the image.

    Edges may lie a pixel apart. Source: as `conciseness_preciseness`.
    """
    own = edges(picture)
    near = binary_dilation(own, np.ones((3, 3), bool))
    made_up = np.count_nonzero(edges(explanation) & ~near)
    return made_up / max(1, int(np.count_nonzero(own)))


def overlap(first: Array, second: Array) -> float:
    """Return what two masks have in common of what is in either: 1 for equal ones, 0 for disjoint ones."""
    either = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / either if either > 0 else 1.0
