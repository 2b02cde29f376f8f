"""Rows split into what a subspace holds and the rest: the face of the engine's kernel `project`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens._arguments import FloatArray, as_array

__all__ = ["SplitRows", "read_rows", "refuse_nonfinite", "split_rows", "working_dtype"]

_CHUNK_BYTES = 2**25


@dataclass(frozen=True, eq=False)
class SplitRows:
    """Parts of every row, (m, n) or None, and their energies, (m,) float64."""

    inside: FloatArray | None
    outside: FloatArray | None
    inside_energy: npt.NDArray[np.float64]
    outside_energy: npt.NDArray[np.float64]
    inside_share: npt.NDArray[np.float64]
    outside_share: npt.NDArray[np.float64]


def read_rows(
    values: npt.ArrayLike, name: str, n: int | None, shape: tuple[int, ...] | None
) -> npt.NDArray[Any]:
    """Return samples as (m, n) rows of their own dtype, or as (m, *shape); what is not a float is not looked at.

    Raises
    ------
    TypeError
        For complex, object and other non-numeric dtypes, sparse matrices and masked arrays.
    ValueError
        If there are no samples, or they are of another shape.
    """
    array = as_array(values, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    shapes = list(dict.fromkeys(each for each in (None if n is None else (n,), shape) if each is not None))
    if array.ndim < 2 or array.shape[1:] not in shapes:
        said = " or ".join("(n_samples, " + ", ".join(map(str, each)) + ")" for each in shapes)
        hint = f"; a single sample is {name}[None]" if array.shape in shapes else ""
        raise ValueError(f"`{name}` must have shape {said}, got {array.shape}{hint}")
    if len(array) == 0:
        raise ValueError(f"`{name}` must hold at least one sample, got shape {array.shape}")
    return array


def working_dtype(rows: npt.NDArray[Any], weights: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 where weights are and samples fit it (float16, float32, integers to 16 bits), else float64."""
    native = rows.dtype.newbyteorder("=")
    narrow = native in (np.float16, np.float32) or (rows.dtype.kind in "iub" and rows.itemsize <= 2)
    return np.dtype(np.float32 if narrow and weights == np.float32 else np.float64)


def split_rows(
    basis: FloatArray,
    rows: npt.NDArray[Any],
    name: str,
    *,
    inside: bool = True,
    outside: bool = True,
    append_one: bool = False,
    progress: Callable[[float], None] | None = None,
) -> SplitRows:
    """Split samples into QQᵀx and x − QQᵀx for orthonormal columns Q = `basis`; in the dtype of the basis.

    Samples of that dtype, without gaps, are read where they are; others are converted in chunks. With
    `append_one` every sample gets a last entry 1.

    Raises
    ------
    ValueError
        If a sample holds NaN or infinities (the first place is named).
    """
    m, n, dtype = len(rows), basis.shape[0], basis.dtype
    parts = [np.empty((m, n), dtype) if wanted else None for wanted in (inside, outside)]
    energies, shares = np.empty((2, m)), np.empty((2, m))
    direct = (
        not append_one
        and rows.dtype == dtype
        and rows.dtype.isnative
        and rows.flags.aligned
        and (rows.ndim == 2 or rows.flags.c_contiguous)
        and not any(stride % rows.itemsize for stride in rows.strides)
    )
    step = m if direct else max(1, _CHUNK_BYTES // (n * dtype.itemsize))
    for first in range(0, m, step):
        chunk = rows[first : first + step]
        x = chunk.reshape(len(chunk), -1).astype(dtype, copy=False)
        if append_one:
            x = np.concatenate([x, np.ones((len(x), 1), dtype)], axis=1)
        refuse_nonfinite(x, name, first, chunk.shape[1:])
        here = [None if part is None else part[first : first + step] for part in parts]
        tick = progress if direct else None
        energies[:, first : first + step] = _core.project(basis, x, here[0], here[1], tick)
        shares[:, first : first + step] = _shares(basis, x, here, energies[:, first : first + step])
        if progress is not None and not direct:
            progress((first + len(chunk)) / m)
    return SplitRows(parts[0], parts[1], energies[0], energies[1], shares[0], shares[1])


def refuse_nonfinite(x: FloatArray, name: str, first: int, shape: tuple[int, ...]) -> None:
    """Raise ValueError where a row holds NaN or infinities; `first` is the number of the first sample."""
    place = _core.first_nonfinite(x)
    if place is not None:
        inside = tuple(map(int, np.unravel_index(place[1], shape)))
        value = x[place]
        raise ValueError(f"`{name}` must be finite, got {value} in sample {first + place[0]} at {inside}")


def _shares(
    basis: FloatArray, x: FloatArray, parts: list[FloatArray | None], energies: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return both shares of every row's energy; rows whose squares leave the range are done again, scaled."""
    total = energies.sum(axis=0)
    least = 1e-280 if x.dtype == np.float64 else 1e-60
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: npt.NDArray[np.float64] = energies / total
    for i in np.flatnonzero(~((total > least) & (total < np.inf))):
        exponent = int(np.frexp(np.abs(x[i]).max())[1])
        row = np.ldexp(x[i : i + 1], -exponent)
        inside, outside = np.empty_like(row), np.empty_like(row)
        scaled = np.stack(_core.project(basis, row, inside, outside))[:, 0]
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            shares[:, i] = scaled / scaled.sum()
            energies[:, i] = np.ldexp(scaled, 2 * exponent)
            for part, found in zip(parts, (inside, outside), strict=True):
                if part is not None:
                    part[i] = np.ldexp(found[0], exponent)
    return shares
