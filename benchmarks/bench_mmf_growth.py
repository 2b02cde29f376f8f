"""Growth of the time of MMF with rows m and order k: from scratch, one insertion, one product with a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from _measure import alternate, arguments, gemm_rate, print_header, print_table
from matplotlib.figure import Figure

from wavelens.hierarchy import mmf

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
WORKS = {"batch": "factorization from scratch", "insert": "one insertion", "product": "product with a vector"}
# By the Gram matrix alone; by the levels times the rows; by the levels and the core.
EXPECTED = {"batch": "2 to 3", "insert": "2", "product": "1"}
CORE = 10


def kernel(m: int) -> np.ndarray:
    """Return a Gaussian kernel matrix of normal points."""
    x = np.random.default_rng(0).standard_normal((m, 5))
    norms = np.sum(x * x, axis=1)
    c = np.exp(-(norms[:, None] + norms - 2 * x @ x.T) / 8)
    return (c + c.T) / 2


def measure(m: int, order: int, repeats: int) -> dict[str, float]:
    """Return the seconds of each work."""
    c = kernel(m)
    before = mmf(c[:-1, :-1], order, core_size=CORE)
    vector = np.ones(m - 1)
    return alternate(
        {
            "batch": lambda: mmf(c, order, core_size=CORE),
            "insert": lambda: before.insert(c[-1]),
            "product": lambda: before @ vector,
        },
        repeats,
    )


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Return by which power of m the time grows over the larger half of the sizes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)[0])


def draw(
    sizes: list[int], orders: list[int], seconds: dict[tuple[int, int], dict[str, float]], file: str
) -> None:
    """Draw a panel for each work, both axes logarithmic."""
    figure = Figure(figsize=(7.4, 3.1), layout="constrained", facecolor="white")
    panels: Any = figure.subplots(1, len(WORKS), sharex=True)
    for ax, (work, title) in zip(panels, WORKS.items(), strict=True):
        for order, color in zip(orders, COLORS, strict=True):
            times = [seconds[m, order][work] for m in sizes]
            ax.loglog(sizes, times, color=color, marker="o", ms=3, label=f"order {order}")
        ax.set_title(title, loc="left", fontsize=9.5)
        ax.set_xlabel("rows m")
        ax.set_xticks(sizes[::2], [f"{m:,}" for m in sizes[::2]], minor=False)
        ax.minorticks_off()
        ax.grid(color="#d5dae1", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("seconds")
    panels[0].legend(frameon=False, fontsize=8.5, loc="upper left")
    figure.savefig(
        file,
        metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")) if str(file).endswith(".svg") else None,
    )


def main() -> None:
    options = arguments(
        __doc__.splitlines()[0],
        lambda parser: parser.add_argument(
            "--plot", metavar="FILE", help="draw the growth into an .svg or .png"
        ),
    )
    sizes = [64, 128, 256] if options.quick else [125, 250, 500, 1000, 2000, 4000]
    orders = [2, 3, 5, 8]
    print_header("MMF: growth")
    seconds: dict[tuple[int, int], dict[str, float]] = {}
    for m in sizes:
        for order in orders:
            # The large sizes take seconds each, and vary little.
            repeats = 1 if options.quick else min(options.repeats, max(1, 4000 // m))
            seconds[m, order] = measure(m, order, repeats)
    rows: list[list[object]] = [
        [m, order, *found.values(), found["batch"] * gemm_rate() / m**3]
        for (m, order), found in seconds.items()
    ]
    print_table(["m", "k", *(f"{name}, s" for name in WORKS.values()), "batch / m³ at the BLAS rate"], rows)
    print("\nPower of m, over the larger sizes\n")
    powers: list[list[object]] = [
        [name, *(exponent(sizes, [seconds[m, k][work] for m in sizes]) for k in orders), EXPECTED[work]]
        for work, name in WORKS.items()
    ]
    print_table(["work", *(f"k={k}" for k in orders), "expected"], powers)
    if options.plot:
        draw(sizes, orders, seconds, options.plot)


if __name__ == "__main__":
    main()
