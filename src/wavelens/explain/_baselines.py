"""Explanations by gradients, to compare masks with: one value for each pixel, from a few lines each.

Integrated gradients, SmoothGrad and gradient × input ask how the score of a class moves with each pixel; they give
no mask, but an order of the pixels, from the most relevant to the least. A random wavelet mask is what any
explanation has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from wavelens._arguments import FloatArray, check_choice, check_integer
from wavelens.exceptions import WavelensError
from wavelens.explain._objective import image_keys
from wavelens.explain._scores import Counted, as_planes, as_targets
from wavelens.wavelets import WaveletTransform

__all__ = [
    "Attribution",
    "gradient_times_input",
    "integrated_gradients",
    "random_wavelet_mask",
    "smooth_grad",
]

Targets = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each part of each image speaks for its class, by one method.

    Attributes
    ----------
    method : str
        "integrated_gradients", "smooth_grad", "gradient_times_input" or "random_wavelet".
    values : ndarray of shape (n, channels, height, width) or (n, k)
        By pixel and channel, signed; or by wavelet coefficient, the same for all channels.
    images : ndarray of float32, shape (n, height, width[, channels])
        On the scale 0–1.
    targets : ndarray of int, shape (n,)
    scores : ndarray of shape (n,)
        Of the target on the image.
    n_evaluations : ndarray of int, shape (n,)
        Images shown to the model.
    residuals : ndarray of shape (n,) or None
        Integrated gradients: the sum of the values minus the difference of the scores of image and baseline,
        which is zero but for the quadrature.
    transform : WaveletTransform or None
        Where the values belong to wavelet coefficients.
    """

    method: str
    values: FloatArray
    images: npt.NDArray[np.float32]
    targets: Targets
    scores: FloatArray
    n_evaluations: npt.NDArray[np.intp]
    residuals: FloatArray | None = None
    transform: WaveletTransform | None = None

    def relevance(self) -> FloatArray:
        """Return how relevant each pixel (or wavelet coefficient) is, whatever the sign.

        Returns
        -------
        ndarray of shape (n, height * width) or (n, k)
            Of pixels: the size of the sum over channels (SmoothGrad: the largest size among channels, as its
            authors show it).
        """
        if self.values.ndim == 2:
            return self.values
        if self.method == "smooth_grad":
            return np.asarray(np.abs(self.values).max(axis=1).reshape(len(self.values), -1))
        return np.asarray(np.abs(self.values.sum(axis=1)).reshape(len(self.values), -1))


def integrated_gradients(
    model: Any,
    images: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    baseline: float | str | npt.ArrayLike = 0.0,
    n_steps: int = 32,
    scale: str = "probability",
) -> Attribution:
    """Integrate the gradient along the line from a baseline to the image.

    Parameters
    ----------
    model : Model
        With `forward`.
    images : ndarray of shape (n, height, width) or (n, height, width, channels)
        uint8, or floats from 0 to 1.
    target : int or array of int, shape (n,), or None, default None
        Class that is explained; None: the most probable one of each image.
    baseline : float, "mean", "blur" or array, default 0.0
        Image without information: one value, the mean colour of each image, each image blurred by a quarter of
        its shorter side, or images like `images`.
    n_steps : int, default 32
        Nodes of the Gauss–Legendre quadrature; exact for models that are polynomials of degree 2 n_steps.
    scale : {"probability", "output"}, default "probability"
        Score that is explained: the probability of the class, or what the model gives (logits, if it does).

    Returns
    -------
    Attribution
        `residuals` holds what is missing to completeness, Σ values = f(image) − f(baseline).

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    WavelensError
        If the model has no gradient.

    Notes
    -----
    Cost: n_steps evaluations with gradient, and two without, an image.

    Source: M. Sundararajan, A. Taly, Q. Yan, *Axiomatic Attribution for Deep Networks*, ICML 2017, equation (1);
    completeness is their proposition 1.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.explain import integrated_gradients
    >>> class Sums:  # a linear model: the score of class 0 is the sum of the pixels
    ...     def forward(self, x):
    ...         scores = x.sum(axis=(1, 2, 3))[:, None]
    ...         return scores, lambda g: np.broadcast_to(g[:, :, None, None], x.shape)
    ...     def predict(self, x):
    ...         return self.forward(x)[0]
    >>> image = np.random.default_rng(0).random((1, 4, 4))
    >>> found = integrated_gradients(Sums(), image, target=0, n_steps=1)
    >>> bool(np.allclose(found.values[0, 0], image[0], atol=1e-6))
    True
    """
    check_integer(n_steps, "n_steps", low=1)
    counted, planes, targets = _begin(model, images, target, scale)
    start = _baseline(baseline, planes)
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    values = np.empty(planes.shape)
    for i, (image, first) in enumerate(zip(planes, start, strict=True)):
        line = first + (0.5 * (nodes + 1)).astype(np.float32)[:, None, None, None] * (image - first)
        gradient = counted.gradient(line, np.repeat(targets[i], n_steps), scale)[1]
        values[i] = np.tensordot(0.5 * weights, gradient, axes=1) * (image - first)
    ends = [_score(counted, x, targets, scale) for x in (planes, start)]
    residuals = values.sum(axis=(1, 2, 3)) - (ends[0] - ends[1])
    return _attribution("integrated_gradients", values, planes, targets, ends[0], n_steps + 2, residuals)


