"""Time and memory of an analysis out of core against the number of images.

Images of 64 × 64 bytes are made as 1/f textures; every class has a pattern of its own planted at a strength that
varies from image to image. They are analysed from a mapped file, each size in a process of its own, whose peak of
memory is the system's count (`VmHWM`, mapped pages included). `recovered` is the cosine
between a planted pattern and the span of the ten most one-sided patterns found, in the chosen coefficients, the least
of the ten.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _measure import arguments, print_header, print_table

N_CLASSES, SIDE = 10, 64
# Of the planted patterns. Of equally strong ones only the space that they span together is determined.
STRENGTHS = np.geomspace(300, 900, N_CLASSES).astype(np.float32)


def planted(i: int) -> npt.NDArray[np.float32]:
    """Return the pattern of class i, of norm 1: waves under a bell, at a place of its own."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    cy, cx = 12 + 13 * (i // 4), 8 + 16 * (i % 4)
    angle = np.pi * i / N_CLASSES
    wave = np.cos(2 * np.pi * ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)) / 7)
    pattern = wave * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 40)
    return np.asarray(pattern / np.linalg.norm(pattern), dtype=np.float32)


def write_images(path: Path, n: int, seed: int = 0) -> None:
    """Write n images and, beside them, their labels."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    radius[0, 0] = 1 / SIDE
    white = np.fft.rfft2(rng.standard_normal((1024, SIDE, SIDE)))
    textures = np.fft.irfft2(white / radius, s=(SIDE, SIDE)).astype(np.float32)
    textures *= 22 / textures.std()
    patterns = np.stack([planted(i) for i in range(N_CLASSES)])
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n, SIDE, SIDE))
    labels = rng.integers(0, N_CLASSES, n)
    for first in range(0, n, 2000):
        codes = labels[first : first + 2000]
        picked = textures[rng.integers(0, len(textures), len(codes))]
        picked = np.roll(picked, tuple(rng.integers(0, SIDE, 2)), axis=(1, 2))
        other = textures[rng.integers(0, len(textures), len(codes))]
        strength = STRENGTHS[codes] * rng.standard_normal(len(codes), dtype=np.float32)
        mixed = 128 + picked + 0.7 * other + strength[:, None, None] * patterns[codes]
        mixed += rng.standard_normal(mixed.shape, dtype=np.float32) * 4
        images[first : first + 2000] = mixed.clip(0, 255)
    images.flush()
    np.save(path.with_suffix(".labels.npy"), labels)


def recovered(analysis: Any) -> list[float]:
    """Return the least cosine of a planted pattern with the space of the most one-sided 10, and 15, patterns."""
    lead = np.max([analysis.angles(label) for label in analysis.classes_], axis=0)
    order = np.argsort(-lead)
    patterns = np.stack([planted(i) for i in range(N_CLASSES)])
    rows = analysis.basis_.forward(patterns)[:, analysis.coefficients_]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    spaces = (np.linalg.qr(analysis.gsvd_.v[:, order[:k]])[0] for k in (N_CLASSES, 15))
    return [float(np.linalg.norm(rows @ space, axis=1).min()) for space in spaces]


def analyse(path: Path, m: int, limit: str) -> dict[str, Any]:
    """Analyse images in this process; return figures."""
    from wavelens.data import open_source
    from wavelens.patterns import PatternAnalysis

    resident: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            resident.append(_status("VmRSS"))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    source = open_source(path, path.with_suffix(".labels.npy"))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        analysis = PatternAnalysis(n_coefficients=m, memory_limit=limit).fit(source, work_dir=folder)
        seconds = time.perf_counter() - start
        found = recovered(analysis)
        peak = _status("VmHWM")
        done.set()
        about = analysis.out_of_core_
        assert about is not None
        return {
            "n": source.n_images,
            "seconds": seconds,
            "passes": dict(about.seconds),
            "peak": peak,
            "planned": about.planned_memory,
            "found": found,
            "chunk": about.chunk,
            "resident": resident[:: max(1, len(resident) // 20)],
        }


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def main() -> None:
    """Print the tables."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--sizes", type=int, nargs="*", help="numbers of images")
        parser.add_argument("--coefficients", type=int, default=512)
        parser.add_argument("--memory", default="2GB")
        parser.add_argument("--folder", type=Path, help="where images are kept between runs")
        parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)

    options = arguments(__doc__ or "", add)
    if options.child is not None:
        print(json.dumps(analyse(options.child, options.coefficients, options.memory)))
        return
    sizes = options.sizes or ([2000, 4000] if options.quick else [10_000, 30_000, 100_000])
    m = 64 if options.quick else options.coefficients
    print_header(f"Out of core, {m} coefficients of 64 x 64 images in {N_CLASSES} classes, {options.memory}")
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for n in sizes:
            path = folder / f"textures-{n}.npy"
            if not path.with_suffix(".labels.npy").exists():
                write_images(path, n)
            command = [sys.executable, __file__, "--child", str(path), "--coefficients", str(m)]
            run = subprocess.run(
                [*command, "--memory", options.memory], check=True, capture_output=True, text=True
            )
            found.append(json.loads(run.stdout.splitlines()[-1]))
    columns = [
        "images",
        "seconds",
        "sketching",
        "factoring",
        "embedding",
        "peak MB",
        "planned MB",
        "recovered by 10, 15",
    ]
    rows = [
        [
            each["n"],
            each["seconds"],
            *(f"{each['n'] / max(seconds, 1e-9):,.0f}/s" for seconds in each["passes"].values()),
            each["peak"] / 1e6,
            each["planned"] / 1e6,
            ", ".join(f"{cosine:.3f}" for cosine in each["found"]),
        ]
        for each in found
    ]
    print_table(columns, rows)
    print("\nResident memory over time of the largest, in MB:")
    print(", ".join(f"{each / 1e6:.0f}" for each in found[-1]["resident"]))


if __name__ == "__main__":
    main()
