"""An `MMF` as an npz file with a JSON header. No pickle: loading runs no code of the file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from wavelens._archive import read_archive, write_archive
from wavelens.exceptions import DataError
from wavelens.hierarchy._mmf import MMF, _methods, _rotations

__all__ = ["load_mmf", "mmf_arrays", "restore_mmf", "save_mmf"]

_format = "wavelens.hierarchy.MMF"
_format_version = 1
_parts = ("tuples", "wavelets", "rotations", "level_errors", "core", "core_indices", "frequencies")


def save_mmf(factors: MMF, path: str | os.PathLike[str]) -> None:
    """Write the factorization; the file appears whole or not at all."""
    header = {"method": factors.method, "rotation": factors.rotation}
    write_archive(path, _format, _format_version, header, mmf_arrays(factors))


def load_mmf(path: str | os.PathLike[str]) -> MMF:
    """Read what `save_mmf` wrote."""
    header, arrays = read_archive(path, _format, _format_version, "MMF.save")
    try:
        return restore_mmf(header, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error


def mmf_arrays(factors: MMF) -> dict[str, Any]:
    """Return what is stored of a factorization, besides its method and rotation."""
    arrays: dict[str, Any] = {name: getattr(factors, name) for name in _parts}
    if factors.matrix is not None:
        arrays["matrix"] = factors.matrix
    return arrays


def restore_mmf(header: dict[str, Any], arrays: dict[str, Any]) -> MMF:
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
