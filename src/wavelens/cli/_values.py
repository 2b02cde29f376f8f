"""What the text of an option means, where several commands have it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

__all__ = ["positive", "seed", "size", "stem"]


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """Parse a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Parse a height and width in pixels."""
    match = re.fullmatch(r"(\d+)\s*[x×X]\s*(\d+)", text)
    if not match or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in pixels, such as 91x90, got {text!r}")
    return int(match[1]), int(match[2])


def stem(source: str | Path, otherwise: str) -> str:
    """Return a source's name without its ending, as a part of the name of a file; `otherwise` if it has none."""
    for path in (Path(source), Path(source).resolve()):
        name = re.sub(r"[^\w.-]+", "-", path.stem).strip("-.")
        if name:
            return name
    return otherwise
