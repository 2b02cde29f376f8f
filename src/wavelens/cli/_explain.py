"""``wavelens explain``: images and a classifier in, the parts that made it say so out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from wavelens.cli._explain_images import find_files, find_target, read_images, show_labels
from wavelens.cli._explain_options import add_options, check_options, default_folder
from wavelens.cli._explain_results import write_results
from wavelens.cli._explain_search import evaluate_explanations, explain_images
from wavelens.cli._features import given_preprocessing
from wavelens.cli._output import check_output, whole_folder
from wavelens.cli._steps import Steps, told
from wavelens.exceptions import WavelensError

if TYPE_CHECKING:
    from wavelens.models import Model

__all__ = ["add_command"]

_description = """\
Show which part of an image made a classifier (.pt2 or .onnx) say what it says: the smallest part that keeps the
answer, in wavelets and in pixels. First it prints what the classifier takes each image for: if that is nonsense, the
images enter it wrongly, and the options below “before the network” are to be set. Writes report.html (open it in a
browser), figures/, cartoonx.npz, pixel_rde.npz and summary.json.
"""


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "explain", help="show which part of an image made a classifier say so", description=_description
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Open, show the labels, explain, evaluate, report."""
    out = options.out or default_folder(options.model)
    check_output(out, options.force)
    files = find_files(options.images, options.limit)
    check_options(options)
    say = Steps(options)
    say(f"opening {options.model}")
    with told(say):
        model = _open(options)
    target = find_target(options.target, model)
    if not model.has_gradient:
        say.note(
            "the network gives predictions but no gradient: masks are searched by trials on blocks, which takes longer "
            "and is coarser"
        )
    say(f"reading {len(files):,} {'image' if len(files) == 1 else 'images'}")
    images = read_images(files, model, say)
    notes = [f"{name} was left out: {reason}." for name, reason in images.skipped]
    with told(say):
        suspicion = show_labels(options, model, images)
    notes += [suspicion] if suspicion else []
    with told(say):
        paths = explain_images(options, model, images, target, say, notes)
        evaluation = evaluate_explanations(options, model, paths, say, notes) if options.evaluate else None
    say("writing the results")
    with whole_folder(out, options.force) as folder:
        write_results(folder, options, model, images, paths, evaluation, notes)
    say.done(out / "report.html")


def _open(options: argparse.Namespace) -> Model:
    import wavelens
    from wavelens.models import open_model

    if options.threads is not None:
        wavelens.set_num_threads(options.threads)
    try:
        return open_model(
            options.model,
            preprocessing=given_preprocessing(options) or None,
            class_names=options.labels,
            batch_size=options.batch,
            threads=options.threads,
        )
    except ValueError as error:
        raise WavelensError(str(error).replace("`class_names`", f"--labels {options.labels}")) from error
