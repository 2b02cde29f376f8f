"""A fitted `PatternAnalysis` as an npz file with a JSON header. No pickle: loading runs no code of the file.

The left basis is not stored; it is the rows of UΣ, class by class, over σ. Of an analysis out of core, the left
factors are those of the classes' triangular factors, and are stored.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._archive import read_archive, write_archive
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD
from wavelens.patterns._basis import make_basis
from wavelens.patterns._options import FitOptions
from wavelens.patterns._result import FitResult

__all__ = ["gsvd_arrays", "gsvd_from_arrays", "left_arrays", "load_analysis", "save_analysis"]

_format = "wavelens.patterns.PatternAnalysis"
_format_version = 3
_solver_parts = ("scale", "pivots", "project", "triangle", "z")


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
    arrays: dict[str, npt.NDArray[Any]], left: Sequence[npt.NDArray[Any]] | None = None
) -> HOGSVD:
    """Return the decomposition that `gsvd_arrays` was called on; without `left`, with that of `left_arrays`."""
    if left is None:
        left = [arrays[f"u{i}"] for i in range(len(arrays["sigma"]))]
    return HOGSVD(
        u=tuple(left),
        sigma=arrays["sigma"],
        v=arrays["v"],
        tau=arrays["tau"],
        rank=arrays["sigma"].shape[1],
        commonness=arrays["commonness"],
        owner=arrays["owner"],
        resolved=arrays["resolved"],
        weights=arrays["weights"],
        _solver=tuple(arrays[f"solver_{name}"] for name in _solver_parts),
    )


def load_analysis(path: str | os.PathLike[str]) -> tuple[dict[str, Any], FitResult]:
    """Return the estimator's parameters and the result that `save_analysis` wrote.

    Raises
    ------
    DataError
        If the file is damaged, something else, or of a newer format.
    """
    header, arrays = read_archive(path, _format, _format_version, "PatternAnalysis.save", _left_on_disk)
    try:
        return _restore(header, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error


def _left_on_disk(names: Collection[str]) -> Collection[str]:
    """Leave the rows of UΣ where they lie if they were too many for memory when they were found."""
    return ("embedding",) if "image_positions" in names else ()


def _restore(header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> tuple[dict[str, Any], FitResult]:
    parameters = dict(header["parameters"])
    if parameters["weights"] == "array":
        parameters["weights"] = arrays["weights"]
    if parameters.get("pivoting") == "auto":  # as it was called before version 3
        parameters["pivoting"] = "sketch" if "image_positions" in arrays else "full"
    options = FitOptions.checked(parameters)
    shape = tuple(header["image_shape"])
    columns, labels, classes = arrays["coefficients"], arrays["labels"], arrays["classes"]
    embedding = arrays["embedding"]
    left: list[npt.NDArray[Any]] | None = None
    if "u0" not in arrays:
        sigma, weights = arrays["sigma"], arrays["weights"]
        left = []
        for i in range(len(sigma)):
            scaled = embedding[labels == i] * weights[i].astype(sigma.dtype)
            left.append(np.divide(scaled, sigma[i], out=np.zeros_like(scaled), where=sigma[i] > 0))
    return parameters, FitResult(
        options=options,
        classes=classes,
        labels=labels,
        positions=arrays.get("image_positions", np.arange(len(labels), dtype=np.intp)),
        basis=make_basis(shape, options.basis, options.wavelet, options.level, options.mode),
        columns=columns,
        # Files of version 1 know only the wavelet basis and classes of full rank.
        ranks=arrays.get("class_ranks", np.full(len(classes), len(columns), dtype=np.intp)),
        gsvd=gsvd_from_arrays(arrays, left),
        embedding=embedding,
        bandwidth=float(header["bandwidth"]),
        class_pictures=arrays.get("class_pictures"),
    )
