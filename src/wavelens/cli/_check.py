"""``wavelens check``: whether a dataset is sound."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from wavelens.cli._output import print_text
from wavelens.cli._source import add_source_options, image_options
from wavelens.cli._steps import Steps, as_json, set_threads, terminal_width
from wavelens.cli._values import positive, seed

__all__ = ["FOUND", "add_command"]

FOUND = 3
"""Exit code for findings, where they are asked to fail."""

_description = """\
Look for what is wrong with an image dataset: exact and near duplicates, images that look like another class,
empty or saturated images, and file properties (size, colour mode, type) that tell the class. Labels are not
needed for all of it. The exit code is 0 whatever is found, unless --fail-on-findings is given.
"""


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "check", help="look for duplicates, doubtful labels and leaks in a dataset", description=_description
    )
    add_source_options(parser)
    add = parser.add_argument_group("checks").add_argument
    add(
        "--near",
        metavar="X",
        type=_share,
        default=0.4,
        help="near-duplicates are nearer than this share of the distance to the fifth nearest image "
        "(default: %(default)s)",
    )
    add("--seed", metavar="N", type=seed, default=0, help="seed of all random choices (default: %(default)s)")
    add = parser.add_argument_group("output").add_argument
    add("--json", action="store_true", help="print everything as JSON (default: a summary in words)")
    add("--csv", metavar="FILE", type=Path, help="also write a line for each image concerned (default: none)")
    add("--fail-on-findings", action="store_true", help="exit with 3 if there is a warning (default: with 0)")
    add("--quiet", action="store_true", help="no progress and no notes on stderr (default: tell)")
    add("--threads", metavar="N", type=positive, help="threads of the engine (default: all CPUs)")
    parser.set_defaults(run=run, operands=("source",))


def run(options: argparse.Namespace) -> int:
    """Check and print; returns the exit code."""
    from wavelens.workflows import check

    set_threads(options.threads)
    report = check(
        options.source,
        options.labels,
        image_options=image_options(options),
        near=options.near,
        seed=options.seed,
        progress=_Notes(options),
    )
    if options.csv is not None:
        report.to_csv(options.csv)
    if options.json:
        print_text(as_json(report.to_dict()))
    else:
        print_text(report.summary(terminal_width()))
        if report.names_images and options.csv is None:
            print_text("\nAll images concerned: --csv FILE, or --json.")
    return FOUND if options.fail_on_findings and not report.is_sound else 0


class _Notes(Steps):
    """Notes without steps: what counts is on stdout."""

    def step(self, text: str) -> None:
        """Print nothing."""
        self.check()

    def note(self, text: str) -> None:
        """Print a note on stderr."""
        if not self.quiet:
            print(f"note: {text}", file=sys.stderr)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value
