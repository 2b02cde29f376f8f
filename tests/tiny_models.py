"""Models that tests explain: small, analytic, with the face that `wavelens.explain` needs."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np


class Linear:
    """Φ(x) = offset + A x, taken for probabilities."""

    outputs = "probabilities"
    has_gradient = True
    name = "linear"

    def __init__(self, matrix, shape, offset=0.5):
        self.matrix = np.asarray(matrix, dtype=np.float64)
        self.input_shape = shape
        self.offset = offset
        self.n_seen = 0

    def predict(self, x):
        assert x.dtype == np.float32
        self.n_seen += len(x)
        return (self.offset + x.reshape(len(x), -1) @ self.matrix.T).astype(np.float32)

    def forward(self, x):
        def pullback(g):
            return (g @ self.matrix).reshape(x.shape).astype(np.float32)

        return self.predict(x), pullback


class MLP:
    """tanh or ReLU between dense layers, logits out."""

    outputs = "logits"
    has_gradient = True
    name = "mlp"

    def __init__(self, weights, biases, shape, activation="tanh"):
        self.weights = [np.asarray(w, dtype=np.float64) for w in weights]
        self.biases = [np.asarray(b, dtype=np.float64) for b in biases]
        self.input_shape = shape
        self.activation = activation

    def _run(self, x):
        # One row at a time, so that no bit of a row depends on the rows beside it.
        a = x.reshape(len(x), -1).astype(np.float64)
        slopes = []
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            a = np.stack([row @ w + b for row in a])
            if i + 1 < len(self.weights):
                if self.activation == "tanh":
                    a = np.tanh(a)
                    slopes.append(1 - a**2)
                else:
                    slopes.append((a > 0).astype(np.float64))
                    a = np.maximum(a, 0)
        return a, slopes

    def predict(self, x):
        return self._run(x)[0].astype(np.float32)

    def forward(self, x):
        out, slopes = self._run(x)

        def pullback(g):
            g = np.asarray(g, dtype=np.float64)
            for i in reversed(range(len(self.weights))):
                if i < len(slopes):
                    g = g * slopes[i]
                g = np.stack([row @ self.weights[i].T for row in g])
            return g.reshape(x.shape).astype(np.float32)

        return out.astype(np.float32), pullback


class OnlyPredicts:
    """The same model without its gradient."""

    has_gradient = False

    def __init__(self, model):
        self.model = model
        self.outputs = model.outputs
        self.input_shape = model.input_shape
        self.name = "predict only"

    def predict(self, x):
        return self.model.predict(x)


def random_mlp(shape, n_outputs=4, hidden=12, seed=0):
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    weights = [
        3 * rng.standard_normal((n, hidden)) / np.sqrt(n),
        2 * rng.standard_normal((hidden, n_outputs)),
    ]
    return MLP(weights, [rng.standard_normal(hidden) * 0.1, np.zeros(n_outputs)], shape)


@cache
def digits_net():
    """A net of scikit-learn on its digits (8 × 8, in [0, 1]); with images and labels that it has not seen."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    data, labels = load_digits(return_X_y=True)
    data = data / 16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = MLPClassifier((32,), max_iter=40, random_state=0, learning_rate_init=0.01).fit(
            data[:1200], labels[:1200]
        )
    assert net.score(data[1200:], labels[1200:]) > 0.85
    model = MLP(net.coefs_, net.intercepts_, (1, 8, 8), "relu")
    return model, data[1200:].reshape(-1, 8, 8).astype(np.float32), labels[1200:]


def objective_of(explainer, images, target=None):
    """What an explainer minimizes on images."""
    from wavelens.explain._checks import as_planes, check_targets, first_answers

    planes, _ = as_planes(images, explainer.model)
    p = first_answers(explainer.model, planes)
    return explainer._objective(planes, explainer._basis(planes.shape[2:]), p, check_targets(target, p))


def sure_digits(n):
    """The net, and the first n images of which it is sure."""
    model, images, _ = digits_net()
    logits = model.predict(images[:, None])
    p = np.exp(logits - logits.max(1, keepdims=True))
    p = p.max(1) / p.sum(1)
    return model, images[p > 0.9][:n]
