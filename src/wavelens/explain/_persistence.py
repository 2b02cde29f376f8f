"""`Explanations` as an npz file with a JSON header. No pickle: loading runs no code of the file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from wavelens._utils._archive import read_archive, write_archive
from wavelens._utils._damaged_files import reading
from wavelens._utils._file_schema import (
    ArrayField,
    Floats,
    Indices,
    Integer,
    ListOf,
    Real,
    Record,
    Text,
    check_arrays,
    check_header,
    require,
)
from wavelens.explain._noise import NOISES
from wavelens.explain._results import Explanations

__all__ = ["load_explanations", "save_explanations"]

_format = "wavelens.explain.Explanations"
_format_version = 1
_words = ("method", "lam", "distortion", "gradient", "noise", "seed", "header")
_figures = (
    "probabilities",
    "rates",
    "distortions",
    "distortion_errors",
    "masked_probabilities",
    "objectives",
    "empty_distortions",
    "residuals",
    "residual_errors",
)
_arrays = ("images", "masks", "targets", "n_evaluations", *_figures)
_columns = ("lam", "distortion", "rate")
_unknown_without_gradient = ("residuals", "residual_errors")
_writer = "Explanations.save"
_side = Integer(low=1, high=2**20)
_header_schema = {
    "method": Text(choices=("cartoonx", "pixel_rde")),
    "lam": Real(low=0),
    "distortion": Text(),
    "gradient": Text(),
    "noise": Text(choices=NOISES),
    "seed": Integer(low=0, high=2**64 - 1),
    "header": Record(
        fields={
            "size": ListOf(item=_side, length=2),
            "wavelet": Text(optional=True),
            "level": Integer(low=1, high=64, optional=True),
            "mode": Text(optional=True),
        }
    ),
    "stopped": ListOf(item=Text()),
    "steps": ListOf(item=Integer(low=0, high=2**40)),
}
_schema: dict[str, ArrayField] = {
    "masks": Floats(("n", "k"), low=0, high=1, dtype=np.float32),
    "targets": Indices(("n",)),
    "n_evaluations": Indices(("n",)),
    "history": Floats(("steps", 3), dtype=np.float64, nan=True),
    **{name: Floats(("n",), dtype=np.float64, nan=True) for name in _figures},
}


def save_explanations(explanations: Explanations, path: str | os.PathLike[str]) -> None:
    """Write explanations; the file appears whole or not at all."""
    header = {
        "stopped": list(explanations.stopped),
        "steps": [len(each.get("lam", ())) for each in explanations.history],
        **{name: getattr(explanations, name) for name in _words},
    }
    rows = [np.stack([each[name] for name in _columns], axis=1) for each in explanations.history if each]
    arrays: dict[str, Any] = {
        "history": np.concatenate(rows) if rows else np.empty((0, len(_columns))),
        **{name: getattr(explanations, name) for name in _arrays},
    }
    write_archive(path, _format, _format_version, header, arrays)


def load_explanations(path: str | os.PathLike[str]) -> Explanations:
    """Read what `save_explanations` wrote."""
    header, arrays = read_archive(path, _format, _format_version, _writer)
    with reading(path, _writer):
        return _restore(path, check_header(header, _header_schema, path), arrays)


def _restore(path: object, header: dict[str, Any], arrays: dict[str, Any]) -> Explanations:
    """Make the object, refusing what could not have been written."""
    height, width = header["header"]["size"]
    images = arrays.get("images")
    channels = ("channels",) if images is not None and images.ndim == 4 else ()
    shapes: dict[str, ArrayField] = {
        "images": Floats(("n", "height", "width", *channels), low=0, high=1, dtype=np.float32)
    }
    found, sizes = check_arrays(arrays, shapes | _schema, path, {"height": height, "width": width})
    n = sizes["n"]
    failed = np.array([each.startswith("failed") for each in header["stopped"]], dtype=bool)
    steps = header["steps"]
    require(
        (
            (n >= 1, "the array 'images' is empty"),
            (len(failed) == n == len(steps), f"the header describes {len(failed)} images, and there are {n}"),
            (sum(steps) == len(found["history"]), f"the array 'history' must have {sum(steps)} rows"),
        ),
        path,
    )
    for name in _figures:
        if name not in _unknown_without_gradient:
            unknown = np.isnan(found[name]) & ~failed
            require(
                [(not unknown.any(), f"the array {name!r} is NaN for image {int(unknown.argmax())}")], path
            )
    parts = np.split(found["history"], np.cumsum(steps)[:-1])
    history = tuple(dict(zip(_columns, part.T, strict=True)) if len(part) else {} for part in parts)
    fields: dict[str, Any] = {name: found[name] for name in _arrays}
    explanations = Explanations(
        **fields,
        **{name: header[name] for name in _words},
        stopped=tuple(header["stopped"]),
        history=history,
    )
    k = explanations.basis.k
    require([(sizes["k"] == k, f"the array 'masks' must have {k} columns, got {sizes['k']}")], path)
    return explanations
