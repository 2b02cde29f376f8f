"""Results of searches, filled group by group of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.exceptions import DataError
from wavelens.explain._report import Report
from wavelens.explain._search import Found

__all__ = ["Gathered"]

Doubles = npt.NDArray[np.float64]


class Gathered:
    """Results of all images at one λ, filled group by group; what is not filled had no answer to begin with."""

    def __init__(self, n: int, k: int) -> None:
        self.masks = np.zeros((n, k), dtype=np.float32)
        self.figures = {name: np.full(n, np.nan) for name in Report.names}
        self.stopped = ["failed: the model returned NaN or infinity for the image itself"] * n
        self.history: list[dict[str, Doubles]] = [{} for _ in range(n)]
        self.n_evaluations = np.zeros(n, dtype=np.intp)

    def store(
        self,
        rows: npt.NDArray[np.intp],
        found: Found,
        figures: Report | None,
        used: npt.NDArray[np.intp],
    ) -> None:
        """Take in some images; `figures` is None where they were not judged."""
        self.masks[rows] = found.masks
        self.n_evaluations[rows] = used
        for name in Report.names:
            if figures is not None:
                self.figures[name][rows] = getattr(figures, name)
        for i, row in enumerate(rows):
            self.stopped[row] = found.stopped[i]
            self.history[row] = found.history[i]

    def fields(self) -> dict[str, Any]:
        """Return what `Explanations` wants; raises `DataError` where there is no image left."""
        if all(each.startswith("failed") for each in self.stopped):
            raise DataError(f"no image could be explained; the first one {self.stopped[0]}")
        return {
            "masks": self.masks,
            "rates": self.masks.mean(axis=1, dtype=np.float64),
            "stopped": tuple(self.stopped),
            "history": tuple(self.history),
            "n_evaluations": self.n_evaluations,
            **self.figures,
        }
