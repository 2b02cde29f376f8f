"""What a hierarchy says, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wavelens.report._hierarchy_story import PART, HierarchyStory
from wavelens.report._words import count, joined, number, percent

__all__ = ["ENDS", "findings", "orders_in_words", "remarks", "stability_in_words"]

ENDS = ("The compositions are settled", "No saturation")
"""How the sentence of a flow over layers begins that sums it up."""

_levels_told = 3
_few_images = 20


def findings(story: HierarchyStory) -> tuple[str, ...]:
    """Return the sentences of the overview."""
    found = (
        _first(story),
        _next(story),
        _late(story),
        _apart(story),
        _exactness(story),
        stability_in_words(story),
        _layers(story),
    )
    return tuple(each for each in found if each)


def _first(story: HierarchyStory) -> str:
    if not story.graph.n_levels:
        return ""
    members, weights = story.members(1)
    strong = story.strong(1)
    names = joined([story.said(i) for i in strong])
    figures = joined([number(float(w)) for w in weights[: len(strong)]])
    text = f"{_capital(names)} belong together first: the first composition is made of them, with weights of {figures}"
    rest = [story.said(int(i)) for i in members[len(strong) :]]
    if rest:
        text += f"; {joined(rest)} {'has' if len(rest) == 1 else 'have'} a small part in it"
    return f"{text}."


def _next(story: HierarchyStory) -> str:
    """Tell the next compositions in which classes take part for the first time."""
    told = []
    for level in range(2, story.graph.n_levels + 1):
        new = [i for i in story.strong(level) if story.graph.entry_levels[i] == level and story.is_main(i)]
        if not new:
            continue
        with_them = [i for i in story.strong(level) if i not in new]
        names = joined([story.said(i) for i in new])
        if with_them:
            verb = "joins" if len(new) == 1 else "join"
            told.append(f"{names} {verb} {joined([story.said(i) for i in with_them])} (level {level})")
        else:
            told.append(f"{names} (level {level})")
        if len(told) == _levels_told:
            break
    return f"Next: {'; '.join(told)}." if told else ""


def _late(story: HierarchyStory) -> str:
    """Tell who comes last, and who is nowhere a main part."""
    entry, n = story.graph.entry_levels, story.graph.n_levels
    parts = []
    last = int(entry.max())
    if last > 1:
        late = [story.said(int(i)) for i in np.flatnonzero(entry == last)]
        parts.append(
            f"{_capital(joined(late, 6))} {'comes' if len(late) == 1 else 'come'} last, at level {last:,} of {n:,}."
        )
    aside = [i for i in np.argsort(-story.companions.left, kind="stable") if not story.is_main(int(i))]
    if aside and n:
        names = joined([story.said(int(i)) for i in aside], 6)
        one = len(aside) == 1
        parts.append(
            f"{_capital(names)} {'has' if one else 'have'} only a small part in the composition at which "
            f"{'it enters' if one else 'they enter'} (a weight below {PART}): "
            f"{'it does' if one else 'they do'} not belong to any of them in particular."
        )
    return " ".join(parts)


def _apart(story: HierarchyStory) -> str:
    order, shares = story.apart
    first, last = int(order[0]), int(order[-1])
    if shares[first] <= 1e-9:
        return "Every class can be composed of the others: none has anything of its own."
    whom = f"its best {count(story.companions.indices.shape[1], 'companion')}"
    if story.shares is not None:
        whom = f"the other {story.m - 1:,} together"
    return (
        f"{_capital(story.said(first))} stands apart most: of what the layer says of it, {whom} cannot give "
        f"{percent(float(shares[first]))}. {_capital(story.said(last))} is best composed of others: they leave "
        f"{percent(float(shares[last]))} (in the median of all classes {percent(float(np.median(shares)))})."
    )


def _exactness(story: HierarchyStory) -> str:
    factors = story.factors
    if not factors.n_levels:
        return "The factorization has no level: nothing is composed."
    text = (
        f"The hierarchy describes the covariance of the classes up to {percent(factors.relative_error)} "
        f"({count(factors.n_levels, 'level')} of {factors.order} classes each)"
    )
    if story.common > 0.5:
        text += (
            f". Beware: {percent(story.common)} of the squared covariance is what all classes have in common, and "
            f"easily had; of the rest the error is {percent(story.error_of_rest)}"
        )
    return f"{text}."


def stability_in_words(story: HierarchyStory) -> str:
    """Say how far the compositions depend on the images that happened to be there."""
    found = story.stability
    if found is None:
        return ""
    if not found.n_resamples:
        return orders_in_words(story)
    overlap = float(found.first_overlap.mean())
    start = (
        f"With images drawn anew {found.n_resamples} times, {percent(overlap)} of the first composition comes "
        f"again on average (by chance {percent(found.chance)}), and the order in which classes meet agrees with "
        f"a rank correlation of {number(float(np.median(found.joining)))} in the median (1: the same, 0: none)"
    )
    if found.is_steady:
        later = "" if np.median(found.joining) >= 0.5 else ", the later levels are not"
        return f"{start}: what composes first is steady{later}."
    return f"{start}: another set of images would have given another hierarchy, so take single compositions lightly."


def orders_in_words(story: HierarchyStory) -> str:
    """Say how far the first composition depends on the order chosen."""
    found = story.stability
    if found is None or len(found.orders) < 2:
        return ""
    others = [i for i, k in enumerate(found.orders) if k != story.factors.order]
    shares = [float(found.order_first[i]) for i in others]
    chance = float(np.mean(found.order_chance[others]))
    again = (
        "comes again"
        if min(shares) > 0.75
        else "comes in part again"
        if np.mean(shares) > chance
        else "is another"
    )
    return (
        f"How many classes a composition takes is a choice. With {joined([str(found.orders[i]) for i in others])} in "
        f"place of {story.factors.order}, the first composition {again}: on average "
        f"{percent(float(np.mean(shares)))} of it is shared (by chance {percent(chance)})."
    )


def _layers(story: HierarchyStory) -> str:
    if story.flow is None:
        return ""
    return next((each for each in story.flow.words() if each.startswith(ENDS)), "")


def remarks(story: HierarchyStory) -> Iterator[str]:
    """Say where the page says little."""
    m, k, d = story.m, story.factors.order, int(story.hierarchy.n_features_in_)
    if story.single_images:
        yield (
            "Every class is one row of the file: nothing says how much its images differ among themselves, and "
            "nothing could be drawn anew. What is noise of single images looks like structure here."
        )
    else:
        few = [i for i in np.argsort(story.counts, kind="stable") if story.counts[i] < _few_images]
        if few:
            names = joined([f"{story.said(int(i))} ({story.counts[i]})" for i in few], 6)
            yield (
                f"Few images: {names}. The mean of so few is noisy, and noise is something that no other class "
                "composes: such classes seem to stand apart more than they do."
            )
        if story.counts.max() > 10 * story.counts.min():
            yield (
                f"The largest class has {story.counts.max():,} images, the smallest {story.counts.min():,}: all "
                "classes count alike here, but the means of small ones are less certain."
            )
    if story.shares is None and m > d:
        yield (
            f"There are more classes ({m:,}) than numbers that describe an image ({d:,}): all others together "
            "compose any class without rest. What stands apart is told by the best few companions instead."
        )
    if k > m / 2:
        yield (
            f"A composition takes {k} of {m} classes, so that two compositions always have many in common. A "
            "smaller --order tells more."
        )
    steady = None if story.stability is None else story.stability.is_steady
    if steady is False:
        yield "The hierarchy is not stable: see “How far to trust it” before quoting a composition."
    joining = None if story.stability is None else story.stability.order_joining
    if joining is not None and story.stability is not None and len(joining) > 1:
        others = [
            float(value) for order, value in zip(story.stability.orders, joining, strict=True) if order != k
        ]
        if max(others) < 0.3:
            yield "Other orders than the one chosen give quite other hierarchies: see “How far to trust it”."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
