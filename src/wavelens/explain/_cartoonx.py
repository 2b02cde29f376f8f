"""CartoonX: the smallest piecewise-smooth part of an image that keeps a classifier's answer."""

from __future__ import annotations

from typing import Any, ClassVar

from wavelens._arguments import check_integer
from wavelens.explain._basis import Basis, WaveletBasis
from wavelens.explain._explainer import Defaults, RateDistortion

__all__ = ["CartoonX"]


class CartoonX(RateDistortion):
    """Explain a classifier's answers by masks on the wavelet coefficients of images.

    A mask s, one number in [0, 1] for each coefficient of a plane, shared by the channels, minimizes

        E[d(Φ(clamp(S(s∘Wx + (1 − s)∘v), 0, 1)))] + λ·mean(s),

    W the wavelet transform and S its inverse, v noise, d the distortion of the model's answer Φ. As few wavelets
    make a piecewise-smooth picture, what is kept looks like a cartoon: the smooth parts and edges that the model
    needs, on black.

    Parameters
    ----------
    model : model of `wavelens.models`
        Has ``predict``, ``outputs``, ``has_gradient`` and, with a gradient, ``forward``; takes float32
        (n, channels, height, width) in [0, 1]. A model that only predicts is searched by trials on blocks of
        coefficients, which is slower and coarser; `Explanations.gradient` says so.
    lam : float, optional
        Weight λ of the rate, 20 by default (the articles: 20 to 80). Any optimum keeps at most D(0)/λ, where D(0)
        is the distortion of the empty mask.
    wavelet : str, default "db3"
    level : int, optional
        5 by default, or as many as the image allows.
    mode : str, default "zero"
        How the image goes on past its edge.
    noise : {"gaussian", "global", "zero", "blur", "mean"}, default "gaussian"
        What takes the place of a coefficient. "gaussian": normal, with mean and variance of the image's
        coefficients of the same scale (approximation; each level with its three orientations; all channels);
        "global": of all coefficients; "zero"; "blur": those of the image, blurred (Gaussian, a twentieth of the
        shorter side); "mean": those of the image's mean colour. The last three are not random: one sample a step
        is taken.
    distortion : {"relative", "probability", "l2", "kl", "maximize"} or callable, optional
        Of the probabilities p(z) of the masked image against p(x) of the image: the target's squared difference as a
        share, (p(z)/p(x) − 1)², the default, by which one λ means the same for sure and unsure answers (a p(x) below
        1e-6 counts as 1e-6); the squared difference itself, as published; the sum of all squared differences;
        KL(p(x) ‖ p(z)); 1 − p(z) of the target. A function takes p(z) of shape (n, n_outputs), p(x) of shape
        (n_outputs,), both float64, and the target, and returns the n values and their gradients by p(z), of shape
        (n, n_outputs); it may be compiled by Numba, or come from `torch_distortion`.
    spatial : float, optional
        Weight of the mean of |S(s∘W(grey))|, by which WaveletX keeps the picture itself small; 0 by default.
    init : {"gradient", "ones"} or array of shape (k,) or (n, k), optional
        The mask to start from. "gradient", the default: quantiles of the size of ∂(−log p)/∂coefficient at the
        image, summed over channels.
    optimizer : {"continuation", "adam"}, optional
        "continuation", the default, needs a hundredth of the samples; "adam" is the published one.
    preset : {None, "published", "waveletx"}
        "published": Adam with rate 0.001, 2,000 steps of 64 samples, λ = 20, from all ones, projected after each
        step, ``distortion="probability"``. "waveletx": Adam with rate 0.1, 300 steps of 16 samples, λ = 2,
        ``spatial=10``, ``distortion="maximize"``, from all ones. Options given besides hold.
    n_steps, n_samples, learning_rate : int, int, float, optional
        Of the search; see `preset`. By default 570 steps of one sample at 0.1, and as many at 0.03.
    n_test : int, default 64
        Samples of fresh noise on which the distortion is measured after the search.
    random_state : int, default 0
        Seed of the noise. The same seed gives the same masks, for any number of threads, alone or in a batch (up to
        what the model's own rounding depends on the size of its batch).
    memory_limit : int or str, optional
        Bytes, or a text such as "2GB", for the arrays of a search (the model's own not counted); 512 MiB by
        default. It changes how many images and samples are taken at once, and no result.
    progress : bool, optional
        Whether to show a bar on stderr; by default on a terminal.

    Raises
    ------
    ValueError, TypeError
        If an option is out of range or `model` is none.

    Notes
    -----
    Cost: about 1,240 model evaluations an image by default, each with its gradient but for some 100; the
    published preset takes 128,000. Everything else takes some per cent of a photo network's time.

    For sure answers "relative" and "probability" are the same. An answer of 15 % has a D(0) of about 0.02 under
    "probability", and λ = 20 leaves it a thousandth of the mask; under "relative" D(0) is near 1 for every answer.

    A λ that is large against D(0) makes the empty mask the cheapest. It explains nothing and is not returned as long
    as a mask is found that keeps the distortion below D(0)/2 at less than twice its objective; compare
    `Explanations.objectives` with `Explanations.empty_distortions`.

    References
    ----------
    .. [1] S. Kolek, D. A. Nguyen, R. Levie, J. Bruna, G. Kutyniok, "Cartoon explanations of image classifiers",
       ECCV 2022.
    .. [2] S. Kolek, R. Windesheim, H. Andrade-Loarca, G. Kutyniok, R. Levie, "Explaining image classifiers with
       multiscale directional image representation", CVPR 2023 (WaveletX).
    .. [3] J. MacDonald, S. Wäldchen, S. Hauch, G. Kutyniok, "A rate-distortion framework for explaining neural
       network decisions", 2019.

    Examples
    --------
    A model that looks at nothing but the brightness of the left half; black takes the place of what is dropped:

    >>> import numpy as np
    >>> from wavelens.explain import CartoonX
    >>> class LeftHalf:
    ...     outputs, has_gradient, input_shape = "logits", True, (1, 16, 16)
    ...     weights = np.repeat([0.1, 0.0], 8).astype("float32") * np.ones((16, 1), "float32")
    ...     def predict(self, x):
    ...         bright = (x[:, 0] * self.weights).sum((1, 2))
    ...         return np.stack([bright, 3 - bright], 1)
    ...     def forward(self, x):
    ...         return self.predict(x), lambda g: (g[:, :1, None] - g[:, 1:, None])[..., None] * self.weights
    >>> images = np.random.default_rng(0).random((1, 16, 16))
    >>> explanations = CartoonX(LeftHalf(), wavelet="haar", level=2, noise="zero", n_steps=100).explain(images)
    >>> left, right = explanations.pictures()[0].reshape(16, 2, 8).sum((0, 2))
    >>> bool(left > 2 * right)
    True
    """

    method = "cartoonx"
    presets: ClassVar[dict[str | None, Defaults]] = {
        None: Defaults(20.0, "continuation", 570, 1, 0.1, "gradient", "relative"),
        "published": Defaults(20.0, "adam", 2000, 64, 1e-3, "ones"),
        "waveletx": Defaults(2.0, "adam", 300, 16, 0.1, "ones", "maximize", 10.0),
    }

    def __init__(
        self,
        model: Any,
        *,
        lam: float | None = None,
        wavelet: str = "db3",
        level: int | None = None,
        mode: str = "zero",
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
            name: value
            for name, value in locals().items()
            if name not in ("self", "model", "wavelet", "level", "mode", "__class__")
        }
        super().__init__(model, options)
        self.wavelet, self.mode = wavelet, mode
        self.level = None
        self._basis((64, 64))  # refuses unknown names at once
        self.level = None if level is None else check_integer(level, "level", low=1)

    def _basis(self, size: tuple[int, int]) -> Basis:
        if min(size) < 2:
            raise ValueError(
                f"`images` must have at least 2 rows and 2 columns for a wavelet transform, got {size[0]} × {size[1]}; "
                "PixelRDE takes any size"
            )
        return WaveletBasis(size, self.wavelet, self.level, self.mode)
