"""Displays that show explanations as pictures: beside their images, and along λ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from wavelens.plotting._strip import draw_strip, strip_axes
from wavelens.plotting._style import Display, finish_axes, image_pixels, plain, shorten

__all__ = ["ExplanationDisplay", "MaskPathDisplay"]

_methods = {"cartoonx": "CartoonX (wavelets)", "pixel_rde": "Pixel RDE (pixels)"}

Pixels = npt.NDArray[np.uint8]


@dataclass
class ExplanationDisplay(Display):
    """Images beside what keeps the classifier's answer: in wavelets, in pixels.

    Attributes
    ----------
    pixels : tuple of tuple of array of uint8
        One line an image: the image, then a picture for each method.
    captions : tuple of tuple of str
        Under each picture.
    headings : tuple of str
        Over each column.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import ExplanationDisplay
    >>> image = np.zeros((8, 8), np.uint8)
    >>> display = ExplanationDisplay(((image, image),), (("cat, 93%", "keeps 2%"),), ("image", "CartoonX"))
    >>> display.plot().ax_.get_title(loc="left")
    'What keeps the answer'
    """

    pixels: tuple[tuple[Pixels, ...], ...]
    captions: tuple[tuple[str, ...], ...]
    headings: tuple[str, ...]
    title: str = "What keeps the answer"

    @classmethod
    def from_explanations(
        cls,
        *explanations: Any,
        indices: npt.ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        title: str = "What keeps the answer",
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        *explanations : Explanations
            Of the same images: one column each.
        indices : array of int or None, default None
            Which images to show, one line each; None: the first four.
        class_names : sequence of str or None, default None
            Names of the model's outputs.
        title : str
        """
        if not explanations:
            raise ValueError("`explanations` must hold at least one")
        first = explanations[0]
        n = len(first.images)
        where = np.arange(min(n, 4)) if indices is None else np.atleast_1d(np.asarray(indices, np.intp))
        if len(where) == 0 or where.min() < -n or where.max() >= n:
            raise ValueError(f"`indices` must be between 0 and {n - 1}, got {where.tolist()}")
        shown = [image_pixels(np.asarray(first.images)[where], (0, 1))]
        shown += [
            image_pixels(np.nan_to_num(np.asarray(each.pictures())[where]), (0, 1)) for each in explanations
        ]
        names = [_class_name(first.targets[i], class_names) for i in where]
        lines = []
        for place, i in enumerate(where):
            own = [f"{shorten(names[place], 28)}\nprobability {_percent(first.probabilities[i])}"]
            own += [mask_words(each, int(i)) for each in explanations]
            lines.append(tuple(own))
        return cls(
            tuple(tuple(column[place] for column in shown) for place in range(len(where))),
            tuple(lines),
            ("image", *(_methods.get(each.method, str(each.method)) for each in explanations)),
            title,
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw one line of pictures an image; `ax=None` makes a figure of its own."""
        ratio = max(each[0].shape[0] / each[0].shape[1] for each in self.pixels)
        ax = ax or strip_axes(len(self.headings), len(self.pixels), ratio, heading=0.12)
        ax = self._begin(ax)
        flat = [each for line in self.pixels for each in line]
        captions = [each for line in self.captions for each in line]
        draw_strip(ax, flat, captions, len(self.headings), ratio, headings=self.headings)
        finish_axes(ax, title=plain(self.title))
        return self


@dataclass
class MaskPathDisplay(Display):
    """One image explained at one λ after the other: the larger λ, the less is kept.

    Attributes
    ----------
    pixels : tuple of array of uint8
        The image, then a picture for each λ.
    captions : tuple of str
    recommended : int or None
        Which λ is recommended, by its place among them; framed.
    title : str
    ax_, figure_
        After `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.plotting import MaskPathDisplay
    >>> image = np.zeros((8, 8), np.uint8)
    >>> display = MaskPathDisplay((image, image, image), ("image", "λ = 1", "λ = 4"), recommended=1).plot()
    >>> len(display.ax_.images)
    3
    """

    pixels: tuple[Pixels, ...]
    captions: tuple[str, ...]
    recommended: int | None = None
    title: str = "The larger λ, the less is kept"

    @classmethod
    def from_path(
        cls, path: Any, index: int = 0, *, class_names: Sequence[str] | None = None, title: str | None = None
    ) -> Self:
        """Collect the data.

        Parameters
        ----------
        path : ExplanationPath
        index : int, default 0
            Which image.
        class_names : sequence of str or None, default None
            Names of the model's outputs.
        title : str or None, default None
        """
        rising = np.argsort(np.asarray(path.lambdas, np.float64))
        steps = [path.explanations[each] for each in rising]
        first = steps[0]
        if not -len(first.images) <= index < len(first.images):
            raise ValueError(f"`index` must be between 0 and {len(first.images) - 1}, got {index}")
        image = image_pixels(np.asarray(first.images)[index][None], (0, 1))[0]
        shown = [image]
        shown += [
            image_pixels(np.nan_to_num(np.asarray(each.pictures())[index])[None], (0, 1))[0] for each in steps
        ]
        name = _class_name(first.targets[index], class_names)
        captions = [f"image\n{shorten(name, 18)}\n{_percent(first.probabilities[index])}"]
        captions += [mask_words(each, index, short=True) for each in steps]
        recommended = getattr(path, "recommended", None)
        chosen = None
        if recommended is not None:
            chosen = int(np.flatnonzero(rising == int(np.asarray(recommended)[index]))[0])
        wanted = title or "The larger λ, the less is kept"
        if title is None and chosen is not None:
            wanted += f" (framed: recommended, λ = {float(steps[chosen].lam):g})"
        return cls(tuple(shown), tuple(captions), chosen, wanted)

    def plot(self, ax: Axes | None = None, *, columns: int = 8) -> Self:
        """Draw the strip, `columns` pictures a row; `ax=None` makes a figure of its own."""
        n = len(self.pixels)
        # Rows of about the same length.
        rows = -(-n // max(1, columns))
        columns = -(-n // rows)
        ratio = self.pixels[0].shape[0] / self.pixels[0].shape[1]
        ax = self._begin(ax or strip_axes(columns, rows, ratio, caption=0.44, largest=1.9))
        chosen = self.recommended
        framed = () if chosen is None or not 0 <= chosen < n - 1 else (chosen + 1,)
        draw_strip(ax, self.pixels, self.captions, columns, ratio, caption=0.44, framed=framed)
        finish_axes(ax, title=plain(self.title))
        return self


def mask_words(explanations: Any, index: int, *, short: bool = False) -> str:
    """Say of one mask what it keeps and how far the answer moves."""
    rate = float(explanations.rates[index])
    if not np.isfinite(rate):
        return "no explanation"
    distortion = float(explanations.distortions[index])
    lam = f"λ = {float(explanations.lam):.3g}"
    if short:
        return f"{lam}\nkeeps {_percent(rate)}\ndistortion {distortion:.2g}"
    return f"{lam}: keeps {_percent(rate)}\ndistortion {distortion:.2g}"


def _class_name(target: Any, class_names: Sequence[str] | None) -> str:
    if class_names is None:
        return f"class {int(target)}"
    if not 0 <= int(target) < len(class_names):
        raise ValueError(f"`class_names` must name class {int(target)}, got {len(class_names)} names")
    return str(class_names[int(target)])


def _percent(share: float) -> str:
    percent = 100 * float(share)
    if percent == 0 or percent >= 99.95:
        return f"{percent:.0f}%"
    return f"{percent:.2g}%" if percent < 1 else f"{percent:.1f}%"
