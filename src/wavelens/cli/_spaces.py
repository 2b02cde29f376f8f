"""``wavelens spaces``: a network in, what its layers keep, reject and want out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wavelens.cli._features import add_preprocessing_options, given_preprocessing
from wavelens.cli._output import check_output, command_line
from wavelens.cli._source import add_trust_options, add_trust_pickle
from wavelens.cli._steps import Steps, print_findings, set_threads, warnings_as_notes
from wavelens.cli._values import positive, seed, stem

__all__ = ["add_command"]

_description = """\
Show what each layer of a trained network (.onnx or .pt2) keeps of what enters it, what it rejects, and which of that
random weights would do as well. With --images it measures how much of their energy each layer rejects, class by
class, and seeks the picture that each class wants. Writes report.html (open it in a browser), figures/, layers.csv,
energy.csv (with images) and summary.json.
"""


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "spaces", help="show what the layers of a network keep, reject and want", description=_description
    )
    parser.add_argument("model", metavar="MODEL", help="a network: .onnx or .pt2")
    add_trust_pickle(parser)
    add = parser.add_argument_group("layers").add_argument
    add(
        "--layer",
        metavar="NAME",
        action="append",
        default=[],
        help="layer to show in detail; may be said several times (default: the most telling)",
    )
    _add_image_options(parser.add_argument_group("images and labels"))
    add_preprocessing_options(parser.add_argument_group("before the network"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run, operands=("model",))


def _add_image_options(group: Any) -> None:
    add = group.add_argument
    add("--images", metavar="SOURCE", help="folder with a sub-folder per class, .npz, .npy (default: none)")
    add(
        "--labels",
        metavar="FILE",
        help="the network's classes by index: .json or .txt (default: as the images' classes)",
    )
    add("--key", help="array of images inside an .npz file (default: recognised)")
    add("--labels-key", metavar="KEY", help="array of labels inside an .npz file (default: recognised)")
    add("--split", help="part of a dataset with splits: train, test, val or all (default: train)")
    add_trust_options(add)
    add(
        "--limit",
        metavar="N",
        type=positive,
        help="use at most N images of each class (default: 500, or 20 for networks with convolutions)",
    )
    add(
        "--ideal",
        choices=["auto", "newton", "adam", "untrained", "none"],
        default="auto",
        help="how ideal inputs are sought; auto trains them by Newton's method where that takes less than about a "
        "minute (default: %(default)s)",
    )
    add("--seed", metavar="N", type=seed, default=0, help="seed of all random choices (default: %(default)s)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-spaces-MODEL)")
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--batch", metavar="N", type=positive, default=32, help="images at a time (default: %(default)s)")
    add("--json", action="store_true", help="print the summary as JSON (default: in words)")
    add(
        "--quiet", action="store_true", help="say nothing but errors (default: tell each step, and a summary)"
    )
    add("--threads", metavar="N", type=positive, help="threads of network and engine (default: all CPUs)")


def run(options: argparse.Namespace) -> None:
    """Measure, save and print."""
    out = options.out or Path(f"wavelens-spaces-{stem(options.model, 'model')}")
    check_output(out, options.force)
    steps = Steps(options)
    from wavelens.workflows import ImageOptions, measure_spaces

    set_threads(options.threads)
    with warnings_as_notes(steps):
        report = measure_spaces(
            options.model,
            options.images,
            layer=options.layer,
            image_options=ImageOptions(
                key=options.key,
                labels_key=options.labels_key,
                split=options.split,
                limit=options.limit,
                trust_external=options.trust_external,
                fill_missing=options.fill_missing,
            ),
            trust_pickle=options.trust_pickle,
            labels=options.labels,
            preprocessing=given_preprocessing(options),
            ideal=options.ideal,
            batch=options.batch,
            seed=options.seed,
            threads=options.threads,
            progress=steps,
        )
        page = report.save(out, force=options.force, command=command_line(), progress=steps)
    print_findings(options, report, page, steps)
