"""The MMF graph: which classes compose at which level, and what each level hangs on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens.exceptions import WavelensError
from wavelens.hierarchy._graph_order import early_blocks, grouped, leaf_order, links

if TYPE_CHECKING:
    from wavelens.hierarchy._mmf import MMF

__all__ = ["Composition", "MMFGraph"]

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Composition:
    """A tuple member as its level finds it.

    Attributes
    ----------
    node : int
        The member.
    weight : float
        |x| of the member in the wavelet of the level.
    hangs_on : int
        The level that rotated it last; 0 if it enters here.
    stands_for : tuple of int
        All nodes that its row has been composed with so far, itself included, ascending.
    """

    node: int
    weight: float
    hangs_on: int
    stands_for: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class MMFGraph:
    """Which rows of a matrix compose at which level of its factorization; made by `MMF.graph`.

    Nodes are the rows, here called classes, or groups of them after `collapse`. A level rotates a tuple of
    nodes; one of them, the wavelet, takes no part later. A node enters at the first level that uses it. From
    then on its row is a mixture of all it was rotated with, so a later level that uses it hangs on the level
    that used it last.

    Attributes
    ----------
    names : tuple
        Of the classes, any objects; need not differ, as all else goes by index.
    nodes : tuple of tuple of int
        The classes of each node; one each unless collapsed.
    levels : (n_levels,) array of intp
        Numbers of the levels, ascending; the first of a factorization is 1.
    tuples : (n_levels, order) array of intp
        Nodes of each level; −1 fills up after `collapse`.
    wavelets : (n_levels,) array of intp
        The node of each tuple that becomes a wavelet (or, after `collapse`, that holds it).
    weights : (n_levels, order) array of float64
        |x_i| of the wavelet's row of the rotation; the squares of a level sum to 1.
    hangs_on : (n_levels, order) array of intp
        Number of the level that used the member last; 0 where it enters, −1 where `tuples` is filled up.
    entry_levels : (n_nodes,) array of intp
        Number of the first level that uses the node; 0 for never.
    level_errors : (n_levels,) array of float64
        What each level adds to ‖C − M‖².
    squared_norm : float
        ‖C‖², so that `level_errors / squared_norm` are shares.
    frequencies : (n_levels,) array of float64
        Λ at the wavelets.
    core : tuple of int
        The classes that never become wavelets.

    References
    ----------
    V. K. Ithapu, "Decoding the deep: exploring class hierarchies of deep representations using multiresolution
    matrix factorization", CVPR workshops (2017), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from wavelens.hierarchy import mmf
    >>> c = np.array([[2.0, 1.0, 0.1, 0.1], [1.0, 3.0, 0.1, 0.1], [0.1, 0.1, 4.0, 2.0], [0.1, 0.1, 2.0, 5.0]])
    >>> graph = mmf(c, order=2).graph(["cat", "dog", "car", "bus"])
    >>> graph.entry_levels
    array([2, 2, 1, 1])
    >>> [(graph.labels[each.node], each.hangs_on, each.stands_for) for each in graph.compositions(3)]
    [('dog', 2, (0, 1)), ('bus', 1, (2, 3))]
    """

    names: tuple[object, ...]
    nodes: tuple[tuple[int, ...], ...]
    levels: IntArray
    tuples: IntArray
    wavelets: IntArray
    weights: Float64Array
    hangs_on: IntArray
    entry_levels: IntArray
    level_errors: Float64Array
    squared_norm: float
    frequencies: Float64Array
    core: tuple[int, ...]

    @classmethod
    def from_mmf(cls, mmf: MMF, names: Sequence[object] | None = None) -> Self:
        """Read the graph off a factorization.

        Parameters
        ----------
        mmf : MMF
        names : sequence of m names or None, default None
            Any objects; the numbers of the rows by default.

        Returns
        -------
        MMFGraph
        """
        m = mmf.shape[0]
        if isinstance(names, str | bytes):
            raise TypeError(f"`names` must be a sequence of {m} names, got the single name {names!r}")
        named = tuple(range(m)) if names is None else tuple(names)
        if len(named) != m:
            raise ValueError(f"`names` must hold a name for each of the {m} rows, got {len(named)}")
        rows = np.argmax(mmf.tuples == mmf.wavelets[:, None], axis=1)
        weights = np.abs(mmf.rotations[np.arange(mmf.n_levels), rows]).reshape(mmf.tuples.shape)
        levels = np.arange(1, mmf.n_levels + 1)
        hangs_on, entries = links(mmf.tuples, levels, m)
        errors = np.asarray(mmf.level_errors, dtype=np.float64)
        squares = np.square(mmf.core).sum() + np.square(mmf.frequencies).sum() + errors.sum()
        return cls(
            names=named,
            nodes=tuple((i,) for i in range(m)),
            levels=levels,
            tuples=np.asarray(mmf.tuples, dtype=np.intp),
            wavelets=np.asarray(mmf.wavelets, dtype=np.intp),
            weights=weights,
            hangs_on=hangs_on,
            entry_levels=entries,
            level_errors=errors,
            squared_norm=float(squares),
            frequencies=np.asarray(mmf.frequencies, dtype=np.float64),
            core=tuple(map(int, mmf.core_indices)),
        )

    def __repr__(self) -> str:
        return f"MMFGraph(n_nodes={self.n_nodes}, n_levels={self.n_levels}, order={self.order})"

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.nodes)

    @property
    def n_classes(self) -> int:
        """Number of classes, m."""
        return len(self.names)

    @property
    def n_levels(self) -> int:
        """Number of levels that the graph holds."""
        return len(self.levels)

    @property
    def order(self) -> int:
        """Most nodes that a level composes, k."""
        return int(self.tuples.shape[1])

    @property
    def labels(self) -> tuple[str, ...]:
        """The nodes in words: the name of the class, or of the first of the group and the number of others."""
        heads = [str(self.names[node[0]]) for node in self.nodes]
        sizes = [len(node) - 1 for node in self.nodes]
        return tuple(f"{head} + {n:,}" if n else head for head, n in zip(heads, sizes, strict=True))

    @property
    def error_shares(self) -> Float64Array:
        """What each level adds to ‖C − M‖² as a share of ‖C‖²; zeros for C = 0."""
        return self.level_errors / self.squared_norm if self.squared_norm > 0 else self.level_errors * 0

    @property
    def never_used(self) -> tuple[int, ...]:
        """Nodes that no level of the factorization uses."""
        return tuple(map(int, np.flatnonzero(self.entry_levels == 0)))

    def entering(self, level: int) -> tuple[int, ...]:
        """Return the nodes that enter at a level, ascending; none at a level that only links what is there."""
        place = self._place(level)
        return tuple(map(int, self.tuples[place][self.hangs_on[place] == 0]))

    def compositions(self, level: int) -> tuple[Composition, ...]:
        """Return the members of a level with what each of them stands for when the level takes it.

        Parameters
        ----------
        level : int
            Number of a level of the graph.

        Returns
        -------
        tuple of Composition

        Notes
        -----
        A member stands for all nodes of the level it hangs on, and for all that those stood for. Levels that
        `at_levels` left out are not followed. O(order n_levels).
        """
        place = self._place(level)
        return tuple(
            Composition(int(node), float(weight), int(earlier), self._stands_for(int(node), int(earlier)))
            for node, weight, earlier in zip(
                self.tuples[place], self.weights[place], self.hangs_on[place], strict=True
            )
            if node >= 0
        )

    def edges(self) -> list[tuple[int, int, float]]:
        """Return (level, earlier level, weight) for each two levels of which one hangs on the other.

        The weight is the root of the sum of |x_i|² over the members that hang there.
        """
        found: dict[tuple[int, int], float] = {}
        for level, earlier, weight in zip(self.levels, self.hangs_on, self.weights, strict=True):
            for e, w in zip(earlier, weight, strict=True):
                if e > 0:
                    key = int(level), int(e)
                    found[key] = found.get(key, 0.0) + float(w) ** 2
        return [(*key, math.sqrt(square)) for key, square in found.items()]

    def leaf_order(self, *, min_weight: float = 0.1, similarity: npt.ArrayLike | None = None) -> IntArray:
        """Return the nodes in an order in which those that compose early lie together.

        Parameters
        ----------
        min_weight : float, default 0.1
            Members of a tuple with a lower |x| hardly take part and do not draw it together.
        similarity : (n_nodes, n_nodes) array_like or None, default None
            C, say. Then only what composes early is kept together, in groups of up to an eighth of the nodes,
            and the groups are ordered by their likeness.

        Returns
        -------
        (n_nodes,) array of intp
            Without `similarity`, groups in the order in which they began; nodes that never compose come last.
        """
        return leaf_order(self, min_weight, similarity)

    def at_levels(self, first: int = 1, last: int | None = None) -> MMFGraph:
        """Return the graph of some levels only.

        Parameters
        ----------
        first, last : int
            Numbers of the first and the last level that stay; to the end by default.

        Returns
        -------
        MMFGraph
            With the same nodes, entry levels and numbers of levels.
        """
        most = int(self.levels[-1]) if self.n_levels else 1
        check_integer(first, "first", low=1, high=most, why=f"the graph has levels up to {most}")
        if last is not None:
            check_integer(last, "last", low=first, why="from `first` on")
        keep = (self.levels >= first) & (self.levels <= (most if last is None else last))
        return self._kept(keep)

    def collapse(self, max_size: int, *, min_weight: float = 0.1) -> MMFGraph:
        """Return the graph with what composes early merged into nodes of up to `max_size` classes.

        Level by level, the nodes that a tuple draws together become one as long as it is not larger than
        `max_size`. Levels within one node are gone.

        Parameters
        ----------
        max_size : int
            Most classes of a node; 1 changes nothing.
        min_weight : float, default 0.1
            As in `leaf_order`.

        Returns
        -------
        MMFGraph
            The classes of a node come in the order of their entry, so that it is named for the first. Weights of
            members that are one node now are added as squares.
        """
        check_integer(max_size, "max_size", low=1)
        return grouped(self, early_blocks(self, max_size, min_weight))

    def to_networkx(self) -> Any:
        """Return the graph as a `networkx.MultiDiGraph`.

        Nodes are "class 0", … and "level 1", …, with `kind`, `label` and what is known of them; edges go from a
        level to the classes that enter there and to the levels it hangs on, with `member`, `weight` and
        `wavelet`.

        Raises
        ------
        ImportError
            If networkx is not installed.
        """
        try:
            import networkx
        except ImportError as error:
            raise ImportError("to_networkx needs networkx: pip install networkx") from error
        from wavelens.hierarchy._graph_export import fill_networkx

        return fill_networkx(self, networkx.MultiDiGraph())

    def to_dot(self) -> str:
        """Return the graph in the DOT language, for Graphviz: `dot -Tsvg`."""
        from wavelens.hierarchy._graph_export import to_dot

        return to_dot(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the graph as what JSON can hold, with a format version.

        Names that are neither text, numbers, True, False nor None become text.
        """
        from wavelens.hierarchy._graph_export import to_dict

        return to_dict(self)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MMFGraph:
        """Make the graph from what `to_dict` returned.

        Raises
        ------
        DataError
            If it is damaged, of another kind, or of a newer version.
        """
        from wavelens.hierarchy._graph_export import from_dict

        return from_dict(data)

    @classmethod
    def from_json(cls, text: str) -> MMFGraph:
        """Make the graph from what `to_json` returned; errors as `from_dict`."""
        from wavelens.hierarchy._graph_export import from_json

        return from_json(text)

    def _place(self, level: int) -> int:
        check_integer(level, "level")
        place = int(np.searchsorted(self.levels, level))
        if place == self.n_levels or self.levels[place] != level:
            raise WavelensError(f"the graph has no level {level}: {_span(self.levels)}")
        return place

    def _stands_for(self, node: int, earlier: int) -> tuple[int, ...]:
        found, waiting, seen = {node}, [earlier], {0, -1}
        while waiting:
            level = waiting.pop()
            place = int(np.searchsorted(self.levels, level))
            if level in seen or place == self.n_levels or self.levels[place] != level:
                continue
            seen.add(level)
            found.update(int(each) for each in self.tuples[place] if each >= 0)
            waiting.extend(map(int, self.hangs_on[place]))
        return tuple(sorted(found))

    def _kept(self, keep: npt.NDArray[np.bool_]) -> MMFGraph:
        parts = ("levels", "tuples", "wavelets", "weights", "hangs_on", "level_errors", "frequencies")
        return replace(self, **{name: getattr(self, name)[keep] for name in parts})


def _span(levels: IntArray) -> str:
    if not len(levels):
        return "it has none"
    return f"its {len(levels)} levels lie between {levels[0]} and {levels[-1]}"
