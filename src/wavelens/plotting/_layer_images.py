"""Displays that show what a layer weighs, keeps and rejects, and what it wants, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from wavelens._arguments import check_integer
from wavelens.plotting._strip import draw_strip, strip_axes
from wavelens.plotting._style import (
    INK,
    Display,
    color_range,
    finish_axes,
    image_pixels,
    pattern_pixels,
    plain,
    shorten,
)
from wavelens.spaces import IdealInputs, SignalSpaces

__all__ = ["IdealInputsDisplay", "LayerImagesDisplay"]

Pixels = npt.NDArray[np.uint8]


@dataclass
class LayerImagesDisplay(Display):
    """What a layer weighs and keeps, as pictures: one line for each kind.

    Attributes
    ----------
    pixels : tuple of tuple of array of uint8
        One line for each kind of picture.
    captions : tuple of tuple of str
        Under each picture.
    headings : tuple of str
        Over each line.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import LayerImagesDisplay
    >>> from wavelens.spaces import SignalSpaces
    >>> layer = SignalSpaces(np.random.default_rng(0).normal(size=(3, 64)), input_shape=(8, 8))
    >>> display = LayerImagesDisplay.from_spaces(layer).plot()
    >>> len(display.pixels)
    2
    """

    pixels: tuple[tuple[Pixels, ...], ...]
    captions: tuple[tuple[str, ...], ...]
    headings: tuple[str, ...]
    title: str = "What the layer weighs and keeps"

    @classmethod
    def from_spaces(
        cls,
        spaces: SignalSpaces,
        samples: npt.ArrayLike | None = None,
        *,
        names: Sequence[str] | None = None,
        n: int = 10,
        title: str = "What the layer weighs and keeps",
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        spaces : SignalSpaces
            Of a layer whose `input_shape` is an image's: (height, width) or (channels, height, width).
        samples : array of shape (m, *input_shape) or (m, n_in), optional
            What enters the layer, such as the means of classes: each is shown with what is kept and what is
            rejected of it.
        names : sequence of str, optional
            One for each sample.
        n : int, default 10
            Pictures in a line, at most.
        title : str
        """
        count = check_integer(n, "n", low=1)
        shape = _image_shape(spaces)
        weights = spaces.weights[:count].reshape(-1, *shape)
        signals = spaces.signal_images(min(count, spaces.rank)).reshape(-1, *shape)
        lines = [(pattern_pixels(_last(weights)), [f"unit {i}" for i in range(len(weights))])]
        headings = ["Weights of the units"]
        if len(signals):
            sigma = spaces.singular_values
            lines.append(
                (pattern_pixels(_last(signals)), [f"σ = {sigma[i]:.3g}" for i in range(len(signals))])
            )
            headings.append("Signal images σᵢvᵢ: the directions that pass, the strongest first")
        if samples is not None:
            more, over = _sample_lines(spaces, np.asarray(samples)[:count], names, shape)
            lines += more
            headings += over
        return cls(
            tuple(tuple(pixels) for pixels, _ in lines),
            tuple(tuple(words) for _, words in lines),
            tuple(headings),
            title,
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw; `ax=None` makes a figure of its own."""
        ratio = self.pixels[0][0].shape[0] / self.pixels[0][0].shape[1]
        columns = max(map(len, self.pixels))
        ax = self._begin(ax or strip_axes(columns, len(self.pixels), ratio, caption=_line_room, largest=1.3))
        flat: list[Pixels | None] = []
        captions: list[str] = []
        for line, words in zip(self.pixels, self.captions, strict=True):
            flat += [*line, *[None] * (columns - len(line))]
            captions += [*words, *[""] * (columns - len(words))]
        draw_strip(ax, flat, captions, columns, ratio, caption=_line_room, above=_heading_room)
        for row, heading in enumerate(self.headings):
            y = row * (ratio + _line_room) + 0.8 * _heading_room
            ax.text(0.03, y, heading, ha="left", va="bottom", fontsize=9, color=INK)
        finish_axes(ax, title=plain(self.title))
        return self


_line_room, _heading_room = 0.55, 0.24


def _sample_lines(
    spaces: SignalSpaces, samples: npt.NDArray[Any], names: Sequence[str] | None, shape: tuple[int, ...]
) -> tuple[list[tuple[Pixels, list[str]]], list[str]]:
    """Return the samples, what the layer keeps of them and what it rejects."""
    if names is not None and len(names) < len(samples):
        raise ValueError(f"`names` must name {len(samples)} samples, got {len(names)}")
    split = spaces.decompose(samples)
    images = _last(samples.reshape(-1, *shape))
    words = [shorten(names[i], 14) if names is not None else f"sample {i}" for i in range(len(samples))]
    kept, rejected = (_last(np.asarray(each).reshape(-1, *shape)) for each in (split.signal, split.rejected))
    shares = np.asarray(split.energy)
    return [
        (image_pixels(images, color_range(images)), words),
        (pattern_pixels(kept), [f"{1 - share:.0%}" for share in shares]),
        (pattern_pixels(rejected), [f"{share:.0%}" for share in shares]),
    ], [
        "What enters",
        "What the layer keeps of it, and the share of its energy",
        "What the layer rejects of it, and the share of its energy",
    ]


@dataclass
class IdealInputsDisplay(Display):
    """For each class the candidates for its ideal input, and how near their outputs come to the ideal ones.

    Attributes
    ----------
    pixels : tuple of tuple of array of uint8
        One line for each class, one picture for each candidate.
    distances : array of shape (n_classes, n_candidates)
        Of the outputs from the ideal outputs.
    class_names, candidates : tuple of str
    chosen : tuple of str
        The candidate chosen for each class; framed.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import IdealInputsDisplay
    >>> picture = np.zeros((8, 8), np.uint8)
    >>> IdealInputsDisplay(((picture,),), [[0.5]], ("cat",), ("avg",), ("avg",)).plot().ax_.get_title(loc="left")
    'Ideal inputs'
    """

    pixels: tuple[tuple[Pixels, ...], ...]
    distances: npt.NDArray[np.float64]
    class_names: tuple[str, ...]
    candidates: tuple[str, ...]
    chosen: tuple[str, ...]
    title: str = "Ideal inputs"

    def __post_init__(self) -> None:
        self.distances = np.asarray(self.distances, dtype=np.float64)

    @classmethod
    def from_ideal(
        cls,
        ideal: IdealInputs,
        *,
        class_names: Sequence[str] | None = None,
        n: int = 10,
        title: str = "Ideal inputs",
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        ideal : IdealInputs
            From `wavelens.spaces.ideal_inputs`.
        class_names : sequence of str, optional
            One for each class; by default its own.
        n : int, default 10
            Classes shown, at most: the first ones.
        title : str
        """
        names = tuple(class_names or ideal.class_names)[: check_integer(n, "n", low=1)]
        kinds = tuple(ideal.candidates)
        columns = []
        for kind in kinds:
            images = _last(np.asarray(ideal.candidates[kind])[: len(names)])
            outside = images.min() < -0.05 or images.max() > 1.05
            columns.append(image_pixels(images, color_range(images) if outside else (0.0, 1.0)))
        return cls(
            tuple(tuple(column[i] for column in columns) for i in range(len(names))),
            np.stack([ideal.distances[kind][: len(names)] for kind in kinds], axis=1),
            names,
            kinds,
            tuple(ideal.chosen[: len(names)]),
            title,
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw one column a class and one line a candidate; `ax=None` makes a figure of its own."""
        ratio = self.pixels[0][0].shape[0] / self.pixels[0][0].shape[1]
        n, kinds = len(self.class_names), len(self.candidates)
        ax = self._begin(ax or strip_axes(n, kinds, ratio, caption=_line_room, largest=1.3))
        flat = [self.pixels[i][k] for k in range(kinds) for i in range(n)]
        words = [
            f"{shorten(self.class_names[i], 16)}\n{self.distances[i, k]:.3g}"
            for k in range(kinds)
            for i in range(n)
        ]
        framed = [
            k * n + i for k, kind in enumerate(self.candidates) for i in range(n) if self.chosen[i] == kind
        ]
        draw_strip(ax, flat, words, n, ratio, caption=_line_room, above=_heading_room, framed=framed)
        for k, kind in enumerate(self.candidates):
            y = k * (ratio + _line_room) + 0.8 * _heading_room
            ax.text(0.03, y, _kind_words(kind), ha="left", va="bottom", fontsize=9, color=INK)
        finish_axes(ax, title=plain(self.title))
        return self


_kinds = {
    "avg": "avg: mean of the class's images",
    "min": "min: the image whose outputs are nearest to the ideal ones",
    "avg-min": "avg-min: mean of the nearest quarter",
}


def _kind_words(kind: str) -> str:
    """Say what a candidate is; trained ones are called "avg + newton"."""
    start, _, trained = kind.partition(" + ")
    words = _kinds.get(start, start)
    return f"{start}, trained with frozen weights ({trained})" if trained else words


def _image_shape(spaces: SignalSpaces) -> tuple[int, ...]:
    shape = spaces.input_shape
    if shape is None or len(shape) not in (2, 3) or min(shape[-2:]) < 2:
        raise ValueError(
            f"`spaces` must have an image's input_shape to be shown as pictures, (height, width) or (channels, height, "
            f"width), got {shape}"
        )
    return tuple(shape)


def _last(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Put channels last; of more than three show the mean, for no three are the colours."""
    if images.ndim == 3:
        return images
    if images.shape[1] == 3:
        return np.moveaxis(images, 1, 3)
    return np.asarray(images.mean(axis=1))
