"""Honest timing: peers alternate in one process after a warm-up, medians, floors measured in the same run."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy
from scipy.linalg import blas

import wavelens


def arguments(
    description: str, add: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Parse the options that every benchmark has, and those that `add` adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke test that takes seconds")
    parser.add_argument("--repeats", type=int, default=5, help="counted runs of each candidate (default: 5)")
    parser.add_argument("--threads", type=int, default=None, help="engine threads (default: all)")
    if add is not None:
        add(parser)
    options = parser.parse_args()
    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    return options


def alternate(candidates: dict[str, Callable[[], Any]], repeats: int = 5) -> dict[str, float]:
    """Return the median seconds of each candidate; they run in turn, after one warm-up each."""
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


@cache
def gemm_rate(dtype: str = "float64") -> float:
    """Return the best flops per second of SciPy's BLAS and the engine's product, square of order 1,536."""
    n = 1536
    a = np.asfortranarray(np.random.default_rng(0).standard_normal((n, n)).astype(dtype))
    product = blas.dgemm if dtype == "float64" else blas.sgemm
    return 2 * n**3 / alternate({"gemm": lambda: product(1.0, a, a)}, 3)["gemm"]


@cache
def copy_rate() -> float:
    """Return bytes per second (read plus written) of copying 256 MiB."""
    a = np.ones(2**25)
    b = np.empty_like(a)
    return 2 * a.nbytes / alternate({"copy": lambda: np.copyto(b, a)}, 3)["copy"]


def print_header(title: str) -> None:
    """Print what the figures below depend on."""
    info = wavelens.build_info()
    print(f"\n## {title}")
    print(
        f"threads {info.threads}, {info.blas}, {info.instruction_set}, {info.compiler}, "
        f"NumPy {np.__version__}, SciPy {scipy.__version__}; "
        f"BLAS gemm {gemm_rate() / 1e9:.0f} (float64) and {gemm_rate('float32') / 1e9:.0f} (float32) GF/s, "
        f"copy {copy_rate() / 1e9:.1f} GB/s"
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a Markdown table; floats get four digits."""
    text = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *text]) for i in range(len(columns))]
    for line in [list(columns), ["-" * width for width in widths], *text]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def verdict(value: float, target: float, *, at_most: bool = False) -> str:
    """Say whether a target is met."""
    met = value <= target if at_most else value >= target
    return f"{'met' if met else 'MISSED'} ({'≤' if at_most else '≥'} {target:g})"
