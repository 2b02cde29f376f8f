"""A fitted `ClassHierarchy` as an npz file with a JSON header. No pickle: loading runs no code of the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from wavelens._archive import read_archive, write_archive
from wavelens.exceptions import DataError
from wavelens.hierarchy._class_covariance import covariance_of
from wavelens.hierarchy._class_means import ClassMeans
from wavelens.hierarchy._persistence import mmf_arrays, restore_mmf

if TYPE_CHECKING:
    from wavelens.hierarchy._class_hierarchy import ClassHierarchy

__all__ = ["load_hierarchy", "save_hierarchy"]

_Hierarchy = TypeVar("_Hierarchy", bound="ClassHierarchy")

_format = "wavelens.hierarchy.ClassHierarchy"
_format_version = 1
_of_mmf = "mmf_"


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
    header, arrays = read_archive(path, _format, _format_version, "ClassHierarchy.save")
    try:
        hierarchy = make(**header["parameters"])
        means = ClassMeans()
        means.classes = arrays["classes"]
        means.counts = arrays["counts"].astype(np.intp)
        means.sums = arrays["sums"].astype(np.float64)
        n = len(means.classes)
        if means.classes.ndim != 1 or means.counts.shape != (n,) or means.sums.shape[:1] != (n,) or not n:
            raise ValueError("classes, counts and sums do not fit together")
        if means.sums.ndim != 2 or means.counts.min() < 1:
            raise ValueError("counts or sums are out of range")
        if "mmf" not in header:
            return hierarchy._set(means, None, None)
        covariance = covariance_of(means, center=header["center"], correlation=header["correlation"])
        parts = {name.removeprefix(_of_mmf): arrays[name] for name in arrays if name.startswith(_of_mmf)}
        factors = restore_mmf(header["mmf"], parts)
        if factors.shape[0] != n or factors.matrix is None:
            raise ValueError(f"a factorization of {factors.shape[0]} rows for {n} classes")
        return hierarchy._set(means, covariance, factors)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error


def _plain(value: object) -> object:
    """Return a NumPy number as Python's, for JSON."""
    return value.item() if isinstance(value, np.generic) else value
