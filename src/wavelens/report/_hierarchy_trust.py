"""The sections of a hierarchy report on layers, stability, storage, and how to read all of it."""

from __future__ import annotations

import numpy as np

from wavelens.plotting import LayerFlowDisplay
from wavelens.report._hierarchy_findings import ENDS, orders_in_words, stability_in_words
from wavelens.report._hierarchy_story import PART, HierarchyStory
from wavelens.report._page import Block, Fold, Heading, Section, Table, Text
from wavelens.report._words import joined, number, percent

__all__ = ["layers", "reading", "storage", "trust"]

_classes_in_table = 15


def layers(story: HierarchyStory) -> Section | None:
    """Show how compositions change from layer to layer."""
    flow = story.flow
    if flow is None:
        return None
    lead = (
        "The same images, layer after layer: where a layer changes which classes compose, it has sorted them "
        "anew; where compositions stay, it adds nothing to how classes relate (it may still make them easier to "
        "tell apart)."
    )
    chart = story.figures.chart(
        LayerFlowDisplay.from_flow(flow).plot(),
        "layers",
        f"Levels at which {len(flow.classes)} classes enter in the layers {joined(list(flow.layers))}, and "
        "agreement of compositions in consecutive layers.",
        "Above: each column is a layer, each box a level with the classes that enter there, the first level on "
        "top. Below: how many classes the compositions of consecutive layers have in common, beside what the "
        "same layer shows with images drawn anew and what chance gives. Where several compositions are nearly as "
        "good, two layers may take different ones and still relate the classes alike; so the verdicts rest on the "
        "errors in the table, not on these shares.",
    )
    rows = []
    for i, verdict in enumerate(flow.verdicts):
        own = float(np.quantile(flow.transfer_resampled[i + 1], 0.9))
        shuffled = float(np.median(flow.transfer_chance[i + 1]))
        rows.append(
            (
                f"{flow.layers[i]} → {flow.layers[i + 1]}",
                verdict,
                _times(float(flow.transfer[i, i + 1])),
                _times(own),
                _times(shuffled),
                number(float(flow.joining[i])),
            )
        )
    header = (
        "Layers",
        "The later one",
        "Error in the earlier's",
        "Images drawn anew",
        "Classes shuffled",
        "Order of meeting",
    )
    caption = (
        "Error in the earlier's: error of the later layer described by the compositions of the earlier one, over "
        "that by its own. Images drawn anew: the same for its own compositions from other images (9 in 10 are "
        "below): a layer that stays below it adds nothing that other images would not. Order of meeting: rank "
        "correlation of the levels at which pairs of classes meet."
    )
    words = flow.words()
    blocks: list[Block] = [
        Text((lead,), "lead"),
        Text(tuple(each for each in words if each.startswith(ENDS))),
        chart,
        Table(header, tuple(rows), caption, words=(1,)),
        Fold("The same in words", (Text(words),)),
    ]
    return Section("layers", "From layer to layer", tuple(blocks))


def _times(ratio: float) -> str:
    return f"{ratio:,.1f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def trust(story: HierarchyStory) -> Section | None:
    """Say how far order and images matter."""
    found = story.stability
    if found is None:
        return None
    blocks: list[Block] = [Heading("images", "Other images")]
    if found.n_resamples:
        blocks += _resamples(story)
    elif story.single_images:
        blocks.append(
            Text(("There is one row a class, so that nothing can be drawn anew. This cannot be told here.",))
        )
    else:
        blocks.append(Text(("No images were drawn anew.",)))
    rows = []
    for i, k in enumerate(found.orders):
        own = k == story.factors.order
        rows.append(
            (
                f"{k} (this one)" if own else str(k),
                "–" if own else percent(float(found.order_first[i])),
                "–" if own else percent(float(found.order_chance[i])),
                "–" if own else number(float(found.order_joining[i])),
                percent(float(found.order_errors[i])),
            )
        )
    header = ("Classes a composition", "First composition shared", "By chance", "Order of meeting", "Error")
    caption = (
        "First composition shared: with that of this page, of the smaller of the two. Order of meeting: rank "
        "correlation, over pairs of classes, of the levels at which they meet."
    )
    blocks += [
        Heading("orders", "Other orders"),
        Text((orders_in_words(story) or "No other order was tried.",)),
        Table(header, tuple(rows), caption),
    ]
    return Section("trust", "How far to trust it", tuple(blocks))


def _resamples(story: HierarchyStory) -> list[Block]:
    found = story.stability
    assert found is not None
    n = found.n_resamples
    members, weights = story.members(1)
    known = {int(i): float(w) for i, w in zip(members, weights, strict=True)}
    order = np.argsort(-found.first_share, kind="stable")
    shown = [int(i) for i in order if found.first_share[i] > 0 or int(i) in known][:_classes_in_table]
    rows = tuple(
        (
            story.names[i],
            number(known[i]) if i in known else "not in it",
            f"{round(n * float(found.first_share[i]))} of {n}",
        )
        for i in shown
    )
    caption = (
        "The first composition: with which weight a class is in it, and in how many draws it is in the first "
        "composition. A class with little weight is easily replaced by another."
    )
    transfer = (
        f"Described by the compositions of such draws, the covariance has {_times(float(np.median(found.transfer)))} "
        f"the error that it has by its own, in the median; by compositions of shuffled classes, "
        f"{_times(float(np.median(found.transfer_chance)))}. Different compositions may describe it about as well: "
        "where several are nearly as good, a few images decide which one is taken."
    )
    header = ("Class", "Weight", "Draws with it")
    return [Text((stability_in_words(story), transfer)), Table(header, rows, caption)]


