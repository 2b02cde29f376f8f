"""A fitted `PatternAnalysis` as an npz file with a JSON header. No pickle: loading runs no code of the file.

The left basis is not stored; it is the rows of UΣ, class by class, over σ. Of an analysis out of core, the left
factors are those of the classes' triangular factors, and are stored.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._utils._archive import read_archive, write_archive
from wavelens._utils._damaged_files import reading
from wavelens._utils._file_schema import (
    AnyOf,
    Booleans,
    Flag,
    Floats,
    Indices,
    Integer,
    Labels,
    ListOf,
    Real,
    Record,
    Text,
    check_arrays,
    check_header,
    require,
)
from wavelens.linalg import HOGSVD
from wavelens.patterns._basis import make_basis
from wavelens.patterns._options import FitOptions
from wavelens.patterns._result import FitResult

__all__ = ["gsvd_arrays", "gsvd_from_arrays", "left_arrays", "load_analysis", "save_analysis"]

_format = "wavelens.patterns.PatternAnalysis"
_format_version = 3
_writer = "PatternAnalysis.save"
# Of parameters that files of earlier versions do not have.
_defaults = {
    "basis": "wavelet",
    "rank": "full",
    "memory_limit": None,
    "pivoting": "sketch",
    "similarity_method": "auto",
}
_largest_image = 2**31
_solver_parts = ("scale", "pivots", "project", "triangle", "z")

_header_schema = {
    "image_shape": ListOf(item=Integer(low=1, high=2**20)),
    "bandwidth": Real(low=0),
    "parameters": Record(
        fields={
            "wavelet": Text(),
            "level": Integer(low=1, high=64, nullable=True),
            "mode": Text(),
            "n_coefficients": Integer(low=1, nullable=True),
            "ridge": Real(low=0),
            "normalization": Text(choices=("unit", "csd")),
            "weights": Text(choices=("size", "array"), nullable=True),
            "bandwidth": AnyOf(options=(Real(low=0), Text(choices=("median",)))),
            "random_state": Integer(low=0),
            "progress": Flag(nullable=True),
            "basis": Text(choices=("wavelet", "pixel"), optional=True),
            "rank": Text(choices=("full", "any"), optional=True),
            "memory_limit": AnyOf(options=(Integer(low=1), Text()), nullable=True, optional=True),
            "pivoting": Text(choices=("auto", "sketch", "full"), optional=True),
            "similarity_method": Text(choices=("auto", "exact", "landmarks", "features"), optional=True),
        }
    ),
}
_gsvd_schema = {
    "sigma": Floats(("n_classes", "rank"), low=0),
    "v": Floats(("m", "rank")),
    "tau": Floats(("rank",), low=0),
    "commonness": Floats(("rank",), low=0, high=1),
    "owner": Indices(("rank",), low=-1, below="n_classes"),
    "resolved": Booleans(("rank",)),
    "weights": Floats(("n_classes",), above=0, dtype=np.float64),
    "solver_project": Floats(("rows of solver_project", "columns of solver_project")),
}
_solver_schema = {
    "solver_scale": Floats(("m",), above=0),
    "solver_pivots": Indices(("n_pivots",), below="m", distinct=True),
    "solver_project": Floats(("m_projected", "rank_projected")),
    "solver_triangle": Floats(("rank", "rank")),
    "solver_z": Floats(("rank", "rank")),
}
_schema = {
    "classes": Labels(("n_classes",), ascending=True),
    "sigma": Floats(("n_classes", "rank"), low=0),
    "weights": Floats(("n_classes",), above=0, dtype=np.float64),
    "labels": Indices(("n_images",), below="n_classes"),
    "coefficients": Indices(("m",), below="n_coefficients of the basis", distinct=True),
    "v": Floats(("m", "rank")),
    "class_ranks": Indices(("n_classes",), optional=True),
    "embedding": Floats(("n_images", "rank")),
    "image_positions": Indices(("n_images",), ascending=True, optional=True),
    "class_pictures": Floats(("n_classes", "n_pictures", "n_coefficients of the basis"), optional=True),
}


def save_analysis(result: FitResult, parameters: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a result and the parameters of its estimator; the file appears whole or not at all."""
    if not isinstance(parameters["weights"], str | None):
        parameters = {**parameters, "weights": "array"}
    header = {"parameters": parameters, "image_shape": result.basis.shape, "bandwidth": result.bandwidth}
    arrays: dict[str, Any] = {
        "classes": result.classes,
        "labels": result.labels,
        "coefficients": result.columns,
        "class_ranks": result.ranks,
        "embedding": result.embedding,
        **gsvd_arrays(result.gsvd),
    }
    if result.class_pictures is not None:
        arrays["class_pictures"] = result.class_pictures
    if result.out_of_core is not None:
        # The left factors are those of triangular factors, and do not follow from the rows of UΣ.
        arrays |= left_arrays(result.gsvd)
        arrays["image_positions"] = result.positions
    write_archive(path, _format, _format_version, header, arrays)


def gsvd_arrays(gsvd: HOGSVD) -> dict[str, Any]:
    """Return a decomposition as arrays, without its left factors."""
    arrays: dict[str, Any] = {
        "sigma": gsvd.sigma,
        "v": gsvd.v,
        "tau": gsvd.tau,
        "commonness": gsvd.commonness,
        "owner": gsvd.owner,
        "resolved": gsvd.resolved,
        "weights": gsvd.weights,
    }
    for name, part in zip(_solver_parts, gsvd._solver, strict=True):
        arrays[f"solver_{name}"] = part
    return arrays


