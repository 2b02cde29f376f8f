"""Models small enough to know their gradients by heart."""

from __future__ import annotations

import numpy as np


class LinearModel:
    """Scores x · w + b of flattened images, one for each class; "logits" go through softmax."""

    has_gradient = True

    def __init__(self, weights, bias=0.0, outputs="logits"):
        self.weights = [np.asarray(weights, np.float32)]
        self.bias = bias
        self.outputs = outputs
        self.n_outputs = self.weights[0].shape[1]
        self.shown = 0

    def forward(self, x):
        self.shown += len(x)
        scores = x.reshape(len(x), -1) @ self.weights[0] + self.bias
        return scores, lambda g: (g @ self.weights[0].T).reshape(x.shape)

    def predict(self, x):
        return self.forward(x)[0]


class RegionModel:
    """The probability of class 0 is the mean of a region; smooth and with known best masks."""

    outputs = "probabilities"
    has_gradient = True
    n_outputs = 2

    def __init__(self, region):
        self.region = np.asarray(region, bool)

    def forward(self, x):
        p = x[..., self.region].mean(axis=(1, 2))

        def pullback(g):
            share = 1 / (x.shape[1] * self.region.sum())
            return np.broadcast_to((g[:, 0] - g[:, 1])[:, None, None, None] * share * self.region, x.shape)

        return np.stack([p, 1 - p], axis=1), pullback

    def predict(self, x):
        return self.forward(x)[0]


class PredictOnly:
    outputs = "probabilities"
    has_gradient = False
    n_outputs = 2

    def __init__(self, model):
        self.model = model

    def predict(self, x):
        return self.model.predict(x)


class Masks:
    """What `evaluate` needs of explanations with masks."""

    def __init__(self, images, masks, targets, *, lam=1.0, method="pixel_rde", transform=None, again=None):
        self.images, self.masks = np.asarray(images, np.float32), np.asarray(masks)
        self.targets = np.asarray(targets)
        self.method, self.lam, self.transform = method, lam, transform
        self.n_evaluations = np.full(len(self.masks), 7)
        if again is not None:
            self.again = again
