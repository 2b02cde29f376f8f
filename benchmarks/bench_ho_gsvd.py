"""HO-GSVD against the textbook formula: averages of the quotients A_i A_j⁻¹ and unsymmetric eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from _measure import alternate, arguments, gemm_rate, print_header, print_table, verdict

from wavelens.linalg import ho_gsvd

Matrices = list[np.ndarray[Any, np.dtype[Any]]]


def textbook(matrices: Matrices) -> tuple[Any, Any, Any]:
    """Eqs. 1–3 of Ponnapalli et al. (2011) as written, for two matrices: (A₁A₂⁻¹ + A₂A₁⁻¹)/2."""
    a = [d.T @ d for d in matrices]
    n = len(a)
    inverse = [np.linalg.inv(each) for each in a]
    quotients = sum(a[i] @ inverse[j] for i in range(n) for j in range(n) if i != j)
    return finish(matrices, quotients / (n * (n - 1)))


def summed(matrices: Matrices) -> tuple[Any, Any, Any]:
    """Take the same sum in one product: Σ_{i≠j} A_iA_j⁻¹ = (ΣA_i)(ΣA_j⁻¹) − N·I."""
    a = [d.T @ d for d in matrices]
    n = len(a)
    quotients = sum(a) @ sum(np.linalg.inv(each) for each in a) - n * np.eye(len(a[0]))
    return finish(matrices, quotients / (n * (n - 1)))


def finish(matrices: Matrices, quotients: Any) -> tuple[Any, Any, Any]:
    v = np.linalg.eig(quotients)[1].real
    try:
        inverse = np.linalg.inv(v).T
    except np.linalg.LinAlgError:  # pairs of complex eigenvectors: the formula has failed
        inverse = np.full_like(v, np.nan)
    products = [d @ inverse for d in matrices]
    sigma = np.array([np.linalg.norm(b, axis=0) for b in products])
    return [b / s for b, s in zip(products, sigma, strict=True)], sigma, v


def backward_error(matrices: Matrices, u: Any, sigma: Any, v: Any) -> float:
    """Return the relative error of the first rows rebuilt (they are as good as all)."""
    errors = [
        np.linalg.norm((b[:500] * s) @ v.T - d[:500]) for b, s, d in zip(u, sigma, matrices, strict=True)
    ]
    return float(np.linalg.norm(errors) / np.linalg.norm([np.linalg.norm(d[:500]) for d in matrices]))


def problem(rows: list[int], m: int, log_kappa: float, dtype: str) -> Matrices:
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.standard_normal((m, m)))[0] * np.logspace(0, -log_kappa, m)
    x = x @ np.linalg.qr(rng.standard_normal((m, m)))[0]
    return [(rng.standard_normal((n, m)) @ x).astype(dtype) for n in rows]


def main() -> None:
    options = arguments(__doc__ or "")
    print_header("HO-GSVD")
    small = 4 if options.quick else 1
    pair = [1252 // small, 1230 // small]
    ten = [6000 // small // small] * 10
    cases = [
        ("two classes", pair, 1200 // small, 2, "float64", textbook, 2.0),
        ("two classes, κ = 1e6", pair, 1200 // small, 6, "float64", textbook, 2.0),
        ("two classes, κ = 1e12", pair, 1200 // small, 12, "float64", textbook, None),
        ("two classes", pair, 1200 // small, 2, "float32", textbook, None),
        ("ten classes", ten, 784 // small, 2, "float64", summed, 1.5),
    ]
    rows = []
    for name, sizes, m, log_kappa, dtype, peer, target in cases:
        matrices = problem(sizes, m, log_kappa, dtype)
        repeats = options.repeats if peer is textbook else min(3, options.repeats)
        seconds = alternate({"ours": lambda: ho_gsvd(matrices), "peer": lambda: peer(matrices)}, repeats)  # noqa: B023
        result = ho_gsvd(matrices)
        ratio = seconds["peer"] / seconds["ours"]
        # A row: Gram matrix, triangular solve, Gram matrices of Q (m² each) and UΣ (2m²). The eigenproblem
        # takes about 9m³, the square products 6m³.
        flops = 5 * sum(sizes) * m**2 + 15 * m**3
        floor = flops / gemm_rate(dtype)
        rows.append(
            (
                f"{name}, {len(sizes)} × {sizes[0]} × {m}, {dtype}",
                seconds["ours"],
                seconds["peer"],
                ratio,
                "" if target is None or options.quick else verdict(ratio, target),
                backward_error(matrices, result.u, result.sigma, result.v),
                backward_error(matrices, *peer(matrices)),
                seconds["ours"] / floor,
            )
        )
    print_table(
        (
            "problem",
            "ours s",
            "formula s",
            "ratio",
            "target",
            "error ours",
            "error formula",
            "time over floor",
        ),
        rows,
    )


if __name__ == "__main__":
    with np.errstate(all="ignore"):  # the formula meets infinities where it fails
        main()
