"""``wavelens analyze``: images in, a report out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wavelens.cli._association import add_association_options
from wavelens.cli._output import WORK, check_output, command_line
from wavelens.cli._source import add_source_options, image_options
from wavelens.cli._steps import Steps, set_threads, warnings_as_notes
from wavelens.cli._values import positive, seed, stem

__all__ = ["add_command"]

_description = """\
Find the patterns a labelled image dataset is made of, which of them belong to which class, which images are
odd and which lie on the border between classes. Writes report.html (open it in a browser), figures/,
results.npz, summary.json, images.csv and patterns.csv.
"""


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "analyze",
        help="find the patterns of a labelled image dataset and report on them",
        description=_description,
    )
    add_source_options(parser)
    _add_method_options(parser.add_argument_group("method"))
    add_association_options(parser.add_argument_group("patterns and classes"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run, operands=("source",))


def _add_method_options(group: Any) -> None:
    add = group.add_argument
    add("--wavelet", default="db3", help="a discrete wavelet: haar, db3, sym4, … (default: %(default)s)")
    add("--level", metavar="N", type=positive, help="levels of the transform (default: as deep as fits)")
    add(
        "--mode",
        default="periodization",
        help="how images go on past their edges: zero, symmetric, … (default: %(default)s)",
    )
    add(
        "--basis",
        choices=["wavelet", "pixel"],
        default="wavelet",
        help="what describes an image: wavelet coefficients or its pixels (default: %(default)s)",
    )
    add(
        "--compare-basis",
        action="store_true",
        help="analyse in wavelets and in pixels and report which serves better (default: one of them)",
    )
    add(
        "--coefficients",
        metavar="N",
        type=positive,
        help="wavelet coefficients to keep (default: the most that leave every class with full column rank)",
    )
    add(
        "--rank",
        choices=["full", "any"],
        default="full",
        help="'any' allows more coefficients than the smallest class has images (default: %(default)s)",
    )
    add("--ridge", metavar="X", type=float, default=1e-3, help="ridge of the HO-GSVD (default: %(default)s)")
    add(
        "--weights",
        choices=["none", "size"],
        default="none",
        help="'size' evens out classes of unequal size (default: %(default)s)",
    )
    add(
        "--bandwidth",
        metavar="X",
        type=_bandwidth,
        default="median",
        help="of the similarity: a number, or the median distance of two images (default: %(default)s)",
    )
    add("--seed", metavar="N", type=seed, default=0, help="seed of all random choices (default: %(default)s)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-report-SOURCE)")
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--quiet", action="store_true", help="say nothing but errors (default: tell each step)")
    add(
        "--memory",
        metavar="SIZE",
        help="keep to this much memory, such as 2GB: images that do not fit are read in chunks (default: the "
        "machine's)",
    )
    add(
        "--resume",
        action="store_true",
        help="continue a run that was stopped while it read images in chunks (default: refuse)",
    )
    add("--threads", metavar="N", type=positive, help="threads of the engine (default: all CPUs)")
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="have the workers of a Dask cluster read the images and find the patterns: the address of its "
        "scheduler, such as tcp://10.0.0.1:8786 (default: this machine). --memory is then that of each worker",
    )


def run(options: argparse.Namespace) -> None:
    """Analyze and save."""
    out = options.out or Path(f"wavelens-report-{stem(options.source, 'images')}")
    check_output(out, options.force, resume=options.resume)
    steps = Steps(options)
    steps.step("loading the engine")
    from wavelens.workflows import analyze

    set_threads(options.threads)
    with warnings_as_notes(steps):
        report = analyze(
            options.source,
            options.labels,
            image_options=image_options(options),
            wavelet=options.wavelet,
            level=options.level,
            mode=options.mode,
            basis=options.basis,
            compare_basis=options.compare_basis,
            coefficients=options.coefficients,
            rank=options.rank,
            ridge=options.ridge,
            weights=None if options.weights == "none" else options.weights,
            bandwidth=options.bandwidth,
            permutations=options.permutations,
            groups=options.groups,
            held_out=options.held_out,
            seed=options.seed,
            memory=options.memory,
            work_dir=out / WORK,
            resume=options.resume,
            force=options.force,
            scheduler=options.scheduler,
            progress=steps,
        )
        page = report.save(out, force=options.force, command=command_line(), progress=steps)
    steps.done(page)


def _bandwidth(text: str) -> float | str:
    if text == "median":
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0 or 'median', got {text!r}")
    return value
