"""Multiresolution matrix factorization at equal storage against low rank and Nyström; insertion, preconditioning.

Errors are Frobenius norms over that of the matrix. Storage is counted in bytes: MMF by its `nbytes` (tuples,
wavelets, rotations, frequencies and core, indices with 8 bytes each); rank r as r·m + r numbers of 8 bytes, and
with a diagonal m more. A method gets the largest core or rank that fits the budget, a share of the 8 m² bytes of
the matrix.

* low rank: the r eigenvalues of largest size; no matrix of rank r comes closer.
* Nyström: `sklearn.kernel_approximation.Nystroem` for kernels, and its formula with the pseudo-inverse for other
  matrices: r rows drawn at random, median of five draws.
* low rank + diagonal: alternates between both; no library's default, but what is fair where a diagonal is all that
  low rank lacks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import networkx
import numpy as np
from _measure import arguments, print_header, print_table
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import rbf_kernel

from wavelens.hierarchy import MMF, class_covariance, mmf

ORDERS = (2, 3, 5, 8)
BUDGETS = (0.04, 0.08, 0.16, 0.32)
DRAWS = 5
PEERS = ("low rank", "Nyström", "low rank + diagonal")


@dataclass(frozen=True)
class Case:
    """A matrix; of a kernel with the points and the width that scikit-learn's Nyström takes."""

    name: str
    matrix: np.ndarray
    points: np.ndarray | None = None
    gamma: float = 0.0


def kernel(name: str, points: np.ndarray, gamma: float) -> Case:
    """Return a Gaussian kernel matrix, exp(−γ |x − y|²)."""
    c = rbf_kernel(points, gamma=gamma)
    return Case(name, (c + c.T) / 2, points, gamma)


def tree(m: int, seed: int = 0) -> np.ndarray:
    """Return how much of the way from the root two leaves of a random tree share."""
    rng = np.random.default_rng(seed)
    groups = [[i] for i in range(m)]
    height, shared = 0.0, np.zeros((m, m))
    while len(groups) > 1:
        height += rng.exponential() * 2 / (len(groups) * (len(groups) - 1))
        a, b = sorted(rng.choice(len(groups), 2, replace=False))
        shared[np.ix_(groups[a], groups[b])] = shared[np.ix_(groups[b], groups[a])] = height
        groups[a] = groups[a] + groups.pop(b)
    return height - shared