def storage(story: HierarchyStory) -> Section:
    """Tell the bytes and the error, beside a low-rank matrix of the same size."""
    dense = 8 * story.m**2
    tried: list[tuple[int, int, float]] = []
    if story.stability is not None:
        found = story.stability
        tried = list(zip(found.orders, found.order_nbytes.tolist(), found.order_errors.tolist(), strict=True))
    else:
        tried = [(story.factors.order, story.factors.nbytes, story.factors.relative_error)]
    rows = tuple(
        (
            f"{k} (this one)" if k == story.factors.order else str(k),
            f"{nbytes:,}",
            percent(nbytes / dense),
            percent(error),
            percent(story.low_rank_error(int(nbytes))),
        )
        for k, nbytes, error in tried
    )
    header = ("Order", "Bytes", "Of the matrix", "Error", "Low rank, same bytes")
    caption = (
        f"The covariance itself takes {dense:,} bytes. Errors are Frobenius norms of what is left over that of the "
        "covariance. Low rank: the best matrix of low rank that takes as many bytes."
    )
    nbytes = story.factors.nbytes
    if nbytes >= dense:
        words = (
            f"With {story.m} classes the factorization is larger than the matrix: here it serves to be read, not to "
            "save space."
        )
    else:
        better = story.factors.relative_error < story.low_rank_error(nbytes)
        words = (
            f"The factorization takes {percent(nbytes / dense)} of the bytes of the covariance. A matrix of low rank "
            f"of the same size is {'less' if better else 'more'} exact here."
        )
    return Section("storage", "As a compression", (Text((words,)), Table(header, rows, caption)))


def reading(story: HierarchyStory) -> Section:
    """Explain the page to strangers, and name the method."""
    covariance = story.hierarchy.covariance_
    centred = (
        "The mean of all images was taken off first (--center), so the page compares what sets classes apart."
        if covariance.center
        else "What all classes have in common is in it too and weighs most; --center takes it off and compares what "
        "sets classes apart."
    )
    scaled = " Only directions count, not lengths (--correlation)." if covariance.correlation else ""
    return Section(
        "reading",
        "How to read it",
        (
            Heading("words", "In plain words"),
            Text(
                (
                    "A layer of a network turns an image into a list of numbers. The mean of these numbers over the "
                    "images of a class is how the layer describes the class; two classes are alike where their "
                    "means point the same way. The covariance on this page is the table of these likenesses. "
                    f"{centred}{scaled}",
                    "Composing means: take a few classes whose descriptions explain one another, and rewrite them "
                    "as mixtures, one of which has nothing to do with any other class. Drop that one, and go on with "
                    "the rest. Classes that meet early are near relatives to the network; classes that come late, or "
                    f"enter with a weight below {PART}, belong to no composition in particular.",
                    "The network was not taught any of this. It was taught to tell classes apart, and what it shares "
                    "between them is its own. Relations seen here are relations in the layer, not in the world: "
                    "classes may meet because they are alike, or because their photographs share a background.",
                )
            ),
            Heading("pitfalls", "What it cannot tell"),
            Text(
                (
                    "A hierarchy always comes out, of noise too. The parts of this page that compare with chance and "
                    "with images drawn anew say whether this one means anything. Within a composition weights count: "
                    "a member with a weight near 0 is there because a composition must have "
                    f"{story.factors.order} members.",
                    "Levels are found one after another, each the best for itself. Two compositions that share no "
                    "class may change places without anything having changed.",
                )
            ),
            Heading("method", "Method and sources"),
            Text(
                (
                    f"Multiresolution matrix factorization of order {story.factors.order}, tuples by "
                    f"“{story.factors.method}”, rotations by “{story.factors.rotation}”, of the "
                    f"{story.m:,} × {story.m:,} matrix of inner products of class means: C = QᵀΛQ up to the "
                    f"error told, Q a product of rotations of {story.factors.order} rows at a time.",
                    "R. Kondor, N. Teneva, V. Garg, “Multiresolution matrix factorization”, ICML (2014). V. K. "
                    "Ithapu, R. Kondor, S. C. Johnson, V. Singh, “The incremental multiresolution matrix "
                    "factorization algorithm”, CVPR (2017). V. K. Ithapu, “Decoding the deep: exploring class "
                    "hierarchies of deep representations using multiresolution matrix factorization”, CVPR workshops "
                    "(2017).",
                )
            ),
        ),
    )
