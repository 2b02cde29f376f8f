"""The section of a patterns report about more than two classes, and what to mind where classes differ in size."""

from __future__ import annotations

import numpy as np

from wavelens.patterns import ClassMatrices, PatternTable
from wavelens.plotting import ClassTreeDisplay, SharedPatternsDisplay
from wavelens.report._page import Block, Fold, Section, Table, Text
from wavelens.report._pattern_story import Story
from wavelens.report._words import count, joined, number, percent

__all__ = ["caveats", "classes_section"]

_uneven = 1.5
_classes_in_tables = 60
_patterns_listed = 40


def classes_section(story: Story) -> Section | None:
    """Show which classes share patterns, and the classes as a tree; None for two classes."""
    if len(story.names) < 3:
        return None
    table, matrices = story.whole.pattern_table(), story.whole.class_matrices()
    tree = ClassTreeDisplay.from_analysis(
        story.whole, class_names=story.class_names, matrices=matrices
    ).plot()
    shared = SharedPatternsDisplay.from_analysis(
        story.whole, class_names=story.class_names, matrices=matrices
    ).plot()
    caption = "Off the diagonal: patterns that both classes hold. On it, in bold: patterns that the class alone holds."
    tree_caption = (
        "Classes are joined at the mean distance, 1 − similarity, between their images. Images of one class "
        "differ as well, so even the first join is far from 0."
    )
    note = (
        "A class holds a pattern if its strength σ there is at least 0.41 times, tan(π/8), that of the class "
        "where the pattern is strongest. All patterns with the classes that hold them are in patterns.csv."
    )
    blocks: list[Block] = [
        Text((f"{_holding(story, table)} {_nearest(story, matrices)}",), "lead"),
        story.figures.chart(
            tree, "class-tree", f"Tree of the classes. {_nearest(story, matrices)}", tree_caption
        ),
        story.figures.chart(shared, "shared-patterns", _shared_alt(story, matrices), caption),
        Text((note,), "note"),
        Fold("Classes in a table", (_class_table(story, table, matrices),)),
        Fold("Patterns that some classes share and others lack", (_pattern_list(story, table),)),
    ]
    return Section("sharing", "Which classes share patterns", tuple(blocks))


def _holding(story: Story, table: PatternTable) -> str:
    holders, n = table.n_classes_holding, len(story.names)
    r = len(holders)
    everyone, alone = int((holders == n).sum()), int((holders == 1).sum())
    some = r - everyone - alone
    return (
        f"Of {count(r, 'pattern')}, {everyone or 'none'} {'is' if everyone < 2 else 'are'} held by all {n} "
        f"classes, {alone or 'none'} by one alone, and {some or 'none'} by some of them. The middle pattern is "
        f"held by {int(np.median(holders))}."
    )


def _nearest(story: Story, matrices: ClassMatrices) -> str:
    similarity = matrices.similarity.copy()
    np.fill_diagonal(similarity, -np.inf)
    i, j = np.unravel_index(int(similarity.argmax()), similarity.shape)
    mean = np.where(np.isfinite(similarity), similarity, 0).sum(axis=1)
    apart = int(mean.argmin())
    return (
        f"The two classes most alike are {story.said(int(i))} and {story.said(int(j))} (similarity "
        f"{number(float(similarity[i, j]))}); farthest from the others is {story.said(apart)}."
    )


def _shared_alt(story: Story, matrices: ClassMatrices) -> str:
    outside = matrices.shared[~np.eye(len(story.names), dtype=bool)]
    return (
        f"Matrix of {len(story.names)} classes: two classes share between {outside.min():,} and "
        f"{outside.max():,} patterns."
    )


