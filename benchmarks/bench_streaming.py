"""Streaming states: the sketch of rows, R of rows, and the HO-GSVD of many classes from their factors."""

from __future__ import annotations

import resource
import time
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
from _measure import alternate, arguments, copy_rate, gemm_rate, print_header, print_table

from wavelens._threads import blas_threads
from wavelens.linalg import RowSketch, TriangularFactor, ho_gsvd


def one_thread_qr(chunk: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """R by LAPACK's geqrf; several threads of OpenBLAS lose to one on a busy machine."""
    with blas_threads(1):
        return scipy.linalg.qr(chunk, mode="r", check_finite=False)


def main() -> None:
    options = arguments(__doc__ or "")
    rng = np.random.default_rng(0)
    small = 4 if options.quick else 1

    print_header("RowSketch: a chunk of rows")
    rows = []
    n, p, d = 4096 // small, 4096 // small, 1024 // small
    for dtype, state in (
        ("uint8", "float32"),
        ("float32", "float32"),
        ("float32", "float64"),
        ("float64", "float64"),
    ):
        chunk = (rng.standard_normal((n, p)) * 20 + 100).astype(dtype)
        sketch = RowSketch(p, d, dtype=state).partial_fit(np.ones((d + 8, p)))
        seconds = alternate({"sketch": lambda: sketch.partial_fit(chunk)}, options.repeats)["sketch"]  # noqa: B023
        floor = chunk.nbytes / copy_rate()
        rows.append(
            [f"{n} × {p}", dtype, state, d, seconds, n / seconds, 8 * n * p / seconds / 1e9, seconds / floor]
        )
    print_table(
        ["chunk", "dtype", "sums", "rows of S", "s", "rows/s", "10⁹ additions/s", "times reading"], rows
    )

    print_header("TriangularFactor: a chunk of rows")
    rows = []
    for m in (512 // small, 1024 // small, 2000 // small):
        for dtype in ("float64", "float32"):
            chunk = rng.standard_normal((4096 // small, m)).astype(dtype)
            factor = TriangularFactor.empty(m, dtype)
            seconds = alternate(
                {
                    "ours": lambda: factor.partial_fit(chunk),  # noqa: B023
                    "peer": lambda: one_thread_qr(chunk),  # noqa: B023
                },
                min(3, options.repeats),
            )
            rate = 2 * len(chunk) * m**2 / seconds["ours"]
            ratio = seconds["peer"] / seconds["ours"]
            rows.append(
                [f"{len(chunk)} × {m}", dtype, seconds["ours"], ratio, rate / 1e9, rate / gemm_rate(dtype)]
            )
    print_table(["chunk", "dtype", "s", "× LAPACK on one thread", "GF/s", "share of gemm"], rows)

    print_header("HO-GSVD of many classes, one factor at a time")
    count, m = (40, 64) if options.quick else (1000, 256)
    shape = rng.standard_normal((m, m))

    def load(i: int) -> TriangularFactor:
        own = np.random.default_rng(i)
        return TriangularFactor(np.triu(own.standard_normal((m, m))) * own.uniform(0.3, 2, m) @ shape, 1300)

    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = ho_gsvd([partial(load, i) for i in range(count)])
    seconds_all = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    error = np.abs(result.reconstruct(count - 1) - np.asarray(load(count - 1).r)).max()
    print_table(
        ["classes", "m", "s (loading too)", "memory grew by, MB", "the factors, MB", "error of the last"],
        [[count, m, seconds_all, grown, count * m * m * 8 / 1e6, float(error)]],
    )


if __name__ == "__main__":
    main()
