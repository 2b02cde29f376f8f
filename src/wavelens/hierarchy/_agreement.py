"""How far two hierarchies of the same classes agree.

A hierarchy is the list of its compositions: the tuple t_l of level l. Three measures, from the strictest to the
one that a change of a few levels leaves nearly alone:

* level by level, the Jaccard index |t_l ∩ t'_l| / |t_l ∪ t'_l|. A greedy factorization may take two
  compositions in the one order or in the other; this index then sees two changes where nothing changed.
* of the first l levels together, the Jaccard index of the classes used so far: which classes compose early. It
  does not depend on the order within the first l levels; it ends at 1 where all classes are used.
* of the whole, the rank correlation of joining levels: a pair of classes is joined at the first level by which
  a chain of compositions connects them (an ultrametric, as the heights of a dendrogram are). It sees who
  belongs with whom, and serves for hierarchies of different order as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom, rankdata

from wavelens.hierarchy._features import Float64Array, IntArray

__all__ = [
    "chance_jaccard",
    "first_levels",
    "jaccard",
    "jaccard_by_level",
    "joining_correlation",
    "joining_levels",
]


def jaccard(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Return |a ∩ b| / |a ∪ b| of two sets of indices without repeats; 1 for two empty ones."""
    common = len(np.intersect1d(a, b))
    whole = np.size(a) + np.size(b) - common
    return common / whole if whole else 1.0


def jaccard_by_level(a: IntArray, b: IntArray) -> tuple[Float64Array, Float64Array]:
    """Return the Jaccard index of the tuples (n_levels, order) of each level, and of the first levels together."""
    single = np.array([jaccard(s, t) for s, t in zip(a, b, strict=True)])
    together = np.array(
        [jaccard(s, t) for s, t in zip(first_levels(a), first_levels(b), strict=True)], dtype=np.float64
    )
    return single, together


def first_levels(tuples: IntArray) -> list[IntArray]:
    """Return for each level the classes that it and those before it use."""
    return [np.unique(tuples[: level + 1]) for level in range(len(tuples))]


def chance_jaccard(m: int, a: int, b: int) -> float:
    """Return the expected Jaccard index of random sets of `a` and of `b` out of `m`."""
    common = np.arange(max(0, a + b - m), min(a, b) + 1)
    return float(hypergeom.pmf(common, m, a, b) @ (common / (a + b - common)))


def joining_levels(tuples: IntArray, m: int) -> IntArray:
    """Return for each pair of `m` classes the level, from 1, by which compositions connect them; (m, m).

    n_levels + 1 for pairs that stay apart; 0 on the diagonal. O(n_levels · m + m²).
    """
    levels = np.full((m, m), len(tuples) + 1, dtype=np.intp)
    np.fill_diagonal(levels, 0)
    groups = [np.array([i]) for i in range(m)]
    group_of = np.arange(m)
    for level, members in enumerate(tuples):
        joined = np.unique(group_of[members])
        if len(joined) == 1:
            continue
        for i, one in enumerate(joined):
            for other in joined[i + 1 :]:
                levels[np.ix_(groups[one], groups[other])] = level + 1
                levels[np.ix_(groups[other], groups[one])] = level + 1
        groups[joined[0]] = np.concatenate([groups[each] for each in joined])
        group_of[groups[joined[0]]] = joined[0]
    return levels


def joining_correlation(a: IntArray, b: IntArray) -> float:
    """Return Spearman's rank correlation of two matrices of joining levels, over the pairs of classes.

    Where all pairs of one hierarchy are joined at one level there is nothing to rank: 1 if so in both, else 0.
    """
    pairs = np.triu_indices(len(a), 1)
    first, second = rankdata(a[pairs]), rankdata(b[pairs])
    first, second = first - first.mean(), second - second.mean()
    sizes = np.linalg.norm(first), np.linalg.norm(second)
    if min(sizes) == 0:
        return float(max(sizes) == 0)
    return float(np.clip(first @ second / (sizes[0] * sizes[1]), -1, 1))
