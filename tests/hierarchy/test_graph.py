from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelens.exceptions import DataError, WavelensError
from wavelens.hierarchy import MMFGraph, mmf

fields = (
    "levels",
    "tuples",
    "wavelets",
    "weights",
    "hangs_on",
    "entry_levels",
    "level_errors",
    "frequencies",
)
odd_names = [
    'say "hi"',
    "back\\slash",
    "new\nline",
    "",
    "a;b->c{}[]",
    "<b>&amp;",
    "漢字",
    "\x00\x07",
    3,
    2.5,
    None,
]


def covariance(m, seed=0):
    x = np.random.default_rng(seed).normal(size=(m, m + 3))
    x[::3] += x[0]
    return x @ x.T


def graph_of(m=12, order=3, names=None, **options):
    return mmf(covariance(m), order, **options).graph(names)


def planted(n_groups, size):
    """Return groups in random order and the covariance of noisy copies of one vector each."""
    rng = np.random.default_rng(0)
    group = rng.permutation(np.arange(n_groups * size) // size)
    x = np.eye(n_groups, 200)[group] * 14 + rng.normal(size=(len(group), 200)) * 0.3
    return group, x @ x.T


def same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in fields) and (
        (a.nodes, a.core, a.squared_norm) == (b.nodes, b.core, b.squared_norm)
    )


small = st.tuples(st.integers(2, 14), st.integers(2, 5), st.integers(0, 5)).filter(
    lambda each: each[1] <= each[0]
)


@settings(deadline=None, max_examples=25)
@given(small)
def test_the_graph_tells_what_the_factorization_did(case):
    m, order, seed = case
    factors = mmf(covariance(m, seed), order)
    graph = factors.graph()
    np.testing.assert_array_equal(graph.tuples, factors.tuples)
    np.testing.assert_allclose((graph.weights**2).sum(axis=1), 1)
    np.testing.assert_allclose(graph.error_shares.sum(), factors.relative_error**2, atol=1e-14)
    for node in range(m):
        used = np.flatnonzero((factors.tuples == node).any(axis=1)) + 1
        assert graph.entry_levels[node] == (used[0] if len(used) else 0)
    entering = [node for level in graph.levels for node in graph.entering(int(level))]
    assert sorted([*entering, *graph.never_used]) == list(range(m))


@settings(deadline=None, max_examples=25)
@given(small)
def test_members_stand_for_all_they_were_rotated_with(case):
    m, order, seed = case
    graph = mmf(covariance(m, seed), order).graph()
    stands = [{node} for node in range(m)]
    last = [0] * m
    for level, members in zip(graph.levels, graph.tuples, strict=True):
        found = graph.compositions(int(level))
        assert [each.node for each in found] == list(members)
        for each in found:
            assert set(each.stands_for) == stands[each.node]
            assert each.hangs_on == last[each.node]
        together = set().union(*(stands[node] for node in members))
        for node in members:
            stands[node], last[node] = together, int(level)


def test_edges_carry_the_weights_of_the_members_that_hang_there():
    graph = graph_of(14, 4)
    edges = graph.edges()
    assert all(end < start for start, end, _ in edges)
    for level in graph.levels:
        new = sum(each.weight**2 for each in graph.compositions(int(level)) if not each.hangs_on)
        old = sum(weight**2 for start, _, weight in edges if start == level)
        assert new + old == pytest.approx(1)


def test_permuting_the_matrix_permutes_the_graph():
    m = 12
    c = covariance(m)
    order = np.random.default_rng(1).permutation(m)
    # The last of all levels loses nothing whichever row it takes, so that one is left out.
    graph, turned = mmf(c, core_size=3).graph(), mmf(c[np.ix_(order, order)], core_size=3).graph()
    np.testing.assert_array_equal(turned.entry_levels, graph.entry_levels[order])
    np.testing.assert_array_equal(order[turned.wavelets], graph.wavelets)
    np.testing.assert_array_equal(np.sort(order[turned.tuples], axis=1), graph.tuples)


