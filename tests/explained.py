"""Small explanations of digits for the tests of the page and of its command; nothing but NumPy is needed."""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from wavelens.explain import CartoonX, PixelRDE
from wavelens.models import NumpyMLP

LAMBDAS = (0.5, 2.0, 8.0)
CLASSES = tuple(f"digit {i}" for i in range(10))


@cache
def digit_weights():
    """Return weights and biases of a linear classifier: the nearest of the classes' mean images."""
    images, labels = load_digits(return_X_y=True)
    means = np.stack([images[labels == i].mean(axis=0) for i in range(10)]) / 16
    return [2 * means.T], [-(means**2).sum(axis=1)]


@cache
def digit_model():
    """Return that classifier."""
    return NumpyMLP(*digit_weights(), ["softmax"])


@cache
def digit_images(n=3):
    """Return digits of 8 × 8 pixels on the scale 0–1."""
    return load_digits().images[:n] / 16


@cache
def digit_paths(n=3):
    """Return their explanations in wavelets and in pixels at three λ."""
    options = {"n_steps": 40, "n_test": 8, "progress": False}
    wavelets = CartoonX(digit_model(), wavelet="haar", level=2, **options).path(digit_images(n), LAMBDAS)
    pixels = PixelRDE(digit_model(), **options).path(digit_images(n), [0.2 * each for each in LAMBDAS])
    return wavelets, pixels
