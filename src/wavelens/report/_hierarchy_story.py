"""What the sections of a hierarchy report share: the hierarchy, names, figures, and what is computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wavelens._threads import blas_threads
from wavelens._utils._names import shorten, visible, without_isolates
from wavelens.hierarchy import (
    ClassHierarchy,
    Companions,
    CompositionStability,
    LayerFlow,
    MMFGraph,
    class_linkage,
    companions,
)
from wavelens.hierarchy._agreement import joining_levels
from wavelens.hierarchy._novelty import left_out_shares, own_shares
from wavelens.report._embed import FigureFolder
from wavelens.report._foreign_text import isolate

__all__ = ["PART", "HierarchyStory"]

PART = 0.25
"""A class takes part in a composition from this weight on: a sixteenth of what is mixed."""

_rounding = 1e-9

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


class HierarchyStory:
    """A hierarchy and the means to show it; without a folder, to tell of it only."""

    def __init__(
        self,
        folder: Path | None,
        hierarchy: ClassHierarchy,
        *,
        layer: str = "",
        flow: LayerFlow | None = None,
        stability: CompositionStability | None = None,
    ) -> None:
        self._folder = folder
        self.hierarchy, self.stability = hierarchy, stability
        shown: Callable[[str], str] = visible if folder is None else isolate
        self.layer = shown(layer) if layer else ""
        self.flow = flow
        if flow is not None:
            classes = np.array([shown(str(each)) for each in flow.classes.tolist()], dtype=object)
            self.flow = replace(flow, layers=tuple(map(shown, flow.layers)), classes=classes)
        self.factors = hierarchy.mmf_
        self.matrix: Float64Array = hierarchy.covariance_.matrix
        self.names = tuple(shown(str(label)) for label in hierarchy.classes_.tolist())
        self.graph: MMFGraph = self.factors.graph(self.names)
        self.counts: IntArray = hierarchy.counts_
        self.single_images = int(self.counts.max()) == 1

    @cached_property
    def figures(self) -> FigureFolder:
        """Where figures go; for a story that is to become a page."""
        if self._folder is None:
            raise ValueError("a story without a folder has no figures")
        return FigureFolder(self._folder)

    @property
    def m(self) -> int:
        """Number of classes."""
        return len(self.names)

    def said(self, i: int) -> str:
        """Return the name of a class as a sentence says it."""
        name = shorten(self.names[i], 40)
        bare = "".join(c for c in without_isolates(name) if c not in " -_'().…")
        return name if len(bare) > 2 and bare.isalpha() else f"“{name}”"

    @cached_property
    def entry_weights(self) -> Float64Array:
        """Weight of each class in the composition at which it enters; 0 for never."""
        weights = np.zeros(self.m)
        graph = self.graph
        new = graph.hangs_on == 0
        weights[graph.tuples[new]] = graph.weights[new]
        return weights

    def is_main(self, i: int) -> bool:
        """Tell whether a class is a main part of the composition at which it enters, beside another one.

        Later on its row is a mixture of all it was rotated with, so that its weight says little of the class.
        """
        return bool(self.entry_weights[i] >= PART and self.partners(i))

    def members(self, level: int) -> tuple[IntArray, Float64Array]:
        """Return the classes of a level and their weights, the heaviest first."""
        tuples, weights = self.graph.tuples[level - 1], self.graph.weights[level - 1]
        order = np.argsort(-weights, kind="stable")
        return tuples[order], weights[order]

    def strong(self, level: int) -> list[int]:
        """Return the classes that take part in a level; at least two."""
        members, weights = self.members(level)
        return [int(i) for i in members[: max(2, int((weights >= PART).sum()))]]

    def partners(self, i: int) -> list[int]:
        """Return the main parts of the composition at which a class enters, other than itself."""
        level = int(self.graph.entry_levels[i])
        if not level:
            return []
        members, weights = self.members(level)
        return [int(j) for j in members[weights >= PART] if j != i]

    @cached_property
    def companions(self) -> Companions:
        """What few others make of each class: as many as a composition has besides it."""
        n = max(1, min(self.factors.order, self.m) - 1)
        if self.hierarchy.covariance_.center:
            return companions(self._about_all, n, counts=self.counts)
        return companions(self.matrix, n)

    @cached_property
    def _about_all(self) -> Float64Array:
        """Inner products of the class means about the mean of all images."""
        off = self.hierarchy.means_ - np.average(self.hierarchy.means_, axis=0, weights=self.counts)
        with blas_threads(1):
            return np.asarray(off @ off.T)

    @cached_property
    def shares(self) -> Float64Array | None:
        """Share of each class that all others cannot compose; None where that says nothing."""
        covariance = self.hierarchy.covariance_
        if covariance.center:
            found = left_out_shares(self._about_all, self.counts.astype(np.float64))
        else:
            found = own_shares(self.matrix)
        return None if np.isnan(found).any() or found.max() <= _rounding else found

    @cached_property
    def apart(self) -> tuple[IntArray, Float64Array]:
        """The classes by what is their own, most first, and the shares by which they are ordered."""
        shares = self.companions.left if self.shares is None else self.shares
        return np.argsort(-shares, kind="stable").astype(np.intp), shares

    @cached_property
    def spectrum(self) -> Float64Array:
        """Squared eigenvalues of the matrix, descending."""
        with blas_threads(1):
            return np.sort(np.square(np.linalg.eigvalsh(self.matrix)))[::-1]

    @property
    def common(self) -> float:
        """Share of the squared matrix that its first eigenvector alone gives: what all classes have in common."""
        total = float(self.spectrum.sum())
        return float(self.spectrum[0] / total) if total > 0 else 0.0

    @property
    def error_of_rest(self) -> float:
        """Error of the factorization as a share of the matrix without what its first eigenvector gives."""
        rest = float(self.spectrum[1:].sum())
        return self.factors.error / float(np.sqrt(rest)) if rest > 0 else 0.0

    def low_rank_error(self, nbytes: int) -> float:
        """Return the relative error of the best low-rank matrix that takes as many bytes."""
        rank = min(self.m, nbytes // (8 * (self.m + 1)))
        total = float(self.spectrum.sum())
        return float(np.sqrt(max(self.spectrum[rank:].sum(), 0) / total)) if total > 0 else 0.0

    @cached_property
    def linkage(self) -> Float64Array:
        """The agglomerative tree of the same class means."""
        return class_linkage(self.matrix)

    @cached_property
    def agreement_with_tree(self) -> float | None:
        """Rank correlation of joining levels and of the tree's heights, over pairs; None if one is constant."""
        from scipy.cluster.hierarchy import cophenet
        from scipy.stats import spearmanr

        levels = joining_levels(self.factors.tuples, self.m)[np.triu_indices(self.m, 1)]
        heights = cophenet(self.linkage)
        if np.ptp(levels) == 0 or np.ptp(heights) == 0:
            return None
        return float(spearmanr(levels, heights).statistic)
