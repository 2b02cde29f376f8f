"""Gaussian similarity, k nearest rows and class means against scikit-learn.

The data of the similarity are normal with offset 100. The rows of the reductions are MNIST's where
WAVELENS_DATA names the folder of the real data, else a mixture of ten normal distributions. The floor is the
flops that any method by products needs (half of them where the rows are compared with one another) over the
BLAS's rate. The peak of memory is what the process held at most above what it held before, results included.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _measure import alternate, arguments, gemm_rate, print_header, print_table, verdict
from sklearn import __version__ as sklearn_version
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from wavelens.linalg import class_similarity, gaussian_similarity, k_nearest, median_bandwidth


def reference(x: np.ndarray, rows: np.ndarray, gamma: float) -> np.ndarray:
    """Similarities of some rows from differences, in float64."""
    wide = x.astype(np.float64)
    return np.exp(-gamma * np.stack([((wide - wide[i]) ** 2).sum(axis=1) for i in rows]))


def similarity_row(n: int, d: int, dtype: str, repeats: int) -> list[object]:
    x = (np.random.default_rng(0).standard_normal((n, d)) + 100).astype(dtype)
    gamma = 1 / d
    bandwidth = np.sqrt(0.5 / gamma)
    seconds = alternate(
        {
            "ours": lambda: gaussian_similarity(x, bandwidth=bandwidth),
            "peer": lambda: rbf_kernel(x, gamma=gamma),
        },
        repeats,
    )
    rows = np.arange(0, n, max(1, n // 50))
    exact = reference(x, rows, gamma)
    errors = [
        float(np.max(np.abs(found[rows] - exact) / exact))
        for found in (gaussian_similarity(x, bandwidth=bandwidth), rbf_kernel(x, gamma=gamma))
    ]
    target = 4.0 if dtype == "float32" else 1.5
    return table_row(
        f"similarity {n:,} × {d:,} {dtype}",
        "rbf_kernel",
        seconds,
        n * n * d / gemm_rate(dtype),
        f"relative error {errors[0]:.1e}, peer {errors[1]:.1e}; {verdict(errors[0], 1e-6, at_most=True)}",
        target,
    )


def table_row(
    what: str, peer: str, seconds: dict[str, float], floor: float, quality: str, target: float
) -> list[object]:
    ratio = seconds["peer"] / seconds["ours"]
    return [
        what,
        peer,
        seconds["ours"],
        seconds["peer"],
        ratio,
        verdict(ratio, target),
        floor,
        seconds["ours"] / floor,
        quality,
    ]


def images(n: int) -> tuple[str, np.ndarray, np.ndarray]:
    folder = os.environ.get("WAVELENS_DATA")
    if folder and (Path(folder) / "mnist.npz").is_file():
        with np.load(Path(folder) / "mnist.npz") as archive:
            x, labels = archive["x_train"][:n], archive["y_train"][:n]
        return "MNIST", x.reshape(len(x), -1).astype(np.float32) / 255, labels.ravel()
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, n)
    x = 0.3 * rng.standard_normal((10, 784))[labels] + rng.standard_normal((n, 784))
    return "synthetic", x.astype(np.float32), labels


def memory_mib(which: str) -> float:
    """Return VmRSS, what the process holds, or VmHWM, the most it has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def grown_mib(run: Callable[[], object]) -> float:
    """Return by how much the memory in use peaks during a call (Linux)."""
    ctypes.CDLL(None).malloc_trim(0)  # give back what earlier calls left
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory_mib("VmRSS")
    run()
    return memory_mib("VmHWM") - before


def reduction_rows(n: int, repeats: int) -> list[list[object]]:
    name, x, labels = images(n)
    n, d = x.shape
    k, bandwidth = 5, median_bandwidth(x)
    gamma = 0.5 / bandwidth**2
    members = (labels[:, None] == np.unique(labels)).astype(np.float32)

    def peer_nearest() -> tuple[np.ndarray, np.ndarray]:
        return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors()

    def peer_means() -> np.ndarray:
        sums = [rbf_kernel(x[rows], x, gamma=gamma) @ members for rows in gen_batches(n, 1000)]
        return (np.concatenate(sums) - members) / (members.sum(axis=0) - members)

    k_nearest(x[:3000], k=k)  # starts the threads
    grown = [
        grown_mib(lambda: k_nearest(x, k=k)),
        grown_mib(lambda: class_similarity(x, labels, bandwidth=bandwidth)),
    ]
    nearest = k_nearest(x, k=k)
    means = class_similarity(x, labels, bandwidth=bandwidth)
    agreement = float(np.mean(np.sort(nearest.indices, 1) == np.sort(peer_nearest()[1], 1)))
    difference = float(np.max(np.abs(means.similarity - peer_means())))
    floor = n * n * d / gemm_rate("float32")
    candidates = {"ours": lambda: k_nearest(x, k=k), "peer": peer_nearest}
    rows = [
        table_row(
            f"{k} nearest, {name} {n:,} × {d} float32",
            "NearestNeighbors(brute)",
            alternate(candidates, repeats),
            floor,
            f"{agreement:.2%} the same neighbours; memory {grown[0]:+.0f} MiB",
            2.0,
        )
    ]
    candidates = {"ours": lambda: class_similarity(x, labels, bandwidth=bandwidth), "peer": peer_means}
    rows.append(
        table_row(
            f"class means, {name} {n:,} × {d} float32",
            "rbf_kernel in batches @ labels",
            alternate(candidates, repeats),
            floor,
            f"largest difference {difference:.1e}; memory {grown[1]:+.0f} MiB",
            2.0,
        )
    )
    return rows


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    print_header(f"Pairwise (scikit-learn {sklearn_version})")
    n, d = (1500, 300) if options.quick else (6000, 1200)
    rows = [similarity_row(n, d, dtype, options.repeats) for dtype in ("float32", "float64")]
    rows += reduction_rows(
        4000 if options.quick else 60000, min(options.repeats, 1 if not options.quick else 3)
    )
    print_table(
        ["work", "peer", "ours s", "peer s", "ratio", "target", "floor s", "times the floor", "quality"], rows
    )


if __name__ == "__main__":
    main()
