from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, PathPatch

from wavelens.hierarchy import MMFGraph, mmf
from wavelens.plotting import (
    DendrogramDisplay,
    LayerFlowDisplay,
    LevelErrorDisplay,
    MMFGraphDisplay,
    ReorderedMatrixDisplay,
)


def covariance(m, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(m, 40)) + 1.5 * rng.normal(size=(m // 4 + 1, 40))[np.arange(m) // 4]
    return x @ x.T


def graph_of(m, order, names=None):
    return mmf(covariance(m), order).graph(names)


def names_of(kind, m):
    rng = np.random.default_rng(0)
    if kind == "long":
        return ["Wwwwm " * 8 + str(i) for i in range(m)]
    if kind == "odd":
        pool = ["$x_1$", "\\frac{a}", "", "a\nb", "%d", "{}", "<b>", "_", "^", "~"]
        return [pool[i % len(pool)] for i in range(m)]
    return ["".join(rng.choice(list("abcdefghij klmnop"), rng.integers(2, 20))) for _ in range(m)]


def overlaps(boxes):
    return [(a, b) for a, b in itertools.combinations(boxes, 2) if a[1].overlaps(b[1])]


def drawn_texts(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [t for ax in figure.axes for t in ax.texts if t.get_text().strip()]
    return [(t.get_text(), t.get_window_extent(renderer).padded(-0.5)) for t in texts]


cases = [*itertools.product(["short", "long"], [6, 12, 30, 100], [1, 6]), ("odd", 12, 1)]


@pytest.mark.parametrize("order", [2, 5])
@pytest.mark.parametrize(("kind", "m", "collapse"), cases)
def test_no_label_meets_another(kind, m, collapse, order):
    graph = graph_of(m, order, names_of(kind, m))
    for options in ({}, {"max_levels": graph.n_levels}):
        figure = MMFGraphDisplay.from_graph(graph, collapse=collapse, **options).plot().figure_
        texts = drawn_texts(figure)
        assert not overlaps(texts)
        inside = figure.bbox.padded(1)
        assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 for _, box in texts)


@pytest.mark.parametrize(("m", "order"), [(12, 5), (30, 3), (100, 5)])
def test_ellipses_and_lines_keep_clear_of_each_other(m, order):
    graph = graph_of(m, order, names_of("short", m))
    ax = MMFGraphDisplay.from_graph(graph, max_levels=graph.n_levels).plot().ax_
    ellipses = [patch for patch in ax.patches if type(patch) is Ellipse and patch.get_width() > 40]
    for a, b in itertools.combinations(ellipses, 2):
        (ax0, ay0), (bx0, by0) = a.get_center(), b.get_center()
        apart_x = abs(ax0 - bx0) >= (a.get_width() + b.get_width()) / 2
        assert apart_x or abs(ay0 - by0) >= (a.get_height() + b.get_height()) / 2
    lines = [patch for patch in ax.patches if type(patch) is PathPatch]
    assert lines
    for line in lines:
        points = line.get_path().to_polygons(closed_only=False)[0]
        for ellipse in ellipses:
            (x, y), a, b = ellipse.get_center(), ellipse.get_width() / 2, ellipse.get_height() / 2
            assert (((points[:, 0] - x) / a) ** 2 + ((points[:, 1] - y) / b) ** 2 > 0.97).all()


@pytest.mark.parametrize("order", [2, 3, 5])
def test_every_class_is_drawn_once_where_it_enters(order):
    names = [f"class{i:02}" for i in range(20)]
    graph = graph_of(20, order, names)
    display = MMFGraphDisplay.from_graph(graph).plot()
    texts = [t.get_text() for t in display.ax_.texts]
    boxed = {names[w] for w in graph.wavelets}
    entered = {names[i] for i in range(20) if graph.entry_levels[i]}
    assert entered <= set(texts)
    for name in entered - boxed:
        assert texts.count(name) == 1
    assert set(graph.entry_levels[graph.entry_levels > 0]) <= set(display.levels_)
    for level in display.levels_:
        assert texts.count(f"ℓ = {level}") == 1


def test_every_part_is_joined_to_another_by_lines():
    """A level without new classes is drawn just where it joins parts, so no more than parts − 1 of them are."""
    graph = graph_of(30, 3)
    levels = MMFGraphDisplay.from_graph(graph).plot().levels_
    new = [level for level in levels if graph.entering(level)]
    starts = [level for level in new if len(graph.entering(level)) == 3]
    assert len(levels) - len(new) < len(starts)


def test_what_is_left_out_is_said():
    graph = graph_of(100, 3)
    words = " ".join(t.get_text() for t in MMFGraphDisplay.from_graph(graph).plot().ax_.texts)
    assert "classes do not enter in what is drawn" in words
    words = " ".join(t.get_text() for t in MMFGraphDisplay.from_graph(graph, max_levels=4).plot().ax_.texts)
    assert "Drawn up to level 4 of 98." in words
    words = " ".join(
        t.get_text() for t in MMFGraphDisplay.from_graph(graph, collapse=5, max_levels=98).plot().ax_.texts
    )
    assert "groups (boxes) of up to 5" in words


def test_a_thousand_classes_are_cut_to_what_can_be_read():
    rng = np.random.default_rng(0)
    m, order = 1000, 5
    tuples = np.sort(np.stack([rng.choice(m, order, replace=False) for _ in range(600)]), axis=1)
    from wavelens.hierarchy._graph_order import links

    levels = np.arange(1, 601)
    hangs_on, entries = links(tuples, levels, m)
    weights = rng.random((600, order))
    weights /= np.linalg.norm(weights, axis=1)[:, None]
    graph = MMFGraph(
        names=tuple(f"name {i}" for i in range(m)),
        nodes=tuple((i,) for i in range(m)),
        levels=levels,
        tuples=tuples,
        wavelets=tuples[:, 0],
        weights=weights,
        hangs_on=hangs_on,
        entry_levels=entries,
        level_errors=np.full(600, 1e-4),
        squared_norm=1.0,
        frequencies=np.zeros(600),
        core=(),
    )
    display = MMFGraphDisplay.from_graph(graph).plot()
    assert 5 < len(display.levels_) < 40
    width, height = display.figure_.get_size_inches()
    assert width <= 11
    assert height <= 20
    assert not overlaps(drawn_texts(display.figure_))


@pytest.mark.parametrize("size", [(3, 2.5), (6, 6), (9, 4)])
def test_given_axes_get_what_has_room(size):
    graph = graph_of(30, 3, names_of("short", 30))
    ax = Figure(figsize=size).add_axes((0.05, 0.05, 0.9, 0.85))
    display = MMFGraphDisplay.from_graph(graph).plot(ax)
    assert display.ax_ is ax
    assert len(display.levels_) >= 1
    if size[0] >= 6:
        assert not overlaps(drawn_texts(ax.figure))


def test_graphs_without_levels_can_be_drawn():
    graph = mmf(covariance(5), 2, n_levels=0).graph()
    display = MMFGraphDisplay.from_graph(graph).plot()
    assert display.levels_ == ()
    assert "5 of 5 classes do not enter" in " ".join(t.get_text() for t in display.ax_.texts)
    LevelErrorDisplay.from_graph(graph).plot().figure_.canvas.draw()


def test_graph_arguments_are_checked():
    graph = graph_of(8, 2)
    with pytest.raises(ValueError, match="`max_levels` must be at least 1, got 0"):
        MMFGraphDisplay.from_graph(graph, max_levels=0)
    with pytest.raises(ValueError, match="`max_size` must be at least 1"):
        MMFGraphDisplay.from_graph(graph, collapse=0)


def test_level_errors_add_up():
    factors = mmf(covariance(20), 3)
    display = LevelErrorDisplay.from_mmf(factors).plot()
    assert display.shares.sum() == pytest.approx(factors.relative_error**2)
    assert display.new_classes.sum() == np.count_nonzero(factors.graph().entry_levels)


@pytest.mark.parametrize("m", [2, 12, 70])
def test_the_matrix_is_reordered_and_named(m):
    factors = mmf(covariance(m), 2)
    display = ReorderedMatrixDisplay.from_mmf(factors, names_of("long", m)).plot()
    assert sorted(display.order) == list(range(m))
    before, after = (np.asarray(axes.images[0].get_array()) for axes in display.axes_)
    np.testing.assert_allclose(after, before[np.ix_(display.order, display.order)])
    if m <= 60:
        assert len(display.axes_[0].get_yticklabels()) == m
    compact = ReorderedMatrixDisplay.from_mmf(factors.compact())
    np.testing.assert_allclose(compact.matrix, factors.reconstruct())
    with pytest.raises(ValueError, match=r"`matrix` must have shape"):
        ReorderedMatrixDisplay.from_graph(factors.graph(), np.eye(3))


def test_the_dendrogram_is_that_of_the_distances():
    means = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [30.0, 0.0]])
    graph = mmf(means @ means.T, 2).graph(["a", "b", "c", "d"])
    display = DendrogramDisplay.from_means(means, graph=graph, method="single")
    np.testing.assert_allclose(display.linkage[0], [0, 2, 1, 2])
    same = DendrogramDisplay.from_covariance(means @ means.T, method="single")
    np.testing.assert_allclose(same.linkage, display.linkage)
    labels = [t.get_text() for t in display.plot().ax_.get_yticklabels()]
    assert sorted(label[0] for label in labels) == list("abcd")
    assert all("ℓ = " in label or "–" in label for label in labels)
    with pytest.raises(ValueError, match="`names` must hold a name for each of the 4 classes, got 1"):
        DendrogramDisplay.from_means(means, ["a"])
    with pytest.raises(ValueError, match=r"`means` must have shape \(n_classes, d\)"):
        DendrogramDisplay.from_means(means[0])