@pytest.mark.parametrize("by_likeness", [False, True])
def test_planted_groups_lie_together_in_the_leaf_order(by_likeness):
    group, c = planted(4, 5)
    order = mmf(c, 2).graph().leaf_order(similarity=c if by_likeness else None)
    assert sorted(order) == list(range(20))
    assert np.count_nonzero(np.diff(group[order])) == 3


@pytest.mark.parametrize("max_size", [1, 2, 4, 7, 40])
@pytest.mark.parametrize("order", [2, 3, 5])
def test_collapsing_keeps_every_class_once(max_size, order):
    graph = graph_of(40, order)
    few = graph.collapse(max_size)
    assert sorted(c for node in few.nodes for c in node) == list(range(40))
    assert max(map(len, few.nodes)) <= max_size
    assert few.n_levels <= graph.n_levels
    np.testing.assert_allclose((few.weights**2).sum(axis=1), 1)
    assert (few.tuples >= 0).sum(axis=1).min(initial=2) >= 2
    for level, wavelet, members in zip(few.levels, few.wavelets, few.tuples, strict=True):
        assert wavelet in members
        assert graph.wavelets[level - 1] in few.nodes[wavelet]
    if max_size == 1:
        assert same(few, graph)


def test_collapsing_planted_groups_leaves_one_node_each():
    group, c = planted(3, 4)
    collapsed = mmf(c, 2).graph([f"class {i}" for i in range(12)]).collapse(4)
    assert sorted(map(sorted, collapsed.nodes)) == sorted(list(np.flatnonzero(group == i)) for i in range(3))
    assert all(re.fullmatch(r"class \d+ \+ 3", label) for label in collapsed.labels)


def test_levels_can_be_left_out():
    graph = graph_of(20, 3)
    some = graph.at_levels(3, 8)
    assert list(some.levels) == [3, 4, 5, 6, 7, 8]
    np.testing.assert_array_equal(some.entry_levels, graph.entry_levels)
    assert some.entering(5) == graph.entering(5)
    assert same(graph.at_levels(), graph)
    with pytest.raises(WavelensError, match="has no level 2: its 6 levels lie between 3 and 8"):
        some.entering(2)
    with pytest.raises(ValueError, match="`first` must be between 1 and 18"):
        graph.at_levels(30)
    with pytest.raises(ValueError, match="`last` must be at least 3"):
        graph.at_levels(3, 2)


makers = {
    "odd names": lambda: graph_of(11, 3, odd_names),
    "collapsed": lambda: graph_of(20, 5).collapse(4),
    "some levels": lambda: graph_of(20, 3).at_levels(2, 9),
    "no levels": lambda: graph_of(5, 2, n_levels=0),
    "two classes": lambda: graph_of(2, 2, ["same", "same"]),
}


@pytest.mark.parametrize("kind", makers)
def test_json_and_back(kind):
    graph = makers[kind]()
    text = graph.to_json()
    back = MMFGraph.from_json(text)
    assert same(back, graph)
    assert back.labels == graph.labels
    assert back.order == graph.order
    assert MMFGraph.from_dict(json.loads(text)).to_json() == text


def test_names_become_what_json_can_hold():
    names = [np.int64(3), np.float32(2.5), float("nan"), (1, 2), True]
    found = MMFGraph.from_json(graph_of(5, 2, names).to_json()).names
    assert found == (3, 2.5, "nan", "(1, 2)", True)


changes = {
    "another format": ({"format": "other"}, "hold 'other', expected a wavelens"),
    "a newer version": ({"format_version": 99}, "has format version 99; this wavelens reads up to version 1"),
    "no version": ({"format_version": None}, "damaged"),
    "a node that is not there": ({"tuples": [[0, 1, 99]] * 6}, "damaged"),
    "text for numbers": ({"wavelets": ["0"] * 6}, "damaged"),
    "hanging on what comes later": ({"hangs_on": [[9, 9, 9]] * 6}, "damaged"),
    "a core that is not there": ({"core": [99]}, "damaged"),
    "a class in two nodes": ({"nodes": [[0]] * 8}, "damaged"),
    "a class without a name": ({"names": ["a"] * 7}, "damaged"),
    "infinite numbers": ({"squared_norm": "much"}, "damaged"),
}


