"""What a fit finds, wherever its images were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wavelens._arguments import FloatArray
from wavelens.linalg import HOGSVD
from wavelens.patterns._coefficients import Basis

__all__ = ["Fit", "OutOfCore"]


@dataclass(frozen=True)
class OutOfCore:
    """How a fit went that read its images in chunks.

    Attributes
    ----------
    work_dir : Path or None
        Where the rows of UΣ lie; None if they go with the analysis.
    chunk : int
        Images at a time.
    planned_memory : int
        Bytes that the process, or a worker for each of its threads, was planned to take at its peak.
    n_read, n_left_out : int
        Images read, and those that could not be.
    cached : bool
        Whether the chosen coefficients were kept on disk between the passes.
    seconds : mapping of str to float
        Of each pass, as far as this process ran it.
    workers : int
        Workers of the cluster when the fit ended; 0 where this machine did it alone.
    """

    work_dir: Path | None
    chunk: int
    planned_memory: int
    n_read: int
    n_left_out: int
    cached: bool
    seconds: Mapping[str, float]
    workers: int = 0


@dataclass(frozen=True, eq=False)
class Fit:
    """What `PatternAnalysis` takes over: its attributes, by the names without an underscore."""

    basis: Basis
    labels: npt.NDArray[np.intp]
    positions: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    ranks: npt.NDArray[np.intp]
    gsvd: HOGSVD
    embedding: FloatArray
    bandwidth: float
    about: OutOfCore | None = None
