"""What the spaces of a network say, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from wavelens._utils._names import shorten, without_isolates
from wavelens.report._spaces_story import LayerFacts, SpacesStory
from wavelens.report._words import count, joined, percent, said
from wavelens.spaces import IdealInputs

__all__ = ["findings", "quoted", "remarks"]

_named_at_most = 5
_few_images = 10
_hardly_seen = 0.05


def findings(story: SpacesStory) -> tuple[str, ...]:
    """Return the sentences of the overview."""
    found = (
        _random_ones(story),
        _least_random(story),
        _dead(story),
        _what_must_go(story) if story.flow is None else _rejecting(story),
        _against_chance(story),
        _classes(story),
        _ideal(story),
    )
    return tuple(_capital(each) for each in found if each)


def _random_ones(story: SpacesStory) -> str:
    compared = story.compared
    if not compared:
        return ""
    alike = [each for each in compared if each.like_chance]
    n = len(compared)
    if not alike:
        which = "The one layer with a spectrum" if n == 1 else f"Each of the {n} layers with a spectrum"
        return (
            f"{which} differs from a random matrix of its shape: training has left its mark on how strongly "
            "directions pass."
        )
    who = (
        f"of {n} layers, {len(alike)} {'has' if len(alike) == 1 else 'have'}"
        if n > 1
        else "the one layer with a spectrum has"
    )
    return (
        f"{_capital(_names(alike))} {'looks' if len(alike) == 1 else 'look'} random: {who} singular values such "
        "as random weights of the same shape have. Such a spectrum is no sign of anything learnt; which directions "
        "they are may well be."
    )


def _least_random(story: SpacesStory) -> str:
    unlike = [each for each in story.compared if not each.like_chance]
    if not unlike:
        return ""
    far = max(unlike, key=story.unlike)
    found = far.found
    assert found is not None
    low, high = found.chance_condition_interval
    least = "" if len(story.compared) == 1 else " is least like chance"
    return (
        f"{quoted(far.name)}{least}: its strongest direction passes "
        f"{_ratio(found.condition)} times as strongly as its weakest (random {_size(far)} matrices: {_ratio(low)} to "
        f"{_ratio(high)} times), and {percent(found.share_outside)} of its directions lie outside what chance gives."
    )


def _dead(story: SpacesStory) -> str:
    """Tell of layers whose rank is lower than their shape allows."""
    low = [each for each in story.known if each.rank is not None and each.rank < min(each.matrix)]
    if not low:
        return ""
    each = min(low, key=lambda one: (one.rank or 0) / min(one.matrix))
    rest = len(low) - 1
    more = (
        f". {count(rest, 'other layer')} {'uses' if rest == 1 else 'use'} fewer than possible, too"
        if rest
        else ""
    )
    return (
        f"{quoted(each.name)} uses {each.rank:,} of the {min(each.matrix):,} directions that its shape allows: some of "
        f"its units are silent, or combinations of others{more}."
    )


def _what_must_go(story: SpacesStory) -> str:
    """Tell which layers must reject something, whatever enters."""
    able = _able(story)
    if not able:
        return "No layer can reject anything: each has as many independent weights as inputs."
    most = max(able, key=_room)
    if len(able) == 1:
        who = f"One layer, {quoted(most.name)}, has"
        return (
            f"{who} fewer independent units than inputs ({_room_words(most)}) and so rejects something. How much of "
            "images that is, images would tell."
        )
    return (
        f"{len(able)} of {count(len(story.known), 'layer')} have fewer independent units than inputs and so reject "
        f"something, {quoted(most.name)} most ({_room_words(most)}). How much of images that is, images would tell."
    )


def _rejecting(story: SpacesStory) -> str:
    flow = story.flow
    assert flow is not None
    able = [i for i in range(len(flow.layers)) if flow.chance[i] > 0]
    if not able:
        return (
            "No layer can reject anything: each has as many independent weights as inputs, whatever enters."
        )
    single = [i for i in able if flow.kinds[i] == "depthwise"]
    parts = []
    if len(single) < len(able):
        top = max((i for i in able if i not in single), key=lambda i: np.nan_to_num(flow.overall[i]))
        others = "Of the layers that mix channels, " if single and len(able) > len(single) + 1 else ""
        parts.append(
            f"{others}{quoted(flow.layers[top])} rejects {'most: ' if len(able) > len(single) + 1 else ''}"
            f"{percent(float(flow.overall[top]))} of the energy of what enters it; a random space of its dimension "
            f"would reject {percent(float(flow.chance[top]))} ± {percent(float(flow.chance_spread[top]))}."
        )
    if single:
        shares, chance = flow.overall[single], float(np.median(flow.chance[single]))
        parts.append(
            f"The {count(len(single), 'depthwise layer')}, with one kernel for each channel, keep one number of each "
            f"patch and reject {percent(float(np.nanmin(shares)))} to {percent(float(np.nanmax(shares)))} of its "
            f"energy (by chance {percent(chance)}); patches overlap, so that less is lost of the map."
        )
    full = len(flow.layers) - len(able)
    if full:
        have = "it has" if full == 1 else "they have"
        parts.append(
            f"{full} of {count(len(flow.layers), 'layer')} cannot reject anything: {have} as many independent weights "
            "as inputs."
        )
    return " ".join(parts)


def _against_chance(story: SpacesStory) -> str:
    flow = story.flow
    if flow is None or not (flow.chance > 0).any():
        return ""
    z = flow.beyond_chance
    able = [i for i in range(len(z)) if flow.chance[i] > 0]
    less = [flow.layers[i] for i in sorted(able, key=lambda i: z[i]) if z[i] < -2]
    more = [flow.layers[i] for i in sorted(able, key=lambda i: -z[i]) if z[i] > 2]
    parts = []
    if less:
        names = joined([quoted(each) for each in less], _named_at_most)
        parts.append(
            f"{_capital(names)} {'rejects' if len(less) == 1 else 'reject'} clearly less of the images than chance "
            "would: these weights point where images are"
        )
    if more:
        names = joined([quoted(each) for each in more], _named_at_most)
        parts.append(f"{names} clearly more, so turned away from much of what images are")
    rest = len(able) - len(less) - len(more)
    if not parts:
        one = (
            "The one layer that can reject rejects"
            if rest == 1
            else f"All {rest} layers that can reject reject"
        )
        return f"{one} about as much as chance would: with these images nothing more can be said."
    text = "; ".join(parts)
    if rest:
        text += f"; {count(rest, 'other layer')} about as much as chance"
    return _capital(f"{text}.")


def _classes(story: SpacesStory) -> str:
    """Tell where a layer treats classes most differently."""
    flow = story.flow
    if flow is None or len(flow.classes) < 2:
        return ""
    rejected = np.where(flow.chance[:, None] > 0, flow.rejected, np.nan)
    seen = np.isfinite(rejected).sum(axis=1) > 1
    if not seen.any():
        return ""
    filled = rejected[seen]
    spread = np.nanmax(filled, axis=1) - np.nanmin(filled, axis=1)
    row = int(np.flatnonzero(seen)[np.argmax(spread)])
    low, high = int(np.nanargmin(rejected[row])), int(np.nanargmax(rejected[row]))
    if (
        flow.interval[row, high, 0] <= flow.interval[row, low, 1]
        or not np.isfinite(flow.interval[row, [low, high]]).all()
    ):
        return "What is rejected differs between classes by no more than their few images would by chance."
    return (
        f"Classes differ most in {quoted(flow.layers[row])}, which rejects {percent(float(rejected[row, high]))} of "
        f"the energy of {said(flow.classes[high])} and {percent(float(rejected[row, low]))} of "
        f"{said(flow.classes[low])}."
    )


def _ideal(story: SpacesStory) -> str:
    ideal = story.ideal
    if ideal is None:
        return ""
    n = len(ideal.class_names)
    reached = int(ideal.reached.sum())
    own = int((ideal.predicted == np.arange(n)).sum())
    goal = np.linalg.norm(ideal.ideal, axis=1)
    kinds = [[name for name in ideal.distances if (" + " in name) == trained] for trained in (False, True)]
    missed = [
        float(np.median(np.min([ideal.distances[name] / goal for name in names], axis=0))) if names else None
        for names in kinds
    ]
    text = (
        f"Of the images of {n} classes and their means, the nearest to the ideal answer miss it by "
        f"{percent(missed[0] or 0.0)} of its length (median)"
    )
    if missed[1] is not None and reached == n:
        text += "; training reaches it for each"
        changed = _changed(ideal)
        if changed < _hardly_seen:
            text += (
                f", and changes the picture by {percent(changed)} of its length at most: that is hardly seen"
            )
    elif missed[1] is not None:
        text += f"; training comes to {percent(missed[1])}"
        text += f", and reaches it for {reached}," if reached else ""
        text += " without leaving the range of the images' values" if ideal.bounds is not None else ""
    return f"{text}. The network takes {own} of the {n} chosen pictures for their class."


def _changed(ideal: IdealInputs) -> float:
    """Return by which share of its length training has changed the chosen picture that it changed most."""
    starts = [ideal.candidates[name.partition(" + ")[0]][i] for i, name in enumerate(ideal.chosen)]
    shares = [
        float(np.linalg.norm(image - start) / (np.linalg.norm(start) or 1.0))
        for image, start in zip(ideal.images, starts, strict=True)
    ]
    return max(shares)


def remarks(story: SpacesStory) -> Iterator[str]:
    """Say where the page says little."""
    if story.left_out:
        names = joined([quoted(each.name) for each in story.left_out], _named_at_most)
        yield (
            f"{_capital(names)} {'was' if len(story.left_out) == 1 else 'were'} left out: taking so large a matrix "
            "apart takes minutes. --layer NAME does it all the same."
        )
    yield from story.notes
    if story.flow is not None:
        few = [story.flow.classes[i] for i in np.flatnonzero(story.flow.counts < _few_images)]
        if few:
            who = joined([said(each) for each in few], _named_at_most)
            yield f"Fewer than {_few_images} images: {who}. Their means are uncertain; the intervals say how much."
        yield from story.flow.notes


# Words


def quoted(name: str) -> str:
    """Return the name of a layer as a sentence says it."""
    shown = f"“{shorten(name, 40)}”"
    # A mere number would be taken for a class.
    return f"layer {shown}" if without_isolates(name).replace(".", "").isdecimal() else shown


def _able(story: SpacesStory) -> list[LayerFacts]:
    return [each for each in story.known if _room(each) > 0]


def _room(each: LayerFacts) -> float:
    """Return which share of its inputs' directions a layer rejects; of grouped ones, within a group."""
    layer = each.spaces.layer
    if layer.kind == "convolution" and layer.groups > 1:
        return 1 - float(each.spaces.patches.ranks.mean()) / each.spaces.patches.n_in
    assert each.rank is not None
    return 1 - each.rank / each.matrix[1]


def _room_words(each: LayerFacts) -> str:
    return f"{percent(_room(each))} of the directions of its inputs"


def _names(facts: Sequence[LayerFacts]) -> str:
    return joined([quoted(each.name) for each in facts], _named_at_most)


def _size(each: LayerFacts) -> str:
    return f"{each.matrix[0]:,} × {each.matrix[1]:,}"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
