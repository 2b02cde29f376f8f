"""What a random matrix would show: the null that every spectrum is held against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigvalsh_tridiagonal

from wavelens._arguments import as_array, check_integer

__all__ = ["SpectrumAgainstChance", "spectrum_against_chance"]

_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class SpectrumAgainstChance:
    """A spectrum beside that of random matrices of its shape, with independent normal entries.

    Attributes
    ----------
    singular_values : (k,) ndarray
        The spectrum, descending; k = min(n_out, n_in).
    shape : tuple of int
        (n_out, n_in).
    scale : float
        Standard deviation of the entries of the random matrices, fitted to the median of the spectrum (which
        a few strong directions do not move), or to its energy where the median is zero.
    marchenko_pastur : tuple of float
        scale·(√max − √min) and scale·(√max + √min) of the two sizes: between these lie the singular values of
        large random matrices.
    low, high : (k,) ndarray
        Between these lies σ_i of 95 of 100 random matrices, each i by itself, scale fitted alike.
    middle : (k,) ndarray
        Their medians.
    share_outside : float
        Share of directions whose σ_i is outside [low, high].
    chance_share_outside, chance_share_most : float
        The same share of random matrices: its mean, and what 95 of 100 stay below or at.
    condition : float
        σ₁/σ_r; NaN without any.
    chance_condition : float
        Median over random matrices.
    chance_condition_mean, chance_condition_deviation : float
        Mean and standard deviation. They mean little for square matrices, whose condition number has neither.
    chance_condition_interval : tuple of float
        Between these lie 95 of 100.
    n_samples : int
        Random matrices drawn.
    """

    singular_values: npt.NDArray[np.float64]
    shape: tuple[int, int]
    scale: float
    marchenko_pastur: tuple[float, float]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    middle: npt.NDArray[np.float64]
    share_outside: float
    chance_share_outside: float
    chance_share_most: float
    condition: float
    chance_condition: float
    chance_condition_mean: float
    chance_condition_deviation: float
    chance_condition_interval: tuple[float, float]
    n_samples: int

    @property
    def outside(self) -> npt.NDArray[np.bool_]:
        """Which directions lie outside the band of their place, (k,)."""
        return _outside(self.singular_values, self.low, self.high)

    @property
    def like_chance(self) -> bool:
        """Whether share outside and condition number are such as random matrices have, 95 of 100 of them."""
        low, high = self.chance_condition_interval
        return self.share_outside <= self.chance_share_most and (
            len(self.singular_values) < 2 or low <= self.condition <= high
        )

    def words(self) -> str:
        """Return the comparison as sentences.

        Returns
        -------
        str
        """
        k, (rows, cols) = len(self.singular_values), self.shape
        if not self.singular_values.any():
            return "All weights are zero: there is no spectrum to compare."
        if k == 1:
            return f"A {rows} × {cols} matrix has one direction: there is nothing to compare with chance."
        low, high = self.chance_condition_interval
        n_outside = int(self.outside.sum())
        text = (
            f"The condition number is {self.condition:.4g}; random {rows} × {cols} matrices have "
            f"{self.chance_condition:.4g} ({low:.4g} to {high:.4g} in 95 of 100). {n_outside} of {k} directions "
            f"({self.share_outside:.0%}) lie outside what chance gives; chance itself puts "
            f"{self.chance_share_outside:.0%} there, seldom more than {self.chance_share_most:.0%}."
        )
        if self.like_chance:
            return text + " So the spectrum tells nothing that a random matrix would not."
        return text + " So the spectrum is not that of a random matrix."


def spectrum_against_chance(
    singular_values: npt.ArrayLike,
    shape: tuple[int, int],
    *,
    rank: int | None = None,
    n_samples: int | None = None,
    random_state: int = 0,
) -> SpectrumAgainstChance:
    """Hold a spectrum against that of random matrices of its shape.

    A spectrum that looks flat, or a small condition number, says nothing by itself: a random 4096 × 9 matrix
    has condition number 1.080 ± 0.010.

    Parameters
    ----------
    singular_values : (min(shape),) array_like
        In any order, not negative.
    shape : (n_out, n_in)
        Of the matrix.
    rank : int, optional
        The condition number is σ₁/σ_rank. None counts the singular values above max(shape)·eps·σ₁.
    n_samples : int, optional
        Random matrices to draw, at least 20. None is 200, and fewer (down to 20) where the smaller size is
        beyond 500.
    random_state : int
        Seed. The same seed and shape give the same bands.

    Returns
    -------
    SpectrumAgainstChance

    Raises
    ------
    TypeError
        If `singular_values` are not real numbers.
    ValueError
        If their number is not min(shape), or one is negative, NaN or infinite.

    Notes
    -----
    A random matrix need not be drawn: its bidiagonal form has independent entries, χ distributed with
    max, max − 1, … degrees of freedom on the diagonal and min − 1, min − 2, … beside it (Dumitriu and Edelman
    2002), so that a sample costs O(k²) instead of O(max·k²). Samples are kept for the next spectrum of the
    shape.

    References
    ----------
    V. A. Marchenko, L. A. Pastur, "Distribution of eigenvalues for some sets of random matrices", Mathematics
    of the USSR Sbornik 1, 1967. I. Dumitriu, A. Edelman, "Matrix models for beta ensembles", Journal of
    Mathematical Physics 43, 2002, theorem 3.1. M. Gavish, D. L. Donoho, "The optimal hard threshold for
    singular values is 4/√3", IEEE Transactions on Information Theory 60, 2014 (the scale from the median).

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.spaces import spectrum_against_chance
    >>> noise = np.random.default_rng(1).standard_normal((4096, 9))
    >>> found = spectrum_against_chance(np.linalg.svd(noise, compute_uv=False), noise.shape)
    >>> round(found.chance_condition, 2), found.like_chance
    (1.08, True)
    """
    values, sizes = _checked_spectrum(singular_values, shape)
    most, least = max(sizes), min(sizes)
    if n_samples is None:
        n_samples = max(20, min(200, 5 * 10**7 // least**2))
    count = check_integer(n_samples, "n_samples", low=20)
    drawn = _drawn(most, least, count, check_integer(random_state, "random_state", low=0))
    scale = _scale(values, drawn)
    low, middle, high = scale * drawn.low, scale * drawn.middle, scale * drawn.high
    if rank is None:
        rank = int((values > most * np.finfo(np.float64).eps * values[0]).sum())
    check_integer(rank, "rank", low=0, high=least, why="the smaller size")
    return SpectrumAgainstChance(
        singular_values=values,
        shape=sizes,
        scale=scale,
        marchenko_pastur=(scale * (sqrt(most) - sqrt(least)), scale * (sqrt(most) + sqrt(least))),
        low=low,
        high=high,
        middle=middle,
        share_outside=float(_outside(values, low, high).mean()),
        chance_share_outside=drawn.share_mean,
        chance_share_most=drawn.share_most,
        condition=float(values[0] / values[rank - 1]) if rank else float("nan"),
        chance_condition=drawn.condition_median,
        chance_condition_mean=drawn.condition_mean,
        chance_condition_deviation=drawn.condition_deviation,
        chance_condition_interval=drawn.condition_interval,
        n_samples=count,
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Random matrices of a shape, each scaled as its own median says (or, `energy`, of unit entries)."""

    low: npt.NDArray[np.float64]
    middle: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    typical_median: float
    share_mean: float
    share_most: float
    condition_median: float
    condition_mean: float
    condition_deviation: float
    condition_interval: tuple[float, float]
    size: tuple[int, int]


