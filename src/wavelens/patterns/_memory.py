"""How much memory an analysis takes, before it is begun.

With n images of p numbers (all coefficients), m of them selected, d rows of the sketch, and b bytes a number (4 where
the images are float32, else 8), the arrays alive at once are

=================== ======================================================================================
the images          n · pixels · channels · bytes of their type
selecting           n·p·b for all coefficients, d·p·b for their sketch (nothing where d = n), min(d, n)·m·b for the
                    columns' basis, 192·p·b for sketches of columns
decomposing         4·n·m·b for the classes' blocks, their orthonormal factors and the rows of UΣ, and
                    5·m²·b for triangular factors, Gram matrices and eigenvectors
the program         160 MB for Python, its libraries and the engine
=================== ======================================================================================

and the peak is the images, the program, and the larger of selecting and decomposing. The basis of pixels takes
the same. Similarities between images are computed in strips and take a few MB.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._bytes import parse_bytes, said_bytes
from wavelens.data._source import physical_memory
from wavelens.exceptions import DataError
from wavelens.patterns._basis import make_basis
from wavelens.patterns._options import FitOptions
from wavelens.patterns._result import FitResult
from wavelens.patterns._selection import rows_of_sketch

__all__ = [
    "MemoryEstimate",
    "estimate_memory",
    "fits_in_memory",
    "memory_of",
    "parse_bytes",
    "refuse_beyond",
    "refuse_square",
    "said_bytes",
]

_programme = 160_000_000
_sketch_rows = 192


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that an analysis takes.

    Attributes
    ----------
    images : int
        The images themselves.
    selecting : int
        All coefficients and the selection among them.
    decomposing : int
        The decomposition of the selected ones.
    total : int
        At the peak: the images, the larger of the two steps, and Python with its libraries.
    """

    images: int
    selecting: int
    decomposing: int

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.images + max(self.selecting, self.decomposing) + _programme

    def __str__(self) -> str:
        return said_bytes(self.total)


def estimate_memory(
    n_images: int,
    image_shape: tuple[int, ...],
    *,
    n_coefficients: int,
    dtype: npt.DTypeLike = np.uint8,
    n_all_coefficients: int | None = None,
) -> MemoryEstimate:
    """Estimate how much memory `PatternAnalysis.fit` takes at its peak.

    Parameters
    ----------
    n_images : int
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, channels)``, in pixels.
    n_coefficients : int
        How many are kept.
    dtype : dtype, default uint8
        Of the images; float32 is computed in float32, all else in float64.
    n_all_coefficients : int or None, default None
        How many coefficients an image has; None: as many as pixels times channels, as with the mode
        "periodization".

    Returns
    -------
    MemoryEstimate
        Within 40 % of what was measured, on sizes from 0.2 to 0.6 GB within 15 %.

    Notes
    -----
    n images of p numbers, m selected, d = max(2·m, 128) rows of the sketch, or n where n ≤ 1.5·d, b = 4 bytes
    (float32) or 8: selecting takes (n·p + d·p [if d < n] + min(n, d)·m + 192·p)·b, decomposing (4·n·m + 5·m²)·b; the
    peak is the larger of the two, the images, and 160 MB.

    Examples
    --------
    >>> from wavelens.patterns import estimate_memory
    >>> str(estimate_memory(2481, (91, 90), n_coefficients=1200))
    '379 MB'
    >>> str(estimate_memory(4000, (512, 512), n_coefficients=2000, dtype="float32"))
    '8.78 GB'
    """
    n = check_integer(n_images, "n_images", low=1)
    m = check_integer(n_coefficients, "n_coefficients", low=1)
    pixels = int(np.prod([check_integer(size, "image_shape", low=1) for size in image_shape]))
    given = np.dtype(dtype)
    p = pixels if n_all_coefficients is None else n_all_coefficients
    b = coefficient_bytes(given)
    return MemoryEstimate(
        images=n * pixels * given.itemsize,
        selecting=_selecting(n, rows_of_sketch(n, m), m, p, given),
        decomposing=b * (4 * n * m + 5 * m * m),
    )


def memory_of(
    options: FitOptions,
    n: int,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    class_sizes: npt.NDArray[np.intp],
) -> MemoryEstimate:
    """Estimate what a fit in memory takes on n images of classes of these sizes; without `n_coefficients`, at most."""
    basis = make_basis(shape, options.basis, options.wavelet, options.level, options.mode)
    most = int(class_sizes.min()) if options.rank == "full" else n // 2
    m = options.n_coefficients or max(1, min(most, basis.n_coefficients))
    estimate = estimate_memory(
        n, shape, n_coefficients=m, dtype=dtype, n_all_coefficients=basis.n_coefficients
    )
    if options.pivoting == "full":
        return replace(estimate, selecting=_selecting(n, n, m, basis.n_coefficients, dtype))
    return estimate


