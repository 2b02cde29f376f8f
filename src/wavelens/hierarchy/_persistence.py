"""An `MMF` as an npz file with a JSON header. No pickle: loading runs no code of the file."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from wavelens import _core
from wavelens.exceptions import DataError
from wavelens.hierarchy._mmf import MMF, _methods, _rotations

__all__ = ["load_mmf", "save_mmf"]

_format = "wavelens.hierarchy.MMF"
_format_version = 1
_parts = ("tuples", "wavelets", "rotations", "level_errors", "core", "core_indices", "frequencies")


def save_mmf(factors: MMF, path: str | os.PathLike[str]) -> None:
    """Write the factorization; the file appears whole or not at all."""
    header = {
        "format": _format,
        "format_version": _format_version,
        "wavelens_version": _core.version,
        "method": factors.method,
        "rotation": factors.rotation,
    }
    arrays: dict[str, Any] = {"header": np.array(json.dumps(header))}
    arrays |= {name: getattr(factors, name) for name in _parts}
    if factors.matrix is not None:
        arrays["matrix"] = factors.matrix
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load_mmf(path: str | os.PathLike[str]) -> MMF:
    """Read what `save_mmf` wrote."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(str(arrays.pop("header")[()]))
        found = header["format"], header["format_version"]
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged or was not written by MMF.save: {error}") from error
    if found[0] != _format:
        raise DataError(f"{path} holds a {found[0]}, expected a {_format}")
    if found[1] > _format_version:
        raise DataError(
            f"{path} has format version {found[1]}, written by wavelens {header.get('wavelens_version')}; "
            f"this wavelens {_core.version} reads up to version {_format_version}"
        )
    try:
        return _restore(header, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error


def _restore(header: dict[str, Any], arrays: dict[str, Any]) -> MMF:
    """Make the object, refusing what could not have been written: the engine trusts its indices."""
    if header["method"] not in _methods or header["rotation"] not in _rotations:
        raise ValueError("unknown method or rotation")
    integers = {"tuples", "wavelets", "core_indices"}
    for name in (*_parts, *(["matrix"] if "matrix" in arrays else [])):
        arrays[name] = np.ascontiguousarray(arrays[name], dtype=np.intp if name in integers else np.float64)
        arrays[name].setflags(write=False)
    levels, order = arrays["tuples"].shape
    size = len(arrays["core_indices"])
    m = levels + size
    shapes = {
        "wavelets": (levels,),
        "rotations": (levels, order, order),
        "level_errors": (levels,),
        "core": (size, size),
        "core_indices": (size,),
        "frequencies": (levels,),
        "matrix": (m, m),
    }
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, expected {shape}")
    everything = np.sort(np.concatenate([arrays["wavelets"], arrays["core_indices"]]))
    tuples = arrays["tuples"]
    if not np.array_equal(everything, np.arange(m)) or (
        tuples.size and (tuples.min() < 0 or tuples.max() >= m or (np.diff(tuples, axis=1) <= 0).any())
    ):
        raise ValueError("indices out of range")
    return MMF(
        **{name: arrays[name] for name in _parts},
        method=header["method"],
        rotation=header["rotation"],
        matrix=arrays.get("matrix"),
    )
