"""A fitted `PatternAnalysis` as an npz file with a JSON header. No pickle: loading runs no code of the file.

The left basis is not stored; it is the rows of UΣ, class by class, over σ. Of an analysis out of core, the left
factors are those of the classes' triangular factors, and are stored.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from wavelens._archive import read_archive, write_archive
from wavelens.exceptions import DataError
from wavelens.linalg import HOGSVD
from wavelens.patterns._coefficients import make_basis

if TYPE_CHECKING:
    from wavelens.patterns._analysis import PatternAnalysis

__all__ = ["gsvd_arrays", "gsvd_from_arrays", "left_arrays", "load_analysis", "save_analysis"]

_Analysis = TypeVar("_Analysis", bound="PatternAnalysis")

_format = "wavelens.patterns.PatternAnalysis"
_format_version = 2
_solver_parts = ("scale", "pivots", "project", "triangle", "z")


def save_analysis(analysis: PatternAnalysis, path: str | os.PathLike[str]) -> None:
    """Write the analysis; the file appears whole or not at all."""
    parameters = analysis.get_params()
    if not isinstance(analysis.weights, str | None):
        parameters["weights"] = "array"
    header = {
        "parameters": parameters,
        "image_shape": analysis.basis_.shape,
        "bandwidth": analysis.bandwidth_,
    }
    arrays: dict[str, Any] = {
        "classes": analysis.classes_,
        "labels": analysis.labels_,
        "coefficients": analysis.coefficients_,
        "class_ranks": analysis.class_ranks_,
        "embedding": analysis.embedding_,
        **gsvd_arrays(analysis.gsvd_),
    }
    if analysis.out_of_core_ is not None:
        # The left factors are those of triangular factors, and do not follow from the rows of UΣ.
        arrays |= left_arrays(analysis.gsvd_)
        arrays["image_positions"] = analysis.image_positions_
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


def load_analysis(path: str | os.PathLike[str], make: type[_Analysis]) -> _Analysis:
    """Read what `save_analysis` wrote."""
    header, arrays = read_archive(path, _format, _format_version, "PatternAnalysis.save", _left_on_disk)
    try:
        return _restore(header, arrays, make)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{path} is damaged: {error!r}") from error


def _left_on_disk(names: Collection[str]) -> Collection[str]:
    """Leave the rows of UΣ where they lie if they were too many for memory when they were found."""
    return ("embedding",) if "image_positions" in names else ()


def _restore(header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], make: type[_Analysis]) -> _Analysis:
    parameters = header["parameters"]
    if parameters["weights"] == "array":
        parameters["weights"] = arrays["weights"]
    analysis = make(**parameters)
    shape = tuple(header["image_shape"])
    analysis.basis_ = make_basis(shape, analysis.basis, analysis.wavelet, analysis.level, analysis.mode)
    analysis.n_features_in_ = int(np.prod(shape))
    analysis.classes_ = arrays["classes"]
    analysis.labels_ = arrays["labels"]
    analysis.coefficients_ = arrays["coefficients"]
    # Files of version 1 know only the wavelet basis and classes of full rank.
    full = np.full(len(analysis.classes_), len(analysis.coefficients_), dtype=np.intp)
    analysis.class_ranks_ = arrays.get("class_ranks", full)
    analysis.embedding_ = arrays["embedding"]
    analysis.bandwidth_ = float(header["bandwidth"])
    analysis.out_of_core_, analysis.sampled_from_ = None, None
    left: list[npt.NDArray[Any]] | None = None
    everyone = np.arange(len(analysis.labels_), dtype=np.intp)
    analysis.image_positions_ = arrays.get("image_positions", everyone)
    if "u0" not in arrays:
        sigma, weights = arrays["sigma"], arrays["weights"]
        left = []
        for i in range(len(sigma)):
            scaled = analysis.embedding_[analysis.labels_ == i] * weights[i].astype(sigma.dtype)
            left.append(np.divide(scaled, sigma[i], out=np.zeros_like(scaled), where=sigma[i] > 0))
    analysis.gsvd_ = gsvd_from_arrays(arrays, left)
    analysis.sigma_ = analysis.gsvd_.sigma
    analysis._class_similarity = None
    return analysis
