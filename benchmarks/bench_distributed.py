"""The analysis of a mapped file on Dask workers of this machine, beside the same on one machine without Dask.

Images are those of `bench_scale`. Every worker is a process with one thread. The reference has one thread of the
engine, but reads, transforms and gathers in threads of their own, so that it uses two cores where they are free.
`peak MB` is the largest peak of memory of any worker (the system's count, mapped pages included), `differs` the largest
difference of σ from the reference's over the largest σ, `recovered` as in `bench_scale`. Workers start and import
before the clock does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from _measure import arguments, print_header, print_table
from bench_scale import N_CLASSES, recovered, write_images

import wavelens
from wavelens.data import open_source
from wavelens.patterns import PatternAnalysis


def analyse(path: Path, m: int, memory: str, scheduler: Any = None) -> tuple[PatternAnalysis, float]:
    """Analyse images; return the analysis and the seconds it took."""
    source = open_source(path, path.with_suffix(".labels.npy"))
    analysis = PatternAnalysis(n_coefficients=m, memory_limit=memory)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        start = time.perf_counter()
        analysis.fit(source, work_dir=folder, scheduler=scheduler)
        return analysis, time.perf_counter() - start


def prepare() -> None:
    """On a worker: import what the tasks need."""
    import_module("wavelens.patterns.fit._cluster_tasks")


def peak() -> int:
    """On a worker: return the peak of its memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def row(name: str, n: int, analysis: PatternAnalysis, seconds: float, most: float, sigma: Any) -> list[Any]:
    """Return a row of the table."""
    about = analysis.out_of_core_
    assert about is not None
    rates = [f"{n / max(each, 1e-9):,.0f}/s" for each in about.seconds.values()]
    differs = float(np.max(np.abs(analysis.sigma_ - sigma)) / np.max(sigma))
    return [
        name,
        n,
        seconds,
        f"{n / seconds:,.0f}/s",
        *rates,
        most / 1e6,
        f"{differs:.0e}",
        ", ".join(f"{each:.3f}" for each in recovered(analysis)),
    ]


def main() -> None:
    """Print the table."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--sizes", type=int, nargs="*", help="numbers of images")
        parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
        parser.add_argument("--coefficients", type=int, default=512)
        parser.add_argument("--memory", default="2GB", help="of each worker")
        parser.add_argument("--folder", type=Path, help="where images are kept between runs")

    options = arguments(__doc__ or "", add)
    try:
        import distributed
    except ImportError:
        print('skipped: Dask is not installed (pip install "wavelens[dask]")')
        return
    sizes = options.sizes or ([3000] if options.quick else [30_000])
    m = 64 if options.quick else options.coefficients
    if options.threads is None:
        wavelens.set_num_threads(1)
    print_header(f"On Dask workers, {m} coefficients of 64 x 64 images in {N_CLASSES} classes")
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or Path(made)
        for n in sizes:
            path = folder / f"textures-{n}.npy"
            if not path.with_suffix(".labels.npy").exists():
                write_images(path, n)
            alone, seconds = analyse(path, m, options.memory)
            rows.append(row("no Dask", n, alone, seconds, peak(), alone.sigma_))
            for count in options.workers:
                with (
                    distributed.LocalCluster(
                        n_workers=count, threads_per_worker=1, processes=True, dashboard_address=":0"
                    ) as cluster,
                    distributed.Client(cluster, set_as_default=False) as client,
                ):
                    client.run(prepare)
                    found, seconds = analyse(path, m, options.memory, client)
                    most = max(client.run(peak).values())
                rows.append(row(f"{count} workers", n, found, seconds, most, alone.sigma_))
    columns = ["", "images", "seconds", "in all", "sketching", "factoring", "embedding", "peak MB"]
    print_table([*columns, "differs", "recovered by 10, 15"], rows)


if __name__ == "__main__":
    main()
