"""What an MMF graph draws together: blocks of nodes that compose early, and the order of the leaves they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wavelens.hierarchy._graph import MMFGraph

__all__ = ["early_blocks", "grouped", "leaf_order", "links"]

IntArray = npt.NDArray[np.intp]

_blocks_at_least = 8
# Optimal ordering of a tree costs the cube of the number of its leaves.
_most_optimally_ordered = 300


class Blocks:
    """Disjoint blocks of nodes that are joined; each keeps the order in which its nodes came."""

    def __init__(self, n: int) -> None:
        self.home = list(range(n))
        self.members = {i: [i] for i in range(n)}

    def join(self, nodes: Sequence[int]) -> None:
        """Put the blocks of the nodes one behind the other, the largest first."""
        roots = sorted({self.home[node] for node in nodes}, key=lambda root: -len(self.members[root]))
        for root in roots[1:]:
            for node in self.members[root]:
                self.home[node] = roots[0]
            self.members[roots[0]] += self.members.pop(root)

    def blocks(self) -> list[list[int]]:
        """Return the blocks."""
        return list(self.members.values())


def links(tuples: IntArray, levels: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Return which level each member hangs on (0: it enters, −1: no member), and the nodes' entry levels."""
    hangs_on, entries, last = np.full_like(tuples, -1), np.zeros(n, np.intp), np.zeros(n, np.intp)
    for place, (members, level) in enumerate(zip(tuples, levels, strict=True)):
        used = members >= 0
        nodes = members[used]
        hangs_on[place, used] = last[nodes]
        entries[nodes[last[nodes] == 0]] = level
        last[nodes] = level
    return hangs_on, entries


def leaf_order(graph: MMFGraph, min_weight: float, similarity: npt.ArrayLike | None) -> IntArray:
    """Return the order of the nodes; see `MMFGraph.leaf_order`."""
    n = graph.n_nodes
    if similarity is not None:
        alike = np.asarray(similarity, dtype=np.float64)
        if alike.shape != (n, n):
            raise ValueError(f"`similarity` must have shape ({n}, {n}), got {alike.shape}")
        found = early_blocks(graph, max(_blocks_at_least, graph.n_classes // 8), min_weight)
        found = [found[i] for i in _by_likeness(found, alike)]
    else:
        blocks = Blocks(n)
        for members in _drawn_together(graph, min_weight):
            blocks.join(members)
        began = {node: i for i, node in enumerate(_by_entry(graph))}
        found = blocks.blocks()
        found.sort(key=lambda block: (len(block) == 1, min(began[node] for node in block)))
    return np.array([node for block in found for node in block], dtype=np.intp)


def early_blocks(graph: MMFGraph, max_size: int, min_weight: float) -> list[list[int]]:
    """Return blocks of nodes of up to `max_size` classes together, each in the order of entry.

    A block that met others without room for them takes no more in: it would no longer be what composed first.
    """
    sizes = [len(node) for node in graph.nodes]
    blocks = Blocks(graph.n_nodes)
    closed: set[int] = set()
    for members in _drawn_together(graph, min_weight):
        roots = {blocks.home[member] for member in members}
        if len(roots) > 1:
            together = sum(sizes[node] for root in roots for node in blocks.members[root])
            if roots & closed or together > max_size:
                closed |= roots
            else:
                blocks.join(members)
    place = {node: i for i, node in enumerate(_by_entry(graph))}
    return sorted((sorted(block, key=place.__getitem__) for block in blocks.blocks()), key=min)


def grouped(graph: MMFGraph, groups: list[list[int]]) -> MMFGraph:
    """Return the graph whose nodes are the groups; see `MMFGraph.collapse`."""
    home = np.empty(graph.n_nodes, dtype=np.intp)
    for i, group in enumerate(groups):
        home[group] = i
    tuples, weights = np.full_like(graph.tuples, -1), np.zeros_like(graph.weights)
    for level, (members, shares) in enumerate(zip(graph.tuples, graph.weights, strict=True)):
        used = members >= 0
        nodes, inverse = np.unique(home[members[used]], return_inverse=True)
        tuples[level, : len(nodes)] = nodes
        weights[level, : len(nodes)] = np.sqrt(np.bincount(inverse, shares[used] ** 2))
    several = (tuples >= 0).sum(axis=1) > 1
    hangs_on, entries = links(tuples[several], graph.levels[several], len(groups))
    return replace(
        graph,
        nodes=tuple(tuple(c for node in group for c in graph.nodes[node]) for group in groups),
        levels=graph.levels[several],
        tuples=tuples[several],
        weights=weights[several],
        wavelets=home[graph.wavelets[several]],
        hangs_on=hangs_on,
        entry_levels=entries,
        level_errors=graph.level_errors[several],
        frequencies=graph.frequencies[several],
    )


def _by_likeness(blocks: list[list[int]], similarity: npt.NDArray[np.float64]) -> list[int]:
    """Return the order of the blocks by average linkage of their correlations."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(blocks) < 3:
        return list(range(len(blocks)))
    member = np.zeros((len(blocks), len(similarity)))
    for i, block in enumerate(blocks):
        member[i, block] = 1
    between = member @ ((similarity + similarity.T) / 2) @ member.T
    # An indefinite matrix may have a diagonal without use as a scale; its blocks are compared as they are.
    norms = np.sqrt(np.maximum(np.diagonal(between), 0))
    if norms.min() > 0:
        between = between / norms[:, None] / norms
    distance = between.max() - between
    np.fill_diagonal(distance, 0)
    tree = linkage(
        squareform(distance, checks=False), "average", optimal_ordering=len(blocks) <= _most_optimally_ordered
    )
    return [int(i) for i in leaves_list(tree)]


def _drawn_together(graph: MMFGraph, min_weight: float) -> list[list[int]]:
    """Return the nodes of each level that take part; at least the two strongest."""
    found = []
    for members, weights in zip(graph.tuples, graph.weights, strict=True):
        used = np.flatnonzero(members >= 0)
        by_weight = used[np.argsort(-weights[used], kind="stable")]
        n = max(2, int((weights[used] >= min_weight).sum()))
        found.append([int(members[i]) for i in by_weight[:n]])
    return found


def _by_entry(graph: MMFGraph) -> list[int]:
    """Return all nodes by entry level; the never used last."""
    entry = np.where(graph.entry_levels > 0, graph.entry_levels, np.iinfo(np.intp).max)
    return [int(node) for node in np.argsort(entry, kind="stable")]
