"""The MMF graph in the languages of others: networkx, Graphviz DOT and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from wavelens._utils._damaged_files import DAMAGES
from wavelens._utils._file_schema import (
    AnyOf,
    ArrayField,
    Flag,
    Floats,
    Indices,
    Integer,
    ListOf,
    Real,
    Text,
    check_arrays,
    check_header,
    require,
)
from wavelens.exceptions import DataError
from wavelens.hierarchy._graph import MMFGraph

__all__ = ["fill_networkx", "from_dict", "from_json", "to_dict", "to_dot"]

_format = "wavelens.hierarchy.MMFGraph"
_format_version = 1
_header_schema = {
    "names": ListOf(item=AnyOf(options=(Text(), Integer(), Real(), Flag()), nullable=True)),
    "nodes": ListOf(item=ListOf(item=Integer(low=0))),
    "order": Integer(low=1, high=2**31),
    "squared_norm": Real(low=0),
    "core": ListOf(item=Integer(low=0)),
}
_arrays: dict[str, ArrayField] = {
    "levels": Indices(("levels",), low=1, ascending=True),
    "tuples": Indices(("levels", "order"), low=-1),
    "wavelets": Indices(("levels",), below="n"),
    "weights": Floats(("levels", "order"), low=0, dtype=np.float64),
    "hangs_on": Indices(("levels", "order"), low=-1),
    "entry_levels": Indices(("n",)),
    "level_errors": Floats(("levels",), dtype=np.float64),
    "frequencies": Floats(("levels",), dtype=np.float64),
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
    version = check_header(dict(data), {"format_version": Integer(low=1)}, "the graph is damaged")[
        "format_version"
    ]
    if version > _format_version:
        raise DataError(
            f"the graph has format version {version}; this wavelens reads up to version {_format_version}"
        )
    try:
        graph = _restored(data)
        _check(graph)
    except DAMAGES as error:
        raise DataError(f"the graph is damaged: {error!r}") from error
    return graph


def _restored(data: Mapping[str, Any]) -> MMFGraph:
    header = check_header(dict(data), _header_schema, "the graph is damaged")
    levels, order = len(data["levels"]), header["order"]
    arrays: dict[str, Any] = {}
    for name, expected in _arrays.items():
        array = np.array(data[name])
        if array.size == 0:
            array = array.astype(np.intp if isinstance(expected, Indices) else np.float64)
            array = array.reshape((levels, order) if len(expected.shape) == 2 else (0,))
        elif array.dtype.kind == "i" and isinstance(expected, Floats):
            array = array.astype(np.float64)
        arrays[name] = array
    sizes = {"levels": levels, "order": order, "n": len(header["nodes"])}
    checked, _ = check_arrays(arrays, _arrays, "the graph is damaged", sizes)
    return MMFGraph(
        names=tuple(header["names"]),
        nodes=tuple(map(tuple, header["nodes"])),
        squared_norm=header["squared_norm"],
        core=tuple(header["core"]),
        **checked,
    )


def _check(graph: MMFGraph) -> None:
    n, m = graph.n_nodes, graph.n_classes
    padding, tuples, levels = graph.tuples < 0, graph.tuples, graph.levels
    sorted_tuples = np.sort(tuples, axis=1)
    twice = ((np.diff(sorted_tuples, axis=1) == 0) & (sorted_tuples[:, 1:] >= 0)).any()
    holds = (tuples == graph.wavelets[:, None]).any(axis=1).all()
    require(
        (
            (
                sorted(i for node in graph.nodes for i in node) == list(range(m)),
                "'nodes' must put each class into one node",
            ),
            (all(i < m for i in graph.core), f"'core' must hold classes from 0 to {m - 1}"),
            (len(set(graph.core)) == len(graph.core), "'core' names a class twice"),
            (bool((tuples < n).all()), f"'tuples' must hold nodes from 0 to {n - 1}"),
            (not twice, "'tuples' names a node twice in one level"),
            (bool(holds), "'wavelets' must name a member of each tuple"),
            (bool((graph.hangs_on < levels[:, None]).all()), "'hangs_on' must name earlier levels"),
            (
                bool(((graph.hangs_on < 0) == padding).all()),
                "'hangs_on' and 'tuples' are filled up differently",
            ),
        ),
        "the graph is damaged",
    )


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
