"""The MMF graph in the languages of others: networkx, Graphviz DOT and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from wavelens.exceptions import DataError
from wavelens.hierarchy._graph import MMFGraph

__all__ = ["fill_networkx", "from_dict", "from_json", "to_dict", "to_dot"]

_format = "wavelens.hierarchy.MMFGraph"
_format_version = 1
_arrays = {
    "levels": np.intp,
    "tuples": np.intp,
    "wavelets": np.intp,
    "weights": np.float64,
    "hangs_on": np.intp,
    "entry_levels": np.intp,
    "level_errors": np.float64,
    "frequencies": np.float64,
}


def fill_networkx(graph: MMFGraph, target: Any) -> Any:
    """Add classes, levels and edges to an empty networkx graph and return it."""
    for node, label in enumerate(graph.labels):
        target.add_node(
            f"class {node}",
            kind="class",
            label=label,
            n_classes=len(graph.nodes[node]),
            entry_level=int(graph.entry_levels[node]),
        )
    for place, level in enumerate(graph.levels):
        target.add_node(
            f"level {level}",
            kind="level",
            label=f"level {level}",
            wavelet=int(graph.wavelets[place]),
            error=float(graph.level_errors[place]),
            error_share=float(graph.error_shares[place]),
            frequency=float(graph.frequencies[place]),
        )
    for start, end, member, weight, wavelet in _edges(graph):
        target.add_edge(start, end, member=member, weight=weight, wavelet=wavelet)
    return target


def to_dot(graph: MMFGraph) -> str:
    """Return DOT text: levels are ellipses, classes are boxes, the line of a wavelet ends in a dot."""
    lines = ["digraph mmf {", "  rankdir=TB;", '  node [fontname="sans-serif"];']
    lines += [f"  {_quoted(f'level {n}')} [shape=ellipse];" for n in graph.levels]
    wavelets = set(map(int, graph.wavelets))
    for node, label in enumerate(graph.labels):
        style = "style=filled, fillcolor=black, fontcolor=white" if node in wavelets else "style=rounded"
        lines.append(f"  {_quoted(f'class {node}')} [label={_quoted(label)}, shape=box, {style}];")
    for start, end, _, weight, wavelet in _edges(graph):
        head = "dot" if wavelet else "none"
        lines.append(
            f"  {_quoted(start)} -> {_quoted(end)} "
            f"[penwidth={0.4 + 3.6 * weight:.3f}, arrowhead={head}, tooltip={_quoted(f'{weight:.3g}')}];"
        )
    return "\n".join([*lines, "}", ""])


def to_dict(graph: MMFGraph) -> dict[str, Any]:
    """Return a dict that JSON can hold."""
    return {
        "format": _format,
        "format_version": _format_version,
        "names": [_plain(name) for name in graph.names],
        "nodes": [list(node) for node in graph.nodes],
        "order": graph.order,
        **{name: getattr(graph, name).tolist() for name in _arrays},
        "squared_norm": graph.squared_norm,
        "core": list(graph.core),
    }


def from_json(text: str) -> MMFGraph:
    """Read what `MMFGraph.to_json` wrote."""
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"the graph is no JSON: {error}") from error
    return from_dict(data)


def from_dict(data: Mapping[str, Any]) -> MMFGraph:
    """Read what `to_dict` returned, refusing what it could not have."""
    if not isinstance(data, Mapping) or data.get("format") != _format:
        found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
        raise DataError(f"the data hold {found!r}, expected a {_format}")
    version = data.get("format_version")
    if not isinstance(version, int):
        raise DataError(f"the graph is damaged: format version {version!r}")
    if version > _format_version:
        raise DataError(
            f"the graph has format version {version}; this wavelens reads up to version {_format_version}"
        )
    try:
        graph = _restored(data)
        _check(graph)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise DataError(f"the graph is damaged: {error!r}") from error
    return graph


def _restored(data: Mapping[str, Any]) -> MMFGraph:
    order = int(data["order"])
    arrays: dict[str, Any] = {}
    for name, dtype in _arrays.items():
        array = np.array(data[name])
        if array.size and array.dtype.kind not in ("i" if dtype is np.intp else "fi"):
            raise TypeError(f"{name} must hold numbers")
        arrays[name] = array.astype(dtype)
    shape = (len(arrays["levels"]), order)
    for name in ("tuples", "weights", "hangs_on"):
        arrays[name] = arrays[name].reshape(shape)
    return MMFGraph(
        names=tuple(data["names"]),
        nodes=tuple(tuple(map(int, node)) for node in data["nodes"]),
        squared_norm=float(data["squared_norm"]),
        core=tuple(map(int, data["core"])),
        **arrays,
    )


def _check(graph: MMFGraph) -> None:
    n, m, levels = graph.n_nodes, graph.n_classes, graph.n_levels
    if sorted(i for node in graph.nodes for i in node) != list(range(m)):
        raise ValueError("each class must belong to one node")
    if any(len(getattr(graph, name)) != levels for name in ("wavelets", "level_errors", "frequencies")):
        raise ValueError("lengths differ")
    if len(graph.entry_levels) != n or not all(0 <= i < m for i in graph.core):
        raise ValueError("nodes or core out of range")
    if levels and ((np.diff(graph.levels) <= 0).any() or graph.levels[0] < 1):
        raise ValueError("levels must ascend from 1")
    for array, low, high in ((graph.tuples, -1, n - 1), (graph.wavelets, 0, n - 1)):
        if array.size and (array.min() < low or array.max() > high):
            raise ValueError("nodes out of range")
    if (graph.hangs_on >= graph.levels[:, None]).any() or (graph.hangs_on < -1).any():
        raise ValueError("a level must hang on an earlier one")


def _edges(graph: MMFGraph) -> Iterator[tuple[str, str, int, float, bool]]:
    """Yield start, end, member, weight and whether it is the wavelet.

    Where the level a member hangs on was left out, the edge goes to the class itself.
    """
    present = set(map(int, graph.levels))
    for place, level in enumerate(map(int, graph.levels)):
        for member, weight, earlier in zip(
            graph.tuples[place], graph.weights[place], graph.hangs_on[place], strict=True
        ):
            if member >= 0:
                end = f"level {earlier}" if int(earlier) in present else f"class {member}"
                yield f"level {level}", end, int(member), float(weight), bool(member == graph.wavelets[place])


def _quoted(text: str) -> str:
    """Return a DOT string that shows the text as it stands; control characters become spaces."""
    shown = "".join(c if c.isprintable() else "\ufffd" if "\ud800" <= c <= "\udfff" else " " for c in text)
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(name: object) -> object:
    value = name.item() if isinstance(name, np.generic) else name
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)
