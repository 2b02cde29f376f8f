"""The section that shows each image under its slider."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.report._explain_blocks import Answer, Explained, Mark, Pane, Scale, Step
from wavelens.report._explain_pictures import Quality, as_bytes, choose_quality, encode, mosaic
from wavelens.report._explain_story import ExplainStory
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.report._page import Heading, Section, Text
from wavelens.report._words import count, percent, said

__all__ = ["images", "scale_names", "sure"]

# Characters that all pictures may take: eight photos of 224 × 224 at seven λ stay well below 5 MB.
_budget = 3_900_000
_mark_side = 72
_answers_shown = 3
_normal = 1.96

_hints = {
    "kept": "the mean of the mask: share of wavelets, or of pixels, that were kept",
    "same": "how often this class was the network’s answer, each time with other noise",
}
_pane_hints = {
    "cartoonx": "the smallest part of the wavelets that keeps the answer (CartoonX)",
    "pixel_rde": "the smallest part of the pixels that keeps the answer (Pixel RDE)",
}


def images(story: ExplainStory) -> Section:
    """Show each image, what is kept of it and what the network says to that."""

    def size(quality: Quality) -> int:
        return sum(map(len, _uris(_explained(story, 0, quality))))

    quality = choose_quality(size, story.n, _budget)
    blocks: list[Any] = [Text((_lead(story),), "lead")]
    for i in range(story.n):
        blocks += [Heading(f"image-{i + 1}", _heading(story, i)), _explained(story, i, quality)]
    return Section("images", "Image by image" if story.n > 1 else "The image", tuple(blocks))


def _uris(block: Explained) -> list[str]:
    steps = [step for pane in block.panes for step in pane.steps]
    uris = [block.image, *(mark.picture for mark in block.marks)]
    return uris + [uri for step in steps for uri in (step.picture, step.seen, step.mask)]


def _lead(story: ExplainStory) -> str:
    both = story.n_paths > 1
    ways = " in wavelets, which are soft spots and edges of all sizes, and in pixels" if both else ""
    if story.n_steps == 1:
        return f"Below each image is the part that the network needs for its answer{ways}. What is black is not needed."
    return (
        f"Below each image is the part that the network needs for its answer{ways}. What is black is not needed. Move "
        "the slider (or use the arrow keys): to the left more is kept and the answer is held exactly, to the right "
        "less is kept and the answer begins to slip. ★ marks the place that is recommended."
    )


def _heading(story: ExplainStory, i: int) -> str:
    if story.fails(i):
        return story.image_names[i]
    return f"{story.label(int(story.targets[i]))} ({story.image_names[i]})"


def sure(p: float) -> str:
    """Return a probability as a percentage that never says 100 % or 0 % of what is not."""
    if p > 0.995:
        return "> 99%" if p < 0.9995 else "100%"
    return "< 1%" if p < 0.01 else percent(p)


def _explained(story: ExplainStory, i: int, quality: Quality) -> Explained:
    start = story.recommended(0, i)
    panes = tuple(_pane(story, p, i, quality) for p in range(story.n_paths))
    return Explained(
        id=f"image-{i + 1}",
        name=story.image_names[i],
        image=encode(as_bytes(story.images[i]), quality.side, quality.kept),
        summary=_summary(story, i),
        answers=_answers(story, i, story.answers[i]),
        facts=(),
        panes=panes,
        marks=_marks(story, i),
        start=start,
        crisp=story.crisp,
    )


def _summary(story: ExplainStory, i: int) -> str:
    target, answer = int(story.targets[i]), int(story.predicted[i])
    if story.fails(i):
        return f"This image could not be explained: {story.fails(i)}."
    name = said(story.label(target))
    p = float(story.answers[i, target])
    if target == answer:
        text = f"The network says {name}, with a probability of {sure(p)}."
    else:
        text = (
            f"The network says {said(story.label(answer))} ({sure(float(story.answers[i, answer]))}). Explained is "
            f"{name}, as asked, to which it gives {sure(p)}."
        )
    told = []
    for k in range(story.n_paths):
        step = story.recommended(k, i)
        found, reply = story.found(k, step), story.reply(k, step)
        what = f"{percent(float(found.rates[i]))} of the {story.title(k).lower()}"
        told.append((what, int(reply.same[i]), reply.n_samples, float(reply.probabilities[i, target])))
    what, same, n, kept = told[0]
    if not np.isfinite(kept):
        return f"{text} {_stopped(story, i)}".strip()
    if target != answer:
        text += f" With {what} kept and noise for the rest it gives it {sure(kept)}."
    elif same == n:
        text += f" It says so with {what} kept and noise for the rest too, in all {n} tries."
    elif same:
        text += f" With {what} kept and noise for the rest it still says so in {same} of {n} tries."
    else:
        text += f" With {what} kept and noise for the rest it says something else: this explains no answer."
    if len(told) > 1:
        what, same, n, kept = told[1]
        text += f" Of pixels, {what.split(' of ')[0]} are recommended; the answer then holds in {same} of {n} tries."
    return f"{text} {_stopped(story, i)}".strip()


def _stopped(story: ExplainStory, i: int) -> str:
    """Tell what went wrong while the image was explained."""
    for p in range(story.n_paths):
        for step in range(story.n_steps):
            found = story.found(p, step)
            if not np.isfinite(found.rates[i]):
                return f"It could not be explained in full: {isolate_sentence(found.stopped[i])}."
    return ""


def _answers(story: ExplainStory, i: int, row: npt.NDArray[np.float64]) -> tuple[Answer, ...]:
    target = int(story.targets[i])
    if not np.isfinite(row).all():
        return ()
    order = np.argsort(-row, kind="stable")[:_answers_shown].tolist()
    # The explained class is always shown, as its probability is what this is about.
    if target not in order:
        order[-1] = target
    return tuple(
        Answer(
            story.label(c),
            round(100 * float(row[c]), 2),
            sure(float(row[c])),
            c == target,
            isolate(story.full_names[c])
            if story.full_names is not None and c < len(story.full_names)
            else "",
        )
        for c in order
    )


def _pane(story: ExplainStory, p: int, i: int, quality: Quality) -> Pane:
    method = story.method(p)
    recommended = story.recommended(p, i)
    return Pane(
        key=method,
        title=story.title(p),
        hint=_pane_hints.get(method, ""),
        steps=tuple(_step(story, p, step, i, quality) for step in range(story.n_steps)),
        recommended=recommended,
        recommended_text="the smallest part that keeps the answer well, or where none does, the one that keeps it best",
    )


def _lam(story: ExplainStory, p: int, step: int) -> str:
    return f"{story.lambdas(p)[step]:.3g}"


def _step(story: ExplainStory, p: int, step: int, i: int, quality: Quality) -> Step:
    found, reply = story.found(p, step), story.reply(p, step)
    target = int(story.targets[i])
    lam, rate = _lam(story, p, step), float(found.rates[i])
    noun = story.title(p).lower()
    mask, scales = "", tuple[Scale, ...]()
    transform = story.transform(p)
    if transform is not None:
        mask = encode(mosaic(found.masks[i], transform.bands), quality.side, quality.mask)
        scales = _scales(story, p, step, i)
    return Step(
        lam=lam,
        picture=encode(as_bytes(story.picture(p, step, i)), quality.side, quality.kept),
        seen=encode(as_bytes(reply.examples[i]), quality.side, quality.seen) if quality.seen else "",
        answers=_answers(story, i, reply.probabilities[i]),
        facts=(
            ("λ", lam, "the price of what is kept: the larger, the less"),
            ("Kept", f"{_rate(rate)} of the {noun}", _hints["kept"]),
            ("Distortion", _distortion(found, i), story.distortion_words()),
            ("Same answer", f"{reply.same[i]} of {count(reply.n_samples, 'try', 'tries')}", _hints["same"]),
        ),
        tells=f"λ {lam}, {_rate(rate)} of the {noun} kept, {story.label(target)} "
        f"{sure(float(reply.probabilities[i, target]))}",
        mask=mask,
        scales=scales,
    )


def _rate(rate: float) -> str:
    return percent(rate) if np.isfinite(rate) else "–"


def _distortion(found: Any, i: int) -> str:
    value, error = float(found.distortions[i]), float(found.distortion_errors[i])
    if not np.isfinite(value):
        return "not known"
    half = _normal * error
    digits = 3 if max(value, half) >= 0.01 else 4 if max(value, half) >= 0.001 else 5
    return f"{value:.{digits}f} ± {half:.{digits}f}"


def scale_names(level: int) -> list[str]:
    """Return what the scales are called, from the approximation to the finest."""
    details = [f"about {2**each} pixels" for each in range(level, 1, -1)]
    return [f"coarser than {2**level} pixels", *details, "finest, 2 pixels"]


def _scales(story: ExplainStory, p: int, step: int, i: int) -> tuple[Scale, ...]:
    shares = story.energies(p, step)[i]
    names = scale_names(len(shares) - 1)
    return tuple(
        Scale(name, round(100 * float(share), 2), percent(float(share)) if np.isfinite(share) else "–")
        for name, share in zip(names, np.nan_to_num(shares), strict=True)
    )


def _marks(story: ExplainStory, i: int) -> tuple[Mark, ...]:
    return tuple(
        Mark(
            encode(as_bytes(story.picture(0, step, i)), _mark_side, 60),
            _lam(story, 0, step),
            _rate(float(story.found(0, step).rates[i])),
        )
        for step in range(story.n_steps)
    )
