"""Wavelens shows what an image dataset, and a network trained on it, are made of.

Nothing heavy is imported until it is used: the compiled engine loads with the first sub-package.

====================== ========================================================================
`wavelens.patterns`    what a labelled image dataset is made of, and which patterns belong to which class
`wavelens.hierarchy`   how classes relate inside a deep representation: multiresolution matrix factorization
`wavelens.explain`     which part of an image made a classifier say so: CartoonX and pixel masks
`wavelens.spaces`      what a layer's weights keep, reject and want: fundamental spaces, inverse maps, ideal inputs
`wavelens.quality`     duplicates, doubtful labels, empty images, and leaks of the class through the files
`wavelens.linalg`      pivoted QR, higher-order GSVD, pairwise distances
`wavelens.models`      features of trained networks: torch modules, `.pt2` and `.onnx` files
`wavelens.wavelets`    the batched two-dimensional wavelet transform
`wavelens.data`        images and labels from folders, files and arrays
`wavelens.distributed` chunks of images on the workers of a Dask cluster (extra ``[dask]``)
`wavelens.plotting`    figures
`wavelens.report`      the report as one HTML page
`wavelens.workflows`   one function for each command: `analyze`, `check` (both also here), `explain`, …
====================== ========================================================================
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wavelens.exceptions import DataError, ModelError, WavelensError, WavelensWarning

if TYPE_CHECKING:
    from wavelens import (
        data,
        explain,
        hierarchy,
        linalg,
        models,
        patterns,
        plotting,
        quality,
        report,
        spaces,
        wavelets,
        workflows,
    )
    from wavelens._build_info import build_info
    from wavelens._threads import num_threads, set_num_threads
    from wavelens.workflows import analyze, check

__all__ = [
    "DataError",
    "ModelError",
    "WavelensError",
    "WavelensWarning",
    "analyze",
    "build_info",
    "check",
    "data",
    "explain",
    "hierarchy",
    "linalg",
    "models",
    "num_threads",
    "patterns",
    "plotting",
    "quality",
    "report",
    "set_num_threads",
    "spaces",
    "wavelets",
    "workflows",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())

_submodules = (
    "data",
    "distributed",
    "explain",
    "hierarchy",
    "linalg",
    "models",
    "patterns",
    "plotting",
    "quality",
    "report",
    "spaces",
    "wavelets",
    "workflows",
)
_functions = {
    "analyze": "wavelens.workflows",
    "check": "wavelens.workflows",
    "build_info": "wavelens._build_info",
    "num_threads": "wavelens._threads",
    "set_num_threads": "wavelens._threads",
}


def __getattr__(name: str) -> Any:
    if name in _submodules:
        return import_module(f"wavelens.{name}")
    if name in _functions:
        return getattr(import_module(_functions[name]), name)
    if name == "__version__":
        return import_module("wavelens._core").version
    raise AttributeError(f"module 'wavelens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
