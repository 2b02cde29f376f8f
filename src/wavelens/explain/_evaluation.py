"""What an evaluation found, as numbers, as a table and as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

__all__ = ["MEASURES", "Curves", "Evaluation", "Measure", "Optimality", "Summary"]

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One column of the table.

    Attributes
    ----------
    key, title : str
        For programs, and for people.
    better : {"higher", "lower"}
        Which direction is better.
    meaning : str
        In plain words.
    """

    key: str
    title: str
    better: str
    meaning: str

    @property
    def arrow(self) -> str:
        """An arrow in the direction that is better."""
        return "↑" if self.better == "higher" else "↓"


MEASURES = (
    Measure(
        "rate",
        "rate",
        "lower",
        "share of the parts (wavelet coefficients or pixels) that the mask keeps; methods without a mask keep the "
        "same share as the first",
    ),
    Measure(
        "distortion",
        "distortion",
        "lower",
        "mean squared change of the class's probability when what the mask leaves out becomes noise",
    ),
    Measure(
        "rate_distortion",
        "rate–distortion AUC",
        "lower",
        "the same distortion, averaged over all shares kept from 0 to 100 %, the most relevant first",
    ),
    Measure(
        "insertion",
        "insertion AUC",
        "higher",
        "probability of the class while parts are put in, the most relevant first, averaged over all shares",
    ),
    Measure(
        "deletion",
        "deletion AUC",
        "lower",
        "probability of the class while parts are taken out, the most relevant first, averaged over all shares",
    ),
    Measure(
        "conciseness_preciseness",
        "conciseness–preciseness",
        "higher",
        "share of the class's probability that what is kept alone retains, over the share of information in it; "
        "1 for the whole image",
    ),
    Measure(
        "hallucination",
        "hallucination",
        "lower",
        "edges in the explanation that the image has not, for each edge of the image",
    ),
    Measure(
        "randomized_model",
        "overlap, random model",
        "lower",
        "what the mask has in common with that of a model that has learnt nothing: an explanation of the model must "
        "change with it",
    ),
    Measure(
        "seeds",
        "overlap, other seeds",
        "higher",
        "what masks found with other random numbers have in common, of what is in either; 1 if nothing is chance",
    ),
    Measure("evaluations", "model evaluations", "lower", "images shown to the model to explain one image"),
)


@dataclass(frozen=True)
class Optimality:
    """What is known of one mask as a minimiser of its own objective, by noise that the search has not seen.

    Attributes
    ----------
    lam, rate : float
        λ, and the mean of the mask.
    distortion, distortion_error : float
        Of the mask, and its standard error.
    objective : float
        Distortion and penalties.
    empty_distortion : float
        D(0), the objective of the empty mask.
    rate_bound : float
        D(0) / λ: no optimum keeps more, as the empty mask would be better.
    residual, residual_low, residual_high : float
        By how much a small projected gradient step would lower the objective, with a 95 % interval; an optimum
        has 0. NaN where the model has no gradient.
    """

    lam: float
    rate: float
    distortion: float
    distortion_error: float
    objective: float
    empty_distortion: float
    rate_bound: float
    residual: float
    residual_low: float
    residual_high: float

    @property
    def beats_empty(self) -> bool:
        """Whether the mask is no worse than keeping nothing, two standard errors allowed."""
        return self.objective <= self.empty_distortion + 2 * self.distortion_error


