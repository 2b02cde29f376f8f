"""Multiresolution matrix factorization: batch against its Gram matrix and a NumPy twin, growth, insertion.

Quality is printed beside: the karate club against the published figures, and insertion and random tuples
against the batch on kernels, planted blocks and noise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from _measure import alternate, arguments, gemm_rate, print_header, print_table, verdict

from wavelens import _core

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from reference import mmf as twin

CORE = 10


def kernel(m: int, width: float = 8.0, dimension: int = 5) -> np.ndarray:
    """Return a Gaussian kernel matrix of normal points."""
    x = np.random.default_rng(0).standard_normal((m, dimension))
    norms = np.sum(x * x, axis=1)
    return np.exp(-(norms[:, None] + norms - 2 * x @ x.T) / width)


def blocks(m: int) -> np.ndarray:
    """Return a covariance with blocks of blocks."""
    rng = np.random.default_rng(0)
    label = rng.permutation(np.arange(m) % 8)
    above, block, own = (rng.standard_normal((n, 400)) for n in (2, 8, m))
    features = 0.5 * above[label // 4] + block[label] + 0.6 * own
    return features @ features.T / 400


def noise(m: int) -> np.ndarray:
    """Return a Wishart matrix."""
    x = np.random.default_rng(0).standard_normal((m, 2 * m))
    return x @ x.T / m


def factor(c: np.ndarray, order: int, method: str = "topk") -> tuple:
    """Return the parts of the factorization down to a core of 10."""
    return _core.mmf_factor(c, order, len(c) - CORE, method, "opt", 0)


def insert(c: np.ndarray, parts: tuple) -> tuple:
    """Return the parts after all that is new in `c`."""
    m = len(parts[1]) + len(parts[5])
    return _core.mmf_insert(c, len(c) - m, parts[0], parts[1], "opt")


def corner(c: np.ndarray, m: int) -> np.ndarray:
    """Return the leading m × m block."""
    return np.ascontiguousarray(c[:m, :m])


def batch_rows(sizes: list[tuple[int, int]], repeats: int) -> list[list[object]]:
    """Return a table row for each pair (m, k)."""
    targets = {(1000, 3): 0.1, (1000, 5): 0.24, (1000, 8): 1.6, (5000, 3): 3.0}
    rows: list[list[object]] = []
    for m, order in sizes:
        c = kernel(m)
        seconds = alternate({"ours": lambda c=c, k=order: factor(c, k), "gram": lambda c=c: c @ c}, repeats)
        target = verdict(seconds["ours"], targets[m, order], at_most=True) if (m, order) in targets else ""
        floor = m**3 / gemm_rate()
        rows.append([m, order, seconds["ours"], target, seconds["gram"], floor, seconds["ours"] / floor])
    return rows


def twin_rows(sizes: list[tuple[int, int]]) -> list[list[object]]:
    """Return ours against the twin at small m."""
    rows: list[list[object]] = []
    for m, order in sizes:
        c = kernel(m)
        seconds = alternate(
            {
                "ours": lambda c=c, k=order: factor(c, k),
                "twin": lambda c=c, k=order, m=m: twin.factor(c, k, m - CORE, "topk", "opt"),
            },
            1,
        )
        rows.append([m, order, seconds["ours"], seconds["twin"], seconds["twin"] / seconds["ours"]])
    return rows


def insertion_rows(m: int, orders: tuple[int, ...], repeats: int) -> list[list[object]]:
    """Return one insertion against a batch from scratch."""
    targets = {3: 0.010, 5: 0.038, 8: 0.185}
    rows: list[list[object]] = []
    c = kernel(m)
    for order in orders:
        old = factor(corner(c, m - 1), order)
        seconds = alternate(
            {"insert": lambda k=old: insert(c, k), "batch": lambda k=order: factor(c, k)}, repeats
        )
        ratio = np.sqrt(insert(c, old)[3].sum() / factor(c, order)[3].sum())
        target = verdict(seconds["insert"], targets[order], at_most=True) if m == 1000 else ""
        rows.append([m, order, seconds["insert"], target, seconds["batch"], float(ratio)])
    return rows


def growth_rows(m: int) -> list[list[object]]:
    """Return the error after doubling by insertion, over that of a batch."""
    rows: list[list[object]] = []
    matrices = {
        "kernel, width² 8": kernel(m),
        "kernel, width² 2": kernel(m, 2.0),
        "kernel in the plane, width² 0.1": kernel(m, 0.1, 2),
        "blocks of blocks": blocks(m),
        "noise": noise(m),
    }
    for name, c in matrices.items():
        for order in (3, 5):
            batch = factor(c, order)
            half = factor(corner(c, m // 2), order)
            grown = half
            for n in range(m // 2 + 1, m + 1):
                grown = insert(corner(c, n), grown)
            others = (grown, insert(c, half), factor(c, order, "random"))
            ratios = [float(np.sqrt(each[3].sum() / batch[3].sum())) for each in others]
            relative = float(np.sqrt(batch[3].sum()) / np.linalg.norm(c))
            worst = max(ratios[:2])
            rows.append([name, order, relative, *ratios, verdict(worst, 1.2, at_most=True)])
    return rows


def karate_rows() -> list[list[object]]:
    """Return absolute errors on the karate club's Laplacian with a core of 8."""
    import networkx

    a = networkx.to_numpy_array(networkx.karate_club_graph(), weight=None)
    degree = a.sum(axis=0)
    c = np.eye(len(a)) - a / np.sqrt(np.outer(degree, degree))
    rows: list[list[object]] = []
    for order, method, target in (
        (2, "exhaustive", 1.0503),
        (3, "topk", 0.755),
        (4, "topk", 0.548),
        (8, "topk", 0.215),
    ):
        error = float(np.sqrt(_core.mmf_factor(c, order, 26, method, "opt", 0)[3].sum()))
        rows.append([order, method, error, verdict(error, target, at_most=True)])
    return rows


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    quick = options.quick
    print_header("Multiresolution matrix factorization")
    sizes = (
        [(200, 3), (400, 3)] if quick else [(500, 3), (1000, 3), (1000, 5), (1000, 8), (2000, 3), (5000, 3)]
    )
    print_table(
        ["m", "k", "batch, s", "target", "C @ C, s", "floor m³, s", "batch / floor"],
        batch_rows(sizes, 1 if quick else options.repeats),
    )
    print()
    print_table(
        ["m", "k", "batch, s", "NumPy twin, s", "ratio"],
        twin_rows([(40, 3)] if quick else [(60, 3), (100, 3), (100, 5)]),
    )
    print()
    print_table(
        ["m", "k", "one insertion, s", "target", "batch, s", "error / batch's"],
        insertion_rows(200 if quick else 1000, (3, 5, 8), 1 if quick else options.repeats),
    )
    print("\nErrors over a batch's, after doubling m:\n")
    print_table(
        [
            "matrix",
            "k",
            "batch's relative error",
            "one by one",
            "as a block",
            "batch of random tuples",
            "target",
        ],
        growth_rows(100 if quick else 200),
    )
    print("\nKarate club, normalised Laplacian, core 8; Nyström 5.288, published k = 2 1.962, K = 8 0.657:\n")
    print_table(["k", "method", "error", "target"], karate_rows())


if __name__ == "__main__":
    main()
