"""The sections of a hierarchy report that show the hierarchy itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wavelens.plotting import (
    DendrogramDisplay,
    LevelErrorDisplay,
    MMFGraphDisplay,
    OwnShareDisplay,
    ReorderedMatrixDisplay,
)
from wavelens.report._hierarchy_story import PART, HierarchyStory
from wavelens.report._page import Block, Fold, Section, Table, Text
from wavelens.report._words import count, joined, number, percent

__all__ = ["apart", "classes", "graph", "levels", "matrix", "tree"]

_levels_in_table = 40
_classes_in_table = 120
_rows_unfolded = 24
_levels_drawn = 12
_most_in_tree = 200
_most_drawn = 40


def graph(story: HierarchyStory) -> Section | None:
    """Draw the MMF graph."""
    if not story.graph.n_levels:
        return None
    lead = (
        f"Each ellipse is a level: it takes the {story.factors.order} classes, or mixtures of classes, that "
        "explain one another best, and mixes them so that one of the mixtures (the wavelet, marked) has hardly "
        "anything to do with all other classes. That one is done with; the others go on. So what belongs "
        "together most closely stands at the first levels, and what needs others to be described hangs on them."
    )
    collapse = 1 if story.m <= _most_drawn else int(np.clip(story.m / 20, 5, 40))
    display = MMFGraphDisplay.from_graph(story.graph, collapse=collapse).plot()
    caption = (
        f"The compositions of {story.m:,} classes. A class stands in the ellipse of the level at which it enters; "
        "lines lead to the earlier levels whose mixtures are used again, the wider the larger their part."
    )
    if collapse > 1:
        caption += " What composes early is drawn as one box."
    blocks: list[Block] = [Text((lead,), "lead")]
    if collapse > 1:
        early = MMFGraphDisplay.from_graph(story.graph, max_levels=_levels_drawn).plot()
        at = min(_levels_drawn, story.graph.n_levels)
        blocks.append(
            story.figures.chart(
                early,
                "graph-early",
                _graph_alt(story),
                f"The first {at} levels with every class in them. These are the closest relations of all.",
                white_is_paper=True,
            )
        )
    blocks += [
        story.figures.chart(display, "graph", _graph_alt(story), caption, white_is_paper=True),
        Text(
            (
                "The same graph, whole, is in graph.json (all numbers) and graph.dot (for Graphviz) beside this "
                "page.",
            ),
            "note",
        ),
    ]
    return Section("graph", "Which classes compose, and when", tuple(blocks))


def _graph_alt(story: HierarchyStory) -> str:
    levels = min(story.graph.n_levels, 5)
    parts = [
        f"level {at}: {joined([story.said(i) for i in story.strong(at)])}" for at in range(1, levels + 1)
    ]
    return f"Graph of compositions. {'; '.join(parts)}."


def levels(story: HierarchyStory) -> Section | None:
    """Show what each level takes and what it loses."""
    if not story.graph.n_levels:
        return None
    whole = story.graph
    n = min(whole.n_levels, _levels_in_table)
    rows = []
    for level in range(1, n + 1):
        members, weights = story.members(level)
        new = set(whole.entering(level))
        parts = [
            f"{story.said(int(i))}\u00a0{number(float(w))}" for i, w in zip(members, weights, strict=True)
        ]
        entering = [story.said(int(i)) for i in members if int(i) in new]
        rows.append(
            (
                f"{level:,}",
                joined(entering) or "none",
                story.said(int(whole.wavelets[level - 1])),
                ", ".join(parts),
                percent(float(np.sqrt(whole.error_shares[level - 1]))),
                percent(float(np.sqrt(whole.error_shares[:level].sum()))),
            )
        )
    caption = (
        "Weights: how much of each class is in the wavelet; their squares add up to 1. A class that entered before "
        "stands for the mixture that it has become. Error: what this level leaves out, as a share of the covariance "
        "(Frobenius norms, which add up in squares)."
    )
    if n < whole.n_levels:
        caption += f" The first {n} of {whole.n_levels:,} levels; levels.csv has all."
    header = ("Level", "Classes that enter", "Wavelet", "Weights", "Error", "Error so far")
    error = story.figures.chart(
        LevelErrorDisplay.from_graph(whole).plot(),
        "levels",
        f"Share of the squared covariance lost, level by level; together "
        f"{percent(float(whole.error_shares.sum()))}.",
        "Left: what each level loses of the squared covariance. Right: what all levels up to there have lost. Where "
        "it is flat, classes were set aside that have nothing left to do with the others; where it climbs, the "
        "composition is not the whole truth about its classes.",
    )
    lead = f"{count(whole.n_levels, 'level')}, and what each of them takes and loses."
    return Section(
        "levels",
        "Level by level",
        (Text((lead,)), error, _folded(rows, header, caption, (1, 2, 3), "levels")),
    )


def _folded(
    rows: Sequence[tuple[str, ...]], header: tuple[str, ...], caption: str, words: tuple[int, ...], what: str
) -> Block:
    """Return a table, to be opened by a click if it is long."""
    table = Table(header, tuple(rows), caption, words=words)
    return table if len(rows) <= _rows_unfolded else Fold(f"Table of {len(rows)} {what}", (table,))


def classes(story: HierarchyStory) -> Section:
    """Say of each class where it belongs."""
    order, _ = story.apart
    some = story.m > _classes_in_table
    shown = np.concatenate([order[:40], order[-40:]]) if some else np.arange(story.m)
    entry = story.graph.entry_levels
    rows = []
    for i in map(int, shown):
        rows.append(
            (
                story.names[i],
                f"{entry[i]:,}" if entry[i] else "never",
                number(float(story.entry_weights[i])) if entry[i] else "–",
                joined([story.said(j) for j in story.partners(i)], 5) or "–" if story.is_main(i) else "–",
                _composed(story, i),
                percent(float(story.companions.left[i])),
                *(() if story.shares is None else (percent(float(story.shares[i])),)),
                *(() if story.single_images else (f"{story.counts[i]:,}",)),
            )
        )
    header = (
        "Class",
        "Enters at level",
        "Weight there",
        "Together with",
        "Best composed of",
        "They leave",
        *(() if story.shares is None else ("All others leave",)),
        *(() if story.single_images else ("Images",)),
    )
    caption = (
        f"Together with: the other main parts (weight {PART} or more) of the composition at which the class enters, if "
        f"it is one itself. Best composed of: the {story.companions.indices.shape[1]} classes that together explain it "
        "best, with their weights; “they leave” is what they cannot give."
    )
    if some:
        caption += f" The 40 of {story.m:,} classes that stand apart most, then the 40 that do least; all: classes.csv."
    lead = (
        "Of every class: at which level the hierarchy takes it up and with whom, and which others describe it best "
        "when one asks for it alone."
    )
    table = _folded(rows, header, caption, (3, 4), "classes")
    return Section("places", "Where each class belongs", (Text((lead,)), table))


def _composed(story: HierarchyStory, i: int) -> str:
    found = story.companions
    order = np.argsort(-np.abs(found.weights[i]), kind="stable")
    parts = [
        f"{number(float(found.weights[i, at]))}\u00a0{story.said(int(found.indices[i, at]))}"
        for at in order
        if found.indices[i, at] >= 0
    ]
    return ", ".join(parts) or "nothing helps"


def apart(story: HierarchyStory) -> Section:
    """Rank the classes by what others cannot compose of them."""
    order, shares = story.apart
    few = story.companions.indices.shape[1]
    display = OwnShareDisplay(story.names, story.companions.left, story.shares, few).plot()
    best, least = int(order[0]), int(order[-1])
    chart = story.figures.chart(
        display,
        "apart",
        f"Shares that other classes leave: from {percent(float(shares[best]))} of {story.said(best)} to "
        f"{percent(float(shares[least]))} of {story.said(least)}.",
        "Each class in turn is left out and composed of the others. Long bars: classes with something of their "
        "own, which the network describes by features that no other class uses alike. Short bars: classes that "
        "are mainly mixtures of others.",
    )
    lead = (
        "Would the class bring something new if the others were there already? That is asked of every class: how "
        "much of the energy of its mean can no combination of the others give."
    )
    return Section("apart", "Which classes stand apart", (Text((lead,)), chart))


def matrix(story: HierarchyStory) -> Section:
    """Show the covariance as it is and in the order of the hierarchy."""
    display = ReorderedMatrixDisplay.from_graph(story.graph, story.matrix).plot()
    what = (
        "cosine of the class means"
        if story.hierarchy.covariance_.correlation
        else "covariance of the classes"
    )
    chart = story.figures.chart(
        display,
        "matrix",
        f"The {what}, {story.m:,} by {story.m:,}, in the order of the names and in that of the hierarchy.",
        f"The {what}: how alike the network describes two classes. Left in the order of their names, right with "
        "what composes early side by side. Blocks along the diagonal of the right picture are groups of classes.",
    )
    return Section("matrix", "The covariance in the order of the hierarchy", (chart,))


def tree(story: HierarchyStory) -> Section:
    """Show the agglomerative tree of the same classes."""
    lead = (
        "The customary picture beside it: classes joined pair by pair, the nearest means first. A tree puts each "
        "class into one group and asks for distances only. A composition may use a class that other compositions "
        "use as well, weighs its members, and asks what they leave unexplained."
    )
    agreement = story.agreement_with_tree
    words = "The two cannot be compared: one of them joins all classes at once."
    if agreement is not None:
        judged = (
            "they tell much the same"
            if agreement > 0.6
            else "they have something in common"
            if agreement > 0.25
            else "they tell different things"
        )
        words = (
            f"Over all pairs of classes, the level at which compositions connect them and the height at which the "
            f"tree does agree with a rank correlation of {number(agreement)}: {judged}."
        )
    if story.m > _most_in_tree:
        much = f"A tree of {story.m:,} classes is too dense to be drawn here. {words}"
        return Section("tree", "Beside it: an agglomerative tree", (Text((lead, much)),))
    chart = story.figures.chart(
        DendrogramDisplay.from_linkage(story.linkage, story.names, graph=story.graph).plot(),
        "tree",
        f"Tree of {story.m:,} classes by average linkage of the distances of their means.",
        "Average linkage of the distances of class means. The further left two classes meet, the less alike they "
        "are.",
    )
    return Section("tree", "Beside it: an agglomerative tree", (Text((lead,)), chart, Text((words,))))
