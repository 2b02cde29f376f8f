"""``wavelens analyze``: images in, a report out."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from wavelens.cli._output import check_output, whole_folder
from wavelens.cli._source import add_source_options, positive, read_source

__all__ = ["add_command"]

_description = """\
Find the patterns a labelled image dataset is made of, which of them belong to which class, which images are
odd and which lie on the border between classes. Writes report.html (open it in a browser), figures/,
results.npz, summary.json and images.csv.
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
        "--coefficients",
        metavar="N",
        type=positive,
        help="wavelet coefficients to keep (default: the most that leave every class with full column rank)",
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
    add("--seed", metavar="N", type=int, default=0, help="seed of all random choices (default: %(default)s)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-report-SOURCE)")
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--quiet", action="store_true", help="say nothing but errors (default: tell each step)")
    add("--threads", metavar="N", type=positive, help="threads of the engine (default: all CPUs)")


def run(options: argparse.Namespace) -> None:
    """Load, analyse, report."""
    out = options.out or Path(f"wavelens-report-{_name(options.source)}")
    check_output(out, options.force)
    say = _Progress(options.quiet)
    say("loading the engine")
    import wavelens
    from wavelens._progress import progress_share
    from wavelens.patterns import PatternAnalysis
    from wavelens.quality import check_images
    from wavelens.report import image_table, summarize, write_images_csv, write_patterns_report, write_summary

    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    say(f"reading {options.source}")
    data = read_source(options)
    for note in data.notes:
        say.note(note)
    for each in data.skipped:
        say.note(f"left out {each}")
    shape = " x ".join(map(str, data.images.shape[1:]))
    say(f"finding the patterns of {len(data.labels):,} images ({shape}) in {len(data.class_names)} classes")
    analysis = PatternAnalysis(
        wavelet=options.wavelet,
        level=options.level,
        mode=options.mode,
        n_coefficients=options.coefficients,
        ridge=options.ridge,
        weights=None if options.weights == "none" else options.weights,
        bandwidth=options.bandwidth,
        random_state=options.seed,
        progress=False if options.quiet else None,
    ).fit(data.images, data.labels)
    say("checking whether the data is sound")
    quality = check_images(data, random_state=options.seed, progress=False if options.quiet else None)
    say(f"comparing the images by {analysis.sigma_.shape[1]:,} patterns")
    table = image_table(analysis)
    with whole_folder(out, options.force) as folder:
        say("drawing the report")
        write_images_csv(folder / "images.csv", table, data, quality)
        analysis.save(folder / "results.npz")
        command = shlex.join(["wavelens", *sys.argv[1:]]) if sys.argv[1:] else None
        with progress_share("Drawing", False if options.quiet else None) as share:
            shown = None if share is None else lambda done, _: share(done)
            write_patterns_report(folder, analysis, data, quality=quality, command=command, progress=shown)
        summary = {"wavelens": wavelens.__version__, "command": command, "source": str(options.source)}
        write_summary(folder / "summary.json", summary | summarize(analysis, data, table, quality))
    say.done(out / "report.html")


class _Progress:
    """One line on stderr for each step, with the time that the one before it took."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._start = time.perf_counter()

    def __call__(self, step: str) -> None:
        if not self._quiet:
            print(f"[{time.perf_counter() - self._start:6.1f} s] {step}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        if not self._quiet:
            print(f"           note: {text}", file=sys.stderr, flush=True)

    def done(self, page: Path) -> None:
        self("done")
        if not self._quiet:
            print(f"The report is at {page.resolve()}")


def _name(source: str) -> str:
    stem = Path(source).resolve().stem if source != "digits" else source
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "images"


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
