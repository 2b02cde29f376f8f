"""``wavelens features``: images through a network, and what its layers say into a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from wavelens.cli._source import add_trust_options, add_trust_pickle
from wavelens.cli._steps import Steps, set_threads
from wavelens.cli._values import positive, seed, size, stem
from wavelens.exceptions import WavelensError

__all__ = ["add_command", "add_preprocessing_options", "given_preprocessing"]

_description = """\
Push images through a trained network (.onnx or .pt2) and write what its layers say of each into an .npz file,
with labels and names. It says what is done to the images before the network, and how many the network
recognises: a network fed the wrong range of values is the commonest mistake. --list shows the layers.
"""
_ranges = {"255": (0.0, 255.0), "1": (0.0, 1.0), "signed": (-1.0, 1.0)}


def add_command(commands: Any) -> None:
    """Add the command and its options to the parser."""
    parser = commands.add_parser(
        "features", help="write what the layers of a network say of images", description=_description
    )
    parser.add_argument("--model", metavar="FILE", required=True, help="a network: .onnx or .pt2 (required)")
    add_trust_pickle(parser)
    parser.add_argument("--list", action="store_true", help="only show the layers (default: run the network)")
    add = parser.add_argument_group("layers").add_argument
    add("--layers", metavar="A,B,…", type=_names, help="names, see --list (default: the network's outputs)")
    add(
        "--pool",
        default="average",
        help="what is kept of maps: average, max, none, or grid:N for N x N fields (default: %(default)s)",
    )
    _add_image_options(parser.add_argument_group("images and labels"))
    add_preprocessing_options(parser.add_argument_group("before the network"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run)


def _add_image_options(group: Any) -> None:
    add = group.add_argument
    add("--images", metavar="SOURCE", help="folder with a sub-folder per class, .npz, .npy (default: none)")
    add("--labels", metavar="FILE", help="labels: .npy or .csv, as for analyze (default: the source's)")
    add("--key", help="array of images inside an .npz file (default: recognised)")
    add("--labels-key", metavar="KEY", help="array of labels inside an .npz file (default: recognised)")
    add("--split", help="part of a dataset with splits: train, test, val or all (default: train)")
    add("--limit", metavar="N", type=positive, help="use at most N images of each class (default: all)")
    add("--strict", action="store_true", help="refuse bad files (default: list them and leave them out)")
    add_trust_options(add)
    add(
        "--seed",
        metavar="N",
        type=seed,
        default=0,
        help="seed of the choice for --limit (default: %(default)s)",
    )
    add(
        "--class-names",
        metavar="FILE",
        help="the network's classes by index: .json or .txt; also turns folders named by WordNet ids into "
        "words (default: none)",
    )


def add_preprocessing_options(group: Any) -> None:
    """Add what is known of the images that a network takes."""
    add = group.add_argument
    add("--size", metavar="HxW", type=size, help="height x width in pixels (default: the network's)")
    add(
        "--resize",
        choices=["crop", "stretch", "none"],
        help="the middle of the photo, all of it stretched, or as it is (default: crop)",
    )
    add(
        "--shorter-side",
        metavar="N",
        type=positive,
        help="pixels of the shorter side before the crop (default: 256 for 224, in proportion)",
    )
    add(
        "--filter",
        choices=["bilinear", "bicubic", "lanczos", "nearest"],
        help="filter of resizing (default: bilinear)",
    )
    add("--color", choices=["rgb", "bgr", "grey"], help="channels and order (default: recognised, else rgb)")
    add(
        "--range",
        choices=sorted(_ranges),
        help="values that enter the network: 0 to 255, 0 to 1, or -1 to 1 (default: recognised, else ImageNet's "
        "mean and deviation on 0 to 1)",
    )
    add(
        "--mean",
        metavar="X,…",
        type=_numbers,
        help="to subtract, by channel, on --range (default: recognised)",
    )
    add("--std", metavar="X,…", type=_numbers, help="to divide by, by channel (default: recognised)")
    add("--layout", choices=["nchw", "nhwc"], help="where the channels are (default: recognised)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--out", metavar="FILE", type=Path, help="of the features (default: MODEL-features.npz)")
    add("--force", action="store_true", help="replace an existing file (default: refuse)")
    add(
        "--dtype",
        choices=["float32", "float16"],
        default="float32",
        help="of the features (default: %(default)s)",
    )
    add("--batch", metavar="N", type=positive, help="images at a time (default: 8 photos, 32 small images)")
    add("--quiet", action="store_true", help="say nothing but errors (default: tell)")
    add("--threads", metavar="N", type=positive, help="threads of the network (default: all CPUs)")


def run(options: argparse.Namespace) -> None:
    """List the layers, or extract their activations."""
    if options.images is None and not options.list:
        raise WavelensError("say which --images, or --list to see the layers of the network")
    out = options.out or Path(f"{stem(options.model, 'model')}-features.npz")
    set_threads(options.threads)
    if options.list:
        _print_layers(options)
        return
    from wavelens.workflows import ImageOptions, extract_features

    found = extract_features(
        options.model,
        options.images,
        options.labels,
        image_options=ImageOptions(
            key=options.key,
            labels_key=options.labels_key,
            split=options.split,
            limit=options.limit,
            strict=options.strict,
            trust_external=options.trust_external,
            fill_missing=options.fill_missing,
        ),
        trust_pickle=options.trust_pickle,
        layers=options.layers,
        pool=options.pool,
        class_names=options.class_names,
        preprocessing=given_preprocessing(options),
        out=out,
        force=options.force,
        dtype=options.dtype,
        batch=options.batch,
        seed=options.seed,
        threads=options.threads,
        progress=_Lines(options),
    )
    if not options.quiet:
        print("\n".join(found.findings()), file=sys.stderr, flush=True)
        print(f"{out}: {found.features!r}, {out.stat().st_size / 1e6:,.1f} MB", flush=True)


class _Lines(Steps):
    """First results on stderr, and no steps: what counts is the last line, on stdout."""

    def step(self, text: str) -> None:
        """Print nothing."""
        self.check()

    def preview(self, text: str) -> None:
        """Print the preprocessing."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


def given_preprocessing(options: argparse.Namespace) -> dict[str, Any]:
    """Return the attributes of a preprocessing that were given."""
    given = {
        "size": options.size,
        "resize": options.resize,
        "shorter_side": options.shorter_side,
        "filter": options.filter,
        "color": options.color,
        "value_range": None if options.range is None else _ranges[options.range],
        "mean": options.mean,
        "std": options.std,
        "layout": options.layout,
    }
    return {name: value for name, value in given.items() if value is not None}


def _print_layers(options: argparse.Namespace) -> None:
    from wavelens.models import list_layers

    layers = list_layers(options.model, size=options.size, trust_pickle=options.trust_pickle)
    width = max(len(each.name) for each in layers)
    for each in layers:
        shape = "?" if each.shape is None else " x ".join(map(str, each.shape))
        about = f"{each.kind:<20} {'output' if each.is_output else '':<7}"
        other = f"also {', '.join(each.aliases)}" if each.aliases else ""
        print(f"{each.name:<{width}}  {shape:<16} {about} {other}".rstrip())


def _names(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(","))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise argparse.ArgumentTypeError(
            f"expected one or three numbers, such as 0.485,0.456,0.406, got {text!r}"
        )
    return numbers
