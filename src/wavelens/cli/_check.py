"""``wavelens check``: whether a dataset is sound."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens._utils._csv import open_csv
from wavelens.cli._output import item, print_text
from wavelens.cli._source import add_source_options, read_source
from wavelens.cli._values import positive, seed

if TYPE_CHECKING:
    from wavelens.data import ImageData
    from wavelens.quality import QualityReport

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
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, check, print; returns the exit code."""
    import wavelens
    from wavelens.quality import check_images

    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    data = read_source(options, any_classes=True)
    if not options.quiet:
        for note in (*data.notes, *(f"left out {each}" for each in data.skipped)):
            print(f"note: {note}", file=sys.stderr)
    progress = False if options.quiet else None
    report = check_images(data, near=options.near, random_state=options.seed, progress=progress)
    if options.csv is not None:
        _write_csv(options.csv, report)
    if options.json:
        skipped = [{"file": str(each.path), "reason": each.reason} for each in data.skipped]
        about = {"wavelens": wavelens.__version__, "source": str(options.source), "skipped": skipped}
        print_text(json.dumps(about | report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_text("\n".join(_summary(data, report, listed=options.csv is not None)))
    return FOUND if options.fail_on_findings and not report.is_sound else 0


def _summary(data: ImageData, report: QualityReport, *, listed: bool) -> Iterator[str]:
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    counts = ", ".join(f"{name}: {count:,}" for name, count in list(data.class_counts.items())[:10])
    more = ", …" if len(data.class_names) > 10 else ""
    shape = " × ".join(map(str, data.image_shape))
    title = f"{data.name}: {data.n_images:,} images of {shape} ({counts}{more})"
    yield from textwrap.wrap(title, width)
    yield ""
    findings = report.findings()
    if not findings:
        yield "Nothing found."
    for each in findings:
        yield from item("!" if each.severity == "warning" else "-", each.text, width)
    unchecked = report.unchecked()
    if unchecked:
        yield ""
        yield "Not checked:"
        for text in unchecked:
            yield from item("-", text, width)
    if any(each.kind != "imbalance" and each.kind != "leak" for each in findings) and not listed:
        yield ""
        yield "All images concerned: --csv FILE, or --json."


def _write_csv(path: Path, report: QualityReport) -> None:
    with open_csv(path) as table:
        table.row(["finding", "image", "class", "other_image", "other_class", "value"])
        table.rows(_rows(report))


def _rows(report: QualityReport) -> Iterator[list[object]]:
    names, classes, labels = report.image_names, report.class_names, report.labels

    def row(
        finding: str, i: int, other: int = -1, other_class: str = "", value: float | None = None
    ) -> list[object]:
        if other >= 0:
            return [finding, names[i], classes[labels[i]], names[other], classes[labels[other]], value]
        return [finding, names[i], classes[labels[i]], "", other_class, value]

    for group in report.duplicate_groups:
        for i in group[1:]:
            yield row("duplicate", i, group[0])
    for (i, j), distance in zip(report.near_pairs, report.near_distances, strict=True):
        yield row("near-duplicate", i, j, value=float(distance))
    for i, code in zip(report.label_doubts, report.suspected_classes, strict=True):
        yield row("label", i, other_class=classes[code])
    flags = (
        ("constant", report.constant),
        ("nearly constant", report.nearly_constant),
        ("saturated", report.saturated),
    )
    for finding, flag in flags:
        for place in map(int, flag.nonzero()[0]):
            share = max(report.black_share[place], report.white_share[place])
            yield row(finding, place, value=float(share) if finding == "saturated" else None)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value
