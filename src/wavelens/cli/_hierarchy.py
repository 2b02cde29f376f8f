"""``wavelens hierarchy``: features of a network in, the hierarchy of its classes out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wavelens.cli._output import check_output, command_line
from wavelens.cli._steps import Steps, print_findings, set_threads, warnings_as_notes
from wavelens.cli._values import positive, seed, stem

__all__ = ["add_command"]

_description = """\
Show how classes hang together inside a network: which belong together first, which join later, which stand
apart, and how that changes from layer to layer. Reads an .npz file that `wavelens features` wrote, or any with
an array of features (rows are images) and one of labels. Writes report.html (open it in a browser), figures/,
hierarchy.npz, covariance.npz, graph.json, graph.dot, levels.csv, classes.csv and summary.json.
"""


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "hierarchy",
        help="show how classes hang together inside a network, and report on it",
        description=_description,
    )
    parser.add_argument("source", metavar="FEATURES", help="an .npz file of features and labels")
    _add_source_options(parser.add_argument_group("features and classes"))
    _add_method_options(parser.add_argument_group("method"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run, operands=("source",))


def _add_source_options(group: Any) -> None:
    add = group.add_argument
    add("--layer", metavar="NAME", help="layer the report is about (default: the last that is no output)")
    add(
        "--layers",
        metavar="A,B,…",
        type=_layers,
        help="layers that are compared, in this order; 'none' for no comparison (default: all that are no outputs)",
    )
    add("--key", help="array of features in a file of others (default: recognised)")
    add("--labels-key", metavar="KEY", help="array of labels in a file of others (default: recognised)")
    add("--rows-are-classes", action="store_true", help="every row is a class (default: as labels say)")
    add(
        "--class-names",
        metavar="FILE",
        help="names of classes by index or id: .json or .txt (default: those in the file)",
    )
    add("--classes", metavar="A,B,…", type=_names, help="only these, by name (default: all)")
    add("--limit-classes", metavar="N", type=positive, help="only N of them, drawn at random (default: all)")


def _add_method_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--order",
        metavar="K",
        type=positive,
        help="classes that a composition takes (default: 5, or all if there are fewer)",
    )
    add(
        "--method",
        choices=["topk", "exhaustive", "random"],
        default="topk",
        help="which compositions are tried: those of similar classes, all, or some (default: %(default)s)",
    )
    add(
        "--rotation",
        choices=["opt", "eigen", "gram"],
        default="opt",
        help="how classes are mixed: with the least error, or as the paper does (default: %(default)s)",
    )
    add("--center", action="store_true", help="take off the mean of all images first (default: do not)")
    add(
        "--correlation",
        action="store_true",
        help="compare directions of class means only (default: lengths too)",
    )
    add(
        "--resamples",
        metavar="N",
        type=_resamples,
        default=20,
        help="how often images are drawn anew to see what is stable; 0 or at least 2 (default: %(default)s)",
    )
    add("--seed", metavar="N", type=seed, default=0, help="seed of all random choices (default: %(default)s)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-hierarchy-FEATURES)"
    )
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--json", action="store_true", help="print the summary as JSON (default: in words)")
    add(
        "--quiet", action="store_true", help="say nothing but errors (default: tell each step, and a summary)"
    )
    add("--threads", metavar="N", type=positive, help="threads of the engine (default: all CPUs)")


def run(options: argparse.Namespace) -> None:
    """Build the hierarchy, save and print it."""
    out = options.out or Path(f"wavelens-hierarchy-{stem(options.source, 'features')}")
    check_output(out, options.force)
    steps = Steps(options)
    steps.step("loading the engine")
    from wavelens.workflows import build_hierarchy

    set_threads(options.threads)
    with warnings_as_notes(steps):
        report = build_hierarchy(
            options.source,
            layer=options.layer,
            layers=options.layers,
            key=options.key,
            labels_key=options.labels_key,
            rows_are_classes=options.rows_are_classes,
            class_names=options.class_names,
            classes=options.classes,
            limit_classes=options.limit_classes,
            order=options.order,
            method=options.method,
            rotation=options.rotation,
            center=options.center,
            correlation=options.correlation,
            resamples=options.resamples,
            seed=options.seed,
            progress=steps,
        )
        page = report.save(out, force=options.force, command=command_line(), progress=steps)
    print_findings(options, report, page, steps)


def _names(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _layers(text: str) -> tuple[str, ...]:
    return () if text.strip() == "none" else _names(text)


def _resamples(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"expected 0 or a whole number from 2 on, got {text!r}")
    return int(text)
