"""``wavelens analyze``: images in, a report out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.cli._association import add_association_options, measure_association, read_groups
from wavelens.cli._output import check_output, command_line, whole_folder
from wavelens.cli._source import add_source_options, open_images
from wavelens.cli._steps import Steps, shown_share, told
from wavelens.cli._values import positive, seed, stem

if TYPE_CHECKING:
    from wavelens.data import ImageData
    from wavelens.patterns import PatternAnalysis

__all__ = ["add_command", "compare", "make_analysis", "write_results"]

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
    parser.set_defaults(run=run)


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
    """Load, analyse, report."""
    out = options.out or Path(f"wavelens-report-{stem(options.source, 'images')}")
    check_output(out, options.force, resume=options.resume)
    say = Steps(options.quiet)
    say("loading the engine")
    import wavelens
    from wavelens.cli._analyze_large import analyze_large, is_large
    from wavelens.data import load
    from wavelens.patterns._memory import parse_bytes
    from wavelens.quality import check_images
    from wavelens.report import image_table

    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    if options.memory is not None:
        parse_bytes(options.memory, "--memory")
    if options.scheduler is not None:
        import wavelens.distributed  # an extra: better missed now than later
    say(f"reading {options.source}")
    opened = open_images(options)
    if options.scheduler is not None or is_large(options, out, opened):
        analyze_large(options, out, opened, say)
        return
    data = load(opened, progress=False if options.quiet else None)
    for note in data.notes:
        say.note(note)
    for each in data.skipped:
        say.note(f"left out {each}")
    groups = read_groups(options.groups, data.image_names)
    analysis = _fit(options, data, say)
    results = measure_association(options, analysis, data, groups, say)
    if options.compare_basis:
        results["comparison"] = compare(options, analysis, data, say)
    say("checking whether the data is sound")
    results["quality"] = check_images(
        data, random_state=options.seed, progress=False if options.quiet else None
    )
    say(f"comparing the images by {analysis.sigma_.shape[1]:,} patterns")
    results["table"] = image_table(analysis)
    with whole_folder(out, options.force, resume=options.resume) as folder:
        say("drawing the report")
        write_results(folder, options, analysis, data, results)
    say.done(out / "report.html")


def _fit(options: argparse.Namespace, data: ImageData, say: Steps) -> PatternAnalysis:
    import numpy as np

    from wavelens.patterns._memory import memory_of
    from wavelens.patterns._options import FitOptions

    shape = " x ".join(map(str, data.images.shape[1:]))
    say(f"finding the patterns of {len(data.labels):,} images ({shape}) in {len(data.class_names)} classes")
    analysis = make_analysis(options)
    fit_options = FitOptions.checked(analysis.get_params(deep=False))
    sizes = np.bincount(data.labels)
    need = memory_of(fit_options, len(data.images), data.images.shape[1:], data.images.dtype, sizes)
    say.note(f"about {need} of memory will be needed")
    with told(say):
        return analysis.fit(data.images, data.labels)


def make_analysis(options: argparse.Namespace) -> PatternAnalysis:
    """Return the analysis that the options describe, not fitted yet."""
    from wavelens.patterns import PatternAnalysis

    return PatternAnalysis(
        wavelet=options.wavelet,
        level=options.level,
        mode=options.mode,
        n_coefficients=options.coefficients,
        ridge=options.ridge,
        weights=None if options.weights == "none" else options.weights,
        bandwidth=options.bandwidth,
        random_state=options.seed,
        progress=False if options.quiet else None,
        basis=options.basis,
        rank=options.rank,
        memory_limit=options.memory,
    )


def compare(options: argparse.Namespace, analysis: PatternAnalysis, data: ImageData, say: Steps) -> Any:
    """Return how wavelets and pixels compare."""
    from wavelens.patterns import compare_bases

    say("comparing wavelets with pixels")
    with told(say):
        return compare_bases(data.images, data.labels, analysis, random_state=options.seed)


def write_results(
    folder: Path,
    options: argparse.Namespace,
    analysis: PatternAnalysis,
    data: ImageData,
    results: dict[str, Any],
    *,
    whole: PatternAnalysis | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Write all files. Where `analysis` sees a sample, `whole` is that of all images; `more` is for the summary."""
    import wavelens
    from wavelens import report

    table, quality = results["table"], results["quality"]
    report.write_images_csv(folder / "images.csv", table, data, quality)
    report.write_patterns_csv(folder / "patterns.csv", analysis, data.class_names)
    (whole or analysis).save(folder / "results.npz")
    command = command_line()
    with shown_share("Drawing", options.quiet) as share:
        report.write_patterns_report(
            folder, analysis, data, command=command, progress=lambda done, _: share(done), **results
        )
    tied = {name: results[name] for name in ("association", "association_curve", "held_out")}
    summary = {"wavelens": wavelens.__version__, "command": command, "source": str(options.source)}
    summary |= report.summarize(analysis, data, table, quality) | report.summarize_association(**tied)
    summary |= more or {}
    report.write_summary(folder / "summary.json", summary)


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
