"""`Explanations` as an npz file with a JSON header. No pickle: loading runs no code of the file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from wavelens._archive import read_archive, write_archive
from wavelens.exceptions import DataError
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
    header, arrays = read_archive(path, _format, _format_version, "Explanations.save")
    try:
        return _restore(header, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error


def _restore(header: dict[str, Any], arrays: dict[str, Any]) -> Explanations:
    """Make the object, refusing what could not have been written."""
    if header["method"] not in ("cartoonx", "pixel_rde") or header["noise"] not in NOISES:
        raise ValueError("unknown method or noise")
    images = arrays["images"]
    n = len(images)
    if images.ndim not in (3, 4) or list(images.shape[1:3]) != header["header"]["size"]:
        raise ValueError("images of another size")
    kinds = {"images": np.float32, "masks": np.float32, "targets": np.intp, "n_evaluations": np.intp}
    fields = {name: arrays[name].astype(kinds.get(name, np.float64), copy=False) for name in _arrays}
    if any(len(each) != n for each in fields.values()) or len(header["stopped"]) != n:
        raise ValueError("arrays of different lengths")
    ends = np.cumsum(header["steps"])
    parts = np.split(arrays["history"], ends[:-1]) if n else []
    history = tuple(dict(zip(_columns, part.T, strict=True)) if len(part) else {} for part in parts)
    found = Explanations(
        **fields,
        **{name: header[name] for name in _words},
        stopped=tuple(header["stopped"]),
        history=history,
    )
    if fields["masks"].shape != (n, found.basis.k):
        raise ValueError("masks of another length")
    return found
