"""How the compositions of classes change from layer to layer, and which layers add nothing to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from wavelens._arguments import check_integer, check_progress
from wavelens._utils._labels import as_labels
from wavelens.hierarchy._agreement import (
    chance_jaccard,
    first_levels,
    jaccard_by_level,
    joining_correlation,
    joining_levels,
)
from wavelens.hierarchy._class_covariance import covariance_of
from wavelens.hierarchy._class_means import ClassMeans
from wavelens.hierarchy._features import Float64Array, IntArray, as_features, row_chunks
from wavelens.hierarchy._flow_result import LayerFlow
from wavelens.hierarchy._mmf import MMF, MMFMethod, MMFRotation, mmf

__all__ = ["layer_flow"]

_numbers_held = 2**25  # 256 MiB of float64
_error_floor = 1e-9


def layer_flow(
    layers: Mapping[str, npt.ArrayLike],
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
) -> LayerFlow:
    """Factorize the class covariances of all layers and compare their compositions.

    Parameters
    ----------
    layers : mapping of str to (n_images, …) array_like
        Representations of the same images in each layer, in the order of the network; lengths may differ from
        layer to layer. Read one layer at a time and a few megabytes of it at a time, so that memory maps, HDF5
        or zarr datasets stay on disk.
    labels : (n_images,) array_like of numbers or strings
        Class of each image.
    order : int, default 5
        How many classes a level composes, from 2 to the number of classes.
    method, rotation
        As in `mmf`.
    center, correlation : bool, default False
        As in `class_covariance`.
    orders : sequence of int, default (3, 4, 5, 6)
        Other orders to try; those above the number of classes are left out.
    n_resamples : int, default 20
        How often images are drawn anew, with replacement within each class and alike in all layers; at least 2.
    random_state : int, default 0
        Seed of the resamples and of the shuffled classes.
    progress : callable or None, default None
        Called with the share of the work that is done.

    Returns
    -------
    LayerFlow

    Raises
    ------
    ValueError
        If there are fewer than two layers, a layer has another number of images than there are labels, an
        entry is NaN or infinite (layer and row are named), there are fewer than two classes, a class has one
        image only (nothing can be drawn anew), or an option is out of range.
    TypeError
        If features are not real numbers, or labels neither numbers nor strings.

    Notes
    -----
    The paper ([1]_, section 4.3) compares graphs by eye: where the compositions of the last layers do not
    change, the additional layer may be removed. That greedy compositions differ says little by itself: where two
    tuples are nearly as good, a handful of images decides. So three questions are kept apart:

    * Which classes compose: `agreement`, level by level, and `cumulative_agreement`, beside what random
      compositions would show (`chance`) and what the same layer shows if other images of the same kind had been
      taken (`resampled`).
    * Whether the compositions of one layer serve another: `transfer`, the error of layer j's covariance in the
      wavelets of layer i, over that in its own. A layer adds nothing where the wavelets of the layer before
      serve it no worse than those of 9 in 10 of its own resamples do, and better than 9 in 10 shuffles of the
      classes. Equally good compositions count as equal, and the weights count, not the sets alone: of the three
      figures it is the one that hardly depends on order and options.
    * Whether the choice of the order matters: `order_stability`.

    With `center` differences between classes are compared; without, what all classes share weighs most.

    O(r n d) for r resamples of n images with d numbers, and r factorizations, for each layer; memory for the
    class means of as many resamples as fit into 256 MiB, at least one.

    References
    ----------
    .. [1] V. K. Ithapu, "Decoding the deep: exploring class hierarchies of deep representations using
       multiresolution matrix factorization", CVPR workshops (2017).

    Examples
    --------
    The digits' pixels, the same turned about, and noise:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from wavelens.hierarchy import layer_flow
    >>> pixels, labels = load_digits(return_X_y=True)
    >>> rng = np.random.default_rng(0)
    >>> turned = pixels @ np.linalg.qr(rng.normal(size=(64, 64)))[0]
    >>> flow = layer_flow({"pixels": pixels, "turned": turned}, labels, order=3, n_resamples=10)
    >>> flow.verdicts, flow.saturates_at
    (('adds nothing',), 'pixels')
    >>> bool((flow.agreement == 1).all())
    True
    """
    names, arrays = _check_layers(layers)
    codes, classes = _check_flow_labels(labels, arrays, names)
    m = len(classes)
    order = check_integer(order, "order", low=2, high=m, why=f"there are {m} classes")
    tried = [k for k in check_orders(orders) if k <= m]
    check_integer(n_resamples, "n_resamples", low=2)
    check_integer(random_state, "random_state", low=0)
    check_progress(progress)
    options: dict[str, Any] = {"method": method, "rotation": rotation, "random_state": random_state}
    weights = _draw(codes, m, n_resamples, random_state)

    factors: list[MMF] = []
    resampled: list[list[MMF]] = []
    order_stability = np.empty((len(arrays), len(tried)))
    for i, (name, features) in enumerate(zip(names, arrays, strict=True)):

        def told(done: float, layer: int = i) -> None:
            if progress is not None:
                progress((layer + done) / len(arrays))

        try:
            whole = _matrix(_sums(features, codes, m, None)[0], codes, classes, center, correlation)
            factors.append(mmf(whole, order, **options))
            again = []
            for sums in _resampled_sums(features, codes, m, weights):
                matrix = _matrix(sums, codes, classes, center, correlation)
                again.append(mmf(matrix, order, **options))
                told(len(again) / n_resamples)
            resampled.append(again)
        except (ValueError, TypeError) as error:
            raise type(error)(f"layer {name!r}: {error}") from error
        for j, k in enumerate(tried):
            order_stability[i, j] = _overlap(factors[i], mmf(whole, k, **options))
    return _compare(names, classes, factors, resampled, tried, order_stability, random_state)


def _check_layers(layers: Mapping[str, npt.ArrayLike]) -> tuple[tuple[str, ...], list[Any]]:
    if not isinstance(layers, Mapping):
        raise TypeError(f"`layers` must be a mapping of names to features, got {type(layers).__name__}")
    if len(layers) < 2:
        raise ValueError(f"`layers` must hold at least two layers, got {len(layers)}")
    arrays = []
    for name, features in layers.items():
        try:
            arrays.append(as_features(features, "features"))
        except (ValueError, TypeError) as error:
            raise type(error)(f"layer {name!r}: {error}") from error
    names = tuple(str(name) for name in layers)
    if len(set(names)) < len(names):
        raise ValueError(f"`layers` must have names that differ as text, got {', '.join(map(repr, layers))}")
    return names, arrays


def check_orders(orders: Sequence[int]) -> list[int]:
    """Return the orders ascending, each once."""
    if isinstance(orders, str) or not isinstance(orders, Iterable):
        raise TypeError(f"`orders` must be a sequence of integers, got {orders!r}")
    return sorted({check_integer(k, "orders", low=2) for k in orders})


def _check_flow_labels(
    labels: npt.ArrayLike, arrays: list[Any], names: tuple[str, ...]
) -> tuple[IntArray, npt.NDArray[Any]]:
    given = np.shape(labels)
    for name, features in zip(names, arrays, strict=True):
        if given[:1] != tuple(features.shape[:1]):
            raise ValueError(
                f"layer {name!r} must have one row for each label: got {features.shape[0]} rows and labels of "
                f"shape {given}"
            )
    classes, codes, counts = np.unique(
        as_labels(labels, arrays[0].shape[0], "labels"), return_inverse=True, return_counts=True
    )
    if len(classes) < 2:
        got = f"got one class, {classes[0].item()!r}" if len(classes) else "got none"
        raise ValueError(f"`labels` must hold at least two classes, {got}")
    if counts.min() < 2:
        alone = classes[counts.argmin()].item()
        raise ValueError(
            f"`labels` must give every class at least two images to draw from, got one of class {alone!r}"
        )
    return codes.astype(np.intp), classes


def _draw(codes: IntArray, m: int, n_resamples: int, seed: int) -> npt.NDArray[np.float32]:
    """Return how often each image is drawn, (n_resamples, n_images): as many of each class as there are."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_resamples, len(codes)), dtype=np.float32)
    for c in range(m):
        members = np.flatnonzero(codes == c)
        for row in weights:
            drawn = rng.integers(len(members), size=len(members))
            row[members] = np.bincount(drawn, minlength=len(members))
    return weights


