"""HO-GSVD of matrices that are loaded one at a time: the same as of all at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wavelens.linalg import TriangularFactor, ho_gsvd


def classes(n: int, m: int, dtype: Any = np.float64, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, m))
    return [
        (rng.standard_normal((m // 2 + 11 * i, m)) * rng.uniform(0.2, 2, m) @ x).astype(dtype)
        for i in range(n)
    ]


def loaders(matrices: list[Any]) -> list[Any]:
    return [partial(matrices.__getitem__, i) for i in range(len(matrices))]


@pytest.mark.parametrize("options", [{}, {"weights": "size"}, {"normalization": "unit"}, {"ridge": 0.1}])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_loading_changes_nothing_but_rounding(options: dict[str, Any], dtype: Any) -> None:
    matrices = classes(5, 20, dtype)
    whole, loaded = ho_gsvd(matrices, **options), ho_gsvd(loaders(matrices), **options)
    tolerance = 1e-9 if dtype == np.float64 else 2e-2
    assert loaded.rank == whole.rank
    assert loaded.tau.dtype == dtype
    assert np.allclose(loaded.tau, whole.tau, rtol=tolerance)
    assert np.allclose(loaded.sigma, whole.sigma, rtol=tolerance, atol=tolerance)
    eps = float(np.finfo(dtype).eps)
    for i, d in enumerate(matrices):
        assert np.abs(loaded.reconstruct(i) - d).max() <= 500 * eps * np.abs(d).max()
        assert np.allclose(np.linalg.norm(loaded.u[i], axis=0), 1, atol=1e3 * eps)
    assert len(loaded.u[1:3]) == 2
    assert loaded.u[-1].shape == matrices[-1].shape


def test_columns_of_zeros_low_rank_and_extreme_units() -> None:
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((6, 12)) * np.logspace(-9, 9, 12)
    basis[:, 3] = 0
    matrices = [rng.standard_normal((15, 6)) * rng.uniform(0.3, 2, 6) @ basis for _ in range(4)]
    whole, loaded = ho_gsvd(matrices), ho_gsvd(loaders(matrices))
    assert loaded.rank == whole.rank == 6
    assert np.allclose(loaded.sigma, whole.sigma, atol=1e-9)
    assert (loaded.v[3] == 0).all()
    assert np.allclose(loaded.u[2] * loaded.sigma[2], whole.u[2] * whole.sigma[2], atol=1e-9)


def test_ill_conditioned_matrices_keep_a_small_backward_error() -> None:
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.standard_normal((30, 30)))[0] * np.logspace(0, -12, 30)
    x = x @ np.linalg.qr(rng.standard_normal((30, 30)))[0]
    matrices = [rng.standard_normal((100, 30)) @ x for _ in range(4)]
    result = ho_gsvd(loaders(matrices))
    assert result.rank == 30
    for i, d in enumerate(matrices):
        assert np.linalg.norm(result.reconstruct(i) - d) <= 200 * 2.3e-16 * np.linalg.norm(d)
    assert np.allclose((result.sigma**2).sum(axis=0), 1, atol=1e-10)


def test_isolated_directions_have_owners() -> None:
    rng = np.random.default_rng(0)
    patterns = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    kept = [[0, 1, 2, 3], [0, 1, 2, 4, 5], [0, 1, 2, 6], [0, 1, 2, 7, 8]]
    matrices = [rng.standard_normal((40, len(k))) @ patterns[k] for k in kept]
    whole, loaded = ho_gsvd(matrices), ho_gsvd(loaders(matrices))
    assert loaded.owner.tolist() == whole.owner.tolist()
    assert loaded.resolved.tolist() == whole.resolved.tolist()
    assert np.allclose(loaded.commonness, whole.commonness, atol=1e-9)


def test_without_a_ridge_as_well() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((50, 8)) * rng.uniform(0.3, 2, 8) for _ in range(4)]
    assert np.allclose(ho_gsvd(loaders(matrices), ridge=0).sigma, ho_gsvd(matrices, ridge=0).sigma)
    matrices[2][:, 3] = 0
    with pytest.raises(ValueError, match="matrix 2 has not"):
        ho_gsvd(loaders(matrices), ridge=0)


def test_factors_from_files(tmp_path: Path) -> None:
    matrices = classes(3, 15)
    for i, d in enumerate(matrices):
        (tmp_path / f"{i}.bin").write_bytes(TriangularFactor.empty(15).partial_fit(d).to_bytes())
    seen: list[float] = []
    result = ho_gsvd(
        [lambda i=i: TriangularFactor.from_bytes((tmp_path / f"{i}.bin").read_bytes()) for i in range(3)],
        progress=seen.append,
    )
    whole = ho_gsvd(matrices)
    assert np.allclose(result.sigma, whole.sigma, atol=1e-9)
    assert seen == sorted(seen)
    assert seen[-1] <= 1
    # Rows of D, not of R: U of the matrix itself.
    rows = result.transform(matrices[1])
    assert np.abs(rows @ result.v.T - matrices[1]).max() < 1e-12 * np.abs(matrices[1]).max()


def test_two_loaders_are_loaded() -> None:
    matrices = classes(2, 10)
    assert (ho_gsvd(loaders(matrices)).sigma == ho_gsvd(matrices).sigma).all()


def test_what_loaders_may_not_do() -> None:
    matrices = classes(3, 6)
    wide = [*matrices[:2], np.ones((4, 7))]
    with pytest.raises(ValueError, match="matrices\\[2\\] has 7"):
        ho_gsvd(loaders(wide))
    with pytest.raises(ValueError, match="one dtype: matrices\\[0\\] is float64, matrices\\[1\\] is float32"):
        ho_gsvd(loaders([matrices[0], matrices[1].astype(np.float32), matrices[2]]))
    with pytest.raises(ValueError, match="`matrices\\[1\\]` must be finite"):
        ho_gsvd(loaders([matrices[0], np.full((3, 6), np.nan), matrices[2]]))
    calls = iter(range(100))
    with pytest.raises(ValueError, match="must be the same whenever it is loaded"):
        ho_gsvd([lambda: matrices[0][next(calls) :], *matrices[1:]])

    def fails() -> Any:
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        ho_gsvd([*matrices, fails])
    with pytest.raises(ValueError, match="`weights` must hold one number"):
        ho_gsvd(loaders(matrices), weights=[1, 2])
