"""HO-GSVD from its definitions, slow and naive; and what any HO-GSVD has to satisfy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def ponnapalli(matrices: list[Array]) -> tuple[Array, Array, Array]:
    """Return σ, V (columns of norm 1) and λ by eqs. 1–3 of Ponnapalli et al. (2011), ascending in λ."""
    a = [d.T @ d for d in matrices]
    n = len(a)
    quotients = sum(
        a[i] @ np.linalg.inv(a[j]) + a[j] @ np.linalg.inv(a[i]) for i in range(n) for j in range(i + 1, n)
    )
    values, v = np.linalg.eig(quotients / (n * (n - 1)))
    order = np.argsort(values.real)
    v = v.real[:, order]
    sigma = np.array([np.linalg.norm(np.linalg.solve(v, d.T), axis=1) for d in matrices])
    return sigma, v, values.real[order]


def kempf(matrices: list[Array], ridge: float) -> tuple[Array, Array, Array]:
    """Return σ (squares sum to 1), V and τ from T = (1/N) Σ (Q_iᵀQ_i + πI)⁻¹ itself; full column rank."""
    q, r = np.linalg.qr(np.vstack(matrices))
    blocks = np.split(q, np.cumsum([len(d) for d in matrices])[:-1])
    t = np.mean([np.linalg.inv(b.T @ b + ridge * np.eye(len(r))) for b in blocks], axis=0)
    tau, z = np.linalg.eigh(t)
    return np.array([np.linalg.norm(b @ z, axis=0) for b in blocks]), r.T @ z, tau


def planted(
    rng: np.random.Generator, rows: list[int], sigma: Array, x: Array, dtype: npt.DTypeLike = np.float64
) -> list[Array]:
    """Return D_i = U_i diag(sigma[i]) xᵀ with orthonormal U_i: its HO-GSVD is known where Σ_i sigma² = 1.

    Zeros of sigma[i] need no column of U_i, so rows[i] may be as few as its other entries.
    """
    matrices = []
    for n, s in zip(rows, sigma, strict=True):
        held = np.flatnonzero(s)
        u = np.linalg.qr(rng.standard_normal((n, len(held))))[0]
        matrices.append(((u * s[held]) @ x[:, held].T).astype(dtype))
    return matrices


def backward_error(result: Any, matrices: list[Array]) -> float:
    """Return the largest error of a column of the rebuilt stack over that column's norm, in eps."""
    stack = np.vstack(matrices)
    rebuilt = np.vstack([result.reconstruct(i) for i in range(len(matrices))])
    largest = abs(stack).max(axis=0)
    largest[largest == 0] = 1
    errors = np.linalg.norm((rebuilt - stack) / largest, axis=0)
    norms = np.linalg.norm(stack / largest, axis=0)
    norms[norms == 0] = 1
    return float((errors / norms).max() / np.finfo(stack.dtype).eps)


def check_structure(result: Any, matrices: list[Array], normalization: str = "csd") -> None:
    """Assert everything that holds for any input."""
    n, m = len(matrices), matrices[0].shape[1]
    r, eps = result.rank, float(np.finfo(matrices[0].dtype).eps)
    assert result.v.shape == (m, r)
    assert result.sigma.shape == (n, r)
    assert result.tau.shape == result.commonness.shape == result.owner.shape == result.resolved.shape == (r,)
    assert [u.shape for u in result.u] == [(len(d), r) for d in matrices]
    for array in (result.sigma, result.v, result.tau, result.commonness, *result.u):
        assert array.dtype == matrices[0].dtype
        assert np.isfinite(array).all()
    assert (np.diff(result.tau) >= 0).all()
    assert ((result.commonness >= 0) & (result.commonness <= 1)).all()
    assert (result.sigma >= 0).all()
    largest = np.take_along_axis(result.v, abs(result.v).argmax(axis=0)[None], axis=0)[0]
    assert (largest > 0).all()
    for u, sigma in zip(result.u, result.sigma, strict=True):
        norms = np.linalg.norm(u, axis=0)
        np.testing.assert_allclose(norms, sigma > 0, atol=20 * eps)
        assert not u[:, sigma == 0].any()
    if normalization == "csd":
        np.testing.assert_allclose(
            (result.sigma.astype(float) ** 2).sum(axis=0), 1, atol=(20 + 4 * np.sqrt(r)) * eps
        )
    else:
        np.testing.assert_allclose(np.linalg.norm(result.v, axis=0), 1, atol=20 * eps)
    for k in np.flatnonzero(result.owner >= 0):
        assert result.sigma[:, k].argmax() == result.owner[k]
    if n == 2:
        for u, sigma in zip(result.u, result.sigma, strict=True):
            held = u[:, sigma > 0]
            np.testing.assert_allclose(held.T @ held, np.eye(held.shape[1]), atol=(50 + 4 * r) * eps)