def _resampled_sums(features: Any, codes: IntArray, m: int, weights: npt.NDArray[np.float32]) -> Any:
    """Give the sums of each class, (m, n_features), for one resample after another."""
    width = int(np.prod(features.shape[1:]))
    at_once = max(1, _numbers_held // (m * width))
    for first in range(0, len(weights), at_once):
        yield from _sums(features, codes, m, weights[first : first + at_once])


def _sums(features: Any, codes: IntArray, m: int, weights: npt.NDArray[np.float32] | None) -> Float64Array:
    """Return the weighted sum of each class's images, (n_resamples, m, n_features), in one pass."""
    n = 1 if weights is None else len(weights)
    width = int(np.prod(features.shape[1:]))
    sums = np.zeros((n * m, width))
    for first, chunk in row_chunks(features, "features", least=2 * m):
        here = codes[first : first + len(chunk)]
        some = np.ones((1, len(here))) if weights is None else weights[:, first : first + len(chunk)]
        resample, image = np.nonzero(some)
        pick = csr_array(
            (some[resample, image].astype(np.float64), (resample * m + here[image], image)),
            shape=(n * m, len(here)),
        )
        sums += pick @ chunk
    return sums.reshape(n, m, width)


def _matrix(
    sums: Float64Array, codes: IntArray, classes: npt.NDArray[Any], center: bool, correlation: bool
) -> Float64Array:
    means = ClassMeans()
    means.classes, means.sums = classes, sums
    means.counts = np.bincount(codes, minlength=len(classes)).astype(np.intp)
    return covariance_of(means, center=center, correlation=correlation).matrix


def _overlap(a: MMF, b: MMF) -> float:
    """Return how much of the smaller first composition the other one holds."""
    common = len(np.intersect1d(a.tuples[0], b.tuples[0]))
    return common / min(a.order, b.order)


def _excess(basis: MMF, of: MMF, order: IntArray | None = None) -> float:
    """Return the error of the matrix of `of` in the basis of another factorization, over that in its own.

    With `order`, of the matrix with its rows and columns in that order.
    """
    assert of.matrix is not None
    matrix = of.matrix if order is None else of.matrix[np.ix_(order, order)]
    turned = basis.transform(basis.transform(matrix).T)
    lost = np.square(turned)
    core = basis.core_indices
    np.fill_diagonal(lost, 0)
    lost[np.ix_(core, core)] = 0
    floor = _error_floor * np.linalg.norm(matrix)
    return float(max(np.sqrt(lost.sum()), floor) / max(of.error, floor, np.finfo(np.float64).tiny))


def _compare(
    names: tuple[str, ...],
    classes: npt.NDArray[Any],
    factors: list[MMF],
    resampled: list[list[MMF]],
    orders: list[int],
    order_stability: Float64Array,
    seed: int,
) -> LayerFlow:
    m, order, levels = len(classes), factors[0].order, factors[0].n_levels
    pairs = list(pairwise(factors))
    between = [jaccard_by_level(a.tuples, b.tuples) for a, b in pairs]
    own = [
        np.mean([jaccard_by_level(whole.tuples, each.tuples) for each in again], axis=0)
        for whole, again in zip(factors, resampled, strict=True)
    ]
    joined = [joining_levels(each.tuples, m) for each in factors]
    rng = np.random.default_rng(seed)
    shuffles = [rng.permutation(m) for _ in resampled[0]]
    return LayerFlow(
        layers=names,
        classes=classes,
        mmfs=tuple(factors),
        agreement=np.array([single for single, _ in between]),
        cumulative_agreement=np.array([together for _, together in between]),
        chance=np.full(levels, chance_jaccard(m, order, order)),
        cumulative_chance=np.array(
            [
                [
                    chance_jaccard(m, len(s), len(t))
                    for s, t in zip(first_levels(a.tuples), first_levels(b.tuples), strict=True)
                ]
                for a, b in pairs
            ]
        ),
        resampled=np.array([single for single, _ in own]),
        cumulative_resampled=np.array([together for _, together in own]),
        joining=np.array([joining_correlation(a, b) for a, b in pairwise(joined)]),
        joining_resampled=np.array(
            [
                np.mean([joining_correlation(whole, joining_levels(each.tuples, m)) for each in again])
                for whole, again in zip(joined, resampled, strict=True)
            ]
        ),
        transfer=np.array([[_excess(a, b) for b in factors] for a in factors]),
        transfer_resampled=np.array(
            [
                [_excess(each, whole) for each in again]
                for whole, again in zip(factors, resampled, strict=True)
            ]
        ),
        transfer_chance=np.array([[_excess(each, each, p) for p in shuffles] for each in factors]),
        orders=tuple(orders),
        order_stability=order_stability,
        order_chance=np.array([max(k, order) / m for k in orders]),
    )