def fits_in_memory(
    options: FitOptions,
    n: int,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    class_sizes: npt.NDArray[np.intp],
) -> bool:
    """Tell whether a fit in memory keeps to `memory_limit`, or without one, to four fifths of the machine's."""
    limit = 0.8 * physical_memory() if options.memory_limit is None else options.memory_limit
    return memory_of(options, n, shape, dtype, class_sizes).total <= limit


def refuse_beyond(
    options: FitOptions,
    n: int,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    class_sizes: npt.NDArray[np.intp],
) -> None:
    """Refuse a fit of images in memory that needs more than `memory_limit`.

    Raises
    ------
    DataError
        Saying what would fit.
    """
    limit = options.memory_limit
    if limit is None:
        return
    need = memory_of(options, n, shape, dtype, class_sizes)
    if need.total <= limit:
        return
    advice = _advice(options, n, shape, np.dtype(dtype), class_sizes, limit)
    raise DataError(
        f"{n:,} images of {' x '.join(map(str, shape))} would take about {need} of memory, more than the "
        f"{said_bytes(limit)} of `memory_limit`. {advice} Or give the images as a file or folder, which is then read "
        "in chunks."
    )


def refuse_square(result: FitResult, n: int) -> None:
    """Refuse the similarities of each two of n images if they are beyond the memory allowed.

    Raises
    ------
    DataError
    """
    limit = physical_memory() if result.options.memory_limit is None else result.options.memory_limit
    need = (n * n + n * result.n_patterns) * result.embedding.dtype.itemsize
    if need > limit:
        raise DataError(
            f"the similarities of each two of {n:,} images would take {said_bytes(need)} of memory, more than the "
            f"{said_bytes(int(limit))} there is; `similarity_to_classes` and `nearest_images` need no such matrix"
        )


def _selecting(n: int, sketch_rows: int, m: int, p: int, dtype: npt.DTypeLike) -> int:
    b = coefficient_bytes(dtype)
    sketch = 0 if n <= sketch_rows else sketch_rows * p
    return b * (n * p + sketch + min(n, sketch_rows) * m + _sketch_rows * p)


def coefficient_bytes(images: npt.DTypeLike) -> int:
    """Return the bytes of a coefficient of images of a dtype."""
    return 4 if np.dtype(images) in (np.float32, np.float16) else 8


def _advice(
    options: FitOptions,
    n: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    class_sizes: npt.NDArray[np.intp],
    limit: int,
) -> str:
    """Say what would fit, each measure by itself."""
    smallest = int(class_sizes.min()) if options.rank == "full" else n // 2
    m = options.n_coefficients or max(1, min(smallest, int(np.prod(shape))))

    def total(n: int = n, m: int = m, scale: float = 1.0, dtype: npt.DTypeLike = dtype) -> int:
        sides = tuple(max(1, round(size * scale)) for size in shape[:2])
        sides += shape[2:]
        p: int | None = None
        with suppress(ValueError):  # too small for the level
            basis = make_basis(sides, options.basis, options.wavelet, options.level, options.mode)
            p = basis.n_coefficients
        return estimate_memory(n, sides, n_coefficients=m, dtype=dtype, n_all_coefficients=p).total

    ways = []
    fewer = _largest(m - 1, lambda k: total(m=k) <= limit)
    if fewer:
        ways.append(f"{fewer:,} coefficients")
    side = _largest(max(shape[:2]) - 1, lambda k: total(scale=k / max(shape[:2])) <= limit)
    if side >= 8:
        scale = side / max(shape[:2])
        ways.append(f"images of {' x '.join(str(max(1, round(size * scale))) for size in shape[:2])} pixels")
    count = _largest(n - 1, lambda k: total(n=k, m=min(m, max(1, m * k // n))) <= limit)
    if count >= 4:
        ways.append(f"{count:,} images")
    if dtype not in (np.float32, np.float16) and total(dtype=np.float32) <= limit:
        ways.append("the images as float32")
    if not ways:
        return "Nothing useful would fit; allow more."
    return "By the same estimate would fit: " + ", or ".join(ways) + "."


def _largest(high: int, fits: Any) -> int:
    """Return the largest number from 1 to `high` that fits, by bisection; 0 if none does."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