def smooth_grad(
    model: Any,
    images: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    noise: float = 0.15,
    n_samples: int = 32,
    scale: str = "probability",
    random_state: int = 0,
) -> Attribution:
    """Average the gradient over noisy copies of the image.

    Parameters
    ----------
    model, images, target, scale
        As in `integrated_gradients`.
    noise : float, default 0.15
        Standard deviation of the noise, as a share of the image's range (its authors: 10–20 %).
    n_samples : int, default 32
        Noisy copies of each image.
    random_state : int, default 0

    Returns
    -------
    Attribution

    Raises
    ------
    ValueError, TypeError, WavelensError
        As `integrated_gradients`.

    Notes
    -----
    Cost: n_samples evaluations with gradient, and one without, an image.

    Source: D. Smilkov et al., *SmoothGrad: removing noise by adding noise*, 2017, arXiv:1706.03825.
    """
    check_integer(n_samples, "n_samples", low=1)
    if not 0 <= noise < np.inf:
        raise ValueError(f"`noise` must be at least 0, got {noise}")
    counted, planes, targets = _begin(model, images, target, scale)
    values = np.empty(planes.shape)
    for i, (image, key) in enumerate(zip(planes, image_keys(planes), strict=True)):
        rng = np.random.default_rng([random_state, int(key)])
        size = np.float32(noise * float(np.ptp(image)))
        noisy = image + size * rng.standard_normal((n_samples, *image.shape), np.float32)
        values[i] = counted.gradient(noisy, np.repeat(targets[i], n_samples), scale)[1].mean(axis=0)
    scores = _score(counted, planes, targets, scale)
    return _attribution("smooth_grad", values, planes, targets, scores, n_samples + 1)


def gradient_times_input(
    model: Any,
    images: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    scale: str = "probability",
) -> Attribution:
    """Multiply the gradient at the image with the image: the first-order effect of making a pixel black.

    Parameters
    ----------
    model, images, target, scale
        As in `integrated_gradients`.

    Returns
    -------
    Attribution

    Raises
    ------
    ValueError, TypeError, WavelensError
        As `integrated_gradients`.

    Notes
    -----
    Cost: one evaluation with gradient an image.

    Source: A. Shrikumar, P. Greenside, A. Kundaje, *Learning Important Features Through Propagating Activation
    Differences*, ICML 2017, section 2.2.
    """
    counted, planes, targets = _begin(model, images, target, scale)
    scores, gradient = counted.gradient(planes, targets, scale)
    return _attribution("gradient_times_input", gradient * planes, planes, targets, scores, 1)


def random_wavelet_mask(
    images: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    wavelet: str = "db3",
    level: int | None = None,
    mode: str = "zero",
    random_state: int = 0,
) -> Attribution:
    """Call wavelet coefficients relevant at random: what an explanation has to beat.

    Parameters
    ----------
    images : ndarray of shape (n, height, width) or (n, height, width, channels)
        uint8, or floats from 0 to 1.
    target : int or array of int, shape (n,)
        Kept in the result; the model is not asked.
    wavelet, level, mode
        As of `WaveletTransform`; a `level` of None is 5, or fewer for small images.
    random_state : int, default 0

    Returns
    -------
    Attribution
        `values` are uniform in [0, 1), of shape (n, k).

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    """
    planes = as_planes(images)
    if level is None:
        level = min(5, max(1, (min(planes.shape[2:]) - 1).bit_length()))
    transform = WaveletTransform(planes.shape[2:], wavelet, level, mode)
    targets = np.broadcast_to(np.asarray(target, np.intp), (len(planes),))
    values = np.stack(
        [
            np.random.default_rng([random_state, int(key)]).random(transform.n_coefficients)
            for key in image_keys(planes)
        ]
    )
    found = _attribution("random_wavelet", values, planes, targets, np.full(len(planes), np.nan), 0)
    return Attribution(**{**vars(found), "transform": transform})


def _begin(
    model: Any, images: npt.ArrayLike, target: npt.ArrayLike | None, scale: str
) -> tuple[Counted, npt.NDArray[np.float32], Targets]:
    check_choice(scale, "scale", ("probability", "output"))
    counted = Counted(model)
    if not counted.has_gradient:
        raise WavelensError("the model gives predictions but no gradient, which this method needs")
    planes = as_planes(images)
    return counted, planes, as_targets(target, counted, planes)


def _score(counted: Counted, planes: FloatArray, targets: Targets, scale: str) -> FloatArray:
    if scale == "probability":
        return counted.of(planes, targets)
    raw = np.asarray(counted.model.predict(np.ascontiguousarray(planes, np.float32)), np.float64)
    return np.asarray(raw[np.arange(len(raw)), targets])


def _baseline(baseline: float | str | npt.ArrayLike, planes: FloatArray) -> FloatArray:
    """Return the images to begin from, like `planes`."""
    if isinstance(baseline, str):
        check_choice(baseline, "baseline", ("mean", "blur"))
        if baseline == "mean":
            return np.broadcast_to(planes.mean(axis=(2, 3), keepdims=True), planes.shape)
        width = min(planes.shape[2:]) / 4
        return np.asarray(gaussian_filter(planes, (0, 0, width, width)))
    given = np.asarray(baseline, np.float32)
    if given.ndim == 0:
        return np.broadcast_to(given, planes.shape)
    first = as_planes(given, "baseline")
    if first.shape != planes.shape:
        raise ValueError(f"`baseline` must be like `images`, got shape {given.shape}")
    return first


def _attribution(
    method: str,
    values: FloatArray,
    planes: npt.NDArray[np.float32],
    targets: Targets,
    scores: FloatArray,
    evaluations: int,
    residuals: FloatArray | None = None,
) -> Attribution:
    images = planes[:, 0] if planes.shape[1] == 1 else np.moveaxis(planes, 1, 3)
    each = np.full(len(planes), evaluations, dtype=np.intp)
    return Attribution(method, np.asarray(values), images, targets, np.asarray(scores), each, residuals)
