"""An `MMF` as an npz file with a JSON header. No pickle: loading runs no code of the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from wavelens._utils._archive import read_archive, write_archive
from wavelens._utils._damaged_files import reading
from wavelens._utils._file_schema import Floats, Indices, Text, check_arrays, check_header, require
from wavelens.hierarchy._mmf import MMF, _methods, _rotations

__all__ = ["load_mmf", "mmf_arrays", "restore_mmf", "save_mmf"]

_format = "wavelens.hierarchy.MMF"
_format_version = 1
_writer = "MMF.save"
_orthogonal_to = 1e-6
_header_schema = {"method": Text(choices=_methods), "rotation": Text(choices=_rotations)}
_schema = {
    "tuples": Indices(("levels", "order")),
    "rotations": Floats(("levels", "order", "order"), dtype=np.float64),
    "level_errors": Floats(("levels",), dtype=np.float64),
    "core": Floats(("core", "core"), dtype=np.float64),
    "frequencies": Floats(("levels",), dtype=np.float64),
    "core_indices": Indices(("core",)),
}
_sized_schema = {
    "tuples": Indices(("levels", "order"), below="m", ascending=True),
    "wavelets": Indices(("levels",), below="m"),
    "core_indices": Indices(("core",), below="m"),
    "matrix": Floats(("m", "m"), dtype=np.float64, optional=True),
}
_parts = ("tuples", "wavelets", "rotations", "level_errors", "core", "core_indices", "frequencies")


def save_mmf(factors: MMF, path: str | os.PathLike[str]) -> None:
    """Write the factorization; the file appears whole or not at all."""
    header = {"method": factors.method, "rotation": factors.rotation}
    write_archive(path, _format, _format_version, header, mmf_arrays(factors))


def load_mmf(path: str | os.PathLike[str]) -> MMF:
    """Read what `save_mmf` wrote."""
    header, arrays = read_archive(path, _format, _format_version, _writer)
    with reading(path, _writer):
        return restore_mmf(header, arrays, path)


def mmf_arrays(factors: MMF) -> dict[str, Any]:
    """Return what is stored of a factorization, besides its method and rotation."""
    arrays: dict[str, Any] = {name: getattr(factors, name) for name in _parts}
    if factors.matrix is not None:
        arrays["matrix"] = factors.matrix
    return arrays


def restore_mmf(header: Any, arrays: Mapping[str, Any], path: object) -> MMF:
    """Make the object, refusing what could not have been written: the engine trusts its indices.

    Raises
    ------
    DataError
        If something is wrong; names `path` and the array.
    """
    described = check_header(header, _header_schema, path)
    found, sizes = check_arrays(arrays, _schema, path)
    levels, size, order = sizes["levels"], sizes["core"], sizes["order"]
    m = levels + size
    found |= check_arrays(arrays, _sized_schema, path, {"levels": levels, "order": order, "m": m})[0]
    tuples, wavelets = found["tuples"], found["wavelets"]
    retired_at = np.full(m, levels)
    retired_at[wavelets] = np.arange(levels)
    everything = np.sort(np.concatenate([wavelets, found["core_indices"]]))
    rotations = found["rotations"]
    with np.errstate(over="ignore", invalid="ignore"):
        products = rotations @ rotations.transpose(0, 2, 1)
    require(
        (
            (m >= 1, "there is no row"),
            (
                np.array_equal(everything, np.arange(m)),
                f"the arrays 'wavelets' and 'core_indices' must hold each index from 0 to {m - 1} once",
            ),
            (
                bool((tuples == wavelets[:, None]).any(axis=1).all()),
                "the array 'wavelets' must name a member of each tuple",
            ),
            (
                bool((retired_at[tuples] >= np.arange(levels)[:, None]).all()),
                "the array 'tuples' names a wavelet of an earlier level",
            ),
            (
                bool((np.abs(products - np.eye(order)) < _orthogonal_to).all()),
                "the array 'rotations' must hold orthogonal matrices",
            ),
        ),
        path,
    )
    for array in found.values():
        array.setflags(write=False)
    return MMF(
        **{name: found[name] for name in _parts},
        method=described["method"],
        rotation=described["rotation"],
        matrix=found.get("matrix"),
    )
