"""Two-dimensional wavelet transforms of many images, their inverse and its adjoint against PyWavelets.

PyWavelets runs as its users call it: one call for all images, which takes one thread; our side is also timed on
one thread. The adjoint's peer is PyWavelets' forward transform, the nearest thing it has. Arrays for results are
made anew in each run on both sides, and our forward transform also looks for pixels that are not finite. The floor
is the time to read the images and write the coefficients at the rate of a copy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pywt
from _measure import alternate, arguments, copy_rate, print_header, print_table, verdict

import wavelens
from wavelens.wavelets import WaveletTransform


def problems(quick: bool) -> list[tuple[str, np.ndarray, int | None, str]]:
    """Return name, images (..., height, width), level and mode."""
    rng = np.random.default_rng(0)
    n, height, width = (200, 45, 44) if quick else (2482, 91, 90)
    name, scans = "normal", rng.standard_normal((n, height, width))
    folder = os.environ.get("WAVELENS_DATA")
    if folder and not quick:
        with np.load(Path(folder) / "sars_cov2_ct.npz") as archive:
            name, scans = "CT", archive["images"].astype(np.float64)
    batch = (8, 3, 64, 64) if quick else (64, 3, 256, 256)
    photos = rng.standard_normal(batch, dtype=np.float32)
    large = rng.standard_normal((1, 512, 512) if quick else (1, 4096, 4096), dtype=np.float32)
    return [
        (f"{name}, periodization", scans, None, "periodization"),
        ("normal, zero", photos, 5 if not quick else 3, "zero"),
        ("normal, symmetric", photos, 5 if not quick else 3, "symmetric"),
        ("one image, zero", photos[:1], 5 if not quick else 3, "zero"),
        ("one plane, zero", large, 5, "zero"),
    ]


def on_one_thread(run: Callable[[], object]) -> Callable[[], object]:
    def slow() -> None:
        before = wavelens.num_threads()
        wavelens.set_num_threads(1)
        try:
            run()
        finally:
            wavelens.set_num_threads(before)

    return slow


def rows(name: str, images: np.ndarray, level: int | None, mode: str, repeats: int) -> list[list[object]]:
    transform = WaveletTransform(images.shape[-2:], "db3", level, mode)
    level = transform.level
    parts = pywt.wavedec2(images, "db3", mode, level)
    flat = transform.forward(images)
    bands = [parts[0], *(detail for details in parts[1:] for detail in details)]
    theirs = np.concatenate([band.reshape(*images.shape[:-2], -1) for band in bands], axis=-1)
    errors = {
        "forward": np.abs(flat - theirs).max() / np.abs(theirs).max(),
        "inverse": np.abs(transform.inverse(flat) - images).max() / np.abs(images).max(),
    }
    pairs = {
        "forward": (lambda: transform.forward(images), lambda: pywt.wavedec2(images, "db3", mode, level)),
        "inverse": (lambda: transform.inverse(flat), lambda: pywt.waverec2(parts, "db3", mode)),
        "adjoint": (
            lambda: transform.inverse_adjoint(images),
            lambda: pywt.wavedec2(images, "db3", mode, level),
        ),
    }
    gradients = transform.inverse_adjoint(images)
    products = [
        np.vdot(a.astype(np.float64), b.astype(np.float64)) for a, b in ((images, images), (flat, gradients))
    ]
    errors["adjoint"] = abs(products[0] - products[1]) / products[0]  # ⟨Sc, x⟩ = ⟨c, Sᵀx⟩ where x = Sc
    floor = (images.nbytes + flat.nbytes) / copy_rate()
    shape = " × ".join(map(str, images.shape))
    table = []
    for way, (ours, peer) in pairs.items():
        seconds = alternate({"ours": ours, "one": on_one_thread(ours), "peer": peer}, repeats)
        ratio = seconds["peer"] / seconds["ours"]
        table.append(
            [
                f"{way}, {shape} {images.dtype}, {name}, level {level}",
                *(1e3 * seconds[each] for each in ("ours", "one", "peer")),
                ratio,
                seconds["peer"] / seconds["one"],
                verdict(ratio, 5.0),
                1e3 * floor,
                seconds["ours"] / floor,
                f"{errors[way]:.1e}",
            ]
        )
    return table


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    print_header(f"Wavelet transforms (PyWavelets {pywt.__version__})")
    table = []
    for problem in problems(options.quick):
        table += rows(*problem, options.repeats)
    print_table(
        [
            "work",
            "ours ms",
            "one thread ms",
            "peer ms",
            "ratio",
            "ratio on one thread",
            "target",
            "floor ms",
            "times the floor",
            "relative error",
        ],
        table,
    )


if __name__ == "__main__":
    main()
