"""How much memory an analysis takes, before it is begun.

With n images of p numbers (all coefficients), m of them kept, and b bytes a number (4 where the images are
float32, else 8), the arrays alive at once are

=================== ======================================================================================
the images          n · pixels · channels · bytes of their type
choosing            n·p·b for all coefficients, n·m·b for the columns' basis, 192·p·b for sketches of columns
decomposing         4·n·m·b for the classes' blocks, their orthonormal factors and the rows of UΣ, and
                    5·m²·b for triangular factors, Gram matrices and eigenvectors
the programme       160 MB for Python, its libraries and the engine
=================== ======================================================================================

and the peak is the images, the programme, and the larger of choosing and decomposing. The basis of pixels takes
the same. Similarities between images are computed in strips and take a few MB.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens._bytes import parse_bytes, said_bytes
from wavelens.data._source import physical_memory
from wavelens.exceptions import DataError
from wavelens.patterns._coefficients import make_basis

if TYPE_CHECKING:
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = [
    "MemoryEstimate",
    "estimate_memory",
    "fits_in_memory",
    "memory_needed",
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
    choosing : int
        All coefficients and the choice among them.
    decomposing : int
        The decomposition of the chosen ones.
    total : int
        At the peak: the images, the larger of the two steps, and Python with its libraries.
    """

    images: int
    choosing: int
    decomposing: int

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.images + max(self.choosing, self.decomposing) + _programme

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
    n images of p numbers, m kept, b = 4 bytes (float32) or 8: choosing takes (n·p + n·m + 192·p)·b, decomposing
    (4·n·m + 5·m²)·b; the peak is the larger of the two, the images, and 160 MB.

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
    b = 4 if given in (np.float32, np.float16) else 8
    return MemoryEstimate(
        images=n * pixels * given.itemsize,
        choosing=b * (n * p + n * m + _sketch_rows * p),
        decomposing=b * (4 * n * m + 5 * m * m),
    )


def memory_needed(
    analysis: PatternAnalysis, images: npt.NDArray[Any], labels: npt.ArrayLike
) -> MemoryEstimate:
    """Estimate what `fit` of an analysis takes on images; without `n_coefficients`, at most."""
    sizes = np.unique(np.asarray(labels), return_counts=True)[1]
    return memory_of(analysis, len(images), images.shape[1:], images.dtype, sizes)


def memory_of(
    analysis: PatternAnalysis,
    n: int,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    class_sizes: npt.NDArray[np.intp],
) -> MemoryEstimate:
    """Estimate what `fit` in memory takes on n images of classes of these sizes."""
    basis = make_basis(shape, analysis.basis, analysis.wavelet, analysis.level, analysis.mode)
    most = int(class_sizes.min()) if analysis.rank == "full" else n // 2
    m = analysis.n_coefficients
    return estimate_memory(
        n,
        shape,
        n_coefficients=max(1, min(most, basis.n_coefficients)) if m is None else m,
        dtype=dtype,
        n_all_coefficients=basis.n_coefficients,
    )


def fits_in_memory(
    analysis: PatternAnalysis,
    n: int,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    class_sizes: npt.NDArray[np.intp],
) -> bool:
    """Tell whether `fit` in memory keeps to `memory_limit`, or without one, to four fifths of the machine's."""
    if analysis.memory_limit is None:
        limit = 0.8 * physical_memory()
    else:
        limit = parse_bytes(analysis.memory_limit, "memory_limit")
    return memory_of(analysis, n, shape, dtype, class_sizes).total <= limit


def refuse_beyond(analysis: PatternAnalysis, images: npt.NDArray[Any], labels: npt.NDArray[np.intp]) -> None:
    """Raise DataError if an analysis about to start needs more than its `memory_limit`."""
    if analysis.memory_limit is None:
        return
    limit = parse_bytes(analysis.memory_limit, "memory_limit")
    sizes = np.bincount(labels)
    need = memory_needed(analysis, images, labels)
    if need.total <= limit:
        return
    raise DataError(
        f"{len(images):,} images of {' x '.join(map(str, images.shape[1:]))} would take about {need} of memory, "
        f"more than the {said_bytes(limit)} allowed. {_advice(analysis, images, sizes, limit)} Or give the images "
        "as a file or folder, which is then read in chunks."
    )


def refuse_square(analysis: PatternAnalysis, n: int) -> None:
    """Raise DataError if the similarities of each two of n images are beyond the memory allowed."""
    limit = physical_memory()
    if analysis.memory_limit is not None:
        limit = parse_bytes(analysis.memory_limit, "memory_limit")
    need = (n * n + n * analysis.sigma_.shape[1]) * analysis.embedding_.dtype.itemsize
    if need > limit:
        raise DataError(
            f"the similarities of each two of {n:,} images would take {said_bytes(need)} of memory, more than the "
            f"{said_bytes(int(limit))} there is; `similarity_to_classes` and `nearest_images` need no such matrix"
        )


def _advice(
    analysis: PatternAnalysis, images: npt.NDArray[Any], sizes: npt.NDArray[np.intp], limit: int
) -> str:
    """Say what would fit, each measure by itself."""
    n, shape = len(images), images.shape[1:]
    given = analysis.n_coefficients
    smallest = int(sizes.min()) if analysis.rank == "full" else n // 2
    m = max(1, min(smallest, int(np.prod(shape)))) if given is None else given

    def total(n: int = n, m: int = m, scale: float = 1.0, dtype: npt.DTypeLike = images.dtype) -> int:
        sides = tuple(max(1, round(size * scale)) for size in shape[:2])
        sides += shape[2:]
        p: int | None = None
        with suppress(ValueError):  # too small for the level
            basis = make_basis(sides, analysis.basis, analysis.wavelet, analysis.level, analysis.mode)
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
    if images.dtype not in (np.float32, np.float16) and total(dtype=np.float32) <= limit:
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
