"""A fitted `ClassHierarchy` as an npz file with a JSON header. No pickle: loading runs no code of the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from wavelens._utils._archive import read_archive, write_archive
from wavelens._utils._damaged_files import reading
from wavelens._utils._file_schema import (
    Flag,
    Floats,
    Indices,
    Integer,
    Labels,
    Record,
    Text,
    check_arrays,
    check_header,
    require,
)
from wavelens.hierarchy._class_covariance import covariance_of
from wavelens.hierarchy._class_means import ClassMeans
from wavelens.hierarchy._mmf import _methods, _rotations
from wavelens.hierarchy._persistence import mmf_arrays, restore_mmf

if TYPE_CHECKING:
    from wavelens.hierarchy._class_hierarchy import ClassHierarchy

__all__ = ["load_hierarchy", "save_hierarchy"]

_Hierarchy = TypeVar("_Hierarchy", bound="ClassHierarchy")

_format = "wavelens.hierarchy.ClassHierarchy"
_format_version = 1
_writer = "ClassHierarchy.save"
_of_mmf = "mmf_"
_header_schema = {
    "parameters": Record(
        fields={
            "order": Integer(low=2),
            "n_levels": Integer(low=0, nullable=True),
            "core_size": Integer(low=1, nullable=True),
            "method": Text(choices=_methods),
            "rotation": Text(choices=_rotations),
            "center": Flag(),
            "correlation": Flag(),
            "random_state": Integer(low=0, nullable=True),
        }
    ),
    "mmf": Record(optional=True),
}
_schema = {
    "classes": Labels(("n_classes",)),
    "counts": Indices(("n_classes",), low=1),
    "sums": Floats(("n_classes", "n_features"), dtype=np.float64),
}


def save_hierarchy(hierarchy: ClassHierarchy, path: str | os.PathLike[str]) -> None:
    """Write the hierarchy; the file appears whole or not at all."""
    means = hierarchy._means
    header: dict[str, Any] = {
        "parameters": {name: _plain(value) for name, value in hierarchy.get_params().items()}
    }
    arrays: dict[str, Any] = {"classes": means.classes, "counts": means.counts, "sums": means.sums}
    if hasattr(hierarchy, "mmf_"):
        factors = hierarchy.mmf_
        header["mmf"] = {"method": factors.method, "rotation": factors.rotation}
        header["center"] = hierarchy.covariance_.center
        header["correlation"] = hierarchy.covariance_.correlation
        arrays |= {_of_mmf + name: array for name, array in mmf_arrays(factors).items()}
    write_archive(path, _format, _format_version, header, arrays)


def load_hierarchy(path: str | os.PathLike[str], make: type[_Hierarchy]) -> _Hierarchy:
    """Read what `save_hierarchy` wrote."""
    header, arrays = read_archive(path, _format, _format_version, _writer)
    with reading(path, _writer):
        return _restore(path, check_header(header, _header_schema, path), arrays, make)


def _restore(
    path: object, header: dict[str, Any], arrays: dict[str, Any], make: type[_Hierarchy]
) -> _Hierarchy:
    hierarchy = make(**header["parameters"])
    found, sizes = check_arrays(arrays, _schema, path)
    n = sizes["n_classes"]
    require(
        (
            (n >= 1, "the array 'classes' is empty"),
            (sizes["n_features"] >= 1, "the array 'sums' has no column"),
            (len(set(found["classes"].tolist())) == n, "the array 'classes' names a class twice"),
            (int(found["counts"].max(initial=0)) < 2**53 // max(n, 1), "the array 'counts' is too large"),
        ),
        path,
    )
    means = ClassMeans()
    means.classes, means.counts, means.sums = found["classes"], found["counts"], found["sums"]
    if "mmf" not in header:
        return hierarchy._set(means, None, None)
    flags = check_header(header, {"center": Flag(), "correlation": Flag()}, path)
    covariance = covariance_of(means, center=flags["center"], correlation=flags["correlation"])
    parts = {name.removeprefix(_of_mmf): arrays[name] for name in arrays if name.startswith(_of_mmf)}
    factors = restore_mmf(header["mmf"], parts, path)
    require(
        (
            (factors.shape[0] == n, f"a factorization of {factors.shape[0]} rows for {n} classes"),
            (factors.matrix is not None, "the array 'mmf_matrix' is missing"),
        ),
        path,
    )
    return hierarchy._set(means, covariance, factors)


def _plain(value: object) -> object:
    """Return a NumPy number as Python's, for JSON."""
    return value.item() if isinstance(value, np.generic) else value
