"""Spaces of layers: decomposing samples at the speed of products, spectra of convolutions by frequencies.

The peer of `decompose` is what one writes down, ``signal = x @ v @ v.T; rejected = x - signal`` and both
sums of squares, v from NumPy's SVD. Its floor is the flops of the two products over the BLAS's rate (that of
the smaller of the two bases). NumPy's BLAS takes as many threads as the engine.

The peer of the convolution's spectrum is the published recipe (Sedghi, Gupta and Long), ``svd(fft2(kernels))``
over all frequencies; of a small one, the SVD of the dense matrix as well. Their results are compared.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from _measure import alternate, arguments, gemm_rate, print_header, print_table
from threadpoolctl import threadpool_limits

import wavelens
from wavelens.spaces import ConvolutionSpaces, SignalSpaces, spectrum_against_chance


def decompose_row(n: int, n_out: int, n_in: int, dtype: str, repeats: int) -> list[list[object]]:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((n_out, n_in)).astype(dtype)
    x = rng.standard_normal((n, n_in), dtype=np.float32).astype(dtype, copy=False)
    spaces = SignalSpaces(w)
    v = np.ascontiguousarray(spaces.signal)

    def naive() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        signal = x @ v @ v.T
        rejected = x - signal
        return signal, rejected, np.sum(rejected**2, axis=1) / np.sum(x**2, axis=1)

    seconds = alternate(
        {
            "ours": lambda: spaces.decompose(x),
            "energy": lambda: spaces.energy(x),
            "peer": naive,
        },
        repeats,
    )
    found = spaces.decompose(x[:2000])
    exact = np.sum(x[:2000].astype(float) ** 2, axis=1)
    sums = float(np.abs((found.signal_energy + found.rejected_energy) / exact - 1).max())
    floor = 4 * n * n_in * min(spaces.rank, n_in - spaces.rank) / gemm_rate(dtype)
    what = f"{n:,} × {n_in:,} through {n_out:,} units, {dtype}"
    quality = f"energies add up to {sums:.0e}"
    return [
        [f"decompose {what}", seconds["ours"], seconds["peer"], seconds["peer"] / seconds["ours"], floor,
         seconds["ours"] / floor, quality],
        [f"energy {what}", seconds["energy"], seconds["peer"], seconds["peer"] / seconds["energy"], floor / 2,
         2 * seconds["energy"] / floor, ""],
    ]  # fmt: skip


def published_recipe(kernels: np.ndarray, size: int) -> np.ndarray:
    symbols = np.fft.fft2(kernels, (size, size), axes=(2, 3)).transpose(2, 3, 0, 1)
    return np.sort(np.linalg.svd(symbols, compute_uv=False).ravel())[::-1]


def spectrum_rows(channels: int, size: int, dense: bool, repeats: int) -> list[list[object]]:
    kernels = np.random.default_rng(0).standard_normal((channels, channels, 3, 3))

    def layer() -> ConvolutionSpaces:  # a new one each time: it keeps its spectrum
        return ConvolutionSpaces(kernels, input_shape=(channels, size, size))

    candidates = {
        "ours": lambda: layer().singular_values(),
        "gram": lambda: layer().singular_values(method="gram"),
        "peer": lambda: published_recipe(kernels, size),
    }
    if dense:
        candidates["dense"] = lambda: np.linalg.svd(layer().as_operator().dense(), compute_uv=False)
    found = {}

    def kept(name: str) -> None:
        found[name] = candidates[name]()

    runs = {name: partial(kept, name) for name in candidates}
    # By itself: it leaves whoever comes next with cold caches.
    apart = {name: runs.pop(name) for name in ("dense",) if name in runs}
    seconds = alternate(runs, repeats) if repeats else {name: _once(run) for name, run in runs.items()}
    seconds |= alternate(apart, repeats) if apart else {}
    exact = found["dense" if dense else "peer"]
    rows = []
    for method in ("ours", "gram"):
        error = float(np.abs(found[method] - exact).max() / exact[0])
        for peer in ("peer", "dense")[: 1 + dense]:
            rows.append(
                [f"spectrum {channels} × {channels} × 3 × 3 on {size} × {size}, "
                 f"{'svd' if method == 'ours' else 'gram'} against {'fft2' if peer == 'peer' else 'dense svd'}",
                 seconds[method], seconds[peer], seconds[peer] / seconds[method], "", "",
                 f"error {error:.0e} of σ₁"]
            )  # fmt: skip
    return rows


def _once(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def smallest_row(channels: int, size: int) -> list[object]:
    """Measure the ends of the spectrum of a square operator padded by zeros, against the SVD of its matrix."""
    kernels = np.random.default_rng(0).standard_normal((channels, channels, 3, 3))
    layer = ConvolutionSpaces(kernels, input_shape=(channels, size, size), padding="zero")
    found, exact = [], []
    ours = _once(lambda: found.append(layer.extreme_singular_values()))
    dense = layer.as_operator().dense()
    theirs = _once(lambda: exact.append(np.linalg.svd(dense, compute_uv=False)))
    error = float(abs(found[0].smallest[0] - exact[0][-1]) / exact[0][0])
    return [
        f"σ₁ and σₙ, {channels} × {channels} × 3 × 3 on {size} × {size}, padded by zeros, against dense svd",
        ours, theirs, theirs / ours, "", "",
        f"error {error:.0e} of σ₁, condition {exact[0][0] / exact[0][-1]:.0e}, bound {found[0].smallest_bounds[0]:.0e}",
    ]  # fmt: skip


def chance_row(shape: tuple[int, int], repeats: int) -> list[object]:
    values = np.linspace(2, 1, min(shape))
    seeds = iter(range(10**6))
    rng = np.random.default_rng(0)

    def naive() -> list[np.ndarray]:
        return [np.linalg.svd(rng.standard_normal(shape), compute_uv=False) for _ in range(20)]

    seconds = alternate(
        {
            "ours": lambda: spectrum_against_chance(values, shape, n_samples=20, random_state=next(seeds)),
            "peer": naive,
        },
        repeats,
    )
    return [
        f"chance, 20 matrices {shape[0]:,} × {shape[1]:,}", seconds["ours"], seconds["peer"],
        seconds["peer"] / seconds["ours"], "", "", "against drawing them",
    ]  # fmt: skip


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    with threadpool_limits(wavelens.num_threads(), user_api="blas"):
        print_header("Spaces of layers")
        n, n_out, n_in = (3000, 200, 400) if options.quick else (100_000, 1000, 2048)
        repeats = options.repeats if options.quick else min(options.repeats, 3)
        for dtype in ("float32", "float64"):
            show(decompose_row(n, n_out, n_in, dtype, repeats))
        show(spectrum_rows(8 if options.quick else 16, 8, True, options.repeats))
        if options.quick:
            show(spectrum_rows(32, 16, False, options.repeats))
        else:
            show(spectrum_rows(128, 32, False, 1))
            show(spectrum_rows(512, 32, False, 0))
            show([smallest_row(4, 32)])
        show([chance_row((400, 100) if options.quick else (2048, 1000), repeats)])


def show(rows: list[list[object]]) -> None:
    """Print rows as soon as they are there: the whole takes a quarter of an hour."""
    print_table(["work", "ours s", "peer s", "ratio", "floor s", "times the floor", "quality"], rows)
    print(flush=True)


if __name__ == "__main__":
    main()
