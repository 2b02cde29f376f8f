"""Pivoted QR against LAPACK's geqp3 (through SciPy), and tall matrices from disk against one Gram matrix.

The wavelet-like matrix has the column norms of the db3 coefficients of a set of 2,482 CT images (a
piecewise power law through their quantiles), on white noise; where WAVELENS_DATA is set, the coefficients
themselves follow.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import scipy.linalg
from _measure import alternate, arguments, copy_rate, gemm_rate, print_header, print_table, verdict

from wavelens.linalg import pivoted_qr

# Rank of a column by norm, and the norm, of the CT coefficients.
PROFILE = (
    (1, 10, 50, 100, 200, 400, 600, 1000, 1200, 2000, 3000, 4186, 6000, 8000, 9870),
    (184e3, 176e3, 158e3, 41.9e3, 11.4e3, 6020, 4120, 2720, 2290, 1450, 1060, 799, 548, 361, 64),
)


def wavelet_like(n: int, p: int) -> np.ndarray:
    """Return white noise with the norms of CT wavelet coefficients, in no order."""
    rng = np.random.default_rng(0)
    ranks = np.linspace(1, 9870, p)
    norms = np.exp(np.interp(np.log(ranks), np.log(PROFILE[0]), np.log(PROFILE[1])))
    a = rng.standard_normal((n, p))
    return a * (rng.permutation(norms) / np.sqrt(n))


def ct_coefficients(folder: Path) -> np.ndarray:
    """Return the db3 coefficients of the CT images, one image a row."""
    import pywt

    images = np.load(folder / "sars_cov2_ct.npz")["images"].astype(float)
    return np.stack(
        [pywt.coeffs_to_array(pywt.wavedec2(x, "db3", mode="symmetric"))[0].ravel() for x in images]
    )


def left_out(a: np.ndarray, pivots: np.ndarray) -> float:
    """Return the Frobenius norm of what the chosen columns don't span."""
    q = scipy.linalg.qr(a[:, pivots].astype(float), mode="economic")[0]
    return float(np.linalg.norm(a - q @ (q.T @ a)))


def against_lapack(name: str, a: np.ndarray, k: int, repeats: int) -> list[list[object]]:
    """Return a table row for each dtype."""
    rows: list[list[object]] = []
    ours: dict[str, float] = {}
    for dtype in ("float64", "float32"):
        x = a.astype(dtype)
        chosen: dict[str, np.ndarray] = {}

        def run(x: np.ndarray = x, chosen: dict[str, np.ndarray] = chosen) -> None:
            chosen["ours"] = pivoted_qr(x, k, rtol=0).pivots

        def peer(x: np.ndarray = x, chosen: dict[str, np.ndarray] = chosen) -> None:
            chosen["peer"] = scipy.linalg.qr(x, mode="r", pivoting=True)[1][:k]

        seconds = alternate({"ours": run, "peer": peer}, repeats)
        ratio = seconds["peer"] / seconds["ours"]
        quality = left_out(a, chosen["ours"]) / left_out(a, chosen["peer"])
        ours[dtype] = seconds["ours"]
        floor = 2 * a.shape[0] * a.shape[1] * k / gemm_rate(dtype)
        rows.append(
            [
                f"{name} {a.shape[0]} × {a.shape[1]} → {k}",
                dtype,
                seconds["ours"],
                seconds["peer"],
                ratio,
                verdict(ratio, 10),
                quality,
                verdict(quality, 1.02, at_most=True),
                floor,
                seconds["ours"] / floor,
                ours["float64"] / seconds["ours"],
            ]
        )
    return rows


def anonymous_memory() -> int:
    """Return the bytes this process holds outside of files it maps (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


class PeakMemory:
    """Largest growth of anonymous memory while inside, looked at every few milliseconds."""

    def __enter__(self) -> PeakMemory:
        self.start = self.peak = anonymous_memory()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.003):
            self.peak = max(self.peak, anonymous_memory())

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()

    @property
    def growth(self) -> int:
        """Bytes above what there was at the start."""
        return self.peak - self.start


def tall_from_disk(n: int, p: int, k: int) -> list[object]:
    """Return a table row: `sketch` on a float32 memory map, against AᵀA of the same map."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npy"
        a = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, p))
        rng = np.random.default_rng(0)
        norms = np.arange(1, p + 1, dtype=np.float32) ** np.float32(-0.5)
        for first in range(0, n, 4096):
            rows = a[first : first + 4096]
            rows[:] = rng.standard_normal(rows.shape, dtype=np.float32) * norms
        a.flush()
        del a
        mapped = np.load(path, mmap_mode="r")
        with PeakMemory() as memory:
            result = pivoted_qr(mapped, k, method="sketch", rtol=1e-4)
        seconds = alternate(
            {
                "ours": lambda: pivoted_qr(mapped, k, method="sketch", rtol=1e-4),
                "gram": lambda: mapped.T @ mapped,
            },
            1,
        )
        sample = np.asarray(mapped[:: max(1, n // 20000)], dtype=float)
        best = left_out(sample, scipy.linalg.qr(sample, mode="r", pivoting=True)[1][:k])
        quality = left_out(sample, result.pivots) / best
        floor = 2 * mapped.nbytes / copy_rate()
    ratio = seconds["gram"] / seconds["ours"]
    return [
        f"{n} × {p} → {k} float32 from disk",
        seconds["ours"],
        seconds["gram"],
        ratio,
        verdict(ratio, 1),
        quality,
        memory.growth / 2**20,
        verdict(memory.growth / 2**20, 300, at_most=True),
        floor,
        seconds["ours"] / floor,
    ]


def methods_compared(a: np.ndarray, k: int) -> list[list[object]]:
    """Return a table row for each method."""
    rows: list[list[object]] = []
    best = left_out(a, pivoted_qr(a, k, method="exact").pivots)
    for method in ("blocked", "exact", "strong", "sketch"):
        start = time.perf_counter()
        pivots = pivoted_qr(a, k, method=method).pivots  # type: ignore[arg-type]
        rows.append([method, time.perf_counter() - start, left_out(a, pivots) / best])
    return rows


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    quick = options.quick
    print_header("Pivoted QR")
    n, p, k = (600, 1500, 300) if quick else (2482, 8556, 1200)
    repeats = 1 if quick else options.repeats
    rows = against_lapack("wavelet-like", wavelet_like(n, p), k, repeats)
    rows += against_lapack("white noise", np.random.default_rng(0).standard_normal((n, p)), k, repeats)
    where = os.environ.get("WAVELENS_DATA")
    if where and not quick:
        rows += against_lapack("CT, db3", ct_coefficients(Path(where)), k, repeats)
    print_table(
        [
            "blocked against geqp3",
            "dtype",
            "ours, s",
            "geqp3, s",
            "ratio",
            "target",
            "residual / geqp3's",
            "target",
            "floor 2npk, s",
            "ours / floor",
            "float64 / ours",
        ],
        rows,
    )
    print("\nThe float32 rows should show ≥ 1.7 in the last column.\n")
    print_table(
        [
            "sketch against AᵀA",
            "ours, s",
            "AᵀA, s",
            "ratio",
            "target",
            "residual / geqp3's (rows sampled)",
            "MiB above the map",
            "target",
            "floor: read twice, s",
            "ours / floor",
        ],
        [tall_from_disk(8000, 512, 128) if quick else tall_from_disk(200_000, 2048, 512)],
    )
    print()
    print_table(
        ["method", "seconds", "residual / exact's"],
        methods_compared(wavelet_like(*((400, 800) if quick else (2482, 2000))), 150 if quick else 600),
    )


if __name__ == "__main__":
    main()
