"""The analysis of a labelled image dataset by its patterns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, spearmanr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from wavelens._arguments import FloatArray, as_float_matrix, as_images, check_integer
from wavelens._mapped import picked_rows, row_blocks
from wavelens.linalg import HOGSVD, ClassSimilarity, Nearest, gaussian_similarity
from wavelens.patterns._association import (
    AssociationCurve,
    AssociationResult,
    association_curve,
    association_test,
)
from wavelens.patterns._basis import Basis
from wavelens.patterns._class_patterns import ClassPatternTest, Moments, class_pattern_test
from wavelens.patterns._class_pictures import class_moments, class_patterns
from wavelens.patterns._classes import ClassMatrices, PatternTable, class_matrices, pattern_table
from wavelens.patterns._contract import ImageContract
from wavelens.patterns._image_similarity import images_to_classes, nearest_images, spectrum_between
from wavelens.patterns._memory import refuse_square
from wavelens.patterns._options import FitOptions
from wavelens.patterns._persistence import load_analysis, save_analysis
from wavelens.patterns._reconstruction import order_by_contribution
from wavelens.patterns._result import FitResult
from wavelens.patterns._results import ClassPatterns, Patterns, Reconstruction, SigmaAssociation, Spectrum
from wavelens.patterns._sample import SampledFrom
from wavelens.patterns._scoring import SHRINKAGE, HeldOutScore, class_evidence, held_out_score, score
from wavelens.patterns.fit import fit_images

__all__ = ["PatternAnalysis"]


class PatternAnalysis(ImageContract, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Decompose a labelled image dataset into patterns and say which belong to which class.

    Images become wavelet coefficients; a rank-revealing QR picks the most influential ones; the higher-order
    GSVD of the classes' matrices D_i = U_i Σ_i Vᵀ finds patterns V that all classes share, with a strength
    σ for each class. Every image is a sum of patterns, with coefficients its row of UΣ; images are compared
    by these rows.

    Parameters
    ----------
    wavelet : str, default "db3"
        A discrete wavelet of PyWavelets.
    level : int or None, default None
        Levels of the transform; None: as deep as the filter is shorter than the band.
    mode : str, default "periodization"
        How images go on past their edges.
    n_coefficients : int or None, default None
        How many coefficients to select. None takes pivots for as long as every class has full column rank in
        them; with ``rank="any"``, half as many as there are images. The memory never changes the number.
    ridge : float, default 1e-3
        The parameter π of the HO-GSVD. With two classes nothing depends on it.
    normalization : {"unit", "csd"}, default "unit"
        "unit": patterns have norm 1 and σ carries the strength. "csd": Σ σ² over the classes is 1 for
        each pattern, and σ is the share of a class.
    weights : {"size"} or array of shape (n_classes,) or None, default None
        Scale of each class in the HO-GSVD; "size" divides by the root of its number of images. Without it σ
        of a pattern grows with the number of images that use it, so that a class with four times the images
        is twice as strong in everything it does no more than the others; where sizes differ by more than
        about 1.5 to 1, "size" compares the classes image for image.
    bandwidth : float or "median", default "median"
        Of the Gaussian similarity of images; "median" takes the median distance of a sample of pairs.
    random_state : int, default 0
        Seed of the column sketch and of the sample of pairs.
    progress : bool or None, default None
        Whether to show progress bars on stderr; None: where it is a terminal and the work takes over a second.
    basis : {"wavelet", "pixel"}, default "wavelet"
        What describes an image. With "pixel" the coefficients are the pixels themselves, and `wavelet`,
        `level` and `mode` are not used.
    rank : {"full", "any"}, default "full"
        "full": as in the papers, every class has full column rank in the chosen coefficients, so that there
        are at most as many as the smallest class has images. "any": at most as many as there are images in
        all; that a class with fewer images than coefficients is weak in a pattern says little.
    memory_limit : int, str or None, default None
        Bytes for the whole process, or a text such as "2GB" or "500 MiB". Where by `estimate_memory` more would
        be needed, `fit` reads sources and mapped arrays in chunks, and refuses arrays in memory.
    pivoting : {"sketch", "full"}, default "sketch"
        What the selection of coefficients goes by. "sketch": a sketch of the images' coefficients with twice as
        many rows as coefficients are selected (at least 128), or all of them where there are at most 1.5 times as
        many images as such rows.
        "full": all of them, however many; in chunks or on a cluster they are then held in memory.
    similarity_method : {"auto", "exact", "landmarks", "features"}, default "auto"
        How images are compared with classes: each with every other, or, of very many, near enough by landmarks
        or random features with an error that is measured (`wavelens.linalg.class_similarity`). "auto" is
        exact up to n²·(m + 100) = 5e11 for n images and m patterns (40,000 images, 200 patterns), or half of
        that where rows of UΣ are on disk.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Labels, sorted.
    labels_ : array of int, shape (n_images,)
        Place in `classes_` of each image.
    basis_ : WaveletTransform or PixelTransform
    coefficients_ : array of int, shape (n_coefficients,)
        Places of the chosen coefficients in the flat vector, most influential first.
    class_ranks_ : array of int, shape (n_classes,)
        Numerical rank of each class in the chosen coefficients: their number, unless ``rank="any"``.
    gsvd_ : HOGSVD
    sigma_ : array of shape (n_classes, n_patterns)
        Generalized singular values.
    embedding_ : array of shape (n_images, n_patterns)
        Rows of UΣ of the images given to `fit`.
    patterns_ : array of shape (n_patterns, height, width[, channels])
        All patterns in pixel space, made when asked for.
    influence_map_ : array of int, shape (height, width)
        How many of the chosen coefficients touch each pixel.
    bandwidth_ : float
        Bandwidth used, in the units of the rows of UΣ.
    class_similarity_ : ClassSimilarity
        Mean similarity of each image to each class, how it was found, and its error; made when asked for.
    n_features_in_ : int
        Pixels of an image, times its channels.
    image_positions_ : array of int, shape (n_images,)
        Places in what was given to `fit` of the images; some are missing where files could not be read.
    out_of_core_ : OutOfCore or None
        How the fit went if it read the images in chunks. `embedding_` is then a read-only map of a file, and
        ``gsvd_.u`` the left factors of triangular factors, not of images.

    Notes
    -----
    Source: R. Yousefzadeh and F. Huang, *Interpretable Insights about Medical Image Datasets: Using
    Wavelets and Spectral Methods*, 2020, sections 2 to 4; S. P. Ponnapalli et al., PLoS ONE 6 (2011)
    e28072; I. Kempf, P. J. Goulart, S. R. Duncan, arXiv:2104.11136.

    Cost, for n images, p coefficients of which m are kept: O(npm) for the choice, O(nm²) for the
    decomposition, O(n²m) time and O(n) memory for the similarities (O(nm) with
    landmarks).

    Examples
    --------
    >>> from wavelens.data import load
    >>> from wavelens.patterns import PatternAnalysis
    >>> digits = load("digits")
    >>> analysis = PatternAnalysis(n_coefficients=40).fit(digits.images, digits.labels)
    >>> analysis.sigma_.shape
    (10, 40)
    >>> analysis.dominant_patterns(3, n=4).images.shape
    (4, 8, 8)
    """

    def __init__(
        self,
        wavelet: str = "db3",
        level: int | None = None,
        mode: str = "periodization",
        n_coefficients: int | None = None,
        ridge: float = 1e-3,
        normalization: Literal["unit", "csd"] = "unit",
        weights: str | npt.ArrayLike | None = None,
        bandwidth: float | str = "median",
        random_state: int = 0,
        progress: bool | None = None,
        basis: Literal["wavelet", "pixel"] = "wavelet",
        rank: Literal["full", "any"] = "full",
        memory_limit: int | str | None = None,
        pivoting: Literal["sketch", "full"] = "sketch",
        similarity_method: Literal["auto", "exact", "landmarks", "features"] = "auto",
    ) -> None:
        self.wavelet = wavelet
        self.level = level
        self.mode = mode
        self.n_coefficients = n_coefficients
        self.ridge = ridge
        self.normalization = normalization
        self.weights = weights
        self.bandwidth = bandwidth
        self.random_state = random_state
        self.progress = progress
        self.basis = basis
        self.rank = rank
        self.memory_limit = memory_limit
        self.pivoting = pivoting
        self.similarity_method = similarity_method

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        work_dir: str | os.PathLike[str] | None = None,
        resume: bool = False,
        cache: bool | None = None,
        chunk_size: int | None = None,
        scheduler: Any = None,
    ) -> Self:
        """Find the patterns of a dataset, in memory where it fits and out of core or on a cluster where not.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, channels]), ImageSource, path or function
            An array of any real dtype; float32 is computed in float32, all else in float64. Or a source, and
            whatever `wavelens.data.open_source` opens: a folder, a ``.npy``, ``.npz``, ``.zarr`` or ``.h5``
            file, a function that returns chunks. On a cluster also a dask.array, or a dask.bag of images or of
            pairs (image, label); of the others, those in files, which all workers must see under the same path.
        y : array of shape (n_images,) or None, default None
            Class of each image. May be None for a source that knows.
        work_dir : path or None, default None
            Work out of core, in this folder, where the rows of UΣ stay (`embedding_` is a map of them), so that
            a run that was killed can be continued. None: out of core only if `X` is a source or a mapped array
            and more memory than `memory_limit` (or most of the machine's) would be needed otherwise; in a
            folder that goes with this object.
        resume : bool, default False
            Continue the run in `work_dir`, or begin one there.
        cache : bool or None, default None
            Out of core, whether to keep the chosen coefficients on disk between the passes; None: where images
            are decoded and there is room. The result does not depend on it.
        chunk_size : int or None, default None
            Out of core, how many images to take at a time; None: as many as fit `memory_limit`. The result
            depends on it within rounding.
        scheduler : str, distributed.Client, cluster or None, default None
            A Dask cluster (extra ``[dask]``) that does the work: its scheduler's address, such as
            ``"tcp://10.0.0.1:8786"``, a client, or a ``LocalCluster``. None: this machine, unless `X` is a
            dask.array or dask.bag, which goes to the client made last.

        Returns
        -------
        PatternAnalysis
            Itself.

        Raises
        ------
        ValueError
            If shapes do not agree, an entry is not finite, there are fewer than two classes, a class has
            fewer than two images, or `n_coefficients` leaves a class rank-deficient.
        DataError
            If more memory than `memory_limit` would be needed; the message says what would fit. Out of core,
            also if a source changes underway, the disk is full, or `work_dir` holds a run of something else.
            On a cluster, also if it cannot be reached or is lost.

        Notes
        -----
        The same options give the same coefficients and σ, to rounding, however the images are read and however
        much memory there is. Out of core they are read three times: for the sketch that coefficients are selected
        by (`RowSketch`), for a triangular factor of each class, and for the rows of UΣ, which are written to disk,
        as float32 beyond 256 MB. Every pass checks that it sees the images of the first one, each at its position
        and with the same content.

        On a cluster the same passes run on portions of the images, whose states merge between workers; the result
        is the same to rounding, and for one `chunk_size` and clusters of any size the same to the bit.
        `memory_limit` is then that of each worker. Where workers see `work_dir` under the same path they write the
        rows of UΣ there themselves; those of other workers come here over the network. A worker that is lost costs
        the portions it held; with `work_dir`, a run whose client or scheduler was stopped goes on with the pass
        that it was in.
        """
        options = FitOptions.checked(self.get_params(deep=False))
        return self._take(
            fit_images(
                options,
                X,
                y,
                work_dir=work_dir,
                resume=resume,
                cache=cache,
                chunk_size=chunk_size,
                scheduler=scheduler,
            )
        )

    def _take(self, result: FitResult) -> Self:
        """Become fitted. Nothing is set before all is known: a fit that fails leaves what was there."""
        self.result_ = result
        self.classes_, self.labels_ = result.classes, result.labels
        self.n_features_in_ = int(np.prod(result.basis.shape))
        self.basis_: Basis = result.basis
        self.coefficients_, self.class_ranks_ = result.columns, result.ranks
        self.gsvd_: HOGSVD = result.gsvd
        self.sigma_ = result.sigma
        self.embedding_ = result.embedding
        self.bandwidth_ = result.bandwidth
        self.image_positions_ = result.positions
        self.out_of_core_ = result.out_of_core
        self.sampled_from_: SampledFrom | None = None
        self._class_similarity: ClassSimilarity | None = None
        self._class_moments: Moments | None = None
        self._class_pattern_tests: dict[tuple[bytes | None, int, int], ClassPatternTest] = {}
        return self

    # Images and rows of UΣ

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """Return the coefficients of images in the patterns: rows of UΣ.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, channels])
            Images seen in `fit` or new ones.

        Returns
        -------
        array of shape (n_images, n_patterns)
        """
        check_is_fitted(self)
        return self.gsvd_.transform(self._selected(X))

    def inverse_transform(self, rows: npt.ArrayLike) -> FloatArray:
        """Return the images that rows of UΣ stand for.

        What the chosen coefficients do not hold stays away.

        Parameters
        ----------
        rows : array of shape (n_images, n_patterns)

        Returns
        -------
        array of shape (n_images, height, width[, channels])
        """
        check_is_fitted(self)
        matrix = as_float_matrix(rows, "rows")
        if matrix.shape[1] != self.sigma_.shape[1]:
            raise ValueError(f"`rows` must have shape (n_images, {self.sigma_.shape[1]}), got {matrix.shape}")
        return self.result_.images_of(matrix @ self.gsvd_.v.T)

    def reconstruct(self, images: npt.ArrayLike, n_patterns: int | npt.ArrayLike) -> Reconstruction:
        """Rebuild images from the patterns that contribute most to them (equation 2 of the paper).

        A pattern's contribution to an image is what its absence costs: beginning with all, the pattern whose
        loss raises the residual least leaves first.

        Parameters
        ----------
        images : array of shape (n_images, height, width[, channels])
        n_patterns : int or array of int, shape (q,)
            How many patterns to use, each from 0 to all.

        Returns
        -------
        Reconstruction
            Images, relative residuals, and the order of the patterns. O(n_patterns²) an image.
        """
        check_is_fitted(self)
        r = self.sigma_.shape[1]
        counts = np.array(
            [
                check_integer(int(n), "n_patterns", low=0, high=r)
                for n in np.atleast_1d(np.asarray(n_patterns))
            ],
            dtype=np.intp,
        )
        batch = as_images(images, "images", shape=self.basis_.shape)
        all_coefficients = self.basis_.forward(batch)
        chosen = all_coefficients[:, self.coefficients_]
        rows = self.gsvd_.transform(chosen)
        norms = np.linalg.norm(chosen, axis=1)
        totals = np.linalg.norm(all_coefficients, axis=1)
        rest = np.sqrt(np.maximum(totals**2 - norms**2, 0))
        v = self.gsvd_.v
        gram = v.T @ v
        order = np.empty((len(batch), r), dtype=np.intp)
        residuals = np.empty((len(batch), len(counts)))
        kept = np.zeros((len(batch), len(counts), r))
        for i, row in enumerate(rows):
            order[i], norms_left = order_by_contribution(row, gram)
            residuals[i] = norms_left[counts] / (norms[i] or 1.0)
            for j, count in enumerate(counts):
                kept[i, j, order[i, :count]] = row[order[i, :count]]
        rebuilt = self.result_.images_of(kept.reshape(-1, r) @ v.T)
        return Reconstruction(
            n_patterns=counts,
            images=rebuilt.reshape(len(batch), len(counts), *batch.shape[1:]),
            residuals=residuals,
            truncation=np.divide(rest, totals, out=np.zeros_like(rest), where=totals > 0),
            order=order,
        )

    def complexity(self, images: npt.ArrayLike | None = None) -> FloatArray:
        """Return the norm of images in the left basis: how many patterns, and how rare ones, make them up.

        The left basis is that of all classes together (the rows of U_iΣ_i with Σ_i Σ_i² = 1, whose columns
        have norm 1 over the whole dataset). The basis U_i of a class alone says nothing where the class has
        hardly more images than there are patterns: all its rows then have norms near 1.

        Parameters
        ----------
        images : array of shape (n_images, height, width[, channels]) or None, default None
            None: the images given to `fit`.

        Returns
        -------
        array of shape (n_images,)
        """
        check_is_fitted(self)
        rows = self.embedding_ if images is None else self.transform(images)
        strength = self.result_.strength
        return np.concatenate([np.linalg.norm(part / strength, axis=1) for part in row_blocks(rows)])

    # Patterns and classes

    @property
    def patterns_(self) -> FloatArray:
        """All patterns in pixel space."""
        return self.pattern_images(np.arange(self.sigma_.shape[1]))

    @property
    def influence_map_(self) -> npt.NDArray[np.intp]:
        """How many of the chosen coefficients touch each pixel."""
        check_is_fitted(self)
        return self.basis_.coverage(self.coefficients_)

    def pattern_images(self, indices: npt.ArrayLike) -> FloatArray:
        """Return some patterns in pixel space, shape (n, height, width[, channels])."""
        check_is_fitted(self)
        high = self.sigma_.shape[1] - 1
        places = [check_integer(i, "indices", low=0, high=high) for i in np.atleast_1d(np.asarray(indices))]
        return self.result_.images_of(self.gsvd_.v[:, places].T)

    def angles(self, class_: object, other: object | None = None) -> FloatArray:
        """Return the angle of each pattern between a class and another.

        Parameters
        ----------
        class_, other
            Labels. `other=None` sets the class against whichever other class is strongest in the pattern.

        Returns
        -------
        array of shape (n_patterns,)
            atan2(σ, σ_other) − π/4, in radians: π/4 if the pattern is the class's alone, 0 if shared alike.
        """
        own = self._class_index(class_)
        if other is None:
            rivals = np.delete(self.sigma_, own, axis=0).max(axis=0)
        else:
            rivals = self.sigma_[self._other_index(other, own)]
        return np.asarray(np.arctan2(self.sigma_[own], rivals) - np.pi / 4)

    def dominant_patterns(self, class_: object, n: int = 10) -> Patterns:
        """Return the patterns that belong to a class most.

        They are ordered by the angle of the class's σ against the largest σ of another class.

        Parameters
        ----------
        class_
            A label.
        n : int, default 10
            How many at most.

        Returns
        -------
        Patterns
        """
        angle = self.angles(class_)
        n = check_integer(n, "n", low=1)
        own = self._class_index(class_)
        indices = np.lexsort((-self.sigma_[own], -angle))[:n]
        return Patterns(indices, self.pattern_images(indices), self.sigma_[:, indices], angle[indices])

    def class_pattern_test(
        self,
        groups: npt.ArrayLike | None = None,
        n_shuffles: int = 39,
        random_state: int = 0,
        *,
        progress: bool | None = None,
    ) -> ClassPatternTest:
        """Judge what sets each class apart from the others on held-out images, beside shuffled labels.

        Parameters
        ----------
        groups : array of shape (n_images,) or None, default None
            Images that belong together, such as the slices of a patient, each group of one class: they are held out
            and shuffled together. Without them, images nearly the same as held-out ones may be learnt from.
        n_shuffles : int, default 39
            How often labels are shuffled; 39 give the limit of 5 % exactly.
        random_state : int, default 0
            Seed of folds and shuffles.
        progress : bool or None, default None
            As the parameter of the class.

        Returns
        -------
        ClassPatternTest
            Of all classes; kept for `class_patterns` with the same arguments.

        Notes
        -----
        Of more than 20,000 images a sample is looked at. For N classes and m = min(200, n/8) coefficients, O(N m³)
        for each of five folds and each shuffle.
        """
        check_is_fitted(self)
        given = None if groups is None else np.asarray(groups)
        key = (None if given is None else given.tobytes(), n_shuffles, random_state)
        if key not in self._class_pattern_tests:
            self._class_pattern_tests[key] = class_pattern_test(
                self.result_, given, n_shuffles, random_state, progress=_or(progress, self.progress)
            )
        return self._class_pattern_tests[key]

    def class_patterns(
        self,
        class_: object,
        against: object | None = None,
        *,
        groups: npt.ArrayLike | None = None,
        n_shuffles: int = 39,
        random_state: int = 0,
    ) -> ClassPatterns:
        """Return what sets a class apart from the others, or from another one, and whether it is beyond chance.

        Parameters
        ----------
        class_
            A label.
        against : label or None, default None
            Another class; None: all others.
        groups, n_shuffles, random_state
            As in `class_pattern_test`.

        Returns
        -------
        ClassPatterns
            At most eight patterns.

        Examples
        --------
        >>> from wavelens.data import load
        >>> from wavelens.patterns import PatternAnalysis
        >>> digits = load("digits")
        >>> analysis = PatternAnalysis(n_coefficients=40).fit(digits.images, digits.labels)
        >>> found = analysis.class_patterns(0)
        >>> bool(found.held_out[0] > 2 * found.by_chance), found.images.shape
        (True, (8, 8, 8))
        """
        own = self._class_index(class_)
        other = None if against is None else self._other_index(against, own)
        if self._class_moments is None:
            self._class_moments = class_moments(self.result_)
        if other is None:
            test = self.class_pattern_test(groups, n_shuffles, random_state)
        else:
            test = class_pattern_test(
                self.result_, groups, n_shuffles, random_state, classes=(own, other), progress=self.progress
            )
        return class_patterns(self.result_, self._class_moments, test, own, other)

    def sigma_association(self, class_: object, other: object) -> SigmaAssociation:
        """Tell whether patterns that are strong in one class tend to be weak in another.

        Parameters
        ----------
        class_, other
            Labels.

        Returns
        -------
        SigmaAssociation
        """
        own = self._class_index(class_)
        first, second = self.sigma_[own], self.sigma_[self._other_index(other, own)]
        if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
            return SigmaAssociation(np.nan, np.nan, np.nan)
        result = spearmanr(first, second)
        strongest = np.argsort(-first, kind="stable")[: max(1, len(first) // 10)]
        share = (rankdata(second)[strongest] - 1) / (len(second) - 1)
        return SigmaAssociation(float(result.statistic), float(result.pvalue), float(np.median(share)))

    def pattern_table(self) -> PatternTable:
        """Return for each pattern its owner, how common it is, and the classes that share it.

        Returns
        -------
        PatternTable
        """
        check_is_fitted(self)
        return pattern_table(self.result_)

    def class_matrices(self) -> ClassMatrices:
        """Return how alike each two classes are, and how many patterns they share.

        Returns
        -------
        ClassMatrices
        """
        check_is_fitted(self)
        return class_matrices(self.result_, self.class_similarity_)

    # Images and classes

    def similarity(self, class_: object) -> FloatArray:
        """Return the Gaussian similarity of each two images of a class.

        Parameters
        ----------
        class_
            A label.

        Returns
        -------
        array of shape (n, n)
            For the n images of the class in the order of `fit`; symmetric, 1 on the diagonal.

        Raises
        ------
        DataError
            If the n² numbers, and the n rows, are beyond `memory_limit` or the machine's memory.
        """
        members = self._members(class_)
        refuse_square(self.result_, len(members))
        return gaussian_similarity(picked_rows(self.embedding_, members), bandwidth=self.bandwidth_)

    def similarity_to_classes(self) -> FloatArray:
        """Return the mean similarity of each image to each class, shape (n_images, n_classes).

        An image is not compared with itself. O(n_images² · n_patterns), once; no n × n matrix is made. Of
        very many images these are approximate, but for those least similar to their own class;
        `class_similarity_` tells how and how far off.
        """
        return self.class_similarity_.similarity

    @property
    def class_similarity_(self) -> ClassSimilarity:
        """Mean similarity of each image to each class, how it was found, and its error."""
        check_is_fitted(self)
        if self._class_similarity is None:
            self._class_similarity = images_to_classes(self.result_)
        return self._class_similarity

    def nearest_images(self, images: npt.ArrayLike, n: int = 5, of: str = "any") -> Nearest:
        """Find the images nearest to chosen ones, exactly; O(n_chosen · n_images · n_patterns).

        Parameters
        ----------
        images : int or array of int, shape (n_chosen,)
            Places in the data given to `fit`.
        n : int, default 5
            How many for each.
        of : {"any", "same", "other"}, default "any"
            Whom to look for: any other image, images of the same class, of another class.

        Returns
        -------
        Nearest
            ``indices, distances``, both (n_chosen, n), nearest first; distances of rows of UΣ.
        """
        check_is_fitted(self)
        return nearest_images(self.result_, images, n, of)

    def isolated(self, class_: object, n: int = 10) -> npt.NDArray[np.intp]:
        """Return the images of a class that are least similar to the rest of it, most isolated first.

        Returns
        -------
        array of int, shape (n,)
            Places in the data given to `fit`.
        """
        members = self._members(class_)
        own = self.similarity_to_classes()[members, self._class_index(class_)]
        nearest = np.argsort(own, kind="stable")[: check_integer(n, "n", low=1)]
        return np.asarray(members[nearest])

    def spectrum(self, class_: object, other: object) -> Spectrum:
        """Place the images of two classes between them, by in-class and out-class similarity.

        Returns
        -------
        Spectrum
            Sorted from the side of `other` (−1) to the side of `class_` (1).
        """
        i = self._class_index(class_)
        j = self._other_index(other, i)
        if self.sampled_from_ is not None:
            whole = self.sampled_from_.whole.spectrum(class_, other)
            here, found_here = self.sampled_from_.find(whole.indices)
            return replace(whole, indices=here, values=whole.values[found_here])
        return spectrum_between(self.result_, self.class_similarity_, i, j)

    def borderline(self, class_: object, other: object, n: int = 10) -> npt.NDArray[np.intp]:
        """Return the images of `class_` that lie nearest to `other` on the spectrum, nearest first."""
        return self._along_spectrum(class_, other)[: check_integer(n, "n", low=1)]

    def extremes(self, class_: object, other: object, n: int = 10) -> npt.NDArray[np.intp]:
        """Return the images of `class_` that lie farthest from `other` on the spectrum, farthest first."""
        return self._along_spectrum(class_, other)[::-1][: check_integer(n, "n", low=1)]

    def _along_spectrum(self, class_: object, other: object) -> npt.NDArray[np.intp]:
        indices = self.spectrum(class_, other).indices
        return np.asarray(indices[self.labels_[indices] == self._class_index(class_)])

    # Patterns tied to classes, and new images

    def association_test(
        self,
        n_permutations: int = 200,
        random_state: int = 0,
        *,
        groups: npt.ArrayLike | None = None,
        progress: bool | None = None,
    ) -> AssociationResult:
        """Tell whether the patterns are tied to the classes more than to shuffled labels.

        Parameters
        ----------
        n_permutations : int, default 200
            How often to shuffle. The p-value cannot fall below 1/(n_permutations + 1).
        random_state : int, default 0
        groups : array of shape (n_images,) or None, default None
            Images that belong together, such as the slices of a patient, each group of one class. Labels are
            then shuffled between whole groups, so that likeness within a group is not taken for a tie to the
            class; class sizes change a little where groups differ in size. None shuffles image by image and
            keeps the class sizes.
        progress : bool or None, default None
            As the parameter of the class.

        Returns
        -------
        AssociationResult

        Raises
        ------
        ValueError
            If `groups` has another length or a group has images of several classes.
        DataError
            Out of core, if one permutation would take more memory than `memory_limit`.

        Notes
        -----
        The chosen coefficients stay, their number as well. A permutation costs O(nm²) for n images and m
        patterns and an eigenproblem of size m (N Cholesky factors more for N > 2 classes), and needs neither
        the images nor a QR decomposition; two run at once on two threads. Rows of UΣ on disk are read once for
        each permutation, some MB at a time: 5 s of one core for a million images and 512 patterns; the sums take
        8·m² bytes for each class, twice.
        """
        check_is_fitted(self)
        return association_test(
            self.result_, n_permutations, random_state, groups, _or(progress, self.progress)
        )

    def association_curve(
        self,
        shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
        n_repeats: int = 5,
        random_state: int = 0,
        *,
        progress: bool | None = None,
    ) -> AssociationCurve:
        """Measure how the tie between patterns and classes fades as labels are shuffled.

        Parameters
        ----------
        shares : sequence of float
            Shares of the images, from 0 to 1, whose labels are shuffled among them.
        n_repeats : int, default 5
            How often each.
        random_state : int, default 0
        progress : bool or None, default None
            As the parameter of the class.

        Returns
        -------
        AssociationCurve
        """
        check_is_fitted(self)
        return association_curve(self.result_, shares, n_repeats, random_state, _or(progress, self.progress))

    def class_evidence(
        self, X: npt.ArrayLike, *, shrinkage: float = SHRINKAGE, log: bool = False
    ) -> npt.NDArray[np.float64]:
        """Return how well each class explains images: the likelihood of their coefficients in the patterns.

        Each class is a Gaussian, with mean and covariance those of its rows of UΣ, the covariance drawn a
        little towards that of all classes. All classes count alike beforehand. With two classes the
        covariances are (but for the means) diagonal in the patterns, with variances σ²/n.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, channels])
        shrinkage : float, default 0.1
            From 0 (each class its own covariance) to 1 (one for all: borders between classes are linear).
        log : bool, default False
            Whether to return natural logarithms, which still differ where one class gets all.

        Returns
        -------
        array of shape (n_images, n_classes)
            Shares that sum to 1 in each row.

        Notes
        -----
        For images that `fit` saw this is far too favourable: the classes' covariances are theirs, the more so
        the more coefficients were kept. For new images the order of the classes means more than the shares,
        which lie too near 0 and 1, as hundreds of patterns count as independent. O(N m³) once and
        O(n N m²) for N classes, m patterns and n images.
        """
        rows = self.transform(X)
        return class_evidence(self.result_, rows, shrinkage=shrinkage, log=log)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the class with most evidence for each image, shape (n_images,)."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.class_evidence(X, log=True).argmax(axis=1)])

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike, *, balanced: bool = False) -> float:
        """Return the share of images whose class `predict` tells.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, channels])
            New images: on those that `fit` saw the share says little.
        y : array of shape (n_images,)
            Their classes, each one of `classes_`.
        balanced : bool, default False
            Whether to take the mean of the share over the classes, so that all count alike.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        return score(self.result_, self.predict(X), y, balanced=balanced)

    def held_out_score(
        self,
        images: npt.ArrayLike,
        labels: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        n_splits: int = 5,
        random_state: int = 0,
        *,
        progress: bool | None = None,
    ) -> HeldOutScore:
        """Fit to a part of the images and tell the class of the others, for several parts in turn.

        Parameters
        ----------
        images : array of shape (n_images, height, width[, channels])
        labels : array of shape (n_images,)
        groups : array of shape (n_images,) or None, default None
            Images that belong together, such as the slices of a patient: no group is on both sides of a
            split. Without them, images nearly the same as held-out ones may be learnt from, and the score be
            too high.
        n_splits : int, default 5
            Parts; each image is held out once.
        random_state : int, default 0
            Seed of the splits.
        progress : bool or None, default None
            As the parameter of the class.

        Returns
        -------
        HeldOutScore

        Notes
        -----
        This analysis need not be fitted and is not changed. Costs `n_splits` fits. Where `n_coefficients`
        would leave a class of the smaller part without full column rank, the largest number that does not is
        taken.
        """
        return held_out_score(
            FitOptions.checked(self.get_params(deep=False)),
            images,
            labels,
            groups,
            n_splits,
            random_state,
            _or(progress, self.progress),
        )

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted analysis to an npz file with a JSON header.

        Parameters
        ----------
        path : path
            Replaced if it exists.
        """
        check_is_fitted(self)
        save_analysis(self.result_, self.get_params(deep=False), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an analysis that `save` wrote.

        Of one out of core, the rows of UΣ are not read but mapped where they lie in the file, which has to stay.

        Raises
        ------
        DataError
            If the file is damaged, something else, or of a newer format.
        """
        parameters, result = load_analysis(path)
        return cls(**parameters)._take(result)

    # Helpers

    def _selected(self, X: npt.ArrayLike) -> FloatArray:
        return self.result_.selected_coefficients(as_images(X, "X", shape=self.basis_.shape))

    def _class_index(self, class_: object, name: str = "class_") -> int:
        check_is_fitted(self)
        found = np.flatnonzero(self.classes_ == class_)
        if len(found) != 1:
            known = ", ".join(map(str, self.classes_[:20])) + (", …" if len(self.classes_) > 20 else "")
            raise ValueError(f"`{name}` must be one of {known}, got {class_!r}")
        return int(found[0])

    def _other_index(self, other: object, own: int) -> int:
        index = self._class_index(other, "other")
        if index == own:
            raise ValueError(f"`other` must be a class other than {other!r}")
        return index

    def _members(self, class_: object) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.labels_ == self._class_index(class_))


def _or(progress: bool | None, otherwise: bool | None) -> bool | None:
    return otherwise if progress is None else progress
