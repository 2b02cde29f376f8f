"""How well the patterns of some images tell the class of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from wavelens._arguments import FloatArray, as_images, check_integer
from wavelens._mapped import row_blocks
from wavelens._progress import progress_bar
from wavelens._threads import blas_threads, num_threads
from wavelens.patterns._groups import check_groups
from wavelens.patterns._options import FitOptions
from wavelens.patterns._result import FitResult
from wavelens.patterns.fit import fit_images

__all__ = ["SHRINKAGE", "HeldOutScore", "class_evidence", "held_out_score", "predict", "score"]

SHRINKAGE = 0.1


@dataclass(frozen=True, eq=False)
class HeldOutScore:
    """How often the class of held-out images was told.

    Attributes
    ----------
    accuracy, balanced_accuracy : array of shape (n_splits,)
        Share of the held-out images of each split whose class was told; balanced: the mean of this share
        over the classes.
    training_accuracy : array of shape (n_splits,)
        The same share of the images that were learnt from.
    confusion : array of int, shape (n_classes, n_classes)
        Images by class (rows) and class told (columns), over all splits.
    predicted : array of int, shape (n_images,)
        Place in `classes` of the class told when the image was held out.
    split : array of int, shape (n_images,)
        The split that held the image out.
    n_coefficients : array of int, shape (n_splits,)
        Wavelet coefficients kept in each fit.
    classes : array of shape (n_classes,)
    n_groups : int or None
        Number of groups, none of which is on both sides of a split; None if images were split one by one.
    """

    accuracy: FloatArray
    balanced_accuracy: FloatArray
    training_accuracy: FloatArray
    confusion: npt.NDArray[np.intp]
    predicted: npt.NDArray[np.intp]
    split: npt.NDArray[np.intp]
    n_coefficients: npt.NDArray[np.intp]
    classes: npt.NDArray[Any]
    n_groups: int | None = None

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return len(self.accuracy)

    @property
    def chance(self) -> float:
        """Share of the largest class: what is told by always naming it."""
        return float(self.confusion.sum(axis=1).max() / self.confusion.sum())

    def in_words(self) -> str:
        """Say what was found, and what it does and does not mean.

        Returns
        -------
        str
            A few sentences.
        """
        held, told = float(self.accuracy.mean()), float(self.training_accuracy.mean())
        found = (
            f"Patterns found in a part of the images told the class of {100 * held:.1f}% of the others "
            f"({100 * self.accuracy.min():.1f}% to {100 * self.accuracy.max():.1f}% over {self.n_splits} "
            f"splits; balanced over the classes {100 * float(self.balanced_accuracy.mean()):.1f}%). Always "
            f"naming the largest class tells {100 * self.chance:.1f}%. Of the images learnt from it was "
            f"{100 * told:.1f}%, which says nothing of new ones."
        )
        if self.n_groups is None:
            found += (
                " Images were held out one by one: where images belong together, such as neighbouring slices "
                "of one patient, near copies of a held-out image were learnt from, and the score is too high."
            )
        else:
            found += (
                f" No group is on both sides of a split ({self.n_groups:,} groups), so images of one group "
                "did not help to tell each other; this holds as far as the groups given do."
            )
        return (
            f"{found} The score is of a plain Gaussian rule on images of this same collection. It does not "
            "say how images from elsewhere would fare, nor that what sets the classes apart here is what a "
            "specialist would go by."
        )


def class_evidence(
    result: FitResult, rows: FloatArray, *, shrinkage: float, log: bool
) -> npt.NDArray[np.float64]:
    """Return the evidence of each class for rows of UΣ; see `PatternAnalysis.class_evidence`."""
    if isinstance(shrinkage, bool) or not isinstance(shrinkage, int | float | np.floating):
        raise TypeError(f"`shrinkage` must be a number, got {shrinkage!r}")
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"`shrinkage` must be between 0 and 1, got {shrinkage}")
    scale = result.strength
    n_classes, m = result.sigma.shape
    points = (rows / scale).astype(np.float64)
    with blas_threads(num_threads()):
        sizes, means, scatters = _moments(result, scale)
        pooled = np.sum(scatters, axis=0) / len(result.labels)
        # A pattern that varies in no class, or in one alone, still needs a variance.
        floor = 1e-6 * float(np.trace(pooled)) / m
        evidence = np.empty((len(points), n_classes))
        for i, (size, mean, scatter) in enumerate(zip(sizes, means, scatters, strict=True)):
            covariance = (1 - shrinkage) / size * scatter + shrinkage * pooled
            covariance[np.diag_indices(m)] += floor
            upper = cholesky(covariance, overwrite_a=True, check_finite=False)
            white = solve_triangular(upper, (points - mean).T, trans="T", check_finite=False)
            evidence[:, i] = -0.5 * (white**2).sum(axis=0) - np.log(np.diag(upper)).sum()
    evidence -= logsumexp(evidence, axis=1, keepdims=True)
    return evidence if log else np.exp(evidence)


def _moments(result: FitResult, scale: FloatArray) -> tuple[list[int], list[FloatArray], list[FloatArray]]:
    """Return size, mean and scatter of each class, in two passes over blocks of the rows."""
    n_classes, m = result.sigma.shape
    counts = np.bincount(result.labels, minlength=n_classes)
    means, scatters = np.zeros((n_classes, m)), np.zeros((n_classes, m, m))
    for centered in (False, True):
        first = 0
        for block in row_blocks(result.embedding):
            labels = result.labels[first : first + len(block)]
            first += len(block)
            for i in np.unique(labels).tolist():
                rows = (block[labels == i] / scale).astype(np.float64)
                if centered:
                    rows -= means[i]
                    scatters[i] += rows.T @ rows
                else:
                    means[i] += rows.sum(axis=0)
        if not centered:
            means /= counts[:, None]
    return counts.tolist(), list(means), list(scatters)


def predict(result: FitResult, images: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the index of the class with most evidence for each image."""
    rows = result.gsvd.transform(result.selected_coefficients(images))
    return np.asarray(class_evidence(result, rows, shrinkage=SHRINKAGE, log=True).argmax(axis=1))


