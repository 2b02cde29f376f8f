"""Weights of a ``.onnx`` file that lie in other files: only in the same folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from wavelens.models._onnx_file import fields_of

__all__ = ["check_external_weights"]

# Where messages lie in one another, by their field numbers in onnx.proto.
_inside: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


def check_external_weights(model: bytes | memoryview, folder: Path) -> None:
    """Refuse a model whose weights lie outside the folder of its file.

    Parameters
    ----------
    model : bytes-like
        The whole file.
    folder : Path
        Where the file lies.

    Raises
    ------
    ValueError
        Naming the path; or if this is no such message.
    """
    root = os.path.realpath(folder)
    for location in _locations(memoryview(model)):
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        absolute = location.startswith(("/", "\\")) or PureWindowsPath(location).drive
        inside = os.path.realpath(os.path.join(root, location))
        if absolute or ".." in parts or os.path.commonpath([root, inside]) != root:
            raise ValueError(
                f"its weights are in {location!r}, outside the folder of the file; put all files of the network into "
                "one folder"
            )


def _locations(model: memoryview) -> Iterator[str]:
    """Give the paths of files that tensors name."""
    waiting: list[tuple[str, Any]] = [("model", model)]
    while waiting:
        kind, message = waiting.pop()
        if kind == "entry":
            pair = {
                number: bytes(value) for number, value in fields_of(message) if not isinstance(value, int)
            }
            if pair.get(1) == b"location":
                yield os.fsdecode(pair.get(2, b""))
            continue
        for number, value in fields_of(message):
            inside = _inside[kind].get(number)
            if inside is not None and not isinstance(value, int):
                waiting.append((inside, value))
