"""Wavelets against pixels: the same images taken apart in both bases, and measured alike.

A number of coefficients is chosen in either basis, patterns are found, and some images rebuilt from more and
more of them. What is missing is measured in three ways, because each alone would favour one side:

- of the chosen coefficients: what the patterns do with what they were given. The chosen pixels are a small,
  often dark part of an image, and easy to rebuild for that reason.
- of the whole image, where what was not chosen counts as missing: what the patterns show of an image.
- of the whole image, where what was not chosen is taken from the original, as the paper's figure 17 does for
  pixels: this begins with an image that is nearly right, and the patterns only have to mend the rest.

How local a pattern is, is measured by the share of the image area that holds 90 % of its energy |pattern|²; by its
participation ratio (Σe)² / (N Σe²), 1 for an even spread, 1/N for a single pixel; by its spread, the distance of its
energy from its own centre relative to that of an even spread; and by how much neighbouring pixels agree: a
pattern of scattered pixels has a small area and yet a spread near 1 and no agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from wavelens._arguments import FloatArray, as_images, check_choice, check_integer
from wavelens.patterns._analysis import PatternAnalysis
from wavelens.patterns._locality import Locality, locality

__all__ = ["BasisComparison", "BasisResult", "compare_bases"]

_measures = ("chosen", "image", "completed")
_most_counts = 48
_first_counts = 16


@dataclass(frozen=True)
class BasisResult:
    """What one basis makes of the images.

    Attributes
    ----------
    analysis : PatternAnalysis
        Fitted.
    n_patterns : array of int, shape (q,)
        Numbers of patterns for which residuals were measured, from 0 to all.
    chosen, image, completed : array of shape (n_sample, q)
        Relative residual ``‖x − x_q‖ / ‖x‖``: in the chosen coefficients; of the whole image in pixels; of the
        whole image where coefficients that were not chosen are those of the original.
    locality : Locality
        Of all patterns.
    coverage : array of int, shape (height, width)
        How many of the chosen coefficients touch each pixel.
    """

    analysis: PatternAnalysis
    n_patterns: npt.NDArray[np.intp]
    chosen: FloatArray
    image: FloatArray
    completed: FloatArray
    locality: Locality
    coverage: npt.NDArray[np.intp]

    def needed(self, residual: float, of: str = "chosen") -> int | None:
        """Return how many patterns the median image needs.

        Parameters
        ----------
        residual : float
            Such as 0.1.
        of : {"chosen", "image", "completed"}, default "chosen"
            Relative to what.

        Returns
        -------
        int or None
            Between the numbers measured, by interpolation; None if all patterns together leave more missing.
        """
        curve = np.median(getattr(self, check_choice(of, "of", _measures)), axis=0)
        below = np.flatnonzero(curve <= residual)
        if not len(below):
            return None
        k = int(below[0])
        if k == 0:
            return 0
        left, right = float(curve[k - 1]), float(curve[k])
        share = (left - residual) / (left - right)
        first, last = int(self.n_patterns[k - 1]), int(self.n_patterns[k])
        return int(np.ceil(first + share * (last - first) - 1e-9))


@dataclass(frozen=True)
class BasisComparison:
    """Wavelets and pixels side by side, with the same number of coefficients.

    Attributes
    ----------
    wavelet, pixel : BasisResult
    sample : array of int, shape (n_sample,)
        Places of the images that were rebuilt.
    n_coefficients : int
    """

    wavelet: BasisResult
    pixel: BasisResult
    sample: npt.NDArray[np.intp]
    n_coefficients: int

    def table(self, residuals: tuple[float, ...] = (0.1, 0.05)) -> dict[str, list[Any]]:
        """Return the comparison as columns "measure", "wavelet" and "pixel".

        Parameters
        ----------
        residuals : tuple of float, default (0.1, 0.05)
            For which to count the patterns needed.

        Returns
        -------
        dict of list
            Patterns needed (None: no number will do), then medians over the patterns of how local they are.
        """
        rows: list[tuple[str, Any, Any]] = []
        for of in _measures:
            for residual in residuals:
                first, second = (side.needed(residual, of) for side in (self.wavelet, self.pixel))
                rows.append((f"patterns for residual {residual:g} ({of})", first, second))
        for name in ("area", "participation", "spread", "agreement"):
            middle, other = (
                float(np.median(getattr(side.locality, name))) for side in (self.wavelet, self.pixel)
            )
            rows.append((name, middle, other))
        return {name: [row[i] for row in rows] for i, name in enumerate(("measure", "wavelet", "pixel"))}


def compare_bases(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    analysis: PatternAnalysis | None = None,
    *,
    n_sample: int = 24,
    random_state: int = 0,
) -> BasisComparison:
    """Find the patterns of images in wavelets and in pixels and compare what they are good for.

    Parameters
    ----------
    images : array of shape (n_images, height, width[, channels])
    labels : array of shape (n_images,)
    analysis : PatternAnalysis or None, default None
        Whose parameters hold for both; if fitted to these images, its basis is not analysed again. Both take
        the same number of coefficients: `n_coefficients`, or the largest number that both allow where it is
        None or too large for one of them.
    n_sample : int, default 24
        How many images to rebuild, drawn evenly from the classes.
    random_state : int, default 0
        Seed of the draw.

    Returns
    -------
    BasisComparison
        Costs one or two fits, and O(n_sample · pixels · 50) for the curves.

    Notes
    -----
    Source: R. Yousefzadeh and F. Huang, *Interpretable Insights about Medical Image Datasets*, 2020, section 5.

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.patterns import PatternAnalysis, compare_bases
    >>> digits = load("digits")
    >>> parameters = PatternAnalysis(wavelet="haar", n_coefficients=20)
    >>> comparison = compare_bases(digits.images, digits.labels, parameters)
    >>> comparison.wavelet.needed(0.1) is not None
    True
    """
    batch = as_images(images, "images")
    first = PatternAnalysis() if analysis is None else analysis
    parts: dict[str, PatternAnalysis] = {first.basis: _as_fitted(first, batch, labels)}
    other = "pixel" if first.basis == "wavelet" else "wavelet"
    m = len(parts[first.basis].coefficients_)
    try:
        parts[other] = _fitted(first, batch, labels, other, first.n_coefficients and m)
    except ValueError:
        # Pixels that never change within a class, say, allow fewer of them: take what can be had in both.
        parts[other] = _fitted(first, batch, labels, other, None)
    if len(parts[other].coefficients_) < m:
        m = len(parts[other].coefficients_)
        parts[first.basis] = _fitted(first, batch, labels, first.basis, m)
    elif len(parts[other].coefficients_) > m:
        parts[other] = _fitted(first, batch, labels, other, m)
    sample = _sample(parts["wavelet"], check_integer(n_sample, "n_sample", low=1), random_state)
    return BasisComparison(
        wavelet=_measured(parts["wavelet"], batch[sample]),
        pixel=_measured(parts["pixel"], batch[sample]),
        sample=sample,
        n_coefficients=m,
    )


def _as_fitted(analysis: PatternAnalysis, images: npt.NDArray[Any], labels: npt.ArrayLike) -> PatternAnalysis:
    """Return the analysis where it is fitted, else a fitted copy."""
    if not hasattr(analysis, "embedding_"):
        fresh: PatternAnalysis = clone(analysis)
        return fresh.fit(images, labels)
    if len(analysis.labels_) == len(images) and analysis.basis_.shape == images.shape[1:]:
        return analysis
    raise ValueError(
        f"`analysis` was fitted to {len(analysis.labels_)} images of {analysis.basis_.shape}, got "
        f"{len(images)} of {images.shape[1:]}"
    )


def _fitted(
    analysis: PatternAnalysis, images: npt.NDArray[Any], labels: npt.ArrayLike, basis: str, m: int | None
) -> PatternAnalysis:
    fresh: PatternAnalysis = clone(analysis).set_params(basis=basis, n_coefficients=m)
    return fresh.fit(images, labels)


def _sample(analysis: PatternAnalysis, n: int, random_state: int) -> npt.NDArray[np.intp]:
    """Draw images evenly from the classes."""
    rng = np.random.default_rng(random_state)
    each = -(-n // len(analysis.classes_))
    members = [np.flatnonzero(analysis.labels_ == i) for i in range(len(analysis.classes_))]
    drawn = [rng.choice(rows, min(each, len(rows)), replace=False) for rows in members]
    return np.sort(rng.permutation(np.concatenate(drawn))[:n])


def _measured(analysis: PatternAnalysis, images: npt.NDArray[Any]) -> BasisResult:
    r = analysis.sigma_.shape[1]
    counts = _counts(r)
    shape = (len(images), len(counts))
    chosen, whole, completed = np.empty(shape), np.empty(shape), np.empty(shape)
    for i in range(len(images)):
        # One at a time: the rebuilt images of all counts are many.
        rebuilt = analysis.reconstruct(images[i : i + 1], counts)
        chosen[i] = rebuilt.residuals[0]
        original = images[i].astype(np.float64)
        size = float(np.linalg.norm(original)) or 1.0
        within = analysis.inverse_transform(analysis.transform(images[i : i + 1]))[0]
        for j, image in enumerate(rebuilt.images[0]):
            whole[i, j] = np.linalg.norm(original - image) / size
            completed[i, j] = np.linalg.norm(within - image) / size
    return BasisResult(
        analysis, counts, chosen, whole, completed, locality(analysis.result_), analysis.influence_map_
    )


def _counts(r: int) -> npt.NDArray[np.intp]:
    """Numbers of patterns from 0 to r: all of few, the first ones and then steps that grow of many."""
    if r <= _most_counts:
        return np.arange(r + 1)
    steps = np.geomspace(_first_counts, r, _most_counts - _first_counts)
    return np.unique(np.concatenate([np.arange(_first_counts), np.rint(steps).astype(np.intp)]))