def score(result: FitResult, predicted: npt.NDArray[Any], y: npt.ArrayLike, *, balanced: bool) -> float:
    """Return the share of images whose class was predicted; see `PatternAnalysis.score`."""
    labels = np.asarray(y)
    if labels.shape != predicted.shape:
        raise ValueError(
            f"`y` must hold one label for each of the {len(predicted)} images, got {labels.shape}"
        )
    unknown = np.setdiff1d(labels, result.classes)
    if len(unknown):
        raise ValueError(
            f"`y` must hold only classes given to fit ({', '.join(map(str, result.classes[:10]))}), got "
            f"{unknown[0]}"
        )
    return _share_correct(labels, predicted, balanced=balanced)


def held_out_score(
    options: FitOptions,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike | None,
    n_splits: int,
    random_state: int,
    progress: bool | None,
) -> HeldOutScore:
    """Score held-out images; see `PatternAnalysis.held_out_score`."""
    batch = as_images(images, "images")
    given = np.asarray(labels)
    if given.shape != (len(batch),):
        raise ValueError(
            f"`labels` must hold one label for each of the {len(batch)} images, got shape {given.shape}"
        )
    classes, codes = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"`labels` must hold at least two classes, got {len(classes)}")
    group_codes = None if groups is None else check_groups(groups, len(batch))
    n_splits = check_integer(n_splits, "n_splits", low=2)
    predicted = np.full(len(batch), -1, dtype=np.intp)
    split = np.full(len(batch), -1, dtype=np.intp)
    accuracy, balanced, training, n_selected = [], [], [], []
    with progress_bar(n_splits, "Scoring held-out images", progress, unit=" splits") as bar:
        for i, (learnt, held) in enumerate(_splits(codes, group_codes, n_splits, random_state)):
            part = _fitted(options, batch[learnt], codes[learnt])
            # A class need not have images on both sides, but the fit has all of them.
            predicted[held] = part.classes[predict(part, batch[held])]
            split[held] = i
            accuracy.append(_share_correct(codes[held], predicted[held], balanced=False))
            balanced.append(_share_correct(codes[held], predicted[held], balanced=True))
            own = class_evidence(part, part.embedding, shrinkage=SHRINKAGE, log=True).argmax(axis=1)
            training.append(_share_correct(part.labels, own, balanced=False))
            n_selected.append(len(part.columns))
            bar.update()
    confusion = np.zeros((len(classes), len(classes)), dtype=np.intp)
    np.add.at(confusion, (codes, predicted), 1)
    return HeldOutScore(
        accuracy=np.array(accuracy),
        balanced_accuracy=np.array(balanced),
        training_accuracy=np.array(training),
        confusion=confusion,
        predicted=predicted,
        split=split,
        n_coefficients=np.array(n_selected, dtype=np.intp),
        classes=classes,
        n_groups=None if group_codes is None else int(group_codes.max()) + 1,
    )


def _splits(
    codes: npt.NDArray[np.intp], groups: npt.NDArray[np.intp] | None, n_splits: int, random_state: int
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yield the images to learn from and those held out, with the classes spread evenly."""
    members = [np.flatnonzero(codes == i) for i in range(codes.max() + 1)]
    units = [len(each) if groups is None else len(np.unique(groups[each])) for each in members]
    check_integer(
        n_splits,
        "n_splits",
        low=2,
        high=min(units),
        why=f"a class has only {min(units)} {'images' if groups is None else 'groups'}",
    )
    if groups is None:
        splitter = StratifiedKFold(n_splits, shuffle=True, random_state=random_state)
        found = list(splitter.split(codes, codes))
    else:
        by_group = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
        found = list(by_group.split(codes, codes, groups))
    for learnt, held in found:
        left = np.bincount(codes[learnt], minlength=len(members))
        if left.min() < 2 or not len(held):
            raise ValueError(
                f"`n_splits`={n_splits} leaves a split without two images of each class to learn from or none "
                "to score: the groups are too few or too uneven; try another number"
            )
    yield from found


def _fitted(options: FitOptions, images: npt.NDArray[Any], labels: npt.NDArray[np.intp]) -> FitResult:
    """Fit to a part of the images, with as many coefficients as asked for or as leave every class with full rank."""

    def fit(n_coefficients: int | None) -> FitResult:
        some = replace(options, progress=False, n_coefficients=n_coefficients)
        where: dict[str, Any] = dict.fromkeys(("work_dir", "cache", "chunk_size", "scheduler"))
        return fit_images(some, images, labels, resume=False, **where)

    wanted = options.n_coefficients
    if wanted is not None and wanted <= int(np.bincount(labels).min()):
        try:
            return fit(wanted)
        except ValueError as error:
            if "rank" not in str(error):
                raise
    return fit(None)


def _share_correct(labels: npt.NDArray[Any], predicted: npt.NDArray[Any], *, balanced: bool) -> float:
    right = labels == predicted
    if not balanced:
        return float(right.mean())
    return float(np.mean([right[labels == each].mean() for each in np.unique(labels)]))
