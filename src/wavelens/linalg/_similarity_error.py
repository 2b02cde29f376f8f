"""How far approximate similarities are from the exact ones: measured on rows drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from wavelens.linalg._bandwidth import Doubles

__all__ = ["SimilarityError", "upper_bound"]

SHARE, CONFIDENCE = 0.95, 0.95


def upper_bound(errors: Doubles, share: float = SHARE, confidence: float = CONFIDENCE) -> float:
    """Return what at least `share` of all errors do not exceed, with this confidence, from a sample of them.

    An order statistic, so that nothing is assumed of the errors' distribution (Wilks, 1941). Of fewer than
    log(1 − confidence) / log(share) errors it is infinite: they cannot tell. NaN is left out.
    """
    known = np.sort(errors[~np.isnan(errors)])
    # The k-th largest is beyond the quantile if at least k of the sample are: k as large as may be.
    beyond = binom.sf(np.arange(len(known)), len(known), 1 - share)  # P(count ≥ k), k = 1, 2, …
    k = int((beyond >= confidence).sum())
    return float(known[-k]) if k else np.inf


@dataclass(frozen=True, eq=False)
class SimilarityError:
    """Approximate similarities of some rows beside the exact ones.

    The rows were drawn at random, each as likely as any other, from those that are approximated. So the
    intervals below hold whatever the distribution of the errors: they are order statistics of the sample
    (Wilks, Annals of Mathematical Statistics 12, 1941). None of them is a limit for every single row.

    Attributes
    ----------
    rows : array of int, shape (n_checked,)
        The rows.
    exact, found : array of float64, shape (n_checked, n_classes)
        Their mean similarities to each class, and what the approximation says; NaN as in `ClassSimilarity`.
    """

    rows: npt.NDArray[np.intp]
    exact: Doubles
    found: Doubles

    @property
    def bound(self) -> float:
        """With 95 % confidence, at least 95 % of the rows err by at most this, for all classes at once."""
        return 0.0 if not len(self.rows) else upper_bound(self._absolute.max(axis=1, initial=0.0))

    @property
    def bound_by_class(self) -> Doubles:
        """As `bound`, for the similarities to each class by themselves."""
        if not len(self.rows):
            return np.zeros(self.exact.shape[1])
        return np.array([upper_bound(each) for each in self._absolute.T])

    @property
    def typical(self) -> float:
        """Median absolute error over the checked rows and all classes."""
        return float(np.median(self._absolute)) if self._absolute.size else 0.0

    @property
    def typical_interval(self) -> tuple[float, float]:
        """Where the median over all rows of a row's largest absolute error lies, with 95 % confidence."""
        worst = np.sort(self._absolute.max(axis=1, initial=0.0))
        if not len(worst):
            return 0.0, 0.0
        low = int(binom.ppf((1 - CONFIDENCE) / 2, len(worst), 0.5)) - 1
        if low < 0:
            return 0.0, np.inf
        return float(worst[low]), float(worst[-1 - low])

    @property
    def _absolute(self) -> Doubles:
        return np.nan_to_num(np.abs(self.found - self.exact))

    def in_words(self) -> str:
        """Say how far off the similarities are.

        Returns
        -------
        str
            A sentence.
        """
        if not len(self.rows):
            return "All similarities are exact."
        low, high = (f"{each:.1g}" for each in self.typical_interval)
        half = high if low == high else f"{low} to {high}"
        return (
            f"Checked against the exact similarities of {len(self.rows):,} images drawn at random: the median "
            f"error is {self.typical:.1g}, half of the images err at their worst class by at most "
            f"{half}, and at least 95% by at most {self.bound:.1g} (95% confidence)."
        )
