"""How far a hierarchy depends on its order and on the images that happened to be there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer, check_progress
from wavelens._utils._labels import as_labels
from wavelens.hierarchy._agreement import joining_correlation, joining_levels
from wavelens.hierarchy._features import Float64Array, IntArray, as_features
from wavelens.hierarchy._layer_flow import (
    _draw,
    _excess,
    _matrix,
    _overlap,
    _resampled_sums,
    _sums,
    check_orders,
)
from wavelens.hierarchy._mmf import MMF, MMFMethod, MMFRotation, mmf

__all__ = ["CompositionStability", "composition_stability"]

_steady = 0.75


@dataclass(frozen=True, eq=False)
class CompositionStability:
    """How a hierarchy fares with other orders and with images drawn anew; made by `composition_stability`.

    Attributes
    ----------
    classes : (n_classes,) array
        Labels, ascending.
    mmf : MMF
        The hierarchy itself.
    orders : tuple of int
        Orders tried, with that of `mmf`.
    order_errors : (n_orders,) array of float64
        Relative error of each.
    order_nbytes : (n_orders,) array of intp
        Bytes of each.
    order_first : (n_orders,) array of float64
        Part of the first composition that the one of the other order shares (of the smaller of the two).
    order_chance : (n_orders,) array of float64
        What that would be for random compositions.
    order_joining : (n_orders,) array of float64
        Rank correlation, over pairs of classes, of the levels by which compositions connect them.
    first_share : (n_classes,) array of float64
        Part of the resamples in whose first composition the class is. NaN without resamples.
    first_overlap : (n_resamples,) array of float64
        Part of the first composition that is in that of the resample.
    joining : (n_resamples,) array of float64
        The rank correlation with each resample.
    transfer : (n_resamples,) array of float64
        Error of the matrix in the wavelets of the resample, over that in its own.
    transfer_chance : (n_resamples,) array of float64
        The same in its own wavelets, the classes shuffled.
    smallest_class : int
        Images of the smallest class.
    """

    classes: npt.NDArray[Any]
    mmf: MMF
    orders: tuple[int, ...]
    order_errors: Float64Array
    order_nbytes: IntArray
    order_first: Float64Array
    order_chance: Float64Array
    order_joining: Float64Array
    first_share: Float64Array
    first_overlap: Float64Array
    joining: Float64Array
    transfer: Float64Array
    transfer_chance: Float64Array
    smallest_class: int

    @property
    def n_resamples(self) -> int:
        """Number of resamples; 0 where a class has one image only."""
        return len(self.joining)

    @property
    def chance(self) -> float:
        """What `first_overlap` would be on average for random compositions."""
        return self.mmf.order / len(self.classes)

    @property
    def is_steady(self) -> bool | None:
        """Whether images drawn anew tell the same; None where nothing could be drawn or nothing told.

        So it is where the wavelets of resamples serve better than shuffled ones in 9 of 10, and three quarters
        of the first composition come again, above chance.
        """
        if not self.n_resamples:
            return None
        serves = np.median(self.transfer) < np.quantile(self.transfer_chance, 0.1)
        again = float(self.first_overlap.mean())
        return bool(serves and again >= _steady and again > self.chance)


def composition_stability(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    order: int = 5,
    method: MMFMethod = "topk",
    rotation: MMFRotation = "opt",
    center: bool = False,
    correlation: bool = False,
    orders: Sequence[int] = (3, 4, 5, 6),
    n_resamples: int = 20,
    random_state: int = 0,
    progress: Callable[[float], object] | None = None,
) -> CompositionStability:
    """Factorize with other orders and with images drawn anew, and compare.

    Parameters
    ----------
    features : (n_images, …) array_like of real numbers
    labels : (n_images,) array_like of numbers or strings
    order, method, rotation
        As in `mmf`.
    center, correlation : bool, default False
        As in `class_covariance`.
    orders : sequence of int, default (3, 4, 5, 6)
        Other orders to try; those above the number of classes are left out.
    n_resamples : int, default 20
        How often images are drawn anew, with replacement within each class; 0 for not at all, and none where a
        class has one image only.
    random_state : int, default 0
        Seed of the resamples and of the shuffled classes.
    progress : callable or None, default None
        Called with the share of the work that is done.

    Returns
    -------
    CompositionStability

    Raises
    ------
    ValueError
        If lengths do not agree, an entry is NaN or infinite, there are fewer than two classes, or an option is
        out of range.
    TypeError
        If features are not real numbers, or labels neither numbers nor strings.

    Notes
    -----
    O(r n d) for r resamples of n images with d numbers, and r factorizations besides one for each order.
    Drawing images anew tells how much chance there is in the choice of images, not whether photographs of
    another origin would tell the same.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.hierarchy import composition_stability
    >>> pixels, labels = load_digits(return_X_y=True)
    >>> found = composition_stability(pixels, labels, order=3, n_resamples=5)
    >>> found.orders, found.n_resamples
    ((3, 4, 5, 6), 5)
    """
    array = as_features(features, "features")
    names = as_labels(labels, array.shape[0], "labels")
    classes, codes, counts = np.unique(names, return_inverse=True, return_counts=True)
    codes = codes.astype(np.intp)
    m = len(classes)
    if m < 2:
        raise ValueError(f"`labels` must hold at least two classes, got {m}")
    order = check_integer(order, "order", low=2, high=m, why=f"there are {m} classes")
    tried = {order, *check_orders(orders)}
    tried_orders = tuple(sorted(k for k in tried if k <= m))
    check_integer(n_resamples, "n_resamples", low=0)
    check_integer(random_state, "random_state", low=0)
    check_progress(progress)
    drawn = n_resamples if counts.min() > 1 else 0
    steps, done = len(tried_orders) + drawn, 0

    def factorized(matrix: Float64Array, k: int) -> MMF:
        nonlocal done
        found = mmf(matrix, k, method=method, rotation=rotation, random_state=random_state)
        done += 1
        if progress is not None:
            progress(done / steps)
        return found

    sums = _sums(array, codes, m, None)[0]
    whole = _matrix(sums, codes, classes, center, correlation)
    others = [factorized(whole, k) for k in tried_orders]
    own = others[tried_orders.index(order)]
    again: list[MMF] = []
    if drawn:
        weights = _draw(codes, m, drawn, random_state)
        for each in _resampled_sums(array, codes, m, weights):
            again.append(factorized(_matrix(each, codes, classes, center, correlation), order))
    joined = joining_levels(own.tuples, m)
    first = np.zeros(m)
    for each in again:
        first[each.tuples[0]] += 1
    rng = np.random.default_rng(random_state)
    return CompositionStability(
        classes=classes,
        mmf=own,
        orders=tried_orders,
        order_errors=np.array([each.relative_error for each in others]),
        order_nbytes=np.array([each.nbytes for each in others], dtype=np.intp),
        order_first=np.array([_overlap(own, each) for each in others]),
        order_chance=np.array([max(k, order) / m for k in tried_orders]),
        order_joining=np.array(
            [joining_correlation(joined, joining_levels(each.tuples, m)) for each in others]
        ),
        first_share=first / drawn if drawn else np.full(m, np.nan),
        first_overlap=np.array([_overlap(own, each) for each in again]),
        joining=np.array([joining_correlation(joined, joining_levels(each.tuples, m)) for each in again]),
        transfer=np.array([_excess(each, own) for each in again]),
        transfer_chance=np.array([_excess(own, own, rng.permutation(m)) for _ in again]),
        smallest_class=int(counts.min()),
    )
