"""The options that say which images to read, and how; shared by the commands."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from wavelens.cli._values import positive, size

if TYPE_CHECKING:
    from wavelens.workflows import ImageOptions

__all__ = ["add_source_options", "add_trust_options", "add_trust_pickle", "image_options"]


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the source and the options of its images and labels."""
    parser.add_argument(
        "source",
        help="a folder with one sub-folder per class, an .npz, .npy, .zarr or .h5 file, or 'digits' (bundled)",
    )
    add = parser.add_argument_group("images and labels").add_argument
    add(
        "--labels",
        metavar="FILE",
        help="labels: .npy, or .csv/.txt with 'label' or 'file,label' a line (default: the source's)",
    )
    add("--key", help="array of images inside an .npz file (default: recognised)")
    add("--labels-key", metavar="KEY", help="array of labels inside an .npz file (default: recognised)")
    add("--split", help="part of a dataset with splits: train, test, val or all (default: train)")
    add("--size", metavar="HxW", type=size, help="height x width in pixels (default: the median's)")
    add("--keep-aspect", action="store_true", help="keep the aspect by padding (default: fill the size)")
    add(
        "--color",
        choices=["auto", "grey", "rgb"],
        default="auto",
        help="grey or colour (default: %(default)s, colour where the images have any)",
    )
    add("--limit", metavar="N", type=positive, help="use at most N images of each class (default: all)")
    add("--strict", action="store_true", help="refuse bad files (default: list them and leave them out)")
    add_trust_options(add)


def add_trust_options(add: Any) -> None:
    """Add what allows a store to read other files, and to lack chunks."""
    add(
        "--trust-external",
        action="store_true",
        help="read other files that an .h5 file or .zarr folder names as parts of it (default: refuse)",
    )
    add(
        "--fill-missing",
        action="store_true",
        help="read chunks that a store lacks as its fill value (default: leave their images out)",
    )


def add_trust_pickle(parser: argparse.ArgumentParser) -> None:
    """Add what allows torch to run code from the file of a network."""
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="open a .pt2 file even if that can run code from it (default: refuse)",
    )


def image_options(options: argparse.Namespace) -> ImageOptions:
    """Return how the images are read, as a workflow takes it."""
    from wavelens.workflows import ImageOptions

    return ImageOptions(
        key=options.key,
        labels_key=options.labels_key,
        split=options.split,
        size=options.size,
        keep_aspect=options.keep_aspect,
        color=None if options.color == "auto" else options.color,
        limit=options.limit,
        strict=options.strict,
        trust_external=options.trust_external,
        fill_missing=options.fill_missing,
    )