def left_arrays(gsvd: HOGSVD) -> dict[str, Any]:
    """Return the left factors as arrays."""
    return {f"u{i}": u for i, u in enumerate(gsvd.u)}


def gsvd_from_arrays(
    arrays: Mapping[str, npt.NDArray[Any]],
    left: Sequence[npt.NDArray[Any]] | None = None,
    *,
    path: object = "the decomposition",
) -> HOGSVD:
    """Return the decomposition that `gsvd_arrays` was called on; without `left`, with that of `left_arrays`.

    Raises
    ------
    DataError
        If an array is not what it could have been: the engine trusts the indices and shapes. It names `path`.
    """
    found, sizes = check_arrays(arrays, _gsvd_schema, path)
    n, m, rank = sizes["n_classes"], sizes["m"], sizes["rank"]
    projected = found["solver_project"].size > 0
    solver_sizes = {"m": m, "rank": rank, "n_pivots": 0 if projected else rank}
    solver_sizes |= (
        {"m_projected": m, "rank_projected": rank} if projected else {"m_projected": 0, "rank_projected": 0}
    )
    solver, _ = check_arrays(arrays, _solver_schema, path, solver_sizes)
    one_dtype = (
        "sigma",
        "v",
        "tau",
        "commonness",
        "solver_scale",
        "solver_project",
        "solver_triangle",
        "solver_z",
    )
    dtypes = {arrays[name].dtype.newbyteorder("=") for name in one_dtype}
    require(
        (
            (1 <= rank <= m, f"{rank} patterns of {m} coefficients"),
            (
                len(dtypes) == 1,
                f"the arrays of the decomposition have different dtypes: {sorted(map(str, dtypes))}",
            ),
            (
                bool(np.diagonal(solver["solver_triangle"]).all()),
                "the array 'solver_triangle' has a zero on its diagonal",
            ),
        ),
        path,
    )
    if left is None:
        schema = {f"u{i}": Floats((f"rows of u{i}", "rank")) for i in range(n)}
        parts, _ = check_arrays(arrays, schema, path, {"rank": rank})
        left = list(parts.values())
    return HOGSVD(
        u=tuple(left),
        sigma=found["sigma"],
        v=found["v"],
        tau=found["tau"],
        rank=rank,
        commonness=found["commonness"],
        owner=found["owner"],
        resolved=found["resolved"],
        weights=found["weights"],
        _solver=tuple(np.asfortranarray(solver[f"solver_{name}"]) for name in _solver_parts),
    )


def load_analysis(path: str | os.PathLike[str]) -> tuple[dict[str, Any], FitResult]:
    """Return the estimator's parameters and the result that `save_analysis` wrote.

    Raises
    ------
    DataError
        If the file is damaged, something else, or of a newer format.
    """
    header, arrays = read_archive(path, _format, _format_version, _writer, _left_on_disk)
    with reading(path, _writer):
        return _restore(path, check_header(header, _header_schema, path), arrays)


def _left_on_disk(names: Collection[str]) -> Collection[str]:
    """Leave the rows of UΣ where they lie if they were too many for memory when they were found."""
    return ("embedding",) if "image_positions" in names else ()


def _restore(
    path: object, header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
) -> tuple[dict[str, Any], FitResult]:
    parameters = dict(header["parameters"])
    if parameters["weights"] == "array":
        parameters["weights"] = arrays["weights"]
    if parameters.get("pivoting") == "auto":  # as it was called before version 3
        parameters["pivoting"] = "sketch" if "image_positions" in arrays else "full"
    options = FitOptions.checked({**_defaults, **parameters})
    shape = tuple(header["image_shape"])
    require([(math.prod(shape) < _largest_image, f"the header's 'image_shape' is {shape}, too large")], path)
    basis = make_basis(shape, options.basis, options.wavelet, options.level, options.mode)
    sizes = {"n_coefficients of the basis": basis.n_coefficients}
    found, sizes = check_arrays(arrays, _schema, path, sizes)
    n_classes, m = sizes["n_classes"], sizes["m"]
    counts = np.bincount(found["labels"], minlength=n_classes)
    require(
        (
            (n_classes >= 2, f"the array 'classes' must name at least 2 classes, got {n_classes}"),
            (bool(counts.all()), f"the array 'labels' has no image of class {int(counts.argmin())}"),
            (
                found["embedding"].dtype == found["sigma"].dtype or "image_positions" in found,
                "the arrays 'embedding' and 'sigma' have different dtypes",
            ),
        ),
        path,
    )
    # Files of version 1 know only the wavelet basis and classes of full rank.
    ranks = found.get("class_ranks", np.full(n_classes, m, dtype=np.intp))
    require([(bool((ranks <= m).all()), f"a rank in 'class_ranks' is above {m}")], path)
    labels, embedding = found["labels"], found["embedding"]
    left: list[npt.NDArray[Any]] | None = None
    if "u0" not in arrays:
        sigma, weights = found["sigma"], found["weights"]
        left = []
        for i in range(n_classes):
            scaled = embedding[labels == i] * weights[i].astype(sigma.dtype)
            left.append(np.divide(scaled, sigma[i], out=np.zeros_like(scaled), where=sigma[i] > 0))
    return parameters, FitResult(
        options=options,
        classes=found["classes"],
        labels=labels,
        positions=found.get("image_positions", np.arange(len(labels), dtype=np.intp)),
        basis=basis,
        columns=found["coefficients"],
        ranks=ranks,
        gsvd=gsvd_from_arrays(arrays, left, path=path),
        embedding=embedding,
        bandwidth=header["bandwidth"],
        class_pictures=found.get("class_pictures"),
    )
