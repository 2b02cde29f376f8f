"""A classifier as explanations need it: images in, one value for each class out, and the way back.

One kind of classifier is one subclass of `Model` in a file of its own; `open_model` chooses. Whatever the
library, the images are float NCHW in [0, 1]: range, mean, order of the channels are the adapter's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import as_array, as_images, check_integer
from wavelens.exceptions import ModelError
from wavelens.models._class_names import ClassNames
from wavelens.models._input_map import InputMap
from wavelens.models._preprocessing import Preprocessing

__all__ = ["Model", "Pullback"]

Array = npt.NDArray[Any]
Pullback = Callable[[Array], Array]
# Noise leaves [0, 1], but never this far; bytes do.
FARTHEST = 16.0


@dataclass(eq=False, kw_only=True)
class Model(ABC):
    """A classifier with what a gradient needs.

    Another kind is a subclass with `run` and, if it can, `run_back`: both see one chunk as the network itself
    takes it; the public methods check, chunk, scale and scale back.

    Attributes
    ----------
    name : str
        For titles.
    kind : str
        What it is, in words.
    input_shape : tuple of int
        Channels, height, width; None for a side that may be of any size.
    n_outputs : int
        One for each class.
    outputs : {"probabilities", "logits"}
        What the outputs are. Of logits, softmax gives the probabilities.
    outputs_reason : str
        Where this is known from.
    has_gradient : bool
        Whether `forward` works; if not, `no_gradient` says why.
    no_gradient : str
        Empty where there is one.
    preprocessing : Preprocessing or None
        What becomes of an image before the network; None where it enters as it is.
    class_names : ClassNames or None
        What the outputs are called.
    batch_size : int
        Images that the network gets at a time.
    fixed_batch : int or None
        The number of images that the network insists on, if it does; fewer are filled up.
    """

    name: str
    kind: str
    input_shape: tuple[int, int | None, int | None]
    n_outputs: int
    outputs: str
    outputs_reason: str = "given"
    has_gradient: bool = True
    no_gradient: str = ""
    preprocessing: Preprocessing | None = None
    class_names: ClassNames | None = None
    batch_size: int = 32
    fixed_batch: int | None = None
    _map: InputMap = field(default_factory=InputMap, repr=False)

    def __post_init__(self) -> None:
        check_integer(self.batch_size, "batch_size", low=1)

    @abstractmethod
    def run(self, batch: Array) -> Array:
        """Push one chunk through.

        Parameters
        ----------
        batch : ndarray
            As the network takes it; may be changed.

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """

    def run_back(self, batch: Array, keep: bool) -> tuple[Array, Pullback]:
        """Push one chunk through and return the way back.

        Parameters
        ----------
        batch : ndarray
            As the network takes it; may be changed.
        keep : bool
            Whether the way back may be asked more than once.

        Returns
        -------
        outputs : ndarray of shape (n, n_outputs)
        pullback : callable
            From (n, n_outputs) to the gradient with respect to `batch`.
        """
        raise ModelError(f"{self.name} gives predictions but no gradient: {self.no_gradient}")

    def predict(self, x: npt.ArrayLike) -> Array:
        """Return the outputs for images.

        Parameters
        ----------
        x : ndarray of shape (n, channels, height, width)
            float32 or float64, on the scale 0 (black) to 1 (white). Values beyond, as noise has them, are
            passed on.

        Returns
        -------
        ndarray of shape (n, n_outputs)
            Of the dtype of `x`. What the network gives is not checked: a row may be NaN.

        Raises
        ------
        ValueError, TypeError
            If `x` is of another shape or dtype, holds NaN or values such as 255.
        ModelError
            If the network cannot be run.
        """
        images = self._checked(x)
        out = np.empty((len(images), self.n_outputs), images.dtype)
        for part in self._parts(len(images)):
            out[part] = self._fitting(self.run(self._entering(images[part])))[: len(images[part])]
        return out

    def forward(self, x: npt.ArrayLike) -> tuple[Array, Pullback]:
        """Return the outputs, and the function that takes a gradient from them back to the images.

        Parameters
        ----------
        x : ndarray of shape (n, channels, height, width)
            As in `predict`.

        Returns
        -------
        outputs : ndarray of shape (n, n_outputs)
            As `predict` gives them.
        pullback : callable
            ``pullback(cotangent)`` with a cotangent of shape (n, n_outputs) is the cotangent times the
            Jacobian, of the shape and dtype of `x`; may be called any number of times.

        Raises
        ------
        ModelError
            If the model has no gradient, or cannot be run.
        ValueError, TypeError
            As `predict`.

        Notes
        -----
        What the network computes in between is kept until `pullback` is forgotten, for at most `batch_size`
        images; with more, `pullback` runs the network again. `forward_backward` never does.
        """
        images = self._checked(x)
        self._check_gradient()
        parts = list(self._parts(len(images)))
        if len(parts) == 1:
            outputs, back = self.run_back(self._entering(images), True)
            kept = self._fitting(outputs)[: len(images)].astype(images.dtype, copy=False)
            return kept, lambda cotangent: self._leaving(back, self._cotangent(cotangent, images), images)
        images = images.copy()  # the caller may reuse its array before the pullback

        def pullback(cotangent: Array) -> Array:
            given = self._cotangent(cotangent, images)
            return self.forward_backward(images, lambda _, part: given[part])[1]

        return self.predict(images), pullback

    def forward_backward(
        self, x: npt.ArrayLike, cotangent: Callable[[Array, slice], Array]
    ) -> tuple[Array, Array]:
        """Run forward and back chunk by chunk, where a row's cotangent depends on that row's outputs alone.

        The memory is that of one chunk, and the network runs once, for any number of images.

        Parameters
        ----------
        x : ndarray of shape (n, channels, height, width)
            As in `predict`.
        cotangent : callable
            ``cotangent(outputs[part], part)`` with a slice of the images; gives an array like
            ``outputs[part]``.

        Returns
        -------
        outputs : ndarray of shape (n, n_outputs)
        gradient : ndarray like `x`

        Raises
        ------
        ModelError, ValueError, TypeError
            As `forward`.
        """
        images = self._checked(x)
        self._check_gradient()
        outputs = np.empty((len(images), self.n_outputs), images.dtype)
        gradient = np.empty_like(images)
        for part in self._parts(len(images)):
            chunk = images[part]
            values, back = self.run_back(self._entering(chunk), False)
            outputs[part] = self._fitting(values)[: len(chunk)]
            given = self._cotangent(cotangent(outputs[part], part), chunk)
            gradient[part] = self._leaving(back, given, chunk)
        return outputs, gradient

    def prepare(self, images: npt.ArrayLike) -> Array:
        """Bring images to the network's size and channels, on the scale 0–1.

        Parameters
        ----------
        images : ndarray of shape (n, height, width) or (n, height, width, channels)
            uint8 from 0 to 255, booleans, or floats from 0 to 1.

        Returns
        -------
        ndarray of float32, shape (n, channels, height, width)
                For `predict` and `forward`, which do the rest of the preprocessing. Images that have the
            network's size already are neither enlarged nor cropped.

        Raises
        ------
        ValueError
            If the images have other channels, are not on one of these scales, hold NaN, or are not of the
            network's size and its preprocessing does not resize.
        TypeError
            If they are of another dtype.
        """
        return prepare_images(self.preprocessing, self.input_shape, images, self.name)

    def describe(self) -> str:
        """Tell in a few lines what it is and what becomes of an image.

        Returns
        -------
        str
        """
        shape = " × ".join("any" if each is None else str(each) for each in self.input_shape)
        lines = [
            f"{self.name} ({self.kind}): images of {shape} (channels × height × width)",
            f"{self.n_outputs} classes; the outputs are {self.outputs} ({self.outputs_reason})",
        ]
        if self.preprocessing is None:
            lines.append("images enter as they are, values 0 to 1")
        else:
            lines.append(f"images enter so: {self.preprocessing.describe()}")
            reasons = self.preprocessing.reasons or {}
            told = ("value_range", "mean", "std", "color")
            assumed = [each for each in told if reasons.get(each, "").startswith("assumed")]
            if assumed:
                lines.append(f"assumed, as nothing tells it: {', '.join(assumed)}")
        if not self.has_gradient:
            lines.append(f"no gradient: {self.no_gradient}")
        return "\n".join(lines)

    def _checked(self, x: npt.ArrayLike) -> Array:
        images = as_array(x, "x")
        if images.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"`x` must be float32 or float64 on the scale 0 to 1, got {images.dtype}; `prepare` turns "
                "images into it"
            )
        fits = images.ndim == 4 and all(
            want in (None, got) for want, got in zip(self.input_shape, images.shape[1:], strict=True)
        )
        if not fits or images.size == 0:
            wanted = ", ".join("any" if each is None else str(each) for each in self.input_shape)
            raise ValueError(f"`x` must have shape (n, {wanted}) for {self.name}, got {images.shape}")
        low, high = float(images.min()), float(images.max())
        if not np.isfinite(low + high):
            bad = tuple(map(int, np.argwhere(~np.isfinite(images))[0]))
            raise ValueError(f"`x` must be finite, got {images[bad]} in image {bad[0]} at {bad[1:]}")
        if max(-low, high) > FARTHEST:
            raise ValueError(
                f"`x` must be on the scale 0 (black) to 1 (white), got values from {low:g} to {high:g}; "
                "`prepare` turns images into it"
            )
        return images

    def _check_gradient(self) -> None:
        if not self.has_gradient:
            raise ModelError(f"{self.name} gives predictions but no gradient: {self.no_gradient}")

    def _parts(self, n: int) -> Iterator[slice]:
        step = self.fixed_batch or self.batch_size
        return (slice(start, min(n, start + step)) for start in range(0, n, step))

    def _entering(self, images: Array) -> Array:
        batch = self._map.apply(images)
        lacking = (self.fixed_batch or 0) - len(batch)
        if lacking > 0:
            batch = np.concatenate([batch, np.repeat(batch[-1:], lacking, axis=0)])
        return batch

    def _leaving(self, back: Pullback, cotangent: Array, images: Array) -> Array:
        n = len(images)
        lacking = (self.fixed_batch or 0) - n
        if lacking > 0:
            cotangent = np.concatenate([cotangent, np.zeros((lacking, self.n_outputs), cotangent.dtype)])
        return self._map.pull_back(back(cotangent)[:n], images.dtype)

    def _cotangent(self, cotangent: Array, images: Array) -> Array:
        given = np.asarray(cotangent)
        if given.shape != (len(images), self.n_outputs):
            raise ValueError(
                f"`cotangent` must have shape ({len(images)}, {self.n_outputs}), got {given.shape}"
            )
        return given

    def _fitting(self, outputs: Array) -> Array:
        if outputs.ndim != 2 or outputs.shape[1] != self.n_outputs:
            raise ModelError(
                f"{self.name}: expected outputs of shape (n, {self.n_outputs}), got {outputs.shape}"
            )
        return outputs


def prepare_images(
    preprocessing: Preprocessing | None,
    shape: tuple[int, int | None, int | None],
    images: npt.ArrayLike,
    name: str,
) -> Array:
    """See `Model.prepare`."""
    array = as_images(images, "images")
    white = _white(array)
    channels = 1 if array.ndim == 3 else array.shape[3]
    # Grey becomes colour and colour grey; anything else would be a guess.
    if channels != shape[0] and not (preprocessing is not None and {channels, shape[0]} == {1, 3}):
        raise ValueError(
            f"`images` must have {shape[0]} channels for {name}, got {channels} (shape {array.shape})"
        )
    if array.ndim == 4 and channels == 1:
        array = array[..., 0]
    if preprocessing is not None:
        color = "grey" if shape[0] == 1 else "rgb"
        rule = preprocessing.replace(
            color=color,
            value_range=(0.0, 1.0),
            mean=(0.0,),
            std=(1.0,),
            layout="nchw",
            dtype="float32",
            flat=False,
        )
        if array.shape[1:3] == rule.size:
            rule = rule.replace(resize="none", shorter_side=None)
        # Sharp filters overshoot beyond black and white.
        return np.stack([rule(each, (0.0, white)) for each in array]).clip(0.0, 1.0)
    planes = array[:, np.newaxis] if array.ndim == 3 else np.moveaxis(array, 3, 1)
    for want, got, side in zip(shape[1:], planes.shape[2:], ("high", "wide"), strict=True):
        if want not in (None, got):
            raise ValueError(f"`images` must be {want} pixels {side} for {name}, got {got}")
    scaled = np.ascontiguousarray(planes, np.float32)
    return scaled if white == 1 else scaled / np.float32(white)


def _white(images: Array) -> float:
    if images.dtype == np.uint8:
        return 255.0
    if images.dtype.kind == "b":
        return 1.0
    if images.dtype.kind != "f":
        raise TypeError(
            f"`images` must be uint8 (0 to 255) or floats (0 to 1), got {images.dtype}; say which value is "
            "white by dividing by it"
        )
    low, high = float(images.min()), float(images.max())
    if low < -1e-6 or high > 1 + 1e-6:
        hint = "divide by 255" if low >= 0 else "pass the photo itself, the model subtracts mean and divides"
        raise ValueError(
            f"`images` must be uint8 (0 to 255) or floats from 0 to 1, got floats from {low:g} to {high:g}; "
            f"{hint}"
        )
    return 1.0
