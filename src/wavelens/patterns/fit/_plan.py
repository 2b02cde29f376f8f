"""How an analysis out of core stays within the memory that it is given.

With p coefficients of which m are selected, N classes, chunks of c images of s bytes (at most 4 alive: read ahead,
waiting, in the transform, and one that the source lets go late), b bytes a number and d rows of the sketch:

==============  ===============================================================================================
always          the program and what it holds already; the images' labels, 40 bytes each
first pass      4·c·s + 3·c·p·b for chunks; 3·d·p·b for the sketch, its checkpoint and the choice by it; N·p
second pass     4·c·s + c·p·b + 5·c·m·b for chunks; (2·N + 4)·m²·b for the factors, with rows that wait to be
                reduced, and a checkpoint
decomposition   (5·N + 5)·m²·b
third pass      4·c·s + c·p·b + 6·c·m·b for chunks; (N + 6)·m²·b for the decomposition
==============  ===============================================================================================

The chunk is the largest power of two that keeps the largest of these within the limit, up to 4,096 images and
128 MB of coefficients: results depend on it in rounding, and powers of two leave it the same when the program
takes a little more or less.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from wavelens._bytes import said_bytes
from wavelens.exceptions import DataError

__all__ = ["PROGRAM", "Plan", "make_plan", "resident_memory"]

PROGRAM = 200_000_000
_most_in_a_chunk = 4096
_most_of_coefficients = 128_000_000
_least_in_a_chunk = 16
_small_embedding = 256_000_000


@dataclass(frozen=True)
class Plan:
    """How the work is cut up.

    Attributes
    ----------
    n_images, n_classes, n_all : int
        Images, classes, and coefficients of an image.
    n_selected : int
        Coefficients selected at most.
    sketch_rows : int
        Rows of the sketch.
    image_bytes : int
        Bytes of an image as it is read.
    number_bytes : int
        4 where images are float32, else 8.
    chunk : int
        Images taken at a time.
    source_bytes : int
        What the source holds besides the chunks.
    """

    n_images: int
    n_classes: int
    n_all: int
    n_selected: int
    sketch_rows: int
    image_bytes: int
    number_bytes: int
    chunk: int
    source_bytes: int = 0

    @property
    def small_rows(self) -> bool:
        """Whether the rows of UΣ are so few that they are kept at full precision."""
        return self.n_images * self.n_selected * self.number_bytes <= _small_embedding

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of each stage, beyond the program's."""
        c, p, m, b, classes = self.chunk, self.n_all, self.n_selected, self.number_bytes, self.n_classes
        raw = 4 * c * self.image_bytes
        return {
            "sketching": raw + 3 * c * p * b + 3 * self.sketch_rows * p * b + classes * p,
            "factoring": raw + c * p * b + 5 * c * m * b + (2 * classes + 4) * m * m * b,
            "decomposing": (5 * classes + 5) * m * m * b,
            "embedding": raw + c * p * b + 6 * c * m * b + (classes + 6) * m * m * b,
        }

    @property
    def always(self) -> int:
        """Bytes of what is there all the time, beyond the program's."""
        return 40 * self.n_images + self.source_bytes

    @property
    def peak(self) -> int:
        """Bytes at the peak, beyond the program's."""
        return self.always + max(self.parts.values())

    @property
    def disk(self) -> int:
        """Bytes of the rows of UΣ, or of the chosen coefficients at full precision if those are kept."""
        return self.n_images * self.n_selected * (self.number_bytes if self.small_rows else 4)

    def to_dict(self) -> dict[str, Any]:
        """Return what `Plan(**…)` takes."""
        return asdict(self)


def make_plan(
    limit: int | None,
    chunk: int | None,
    *,
    rows_of_sketch: Callable[[int], int],
    n_selected: int,
    base: int | None = None,
    **sizes: Any,
) -> tuple[Plan, int]:
    """Return the plan that fits a limit, and the program's own bytes that it counts with.

    Parameters
    ----------
    limit : int or None
        Bytes for the whole process; None: no limit but that of a reasonable chunk.
    chunk : int or None
        Images at a time; None: as many as fit.
    rows_of_sketch : callable
        Returns the rows of the sketch for a number of coefficients.
    n_selected : int
        Coefficients to select. The memory never chooses another number.
    base : int or None
        Bytes of the program where it is not this process that does the work.
    **sizes
        As in `Plan`.

    Raises
    ------
    DataError
        If it does not fit; says how many coefficients would.
    """
    if base is None:
        base = program_memory()

    def largest(m: int) -> Plan | None:
        at_once = _most_of_coefficients // (sizes["n_all"] * sizes["number_bytes"])
        high = min(_most_in_a_chunk, max(_least_in_a_chunk, at_once))
        tried = [chunk] if chunk else [2**k for k in range(high.bit_length() - 1, 3, -1)]
        for c in tried:
            plan = Plan(n_selected=m, sketch_rows=rows_of_sketch(m), chunk=c, **sizes)
            if limit is None or base + plan.peak <= limit:
                return plan
        return None

    plan = largest(n_selected)
    if plan is not None:
        return plan, base
    low, high = 0, n_selected
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if largest(middle) is not None else (low, middle - 1)
    smallest = Plan(
        n_selected=n_selected,
        sketch_rows=rows_of_sketch(n_selected),
        chunk=chunk or _least_in_a_chunk,
        **sizes,
    )
    stage = max(smallest.parts, key=lambda name: smallest.parts[name])
    advice = (
        f"{low:,} coefficients would fit: pass `n_coefficients`={low}" if low else "Nothing useful would fit"
    )
    raise DataError(
        f"{sizes['n_images']:,} images with {n_selected:,} coefficients would take about "
        f"{said_bytes(base + smallest.peak)} of memory even in chunks, in {stage}, more than the "
        f"{said_bytes(limit or 0)} allowed; {said_bytes(base)} of it is the program. {advice}, or raise `memory_limit`"
    )


def program_memory() -> int:
    """Return what the process takes already, rounded up so that it is the same from run to run."""
    step = 64_000_000
    return max(PROGRAM, -(-resident_memory() // step) * step + step // 2)


def resident_memory() -> int:
    """Return the bytes of this process in memory, without mapped files; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            pages = file.read().split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0
