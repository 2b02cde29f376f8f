"""From images to the coefficients that an analysis goes by: the basis, and which coefficients are kept.

With ``rank="full"`` every class keeps full column rank in the chosen coefficients, as the papers have it: the
smallest class bounds their number. With ``rank="any"`` the coefficients are the pivots of all images together,
and the HO-GSVD of Kempf, Goulart and Duncan takes classes of lower rank. With two classes a class
of lower rank has σ = 0 in all patterns but as many as its rank; with more, its σ are those of as few independent
directions spread over all patterns. Either way, that it is weak in a pattern may only mean that it has too few
images to show it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray, check_choice, check_integer
from wavelens.exceptions import WavelensWarning
from wavelens.linalg import pivoted_qr, select_columns
from wavelens.wavelets import PixelTransform, WaveletTransform

__all__ = ["Basis", "choose_coefficients", "make_basis", "warn_of_low_rank"]

Basis = WaveletTransform | PixelTransform


def make_basis(shape: tuple[int, ...], basis: str, wavelet: str, level: int | None, mode: str) -> Basis:
    """Return the transform that `basis` names."""
    if check_choice(basis, "basis", ("wavelet", "pixel")) == "pixel":
        return PixelTransform(shape)
    return WaveletTransform(shape, wavelet, level, mode)


def choose_coefficients(
    coefficients: FloatArray,
    classes: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
    n_coefficients: int | None,
    rank: str,
    random_state: int,
    progress: Callable[[float], object] | None,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the chosen columns, and the numerical rank of each class in them."""
    n, p = coefficients.shape
    if n_coefficients is not None:
        why = f"there are {n} images of {p} coefficients"
        check_integer(n_coefficients, "n_coefficients", low=1, high=min(n, p), why=why)
    if check_choice(rank, "rank", ("full", "any")) == "full":
        try:
            columns = select_columns(
                coefficients,
                n_coefficients,
                groups=classes[labels],
                random_state=random_state,
                progress=progress,
            )
        except ValueError as error:
            raise ValueError(_in_terms_of_images(str(error))) from error
        return columns, np.full(len(classes), len(columns), dtype=np.intp)
    wanted = n_coefficients or max(1, min(n // 2, p))
    columns = pivoted_qr(coefficients, wanted, random_state=random_state, progress=progress).pivots
    if not len(columns):
        raise ValueError("`X` must hold images that are not all zero")
    if n_coefficients is not None and len(columns) < n_coefficients:
        raise ValueError(
            f"`n_coefficients` must not exceed the numerical rank of all images together, which is "
            f"{len(columns)}, got {n_coefficients}"
        )
    ranks = np.array(
        [_rank(coefficients[np.ix_(np.flatnonzero(labels == i), columns)]) for i in range(len(classes))],
        dtype=np.intp,
    )
    if (ranks < len(columns)).any():
        warn_of_low_rank(classes, ranks, len(columns))
    return columns, ranks


def _in_terms_of_images(message: str) -> str:
    """Say of classes and images what `select_columns` says of groups and rows."""
    for ours, theirs in (
        ("`n_coefficients`", "`k`"),
        ("coefficients leave", "columns leave"),
        ("class", "group"),
        (" images", " rows"),
    ):
        message = message.replace(theirs, ours)
    if "`n_coefficients`" in message:
        message += '. None takes the largest number that works, and rank="any" allows more'
    return message


def _rank(block: FloatArray) -> int:
    return pivoted_qr(block).rank


def warn_of_low_rank(classes: Sequence[Any] | npt.NDArray[Any], ranks: npt.NDArray[np.intp], m: int) -> None:
    """Warn of classes whose rank is below the number of coefficients."""
    few = np.argsort(ranks, kind="stable")
    few = few[ranks[few] < m]
    named = ", ".join(f"{classes[i]} ({ranks[i]})" for i in few[:5])
    more = f" and {len(few) - 5} more" if len(few) > 5 else ""
    warnings.warn(
        f"{len(few)} of {len(classes)} classes have a rank below the {m} coefficients: {named}{more}. Their "
        "σ come from as few independent directions; that one of them is weak in a pattern may only mean that it "
        "has too few images",
        WavelensWarning,
        stacklevel=4,
    )
