"""Similarity to classes, exact at landmarks and interpolated elsewhere; `_similarity_sums` tells the idea."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from wavelens._arguments import FloatArray, as_float_matrix
from wavelens._threads import blas_threads
from wavelens.linalg._bandwidth import Doubles
from wavelens.linalg._pairwise import Progress, gaussian_similarity
from wavelens.linalg._similarity_error import SimilarityError
from wavelens.linalg._similarity_sums import ClassSums, exact_sums, product

__all__ = ["LandmarkSums"]


class LandmarkSums(ClassSums):
    """Exact sums of similarities at landmarks, over as many chunks of rows as come; interpolated elsewhere.

    Parameters
    ----------
    landmarks : array_like, shape (n_landmarks, d)
        Rows from all over the data, drawn at random. Classes whose rows are all among them come out exact.
    classes : array_like, shape (n_classes,)
        The labels that rows can have; kept sorted.
    bandwidth : float or array_like of shape (n_classes,)
        h, in the unit of the data.
    check : array_like, shape (n_checked, d), optional
        Rows, drawn at random from the others, to measure the error by; their exact sums are taken in the same
        pass.
    check_labels : array_like, shape (n_checked,), optional
        Their classes, where they are rows that `partial_fit` sees as well.

    Attributes
    ----------
    classes, bandwidth, counts
        As given, sorted; rows seen in each class.
    n_features : int
        Number of landmarks.

    Notes
    -----
    2·n·(L + n_checked)·d flops for n rows seen, L³/3 once and 2·m·L·(d + n_classes) for m rows asked about.
    The state is (L + n_checked) · n_classes float64 besides the landmarks. What a row adds itself to the
    interpolated sum of its class is taken as the mean over the checked rows of the class.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.linalg import LandmarkSums
    >>> rows = np.linspace(0, 1, 100)[:, None]
    >>> sums = LandmarkSums(rows[::10], ["a"], 0.5)
    >>> for chunk in np.array_split(rows, 3):
    ...     sums = sums.partial_fit(chunk, ["a"] * len(chunk))
    >>> sums.similarity([[0.5]]).round(4)
    array([[0.8531]])
    """

    def __init__(
        self,
        landmarks: npt.ArrayLike,
        classes: npt.ArrayLike,
        bandwidth: float | npt.ArrayLike,
        *,
        check: npt.ArrayLike | None = None,
        check_labels: npt.ArrayLike | None = None,
    ) -> None:
        self._landmarks = np.array(as_float_matrix(landmarks, "landmarks"))
        super().__init__(
            self._landmarks.shape[1], self._landmarks.dtype, classes, bandwidth, check, check_labels
        )
        self.n_features = len(self._landmarks)
        self._anchors = np.concatenate([self._landmarks, self._check])
        self._anchor_sums = np.zeros((len(self._anchors), len(self.classes)))

    def partial_fit(
        self, x: npt.ArrayLike, labels: npt.ArrayLike, *, progress: Progress | None = None
    ) -> Self:
        """Add rows.

        Parameters
        ----------
        x : array_like, shape (n, d)
        labels : array_like, shape (n,)
            Their classes.
        progress : callable, optional
            Is called with the share of the work that is done.

        Returns
        -------
        LandmarkSums
            Itself.
        """
        rows = self._rows(x)
        codes = self._codes(labels, rows)
        self._anchor_sums += exact_sums(rows, self._anchors, codes, self.bandwidth, progress)
        self.counts += np.bincount(codes, minlength=len(self.classes))
        self._prepared = None
        return self

    def exact_at_landmarks(self, labels: npt.ArrayLike | None = None) -> Doubles:
        """Return the mean similarities of the landmarks, which are exact.

        Parameters
        ----------
        labels : array_like, shape (n_landmarks,), optional
            Their classes, so that a landmark does not count itself.

        Returns
        -------
        ndarray of float64, shape (n_landmarks, n_classes)
        """
        own = None if labels is None else self._codes(labels, self._landmarks)
        return self._means(self._anchor_sums[: self.n_features], own, 1.0)

    def error(self, rows: npt.NDArray[np.intp] | None = None) -> SimilarityError:
        """Compare the interpolation with the exact similarities of the rows to check.

        Parameters
        ----------
        rows : array of int, shape (n_checked,), optional
            Their places in the data, to pass on.

        Returns
        -------
        SimilarityError
        """
        return self._error(self._anchor_sums[self.n_features :], rows)

    def _width(self) -> int:
        return self.n_features

    def _arrays(self) -> dict[str, Any]:
        return {"landmarks": self._landmarks} | self._shared_arrays()

    def _sums(self) -> tuple[Doubles, ...]:
        return (self._anchor_sums,)

    @classmethod
    def _restored(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        return cls(
            arrays["landmarks"],
            arrays["classes"],
            arrays["bandwidth"],
            check=arrays["check"] if len(arrays["check"]) else None,
            check_labels=arrays["classes"][arrays["check_codes"]] if "check_codes" in arrays else None,
        )

    def _interpolation(self) -> list[tuple[float, npt.NDArray[np.intp], FloatArray, Doubles]]:
        """Return for each bandwidth its classes, their weights of the landmarks, and what a row adds itself."""
        if self._prepared is not None:
            return self._prepared  # type: ignore[no-any-return]
        wide = self._landmarks.astype(np.float64)
        # Similarities have the dtype's rounding; λ keeps the weights from blowing it up.
        ridge = np.sqrt(self.n_features) * 4 * float(np.finfo(self.dtype).eps)
        prepared = []
        for h in np.unique(self.bandwidth):
            here = np.flatnonzero(self.bandwidth == h)
            kernel = gaussian_similarity(wide, bandwidth=h)
            kernel[np.diag_indices(len(kernel))] += ridge
            with blas_threads(1):
                factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
                weights = cho_solve(factor, self._anchor_sums[: self.n_features, here], check_finite=False)
                itself = self._of_itself(factor[0], h, here)
            prepared.append((float(h), here, weights.astype(self.dtype), itself))
        self._prepared = prepared
        return prepared

    def _of_itself(self, lower: Doubles, h: float, here: npt.NDArray[np.intp]) -> Doubles:
        """Return the mean interpolated similarity of a row to itself, for rows of some classes."""
        if not len(self._check) or self._check_codes is None:
            return np.ones(len(here))
        strip = gaussian_similarity(self._landmarks, self._check, bandwidth=h).astype(np.float64)
        each = (solve_triangular(lower, strip, lower=True, check_finite=False) ** 2).sum(axis=0)
        n_classes = len(self.classes)
        total = np.bincount(self._check_codes, each, minlength=n_classes)
        count = np.bincount(self._check_codes, minlength=n_classes)
        # A class of few checked rows leans on the others.
        return np.asarray((total + 4 * each.mean()) / (count + 4))[here]

    def _approximate_sums(self, rows: FloatArray) -> Doubles:
        sums = np.empty((len(rows), len(self.classes)))
        for h, here, weights, _ in self._interpolation():
            sums[:, here] = product(gaussian_similarity(rows, self._landmarks, bandwidth=h), weights)
        return sums

    def _self_similarity(self) -> Doubles:
        whole = np.empty(len(self.classes))
        for _, here, _, itself in self._interpolation():
            whole[here] = itself
        return whole
