"""Similarity to classes from random Fourier features; `_similarity_sums` tells the idea."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from wavelens._arguments import FloatArray, check_integer
from wavelens._threads import blas_threads
from wavelens.linalg._bandwidth import Doubles
from wavelens.linalg._pairwise import Progress
from wavelens.linalg._similarity_error import SimilarityError
from wavelens.linalg._similarity_sums import STRIP_BYTES, ClassSums, exact_sums, product

__all__ = ["FeatureSums"]


class FeatureSums(ClassSums):
    """Sums of random Fourier features over the rows of each class, over as many chunks as come.

    Parameters
    ----------
    n_columns : int
        d, the columns of the rows to come.
    classes : array_like, shape (n_classes,)
        The labels that rows can have; kept sorted.
    bandwidth : float or array_like of shape (n_classes,)
        h, in the unit of the data.
    n_features : int, default 2048
        Cosines and sines together; an odd number is made even.
    random_state : int, default 0
        Seed of the frequencies.
    origin : array_like, shape (d,), optional
        A place amid the rows, taken off them, so that float32 keeps the phases of data with an offset.
    dtype : {float32, float64}, default float64
        Of the rows. Features are float32 in any case, and their sums float64.
    check, check_labels : array_like, optional
        As for `LandmarkSums`.

    Attributes
    ----------
    classes, bandwidth, counts
        As given, sorted; rows seen in each class.
    n_features : int

    Notes
    -----
    2·n·(D + n_checked)·d flops for n rows seen, 2·m·D·(d + n_classes) for m rows asked about; strips of 8 MiB.
    A row's features have norm 1, so that it is taken out of its class exactly.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.linalg import FeatureSums
    >>> rows = np.linspace(0, 1, 100)[:, None]
    >>> sums = FeatureSums(1, ["a"], 0.5, n_features=512).partial_fit(rows, ["a"] * 100)
    >>> bool(abs(sums.similarity([[0.5]]) - 0.8531) < 0.02)
    True
    """

    def __init__(
        self,
        n_columns: int,
        classes: npt.ArrayLike,
        bandwidth: float | npt.ArrayLike,
        *,
        n_features: int = 2048,
        random_state: int = 0,
        origin: npt.ArrayLike | None = None,
        dtype: npt.DTypeLike = np.float64,
        check: npt.ArrayLike | None = None,
        check_labels: npt.ArrayLike | None = None,
    ) -> None:
        n_columns = check_integer(n_columns, "n_columns", low=1)
        half = (check_integer(n_features, "n_features", low=1) + 1) // 2
        super().__init__(n_columns, np.dtype(dtype), classes, bandwidth, check, check_labels)
        self.n_features, self.random_state = 2 * half, check_integer(random_state, "random_state", low=0)
        self._origin = np.zeros(n_columns) if origin is None else np.array(origin, dtype=np.float64)
        if self._origin.shape != (n_columns,):
            raise ValueError(f"`origin` must have shape ({n_columns},), got {self._origin.shape}")
        # Frequencies in units of the smallest bandwidth: entries stay in range whatever the unit of the data.
        self._unit = float(self.bandwidth.min())
        self._frequencies = _orthogonal_normal(half, n_columns, self.random_state).astype(np.float32)
        self._feature_sums = np.zeros((len(self.classes), self.n_features))
        self._check_sums = np.zeros((len(self._check), len(self.classes)))

    def partial_fit(
        self, x: npt.ArrayLike, labels: npt.ArrayLike, *, progress: Progress | None = None
    ) -> Self:
        """Add rows.

        Parameters
        ----------
        x : array_like, shape (n, n_columns)
        labels : array_like, shape (n,)
            Their classes.
        progress : callable, optional
            Is called with the share of the work that is done.

        Returns
        -------
        FeatureSums
            Itself.
        """
        rows = self._rows(x)
        codes = self._codes(labels, rows)
        if len(self._check):
            self._check_sums += exact_sums(rows, self._check, codes, self.bandwidth, None)
        order = np.argsort(codes, kind="stable")
        step = max(64, STRIP_BYTES // (4 * self.n_features))
        with blas_threads(1):
            for begin in range(0, len(rows), step):
                part = order[begin : begin + step]
                present, starts = np.unique(codes[part], return_index=True)
                factors = (self._unit / self.bandwidth)[codes[part], None].astype(np.float32)
                features = self._features(self._phases(rows[part]) * factors)
                self._feature_sums[present] += np.add.reduceat(features, starts, axis=0, dtype=np.float64)
                if progress is not None:
                    progress(min(1.0, (begin + step) / len(rows)))
        self.counts += np.bincount(codes, minlength=len(self.classes))
        return self

    def error(self, rows: npt.NDArray[np.intp] | None = None) -> SimilarityError:
        """Compare the approximation with the exact similarities of the rows to check.

        Parameters
        ----------
        rows : array of int, shape (n_checked,), optional
            Their places in the data, to pass on.

        Returns
        -------
        SimilarityError
        """
        return self._error(self._check_sums, rows)

    def _phases(self, rows: FloatArray) -> FloatArray:
        placed = ((rows - self._origin) / self._unit).astype(np.float32)
        return np.asarray(product(placed, self._frequencies.T))

    def _features(self, phases: FloatArray) -> FloatArray:
        half = phases.shape[1]
        features = np.empty((len(phases), 2 * half), np.float32)
        np.cos(phases, out=features[:, :half])
        np.sin(phases, out=features[:, half:])
        features *= np.float32(1 / np.sqrt(half))
        return features

    def _width(self) -> int:
        return self.n_features

    def _approximate_sums(self, rows: FloatArray) -> Doubles:
        sums = np.empty((len(rows), len(self.classes)))
        phases = self._phases(rows)
        for h in np.unique(self.bandwidth):
            here = np.flatnonzero(self.bandwidth == h)
            features = self._features(phases * np.float32(self._unit / h))
            # Means, for sums of many rows would lose digits in float32.
            means = self._feature_sums[here] / np.maximum(self.counts[here], 1)[:, None]
            sums[:, here] = (product(features, means.T.astype(np.float32))) * self.counts[here]
        return sums

    def _arrays(self) -> dict[str, Any]:
        plan = np.array([self.n_columns, self.n_features, self.random_state, self.dtype.itemsize])
        return {"plan": plan, "origin": self._origin} | self._shared_arrays()

    def _sums(self) -> tuple[Doubles, ...]:
        return self._feature_sums, self._check_sums

    @classmethod
    def _restored(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        n_columns, n_features, random_state, itemsize = arrays["plan"].tolist()
        return cls(
            n_columns,
            arrays["classes"],
            arrays["bandwidth"],
            n_features=n_features,
            random_state=random_state,
            origin=arrays["origin"],
            dtype=f"f{itemsize}",
            check=arrays["check"] if len(arrays["check"]) else None,
            check_labels=arrays["classes"][arrays["check_codes"]] if "check_codes" in arrays else None,
        )


def _orthogonal_normal(n: int, d: int, random_state: int) -> Doubles:
    """Draw n normal vectors of d entries, orthogonal to one another in blocks of d."""
    rng = np.random.default_rng(random_state)
    blocks = []
    with blas_threads(1):
        for begin in range(0, n, d):
            q = qr(rng.standard_normal((d, min(d, n - begin))), mode="economic")[0].T
            blocks.append(q * np.sqrt(rng.chisquare(d, len(q)))[:, None])
    return np.concatenate(blocks)