@lru_cache(maxsize=64)
def _drawn(most: int, least: int, count: int, seed: int) -> _Drawn:
    spectra = _random_spectra(most, least, count, np.random.default_rng(seed))
    medians = np.median(spectra, axis=1)
    typical = float(np.median(medians))
    conditions = spectra[:, 0] / np.maximum(spectra[:, -1], np.finfo(np.float64).tiny)
    fitted = spectra * (typical / medians)[:, None]
    tail = (1 - _LEVEL) / 2
    low, middle, high = np.quantile(fitted, [tail, 0.5, 1 - tail], axis=0)
    own_low, own_high = (_quantile_of_others(fitted, level) for level in (tail, 1 - tail))
    shares = _outside(fitted, own_low, own_high).mean(axis=1)
    interval = np.quantile(conditions, [tail, 1 - tail])
    return _Drawn(
        low,
        middle,
        high,
        typical,
        float(shares.mean()),
        float(np.quantile(shares, _LEVEL, method="higher")),
        float(np.median(conditions)),
        float(conditions.mean()),
        float(conditions.std(ddof=1)),
        (float(interval[0]), float(interval[1])),
        (most, least),
    )


def _quantile_of_others(samples: npt.NDArray[np.float64], level: float) -> npt.NDArray[np.float64]:
    """Return, for every sample and place, the quantile of the other samples: no sample judges itself."""
    ordered = np.sort(samples, axis=0)
    ranks = samples.argsort(axis=0).argsort(axis=0)
    place = level * (len(samples) - 2)
    below = min(int(place), len(samples) - 3)
    first, second = (np.take_along_axis(ordered, at + (ranks <= at), axis=0) for at in (below, below + 1))
    return np.asarray(first + (place - below) * (second - first))