@dataclass(frozen=True)
class Summary:
    """Mean over images with an interval.

    Attributes
    ----------
    mean, low, high : float
        NaN where there is nothing; the interval is NaN for fewer than two images.
    n : int
        Images that count.
    """

    mean: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Float64Array, confidence: float) -> Summary:
        """Summarise values, NaN left out, by Student's t."""
        found = values[np.isfinite(values)]
        if len(found) == 0:
            return cls(np.nan, np.nan, np.nan, 0)
        mean = float(found.mean())
        if len(found) == 1:
            return cls(mean, np.nan, np.nan, 1)
        half = float(
            student.ppf(0.5 + confidence / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
        )
        return cls(mean, mean - half, mean + half, len(found))


@dataclass(frozen=True, eq=False)
class Curves:
    """One quantity over the share of parts, the most relevant first.

    Attributes
    ----------
    shares : ndarray of shape (n_shares,)
    values : ndarray of shape (n_methods, n_images, n_shares)
    """

    shares: Float64Array
    values: Float64Array

    @property
    def mean(self) -> Float64Array:
        """Mean over the images that count, (n_methods, n_shares)."""
        counts = np.asarray(np.isfinite(self.values).all(axis=2))[..., None]
        total = np.where(counts, self.values, 0).sum(axis=1)
        n = counts.sum(axis=1)
        return np.asarray(np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How far to trust explanations: one row a method, one column a measure.

    Attributes
    ----------
    rows : tuple of str
        Methods.
    columns : tuple of Measure
    values : dict of str to ndarray of shape (n_methods, n_images)
        By the measures' keys; NaN where a measure does not apply.
    curves : dict of str to Curves
        "rate_distortion", "insertion" and "deletion".
    optimality : dict of str to tuple
        For each method with a mask of its own, one `Optimality` (or None) an image.
    targets : ndarray of int, shape (n_images,)
    probabilities : ndarray of shape (n_images,)
        Of the targets on the images.
    n_evaluations : int
        Images shown to the model by the evaluation itself.
    confidence : float
        Of the intervals.
    notes : tuple of str
        What was left out or done otherwise, and why.
    """

    rows: tuple[str, ...]
    columns: tuple[Measure, ...]
    values: Mapping[str, Float64Array]
    curves: Mapping[str, Curves]
    optimality: Mapping[str, tuple[Optimality | None, ...]]
    targets: npt.NDArray[np.intp]
    probabilities: Float64Array
    n_evaluations: int
    confidence: float = 0.95
    notes: tuple[str, ...] = ()

    def summary(self, row: str, key: str) -> Summary:
        """Return the mean of one measure of one method over the images, with its interval.

        Parameters
        ----------
        row : str
            One of `rows`.
        key : str
            Key of one of `columns`.

        Returns
        -------
        Summary
        """
        if row not in self.rows:
            raise ValueError(f"`row` must be one of {', '.join(map(repr, self.rows))}, got {row!r}")
        if key not in self.values:
            raise ValueError(f"`key` must be one of {', '.join(map(repr, self.values))}, got {key!r}")
        return Summary.of(self.values[key][self.rows.index(row)], self.confidence)

    def best(self, key: str) -> str | None:
        """Return the method with the best mean of a measure; None if there is no contest.

        Parameters
        ----------
        key : str
            Key of one of `columns`.

        Returns
        -------
        str or None
            None if the measure applies to fewer than two methods, if two are equally good, and for the rate and
            the model evaluations: the smallest are had for nothing.
        """
        measure = next(each for each in self.columns if each.key == key)
        means = np.array([self.summary(row, key).mean for row in self.rows])
        if np.isfinite(means).sum() < 2 or key in ("rate", "evaluations"):
            return None
        best = np.nanmax(means) if measure.better == "higher" else np.nanmin(means)
        places = np.flatnonzero(means == best)
        return self.rows[int(places[0])] if len(places) == 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain Python values, for JSON; NaN becomes None.

        Returns
        -------
        dict
        """
        table = [
            {
                "method": row,
                **{column.key: _plain(vars(self.summary(row, column.key))) for column in self.columns},
            }
            for row in self.rows
        ]
        return {
            "columns": [dict(vars(column)) for column in self.columns],
            "rows": table,
            "values": {key: _plain(values.tolist()) for key, values in self.values.items()},
            "curves": {
                name: {"shares": curve.shares.tolist(), "mean": _plain(curve.mean.tolist())}
                for name, curve in self.curves.items()
            },
            "optimality": {
                row: [None if each is None else _plain(dict(vars(each))) for each in found]
                for row, found in self.optimality.items()
            },
            "targets": self.targets.tolist(),
            "probabilities": _plain(self.probabilities.tolist()),
            "n_images": len(self.targets),
            "n_evaluations": self.n_evaluations,
            "confidence": self.confidence,
            "notes": list(self.notes),
        }

    def cells(self) -> list[list[str]]:
        """Return the table as text: a line of titles, then one a method, mean ± half the interval.

        Returns
        -------
        list of list of str
        """
        head = ["method", *(f"{column.title} {column.arrow}" for column in self.columns)]
        lines = [
            [row, *(_cell(self.summary(row, column.key)) for column in self.columns)] for row in self.rows
        ]
        return [head, *lines]

    def sentences(self) -> list[str]:
        """Return what else is to be told: optimality, cost, and what was left out.

        Returns
        -------
        list of str
        """
        told = [_optimality_words(row, found) for row, found in self.optimality.items()]
        told.append(f"The evaluation itself showed {self.n_evaluations:,} images to the model.")
        return [each for each in told if each] + list(self.notes)

    def __str__(self) -> str:
        table = self.cells()
        # Methods across and measures down: fits a terminal with many measures.
        turned = [list(line) for line in zip(*table, strict=True)]
        widths = [max(len(line[i]) for line in turned) for i in range(len(turned[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in turned
        ]
        n = len(self.targets)
        images = (
            "1 image" if n == 1 else f"{n:,} images, mean ± half of the {100 * self.confidence:g} % interval"
        )
        return "\n".join([f"{images}; ↑ higher is better, ↓ lower is better", *lines, *self.sentences()])


def _cell(found: Summary) -> str:
    if found.n == 0:
        return "–"
    if found.mean >= 100:
        return f"{found.mean:,.0f}"
    half = "" if np.isnan(found.low) else f" ± {found.mean - found.low:.2g}"
    return f"{found.mean:.3g}{half}"


def _optimality_words(row: str, found: tuple[Optimality | None, ...]) -> str:
    seen = [each for each in found if each is not None]
    if not seen:
        return ""

    def median(name: str) -> float:
        return float(np.median([getattr(each, name) for each in seen]))

    beats = sum(each.beats_empty for each in seen)
    inside = sum(each.rate <= each.rate_bound for each in seen)
    words = (
        f"{row}: on fresh noise {beats} of {len(seen)} masks are as good as the empty one or better (objective "
        f"{median('objective'):.3g} against {median('empty_distortion'):.3g}), {inside} keep no more than an optimum "
        "can"
    )
    if np.isfinite(median("residual")):
        words += (
            f"; the best small change would lower the objective by {median('residual'):.2g} "
            f"({median('residual_low'):.2g} to {median('residual_high'):.2g}; 0 at an optimum)"
        )
    return words + (". Medians." if len(seen) > 1 else ".")


def _plain(value: Any) -> Any:
    """Turn NaN and infinities into None and NumPy's numbers into Python's, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
