"""Options of ``wavelens analyze`` that test the association between patterns and classes."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_association_options"]

_default_splits = 5


def add_association_options(group: Any) -> None:
    """Add the options to the parser."""
    add = group.add_argument
    add(
        "--permutations",
        metavar="N",
        type=_count,
        default=50,
        help="shuffle the labels N times to see whether patterns are tied to classes; 0 leaves it out. One takes "
        "about 0.2 s for 1,200 patterns, 5 s for a million images (default: %(default)s)",
    )
    add(
        "--groups",
        metavar="SPEC",
        help="images that belong together, such as those of a patient: FILE.csv or FILE.csv:COLUMN, or a "
        "regular expression on file names whose first parentheses hold the group (default: none)",
    )
    add(
        "--held-out",
        metavar="K",
        type=_splits,
        help="score held-out images in K splits, each a fit of its own; no group is on both sides of one; 0 "
        f"leaves it out (default: {_default_splits} with --groups, else 0)",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, got {text!r}")
    return int(text)


def _splits(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"expected 0, or a whole number from 2 on, got {text!r}")
    return int(text)