def _random_spectra(most: int, least: int, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return singular values, descending, of `count` random matrices with independent standard normal entries."""
    diagonal = np.sqrt(rng.chisquare(np.arange(most, most - least, -1), (count, least)))
    beside = np.sqrt(rng.chisquare(np.arange(least - 1, 0, -1), (count, least - 1)))
    if least == 1:
        return diagonal
    spectra = np.empty((count, least))
    for i, (d, e) in enumerate(zip(diagonal, beside, strict=True)):
        # BᵀB is tridiagonal. Squaring costs σ_k a relative error of eps·κ², 1e-9 for a square matrix of order
        # 1,000: nothing to what chance does to it.
        squares = d**2
        squares[1:] += e**2
        spectra[i] = eigvalsh_tridiagonal(squares, d[:-1] * e, lapack_driver="sterf", check_finite=False)[
            ::-1
        ]
    return np.sqrt(np.maximum(spectra, 0))


def _scale(values: npt.NDArray[np.float64], drawn: _Drawn) -> float:
    median = float(np.median(values))
    if median > 0:
        return median / drawn.typical_median
    most, least = drawn.size
    largest = float(values[0])
    return largest * float(np.linalg.norm(values / largest)) / sqrt(most * least) if largest > 0 else 0.0


def _outside(
    values: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    # The direction that the scale is fitted to is where its band is, whatever the last bit says.
    slack = 1e-9 * high
    return np.asarray((values < low - slack) | (values > high + slack))


def _checked_spectrum(
    singular_values: npt.ArrayLike, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], tuple[int, int]]:
    array = as_array(singular_values, "singular_values")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"`singular_values` must hold real numbers, got dtype {array.dtype}")
    try:
        rows, cols = shape
    except (TypeError, ValueError):
        raise ValueError(f"`shape` must be (n_out, n_in), got {shape!r}") from None
    sizes = check_integer(rows, "shape[0]", low=1), check_integer(cols, "shape[1]", low=1)
    if array.shape != (min(sizes),):
        raise ValueError(
            f"`singular_values` must hold {min(sizes)} numbers, the smaller size of {sizes}, "
            f"got shape {array.shape}"
        )
    values = np.sort(array.astype(np.float64))[::-1]
    if not (np.isfinite(values).all() and values[-1] >= 0):
        raise ValueError("`singular_values` must be finite and not negative")
    return values, sizes