@pytest.mark.parametrize("kind", changes)
def test_damaged_data_are_refused(kind):
    change, message = changes[kind]
    with pytest.raises(DataError, match=message):
        MMFGraph.from_dict(graph_of(8, 3).to_dict() | change)


@pytest.mark.parametrize("name", [*fields, "nodes", "names", "core", "order", "squared_norm"])
def test_missing_and_short_parts_are_refused(name):
    good = graph_of(8, 3).to_dict()
    with pytest.raises(DataError, match="damaged"):
        MMFGraph.from_dict({key: value for key, value in good.items() if key != name})
    if isinstance(good[name], list) and name != "core":
        with pytest.raises(DataError, match="damaged"):
            MMFGraph.from_dict(good | {name: good[name][:-1]})


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[]", "null", "{}"])
def test_what_is_no_graph_is_refused(text):
    with pytest.raises(DataError):
        MMFGraph.from_json(text)


def parsed_dot(text):
    """Read nodes and edges back, by the grammar of quoted DOT strings."""
    quoted = r'"((?:[^"\\]|\\.)*)"'
    lines = text.splitlines()
    assert lines[0] == "digraph mmf {"
    assert lines[-1] == "}"
    nodes, edges = {}, []
    for line in lines[3:-1]:
        if edge := re.fullmatch(
            rf"  {quoted} -> {quoted} \[penwidth=([\d.]+), arrowhead=(dot|none), .*\];", line
        ):
            edges.append(edge.groups())
        else:
            node = re.fullmatch(rf"  {quoted} \[(?:label={quoted}, )?(shape=.*)\];", line)
            assert node, line
            nodes[node[1]] = node[2]
    return nodes, edges


@pytest.mark.parametrize("names", [None, odd_names], ids=["numbers", "odd"])
def test_dot_is_well_formed(names):
    graph = graph_of(11, 3, names)
    nodes, edges = parsed_dot(graph.to_dot())
    assert set(nodes) == {f"class {i}" for i in range(11)} | {f"level {n}" for n in graph.levels}
    assert len(edges) == graph.tuples.size
    assert {end for edge in edges for end in edge[:2]} <= set(nodes)
    assert sum(edge[3] == "dot" for edge in edges) == graph.n_levels
    if names:
        assert nodes["class 0"] == r"say \"hi\""
        assert nodes["class 1"] == r"back\\slash"
        assert nodes["class 2"] == "new line"


def test_networkx_has_the_same_edges():
    networkx = pytest.importorskip("networkx")
    graph = graph_of(12, 4, ["same"] * 12)
    found = graph.to_networkx()
    assert isinstance(found, networkx.MultiDiGraph)
    assert found.number_of_nodes() == 12 + graph.n_levels
    assert found.number_of_edges() == graph.tuples.size
    assert networkx.is_directed_acyclic_graph(found)
    assert sum(wavelet for _, _, wavelet in found.edges(data="wavelet")) == graph.n_levels
    for node in range(12):
        assert found.nodes[f"class {node}"]["entry_level"] == graph.entry_levels[node]
    assert found.nodes["level 1"]["error"] == graph.level_errors[0]


def test_without_networkx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="pip install networkx"):
        graph_of(5, 2).to_networkx()


def test_bad_arguments_are_refused():
    factors = mmf(covariance(5), 2)
    with pytest.raises(ValueError, match="`names` must hold a name for each of the 5 rows, got 2"):
        factors.graph(["a", "b"])
    with pytest.raises(TypeError, match="`names` must be a sequence of 5 names, got the single name 'abcde'"):
        factors.graph("abcde")
    with pytest.raises(ValueError, match=r"`similarity` must have shape \(5, 5\)"):
        factors.graph().leaf_order(similarity=np.eye(3))
    with pytest.raises(ValueError, match="`max_size` must be at least 1"):
        factors.graph().collapse(0)


def test_zero_and_indefinite_matrices_work():
    graph = mmf(np.zeros((4, 4)), 2).graph(list("abcd"))
    assert graph.names == tuple("abcd")
    assert (graph.error_shares == 0).all()
    c = covariance(30) - 20 * np.eye(30)
    assert sorted(mmf(c, 3).graph().leaf_order(similarity=c)) == list(range(30))
