"""Pixel RDE: the smallest set of pixels that keeps a classifier's answer."""

from __future__ import annotations

from typing import Any, ClassVar

from wavelens.explain._basis import Basis, PixelBasis
from wavelens.explain._explainer import Defaults, RateDistortion

__all__ = ["PixelRDE"]


class PixelRDE(RateDistortion):
    """Explain a classifier's answers by masks on the pixels of images.

    As `CartoonX`, with pixels in place of wavelets: a mask s, one number in [0, 1] for each pixel, minimizes

        E[d(Φ(s∘x + (1 − s)∘v))] + λ·mean(s).

    Parameters
    ----------
    model : model of `wavelens.models`
        As in `CartoonX`.
    lam : float, optional
        Weight λ of the rate, 4 by default (the articles: 3 to 20).
    noise : {"gaussian", "global", "zero", "blur", "mean"}, default "gaussian"
        As in `CartoonX`; normal noise has mean and variance of all the image's pixels and channels. Nothing is clamped.
    distortion : {"relative", "probability", "l2", "kl", "maximize"} or callable, optional
        As in `CartoonX`.
    spatial : float, optional
        Weight of the mean of |s∘grey|; 0 by default.
    init : {"gradient", "ones"} or array of shape (k,) or (n, k), optional
        As in `CartoonX`.
    optimizer : {"continuation", "adam"}, optional
        As in `CartoonX`.
    preset : {None, "published"}
        "published": Adam with rate 0.001, 2,000 steps of 64 samples, λ = 4,
        ``distortion="probability"``, from all ones, projected after each step.
    n_steps, n_samples, learning_rate : int, int, float, optional
        As in `CartoonX`.
    n_test : int, default 64
        As in `CartoonX`.
    random_state : int, default 0
        As in `CartoonX`.
    memory_limit : int or str, optional
        As in `CartoonX`.
    progress : bool, optional
        As in `CartoonX`.

    Raises
    ------
    ValueError, TypeError
        If an option is out of range or `model` is none.

    Notes
    -----
    Cost as `CartoonX`, without the transforms.

    References
    ----------
    .. [1] J. MacDonald, S. Wäldchen, S. Hauch, G. Kutyniok, "A rate-distortion framework for explaining neural
       network decisions", 2019.

    Examples
    --------
    A model that looks at nothing but the brightness of the left half; black takes the place of what is dropped:

    >>> import numpy as np
    >>> from wavelens.explain import PixelRDE
    >>> class LeftHalf:
    ...     outputs, has_gradient, input_shape = "logits", True, (1, 16, 16)
    ...     weights = np.repeat([0.1, 0.0], 8).astype("float32") * np.ones((16, 1), "float32")
    ...     def predict(self, x):
    ...         bright = (x[:, 0] * self.weights).sum((1, 2))
    ...         return np.stack([bright, 3 - bright], 1)
    ...     def forward(self, x):
    ...         return self.predict(x), lambda g: (g[:, :1, None] - g[:, 1:, None])[..., None] * self.weights
    >>> images = np.random.default_rng(0).random((1, 16, 16))
    >>> explanations = PixelRDE(LeftHalf(), noise="zero", lam=1.0, n_steps=100).explain(images)
    >>> left, right = explanations.masks.reshape(16, 2, 8).sum((0, 2))
    >>> bool(left > 2 * right)
    True
    """

    method = "pixel_rde"
    presets: ClassVar[dict[str | None, Defaults]] = {
        None: Defaults(4.0, "continuation", 570, 1, 0.1, "gradient", "relative"),
        "published": Defaults(4.0, "adam", 2000, 64, 1e-3, "ones"),
    }

    def __init__(
        self,
        model: Any,
        *,
        lam: float | None = None,
        noise: str = "gaussian",
        distortion: Any = None,
        spatial: float | None = None,
        init: Any = None,
        optimizer: str | None = None,
        preset: str | None = None,
        n_steps: int | None = None,
        n_samples: int | None = None,
        learning_rate: float | None = None,
        n_test: int = 64,
        random_state: int = 0,
        memory_limit: int | str | None = None,
        progress: bool | None = None,
    ) -> None:
        options = {
            name: value for name, value in locals().items() if name not in ("self", "model", "__class__")
        }
        super().__init__(model, options)

    def _basis(self, size: tuple[int, int]) -> Basis:
        return PixelBasis(size)
