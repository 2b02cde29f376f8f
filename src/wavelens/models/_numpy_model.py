"""Networks of NumPy arrays: linear maps and multilayer perceptrons, with the gradient written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_choice, check_integer
from wavelens._threads import blas_threads
from wavelens.models._activations import PROBABILITIES, activation
from wavelens.models._class_names import ClassNames
from wavelens.models._input_map import InputMap
from wavelens.models._model import Array, Model, Pullback
from wavelens.models._preprocessing import Preprocessing

__all__ = ["NumpyMLP", "product", "shape_of_features"]


class NumpyMLP(Model):
    """A multilayer perceptron; with one layer, a linear classifier.

    a₀ = the image, flattened; aᵢ = fᵢ(aᵢ₋₁ Wᵢ + bᵢ).

    Parameters
    ----------
    weights : sequence of ndarray, shape (n_in, n_out)
        One a layer, as scikit-learn's ``coefs_``; of torch's ``Linear`` the transpose. float32 weights are
        computed with in float32, others in float64.
    biases : sequence of ndarray, shape (n_out,)
        One a layer.
    activations : sequence of str
        One a layer: ``"identity"``, ``"relu"``, ``"leaky_relu"`` (slope 0.01; ``"leaky_relu:0.2"``),
        ``"tanh"``, ``"sigmoid"``, ``"selu"``, ``"softmax"``, ``"one_vs_rest"`` (sigmoids that are made to sum
        to 1). By default relu, and identity at the end.
    input_shape : tuple of int, optional
        Channels, height, width. By default of square images: grey, or of three channels.
    preprocessing : Preprocessing, optional
        What becomes of an image first. By default it enters as it is, on the scale 0–1. Pixels are
        flattened in the order of its `layout`; without one, channel after channel.
    outputs : {"probabilities", "logits"}, optional
        By default probabilities after softmax and sigmoids, logits otherwise.
    class_names : ClassNames, optional
        What the outputs are called.
    batch_size : int
        Images at a time.
    name : str
        For titles.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or an activation is unknown.

    Notes
    -----
    The gradient is exact; at the kink of relu the derivative is 0. It costs two products with each weight
    matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.models import NumpyMLP
    >>> model = NumpyMLP([np.eye(4)], [np.zeros(4)])
    >>> x = np.array([0.1, 0.2, 0.3, 0.4]).reshape(1, 1, 2, 2)
    >>> outputs, pullback = model.forward(x)
    >>> outputs
    array([[0.1, 0.2, 0.3, 0.4]])
    >>> pullback(np.array([[0.0, 0.0, 1.0, 0.0]]))[0, 0]
    array([[0., 0.],
           [1., 0.]])
    """

    def __init__(
        self,
        weights: Sequence[npt.ArrayLike],
        biases: Sequence[npt.ArrayLike],
        activations: Sequence[str] | None = None,
        *,
        input_shape: tuple[int, int, int] | None = None,
        preprocessing: Preprocessing | None = None,
        outputs: str | None = None,
        class_names: ClassNames | None = None,
        batch_size: int = 1024,
        name: str = "MLP",
    ) -> None:
        names = list(activations) if activations is not None else ["relu"] * (len(weights) - 1) + ["identity"]
        self.weights, self.biases = _checked_layers(weights, biases, names)
        self.activations = tuple(names)
        self._functions = [activation(each) for each in names]
        n_features, n_outputs = self.weights[0].shape[0], self.weights[-1].shape[1]
        if n_outputs < 2:
            raise ValueError(
                "`weights` must end in at least 2 outputs, one a class, got 1; for a logit z of two classes "
                "give (0, z): put a column of zeros first"
            )
        shape = input_shape or (
            shape_of_features(n_features)
            if preprocessing is None
            else (preprocessing.n_channels, *preprocessing.size)
        )
        if math.prod(shape) != n_features:
            raise ValueError(
                f"`input_shape` {shape} has {math.prod(shape)} values, the first weights take {n_features}"
            )
        dtype = str(self.weights[0].dtype)
        final = names[-1]
        super().__init__(
            name=name,
            kind="NumPy network" if len(names) > 1 else "NumPy linear classifier",
            input_shape=shape,
            n_outputs=n_outputs,
            outputs=(outputs and check_choice(outputs, "outputs", ("probabilities", "logits")))
            or ("probabilities" if final in PROBABILITIES else "logits"),
            outputs_reason="given" if outputs else f"the last activation is {final}",
            preprocessing=preprocessing,
            class_names=class_names,
            batch_size=batch_size,
            _map=InputMap(dtype=dtype) if preprocessing is None else InputMap.of(preprocessing, dtype),
        )

    def run(self, batch: Array) -> Array:
        """See `Model.run`."""
        a = batch.reshape(len(batch), -1)
        for w, b, (function, _) in zip(self.weights, self.biases, self._functions, strict=True):
            a = function(product(a, w) + b)
        return a

    def run_back(self, batch: Array, keep: bool) -> tuple[Array, Pullback]:
        """See `Model.run_back`."""
        a = batch.reshape(len(batch), -1)
        steps = []
        for w, b, (function, back) in zip(self.weights, self.biases, self._functions, strict=True):
            z = product(a, w) + b
            a = function(z)
            steps.append((w, z, a, back))

        def pullback(cotangent: Array) -> Array:
            g = np.asarray(cotangent, self.weights[0].dtype)
            for w, z, a, back in reversed(steps):
                g = product(back(z, a, g), w.T)
            return g.reshape(batch.shape)

        return a, pullback


def shape_of_features(n_features: int) -> tuple[int, int, int]:
    """Conclude the shape of square images, grey or of three channels, from the number of their values.

    Parameters
    ----------
    n_features : int
        Channels times height times width.

    Returns
    -------
    tuple of int
        Channels, height, width.

    Raises
    ------
    ValueError
        If there is none.
    """
    for channels in (1, 3):  # never both, as 3 is no square
        side = math.isqrt(n_features // channels)
        if channels * side * side == n_features:
            return channels, side, side
    raise ValueError(
        f"`input_shape` must be given: {n_features} values are no square image, neither grey nor of 3 channels"
    )


def _checked_layers(
    weights: Sequence[npt.ArrayLike], biases: Sequence[npt.ArrayLike], activations: Sequence[str]
) -> tuple[list[Array], list[Array]]:
    check_integer(len(weights), "len(weights)", low=1)
    if len({len(weights), len(biases), len(activations)}) > 1:
        raise ValueError(
            "`weights`, `biases` and `activations` must be as many as the layers, got "
            f"{len(weights)}, {len(biases)} and {len(activations)}"
        )
    arrays = [np.asarray(each) for each in weights]
    single = all(each.dtype == np.float32 for each in arrays)
    dtype: Any = np.float32 if single else np.float64
    ws = [np.ascontiguousarray(each, dtype) for each in arrays]
    bs = [np.ascontiguousarray(each, dtype) for each in biases]
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        if w.ndim != 2 or b.shape != w.shape[1:]:
            raise ValueError(
                f"`weights[{i}]` must have shape (n_in, n_out) and `biases[{i}]` (n_out,), got {w.shape} and "
                f"{b.shape}"
            )
        if i and w.shape[0] != ws[i - 1].shape[1]:
            raise ValueError(
                f"`weights[{i}]` must take the {ws[i - 1].shape[1]} outputs of the layer before, takes "
                f"{w.shape[0]}"
            )
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ValueError(f"`weights[{i}]` and `biases[{i}]` must be finite")
    return ws, bs


def product(a: Array, b: Array) -> Array:
    """Return a @ b by SciPy's BLAS in one thread: NumPy's own would take all CPUs for these small matrices."""
    from scipy.linalg import blas

    gemm = blas.sgemm if a.dtype == np.float32 else blas.dgemm
    # BLAS counts columns first: (ab)ᵀ = bᵀaᵀ, so that nothing is copied.
    left, right = np.ascontiguousarray(a).T, b.T
    turned = not right.flags.f_contiguous
    with blas_threads(1):
        product: Array = gemm(1.0, right.T if turned else right, left, trans_a=turned)
    return product.T
