"""``wavelens explain``: images and a classifier in, the parts that made it say so out."""

from __future__ import annotations

import argparse
from typing import Any

from wavelens.cli._explain_options import add_options, default_folder
from wavelens.cli._features import given_preprocessing
from wavelens.cli._output import check_output, command_line
from wavelens.cli._steps import Steps, set_threads, warnings_as_notes

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
    parser.set_defaults(run=run, operands=("images",))


def run(options: argparse.Namespace) -> None:
    """Explain and save."""
    out = options.out or default_folder(options.model)
    check_output(out, options.force)
    steps = Steps(options)
    from wavelens.workflows import explain

    set_threads(options.threads)
    with warnings_as_notes(steps):
        report = explain(
            options.model,
            options.images,
            trust_pickle=options.trust_pickle,
            labels=options.labels,
            target=options.target,
            method=options.method,
            lambdas=options.lambdas,
            pixel_lambdas=options.pixel_lambdas,
            preset=options.preset,
            steps=options.steps,
            samples=options.samples,
            noise=options.noise,
            distortion=options.distortion,
            wavelet=options.wavelet,
            evaluate=options.evaluate,
            preprocessing=given_preprocessing(options),
            limit=options.limit,
            batch=options.batch,
            memory=options.memory,
            seed=options.seed,
            threads=options.threads,
            progress=steps,
        )
        page = report.save(out, force=options.force, command=command_line(), progress=steps)
    steps.done(page)
