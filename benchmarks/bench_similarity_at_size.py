"""Similarity of many rows to classes: landmarks and random features against comparing every two rows.

The rows are MNIST's, as coefficients of 200 patterns, where WAVELENS_DATA names the folder of the real data, else
a mixture of ten normal distributions. "Off" is the error against the exact similarities, over all rows and
classes (root of the mean square; largest), beside what the sample of checked rows told. Growth: seconds with
more and more rows, where exact comparison would take n².
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from _measure import alternate, arguments, print_header, print_table, verdict

from wavelens.linalg import class_similarity, median_bandwidth
from wavelens.patterns import PatternAnalysis


def mixture(n: int, d: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, n)
    scale = np.linspace(1, 0.05, d)  # as of patterns: few strong ones, many weak ones
    centres = rng.standard_normal((10, d))
    return ((rng.standard_normal((n, d)) + centres[labels]) * scale).astype(np.float32), labels


def rows(n: int) -> tuple[str, np.ndarray, np.ndarray]:
    folder = os.environ.get("WAVELENS_DATA")
    if not folder or not (Path(folder) / "mnist.npz").is_file():
        return "mixture", *mixture(n)
    with np.load(Path(folder) / "mnist.npz") as archive:
        images, labels = archive["x_train"][:n].astype(np.float32), archive["y_train"][:n]
    fitted = PatternAnalysis(n_coefficients=200, rank="any", progress=False).fit(images, labels)
    return "MNIST", fitted.embedding_, labels


def compare(n: int, counts: tuple[int, ...], repeats: int) -> list[list[object]]:
    name, x, labels = rows(n)
    h = median_bandwidth(x)
    table: list[list[object]] = []
    exact = class_similarity(x, labels, bandwidth=h, method="exact").similarity
    for method in ("landmarks", "features"):
        for count in counts:
            options = {"bandwidth": h, "method": method, "n_features": count}
            seconds = alternate(
                {
                    "exact": lambda: class_similarity(x, labels, bandwidth=h, method="exact"),
                    "ours": lambda options=options: class_similarity(x, labels, **options),
                },
                repeats,
            )
            found = class_similarity(x, labels, **options)
            off = np.abs(found.similarity - exact)
            covered = float(np.mean(off.max(axis=1) <= found.error.bound))
            table.append(
                [
                    f"{name} {n:,} × {x.shape[1]}, {count:,} {method}",
                    seconds["exact"],
                    seconds["ours"],
                    seconds["exact"] / seconds["ours"],
                    f"{np.sqrt(np.mean(off**2)):.1e}; {off.max():.1e}",
                    f"95% within {found.error.bound:.1e}",
                    verdict(covered, 0.95),
                ]
            )
    return table


def growth(sizes: tuple[int, ...]) -> list[list[object]]:
    table: list[list[object]] = []
    for n in sizes:
        x, labels = mixture(n)
        start = time.perf_counter()
        found = class_similarity(x, labels, method="landmarks", n_features=1024)
        seconds = time.perf_counter() - start
        table.append([f"{n:,}", seconds, 1e6 * seconds / n, f"{found.error.bound:.1e}"])
    return table


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    print_header("Similarity of rows to classes")
    n, counts = (6_000, (256,)) if options.quick else (60_000, (512, 1024, 2048))
    header = ["rows", "exact s", "ours s", "ratio", "off: rms; largest", "told", "rows within what was told"]
    print_table(header, compare(n, counts, 1 if options.quick else options.repeats))
    sizes = (5_000, 10_000) if options.quick else (50_000, 100_000, 200_000, 400_000)
    print_header("Growth")
    print_table(["rows × 200, 1,024 landmarks", "s", "µs a row", "95% within"], growth(sizes))


if __name__ == "__main__":
    main()