def blocks_of_blocks(m: int, seed: int = 0) -> np.ndarray:
    """Return a covariance of features that halves of halves share, with noise of their own."""
    rng = np.random.default_rng(seed)
    features = 0.7 * rng.standard_normal((m, 2 * m))
    place = rng.permutation(m)
    for level in range(1, 6):
        features += rng.standard_normal((2**level, 2 * m))[place * 2**level // m]
    return features @ features.T / (2 * m)


def cases(m: int) -> list[Case]:
    """Return the matrices, all of order about m."""
    rng = np.random.default_rng(0)
    line = np.sort(rng.random((m, 1)), axis=0)
    plane = rng.random((m, 2))
    high = rng.standard_normal((m, 20))
    digits = load_digits().data
    digits = digits[rng.permutation(len(digits))[:m]] / 16
    side = round(m**0.5)
    grid = networkx.laplacian_matrix(networkx.grid_2d_graph(side, side)).toarray().astype(float)
    near = networkx.random_geometric_graph(m, (3 / m) ** 0.5, seed=0)
    largest = near.subgraph(max(networkx.connected_components(near), key=len))
    found = [
        kernel("Gaussian kernel, line, width 0.3", line, 0.5 / 0.3**2),
        kernel("Gaussian kernel, line, width 0.01", line, 0.5 / 0.01**2),
        kernel("Gaussian kernel, plane, width 0.3", plane, 0.5 / 0.3**2),
        kernel("Gaussian kernel, plane, width 0.05", plane, 0.5 / 0.05**2),
        kernel("Gaussian kernel, 20 dimensions, width 6", high, 0.5 / 6**2),
        kernel("Gaussian kernel, 20 dimensions, width 2", high, 0.5 / 2**2),
        kernel("Gaussian kernel, digits, γ as scikit-learn's SVC", digits, 1 / (64 * digits.var())),
        kernel("Gaussian kernel, digits, 10 γ", digits, 10 / (64 * digits.var())),
        Case("tree, shared way from the root", tree(m)),
        Case("blocks of blocks", blocks_of_blocks(m)),
        Case("Laplacian, path", networkx.laplacian_matrix(networkx.path_graph(m)).toarray().astype(float)),
        Case("Laplacian, grid", grid),
        Case("Laplacian, geometric graph", networkx.laplacian_matrix(largest).toarray().astype(float)),
        Case(
            "normalised Laplacian, geometric graph", networkx.normalized_laplacian_matrix(largest).toarray()
        ),
    ]
    where = os.environ.get("WAVELENS_DATA")
    if where:
        features = np.load(Path(where) / "models" / "mobilenet_one_per_class_outputs.npz")["features"]
        some = np.arange(len(features))[:: max(1, len(features) // m)][:m]
        for center in (False, True):
            c = class_covariance(features[some], some, center=center)
            found.append(Case(f"class covariance of a network{', centred' if center else ''}", c.matrix))
    return found


def core_within(m: int, order: int, budget: float) -> int | None:
    """Return the largest core whose MMF takes at most `budget` bytes; None if none does."""
    cores = np.arange(order - 1, m + 1)
    sizes = 8 * ((m - cores) * (order**2 + order + 2) + cores**2 + cores)
    fits = np.flatnonzero(sizes <= budget)
    return int(cores[fits[-1]]) if len(fits) else None


def error_of(c: np.ndarray, approximation: np.ndarray) -> float:
    """Return the relative error."""
    return float(np.linalg.norm(c - approximation) / np.linalg.norm(c))


def low_rank(c: np.ndarray, rank: int) -> np.ndarray:
    """Return the best approximation of a rank."""
    values, vectors = np.linalg.eigh(c)
    kept = np.argsort(-np.abs(values))[:rank]
    return (vectors[:, kept] * values[kept]) @ vectors[:, kept].T


def low_rank_and_diagonal(c: np.ndarray, rank: int) -> np.ndarray:
    """Return a rank and a diagonal together, after ten rounds."""
    diagonal = np.zeros(len(c))
    for _ in range(10):
        low = low_rank(c - np.diag(diagonal), rank)
        diagonal = np.diagonal(c - low)
    return low + np.diag(diagonal)


def nystrom(case: Case, rank: int) -> float:
    """Return the median error of Nyström's approximations from random rows."""
    errors = []
    for seed in range(DRAWS):
        if case.points is not None:
            feature = Nystroem(kernel="rbf", gamma=case.gamma, n_components=rank, random_state=seed)
            mapped = feature.fit_transform(case.points)
            errors.append(error_of(case.matrix, mapped @ mapped.T))
        else:
            rows = np.random.default_rng(seed).permutation(len(case.matrix))[:rank]
            columns = case.matrix[:, rows]
            errors.append(error_of(case.matrix, columns @ np.linalg.pinv(columns[rows]) @ columns.T))
    return float(np.median(errors))


def storage_rows(case: Case, budgets: tuple[float, ...]) -> list[list[object]]:
    """Return a row of errors for each budget."""
    c = case.matrix
    m = len(c)
    rows: list[list[object]] = []
    errors: dict[int, np.ndarray] = {}
    for order in ORDERS:
        # Levels are chosen one by one, so that a larger core is the same factorization with fewer levels.
        cores = [core_within(m, order, share * 8 * m * m) for share in budgets]
        least = min((core for core in cores if core is not None), default=None)
        if least is not None:
            found = mmf(c, order, core_size=least)
            errors[order] = np.sqrt(np.append(0, np.cumsum(found.level_errors))) / np.linalg.norm(c)
    for share in budgets:
        ours: list[object] = []
        for order in ORDERS:
            core = core_within(m, order, share * 8 * m * m)
            ours.append("–" if core is None else float(errors[order][m - core]))
        rank = int(share * m * m / (m + 1))
        with_diagonal = int((share * m * m - m) / (m + 1))
        theirs = [
            error_of(c, low_rank(c, rank)),
            nystrom(case, rank),
            error_of(c, low_rank_and_diagonal(c, with_diagonal)),
        ]
        best = min(value for value in ours if isinstance(value, float))
        least_peer = min(zip(theirs, PEERS, strict=True))
        lead = least_peer[1]
        if best < 1.02 * least_peer[0]:
            lead = "MMF" if best < 0.98 * least_peer[0] else "equal"
        rows.append([case.name, m, f"{100 * share:.0f} %", *ours, *theirs, best / theirs[0], lead])
    return rows


def growth_rows(case: Case) -> list[list[object]]:
    """Return errors after growing to twice the size by insertion, over those of a batch."""
    c = case.matrix
    m = len(c)
    half = m // 2
    # Rows in random order: what comes later is of the same kind as what is there.
    shuffled = np.random.default_rng(0).permutation(m)
    c = c[np.ix_(shuffled, shuffled)]
    rows: list[list[object]] = []
    for order in (3, 5):
        # A core of a tenth, and an insertion adds levels only: both ends have as many levels as the batch.
        core = max(order - 1, m // 10)
        batch = mmf(c, order, core_size=core)
        begun = mmf(c[:half, :half], order, core_size=core)
        grown = begun
        for n in range(half, m):
            grown = grown.insert(c[n, : n + 1])
        block = begun.insert_many(c[half:])
        floor = 1e-12 * np.linalg.norm(c)
        ratios = [max(each.error, floor) / max(batch.error, floor) for each in (grown, block)]
        rows.append([case.name, order, batch.relative_error, *map(float, ratios)])
    return rows


def steps_of(c: np.ndarray, preconditioner: LinearOperator | None) -> object:
    """Return the steps of conjugate gradients to a residual of 1e-8, or that they did not suffice."""
    steps: list[int] = []
    right = np.random.default_rng(1).standard_normal(len(c))
    _, info = cg(c, right, M=preconditioner, rtol=1e-8, maxiter=2000, callback=lambda _: steps.append(1))
    return len(steps) if info == 0 else "> 2,000"


def preconditioner_rows(case: Case, ridge: float) -> list[list[object]]:
    """Return the steps that C + ridge I takes without and with preconditioners of equal storage."""
    c = case.matrix + ridge * np.trace(case.matrix) / len(case.matrix) * np.eye(len(case.matrix))
    m = len(c)
    share = 0.16
    rank = int(share * m * m / (m + 1))
    values, vectors = np.linalg.eigh(c)
    kept, rest = vectors[:, -rank:], values[: m - rank].mean()
    inverse = (kept / values[-rank:]) @ kept.T + (np.eye(m) - kept @ kept.T) / rest
    row: list[object] = [case.name, ridge, float(np.linalg.cond(c)), steps_of(c, None)]
    diagonal = np.diagonal(c)
    row.append(steps_of(c, LinearOperator(c.shape, matvec=lambda x: np.ravel(x) / diagonal, dtype=float)))
    row.append(steps_of(c, LinearOperator(c.shape, matvec=lambda x: inverse @ np.ravel(x), dtype=float)))
    for order in (3, 5, 8):
        core = core_within(m, order, share * 8 * m * m)
        found: MMF | None = None if core is None else mmf(c, order, core_size=core)
        row.append("–" if found is None else steps_of(c, found.as_linear_operator(inverse=True)))
    return [row]


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    m = 128 if options.quick else 512
    budgets = (0.16, 0.32) if options.quick else BUDGETS
    found = cases(m)
    print_header("MMF: quality")
    columns = ["matrix", "m", "bytes", *(f"MMF k={k}" for k in ORDERS), *PEERS, "best MMF / low rank", "best"]
    print("\nRelative error at equal storage\n")
    print_table(columns, [row for case in found for row in storage_rows(case, budgets)])
    print("\nError after growing from half the rows by insertion, over that of a batch\n")
    grown = [row for case in cases(96 if options.quick else 192) for row in growth_rows(case)]
    print_table(["matrix", "k", "batch's relative error", "one by one", "as a block"], grown)
    print(
        "\nSteps of conjugate gradients on C + ridge · mean diagonal · I; preconditioners of 16 % of its bytes\n"
    )
    names = ["matrix", "ridge", "condition", "none", "diagonal", "leading eigenvectors"]
    print_table(
        [*names, *(f"MMF k={k}" for k in (3, 5, 8))],
        [row for case in found for row in preconditioner_rows(case, 1e-3)],
    )


if __name__ == "__main__":
    main()
