"""The options of ``wavelens explain``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from wavelens.cli._features import add_preprocessing_options
from wavelens.cli._source import add_trust_pickle
from wavelens.cli._values import positive, seed, stem

__all__ = ["add_options", "default_folder"]

_methods = ("cartoonx", "pixel")
_lambdas = (0.5, 2.0, 5.0, 20.0, 50.0)


def add_options(parser: Any) -> None:
    """Add them to the parser."""
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders of them")
    parser.add_argument(
        "--model", metavar="FILE", required=True, help="a classifier: .pt2 or .onnx (required)"
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="names of its classes by index: .json or .txt (default: numbers)"
    )
    add_trust_pickle(parser)
    _add_method_options(parser.add_argument_group("what is explained, and how"))
    add_preprocessing_options(parser.add_argument_group("before the network"))
    _add_output_options(parser.add_argument_group("output"))


def _add_method_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--target",
        metavar="CLASS",
        help="class to explain, by name or index (default: what the classifier says)",
    )
    add(
        "--method",
        metavar="A,B",
        type=_method_list,
        default=_methods,
        help="cartoonx (wavelets), pixel, or both (default: cartoonx,pixel)",
    )
    add(
        "--lambdas",
        metavar="X,…",
        type=_numbers,
        default=_lambdas,
        help="prices of what is kept: the larger, the less is kept (default: 0.5,2,5,20,50)",
    )
    add(
        "--pixel-lambdas",
        metavar="X,…",
        type=_numbers,
        help="the same for pixels, as many (default: a fifth of --lambdas)",
    )
    add(
        "--preset",
        choices=["default", "published"],
        default="default",
        help="search as Wavelens does, or with the articles' schedule, which takes a hundred times longer "
        "(default: %(default)s)",
    )
    add("--steps", metavar="N", type=positive, help="steps of a search (default: the preset's)")
    add("--samples", metavar="N", type=positive, help="draws of noise in a step (default: the preset's)")
    add(
        "--noise",
        choices=["gaussian", "global", "zero", "blur", "mean"],
        default="gaussian",
        help="what takes the place of what is left out (default: %(default)s, with mean and deviation of each scale)",
    )
    add(
        "--distortion",
        choices=["relative", "probability", "l2", "kl", "maximize"],
        help="what has to stay: the probability of the class, relative to what it is on the image or as it is; the "
        "whole answer (l2, kl); maximize: as probable as can be (default: relative; with --preset published: "
        "probability)",
    )
    add("--wavelet", metavar="NAME", default="db3", help="as PyWavelets names it (default: %(default)s)")
    add(
        "--evaluate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure how far to trust the explanations, beside other methods (default: --evaluate)",
    )
    add("--seed", metavar="N", type=seed, default=0, help="seed of all random choices (default: %(default)s)")


def _add_output_options(group: Any) -> None:
    add = group.add_argument
    add("--out", metavar="DIR", type=Path, help="folder of the results (default: wavelens-explain-MODEL)")
    add("--force", action="store_true", help="replace an existing result (default: refuse)")
    add("--limit", metavar="N", type=positive, help="at most N images of each folder (default: all)")
    add("--batch", metavar="N", type=positive, help="images at a time (default: 8 photos, 32 small images)")
    add(
        "--memory",
        metavar="SIZE",
        type=_memory,
        help="most that a search keeps, such as 2GB (default: 512MB)",
    )
    add("--quiet", action="store_true", help="say nothing but errors (default: tell)")
    add("--threads", metavar="N", type=positive, help="threads of network and engine (default: all CPUs)")


def default_folder(model: str) -> Path:
    """Return where results go if nothing is said."""
    return Path(f"wavelens-explain-{stem(model, 'model')}")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < each < float("inf") for each in numbers):
        raise argparse.ArgumentTypeError(f"expected numbers above 0, such as 5,20,80, got {text!r}")
    return tuple(dict.fromkeys(numbers))


def _method_list(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    if not names or any(each not in _methods for each in names):
        raise argparse.ArgumentTypeError(f"expected cartoonx, pixel, or both with a comma, got {text!r}")
    return names


def _memory(text: str) -> int:
    from wavelens._bytes import parse_bytes

    try:
        return parse_bytes(text, "--memory")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected an amount such as 2GB or 500MB, got {text!r}") from error