def _class_table(story: Story, table: PatternTable, matrices: ClassMatrices) -> Table:
    n = len(story.names)
    everyone = int((table.n_classes_holding == n).sum())
    sizes = story.findings.sizes
    order = np.argsort(-sizes, kind="stable")[:_classes_in_tables]
    rows = []
    for i in map(int, np.sort(order)):
        held = int(matrices.shared[i, i])
        others = matrices.similarity[i].copy()
        others[i] = -np.inf
        k = int(others.argmax())
        rows.append(
            (
                story.names[i],
                f"{sizes[i]:,}",
                f"{int(matrices.own[i]):,}",
                f"{max(0, held - int(matrices.own[i]) - everyone):,}",
                f"{everyone:,}",
                f"{len(table.owner) - held:,}",
                number(float(matrices.similarity[i, i])),
                f"{story.names[k]} ({number(float(others[k]))})",
            )
        )
    header = (
        "Class",
        "Images",
        "Own patterns",
        "Shared with some",
        "Shared by all",
        "Lacking",
        "Similarity within",
        "Most similar class",
    )
    caption = "Patterns by class." if n <= len(rows) else f"The {len(rows)} largest of {n} classes."
    return Table(header, tuple(rows), caption)


def _pattern_list(story: Story, table: PatternTable) -> Table:
    n = len(story.names)
    holders = table.n_classes_holding
    partly = np.flatnonzero(holders < n)
    # Those that set classes apart most come first.
    partly = partly[np.lexsort((-table.angle[partly], holders[partly]))]
    rows = []
    for k in map(int, partly[:_patterns_listed]):
        names = [story.names[i] for i in np.argsort(-table.sigma[k], kind="stable")[: holders[k]]]
        rows.append(
            (
                f"Pattern {k}",
                story.names[int(table.owner[k])] if table.owner[k] >= 0 else "–",
                number(float(table.commonness[k])),
                joined(names, 6),
            )
        )
    caption = (
        f"{len(rows)} of {count(len(partly), 'pattern')} that not all classes hold; strongest class first. "
        "Isolation runs from 0, common to all, to 1, in one class alone."
    )
    return Table(("", "Owner", "Isolation", "Held by"), tuple(rows), caption)


def caveats(story: Story) -> tuple[Text, ...]:
    """Return what to mind where classes differ much in size or have too few images for the coefficients."""
    return tuple(Text((text,), "note") for text in (_size_note(story), _rank_note(story)) if text)


def _size_note(story: Story) -> str:
    sizes = story.findings.sizes
    low, high = int(sizes.argmin()), int(sizes.argmax())
    ratio = sizes[high] / sizes[low]
    if ratio <= _uneven:
        return ""
    start = f"The classes differ in size: {story.said(high)} has {ratio:.1f} times the images of {story.said(low)}. "
    if story.analysis.weights is None:
        return start + (
            f"Strengths σ grow with the root of the number of images, so the same pattern counts "
            f"{np.sqrt(ratio):.1f} times as strong in the larger class for its size alone, and more patterns seem to "
            'belong to it. The option --weights size (weights="size") divides by that root and compares the '
            "classes image for image."
        )
    if isinstance(story.analysis.weights, str):
        return start + (
            "Strengths σ are divided by the root of the number of images (weights “size”), so the classes are "
            "compared image for image."
        )
    return start + "Strengths σ are scaled by the weights that were given."


def _rank_note(story: Story) -> str:
    m = len(story.analysis.coefficients_)
    ranks = story.analysis.class_ranks_
    few = [int(i) for i in np.argsort(ranks, kind="stable") if ranks[i] < m]
    if not few:
        return ""
    named = joined([f"{story.said(i)} ({ranks[i]:,})" for i in few], 6)
    return (
        f"{count(len(few), 'class', 'classes')} {'has' if len(few) == 1 else 'have'} a rank below the {m:,} "
        f"coefficients: {named}. The strengths of such a class come from as few independent directions as its "
        f"rank, {percent(ranks[few[0]] / m)} of the coefficients in the lowest case. That it is weak in a pattern "
        "may only mean that it has too few images to show it."
    )
