"""What evaluations ask of a model: the probability of one class for each image, its gradient, and the count.

Any object with ``predict(x)`` and, for gradients, ``forward(x) -> outputs, pullback`` will do; images are float32
NCHW on the scale 0–1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_images
from wavelens.explain._distortion import output_cotangent, probabilities_of

__all__ = ["Counted", "as_planes", "as_targets"]

Array = npt.NDArray[Any]


def as_planes(images: npt.ArrayLike, name: str = "images") -> npt.NDArray[np.float32]:
    """Return images (n, h, w[, c]) of bytes or floats in [0, 1] as float32 (n, c, h, w) in [0, 1]."""
    array = as_images(images, name)
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / np.float32(255)
    elif array.dtype.kind in "iu":
        raise TypeError(f"`{name}` must be uint8 (0 to 255) or floats (0 to 1), got {array.dtype}")
    low, high = float(array.min()), float(array.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(f"`{name}` must be uint8 or floats from 0 to 1, got floats from {low:g} to {high:g}")
    planes = array[:, None] if array.ndim == 3 else np.moveaxis(array, 3, 1)
    return np.ascontiguousarray(planes, dtype=np.float32)


class Counted:
    """A model that answers with probabilities of one class an image, and counts the images it was shown."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.evaluations = 0
        self.has_gradient = bool(getattr(model, "has_gradient", hasattr(model, "forward")))
        self._kind = str(getattr(model, "outputs", "probabilities"))
        self._step = int(getattr(model, "batch_size", 32))

    @property
    def large(self) -> int:
        """Images that are worth asking for at once: some batches of the model."""
        return 4 * self._step

    def probabilities(self, x: Array) -> Array:
        """Return the probabilities of all classes, (n, n_outputs)."""
        self.evaluations += len(x)
        found = np.asarray(self.model.predict(np.ascontiguousarray(x, np.float32)))
        return probabilities_of(found, self._kind)

    def of(self, x: Array, targets: Array) -> Array:
        """Return the probability of each image's target, (n,); some images at a time."""
        out = np.empty(len(x))
        for start in range(0, len(x), self.large):
            part = slice(start, start + self.large)
            found = self.probabilities(x[part])
            out[part] = found[np.arange(len(found)), targets[part]]
        return out

    def gradient(self, x: Array, targets: Array, scale: str = "probability") -> tuple[Array, Array]:
        """Return the score of each image's target (n,) and its gradient (n, c, h, w).

        `scale` is "probability" or "output": what the model gives, before any softmax.
        """
        values = np.empty(len(x))
        gradients = np.empty(x.shape, np.float32)
        for start in range(0, len(x), self._step):
            part = slice(start, start + self._step)
            values[part], gradients[part] = self._gradient(x[part], targets[part], scale)
        return values, gradients

    def _gradient(self, x: Array, targets: Array, scale: str) -> tuple[Array, Array]:
        self.evaluations += len(x)
        outputs, pullback = self.model.forward(np.ascontiguousarray(x, np.float32))
        kind = self._kind if scale == "probability" else "probabilities"
        outputs = probabilities_of(np.asarray(outputs), kind)
        rows = np.arange(len(x))
        cotangent = np.zeros_like(outputs)
        cotangent[rows, targets] = 1.0
        gradient = np.asarray(pullback(output_cotangent(outputs, cotangent, kind)))
        return outputs[rows, targets], gradient


def as_targets(target: npt.ArrayLike | None, counted: Counted, planes: Array) -> npt.NDArray[np.intp]:
    """Return one class an image: as given (one for all, or one each), else the most probable one."""
    if target is None:
        found = [
            counted.probabilities(planes[start : start + 32]).argmax(axis=1)
            for start in range(0, len(planes), 32)
        ]
        return np.concatenate(found).astype(np.intp)
    targets = np.asarray(target)
    if targets.dtype.kind not in "iu":
        raise TypeError(f"`target` must hold class indices, got {targets.dtype}")
    if targets.ndim > 1 or (targets.ndim == 1 and len(targets) != len(planes)):
        raise ValueError(f"`target` must be one class or {len(planes)} of them, got shape {targets.shape}")
    classes = getattr(counted.model, "n_outputs", None)
    if targets.size and (targets.min() < 0 or (classes is not None and targets.max() >= classes)):
        high = "" if classes is None else f" and below {classes}"
        raise ValueError(f"`target` must be at least 0{high}, got {targets.min()} to {targets.max()}")
    return np.broadcast_to(targets, (len(planes),)).astype(np.intp)