def test_the_flow_keeps_classes_of_a_level_together():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 6, (4, 25))
    display = LayerFlowDisplay(tuple("abcd"), tuple(names_of("short", 25)), levels, rng.random((3, 9)))
    display.plot().figure_.canvas.draw()
    from wavelens.plotting._layer_flow import _places

    places, boxes = _places(levels)
    for layer in range(4):
        assert np.diff(np.sort(places[layer])).min() >= 1
        by_height = levels[layer][np.argsort(places[layer])]
        assert np.count_nonzero(np.diff(by_height)) == len(boxes[layer]) - 1
        used = by_height[by_height > 0]
        assert (np.diff(used) >= 0).all()
        assert (by_height[len(used) :] == 0).all()


def test_the_flow_checks_shapes():
    with pytest.raises(ValueError, match="`layers` must name at least 2 layers, got 1"):
        LayerFlowDisplay(("a",), ("x",), [[1]], np.empty((0, 1)))
    with pytest.raises(ValueError, match=r"`entry_levels` must have shape \(2, 3\)"):
        LayerFlowDisplay(("a", "b"), ("x", "y", "z"), [[1, 2]], [[0.1]])
    with pytest.raises(ValueError, match=r"`agreement` must have shape \(1, n_levels\)"):
        LayerFlowDisplay(("a", "b"), ("x",), [[1], [1]], [[0.1], [0.2]])
    with pytest.raises(ValueError, match=r"`chance` must have shape \(1,\)"):
        LayerFlowDisplay(("a", "b"), ("x",), [[1], [1]], [[0.1]], [0.1, 0.2])
    with pytest.raises(ValueError, match="`verdicts` must hold 1 verdicts or none, got 2"):
        LayerFlowDisplay(("a", "b"), ("x",), [[1], [1]], [[0.1]], verdicts=("changes", "changes"))
