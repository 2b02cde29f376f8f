"""What explanations say, in sentences with numbers."""

from __future__ import annotations

import numpy as np

from wavelens.report._explain_images import scale_names
from wavelens.report._explain_story import ExplainStory
from wavelens.report._foreign_text import isolate_sentence
from wavelens.report._words import count, joined, percent, said

__all__ = ["findings", "remarks"]

_unsure = 0.5
_nothing = 0.002
_alike = 0.5
_slack = 0.1


def findings(story: ExplainStory) -> tuple[str, ...]:
    """Return the sentences of the overview."""
    found = (
        *(_enough(story, p) for p in range(story.n_paths)),
        _compared(story),
        _scales(story),
        _trusted(story),
    )
    return tuple(each for each in found if each)


def _enough(story: ExplainStory, p: int) -> str:
    kept = story.kept_answers(p)
    rates = story.at_recommended(p, lambda each: each.rates)
    noun = story.title(p).lower()
    held = [i for i in range(story.n) if kept[i]]
    if story.n == 1:
        if held:
            return (
                f"{percent(rates[0])} of the {noun} are enough: the answer holds with noise for all others."
            )
        return f"No small part of the {noun} was found that holds the answer."
    if not held:
        return f"For none of the {story.n} images a part of the {noun} was found that holds the answer."
    who = f"all {story.n}" if len(held) == story.n else f"{len(held)} of {story.n}"
    low, middle, high = np.quantile(rates[held], [0, 0.5, 1])
    spread = f" (median; {percent(low)} to {percent(high)})" if len(held) > 1 else ""
    text = f"For {who} images {percent(middle)} of the {noun}{spread} are enough: the answer holds "
    text += "with noise for all others."
    lost = [said(story.label(int(story.targets[i]))) for i in range(story.n) if not kept[i]]
    return f"{text} No such part was found for {joined(lost, 4)}." if lost else text


def _compared(story: ExplainStory) -> str:
    if story.n_paths < 2:
        return ""
    rates = [story.at_recommended(p, lambda each: each.rates) for p in (0, 1)]
    errors = [story.at_recommended(p, lambda each: each.distortions) for p in (0, 1)]
    names = [story.title(p).lower() for p in (0, 1)]
    held = np.array([story.kept_answers(p) for p in (0, 1)]).all(axis=0)
    if not held.any() or not all(np.isfinite(each[held]).all() for each in (*rates, *errors)):
        return ""
    rates, errors = [each[held] for each in rates], [each[held] for each in errors]
    return (
        f"At the recommended λ {names[0]} keep {percent(float(np.median(rates[0])))} at a distortion of "
        f"{np.median(errors[0]):.2g}, {names[1]} {percent(float(np.median(rates[1])))} at {np.median(errors[1]):.2g} "
        f"{'(medians of the images where both hold the answer)' if story.n > 1 else ''}".rstrip()
        + "; the first are easier to read, as they keep shapes and not points."
    )


def _scales(story: ExplainStory) -> str:
    """Tell at which scale most is kept."""
    p = next((p for p in range(story.n_paths) if story.transform(p) is not None), None)
    if p is None:
        return ""
    each = np.array([story.energies(p, story.recommended(p, i))[i] for i in range(story.n)])
    means = np.nanmean(each, axis=0) if np.isfinite(each).any(axis=0).all() else None
    if means is None or len(means) < 3:
        return ""
    names = scale_names(len(means) - 1)
    details = means[1:]
    best = int(details.argmax()) + 1
    return (
        f"Of the details of {names[best].replace('finest, 2 pixels', 'about 2 pixels')} most is kept, "
        f"{percent(float(means[best]))} of their energy; of the finest {percent(float(means[-1]))}, of what is "
        f"{names[0]} {percent(float(means[0]))}."
    )


def _trusted(story: ExplainStory) -> str:
    if story.evaluation is None:
        return ""
    columns = {each.key for each in story.evaluation.columns}
    if "rate_distortion" not in columns:
        return ""
    rows = story.evaluation.rows
    own, chance = rows[0], next((row for row in rows if row.startswith("random")), None)
    if chance is None:
        return ""
    mine, other = (story.evaluation.summary(row, "rate_distortion").mean for row in (own, chance))
    if not (np.isfinite(mine) and np.isfinite(other)):
        return ""
    verdict = "less than" if mine < other else "no less than"
    return (
        f"Put in order of relevance, the wavelets of {own} move the answer by {mine:.3g} (distortion averaged over all "
        f"shares kept), {verdict} wavelets in random order ({other:.3g})."
    )


def remarks(story: ExplainStory) -> tuple[str, ...]:
    """Return what a reader should be warned of."""
    told = []
    top = story.answers[np.arange(story.n), story.predicted]
    weak = [i for i in range(story.n) if top[i] < _unsure]
    if weak:
        names = joined([f"{story.image_names[i]} ({percent(float(top[i]))})" for i in weak], 4)
        told.append(
            f"The network is not sure of {count(len(weak), 'image')}: {names}. Where its best answer has less than "
            "half of the probability, check that the images enter it with the right range of values and colours."
        )
    if story.n > 3:
        values, counts = np.unique(story.predicted, return_counts=True)
        if counts.max() > _alike * story.n and len(values) > 1 and counts.max() == story.n - 1:
            told.append(f"Nearly all images are taken for {said(story.label(int(values[counts.argmax()])))}.")
    empty = [
        i
        for i in range(story.n)
        if story.at_recommended(0, lambda each: each.rates)[i] < _nothing and story.kept_answers(0)[i]
    ]
    if empty:
        told.append(
            f"Next to nothing is kept of {joined([story.image_names[i] for i in empty], 4)}, and the answer stays: the "
            "network gives it for noise of this kind too, so the picture explains little."
        )
    told += _unfinished(story)
    stopped = [
        f"{story.image_names[i]}: {isolate_sentence(story.found(p, k).stopped[i])}"
        for p in range(story.n_paths)
        for i in range(story.n)
        for k in range(story.n_steps)
        if story.found(p, k).stopped[i].startswith("failed")
    ]
    told += list(dict.fromkeys(stopped))[:8]
    return tuple(told)


def _unfinished(story: ExplainStory) -> list[str]:
    """Tell where a search cannot have come to its end, as a higher price must not keep more."""
    told = []
    for p in range(story.n_paths):
        rates = np.array([story.found(p, k).rates for k in range(story.n_steps)])
        grows = (np.diff(rates, axis=0) > _slack * np.maximum(rates[:-1], _nothing)).any(axis=0)
        if grows.any():
            told.append(
                f"In {story.title(p).lower()}, for {int(grows.sum())} of {count(story.n, 'image')} a larger λ keeps "
                "more somewhere, which no perfect search would do: the search ended too early, and "
                "--steps makes it longer."
            )
    return told
