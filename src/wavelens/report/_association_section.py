"""The section that asks whether patterns are tied to classes, and its entries in the summary."""

from __future__ import annotations

from typing import Any

import numpy as np

from wavelens.patterns import AssociationCurve, AssociationResult, HeldOutScore
from wavelens.plotting import AssociationDisplay
from wavelens.report._page import Block, Heading, Section, Table, Text
from wavelens.report._pattern_story import Story
from wavelens.report._words import percent

__all__ = ["association_section", "summarize_association"]

_classes_in_table = 40


def association_section(story: Story) -> Section | None:
    """Return the section, or None if there is nothing to tell."""
    result: AssociationResult | None = story.more.get("association")
    curve: AssociationCurve | None = story.more.get("association_curve")
    score: HeldOutScore | None = story.more.get("held_out")
    blocks: list[Block] = []
    if result is not None:
        blocks += _test(story, result, curve)
    if score is not None:
        blocks += _score(story, score)
    return Section("association", "Are patterns tied to classes?", tuple(blocks)) if blocks else None


def _test(story: Story, result: AssociationResult, curve: AssociationCurve | None) -> list[Block]:
    how = (
        "If the labels meant nothing, dealing them to the images at random would give patterns that lean to a "
        "class just as much. They lean a little in any case: with many patterns and few images, chance alone "
        "makes some stronger in one class."
    )
    alt = (
        f"Histograms over {result.n_permutations:,} shufflings. Spread of the angles: "
        f"{np.degrees(result.statistic):.1f} degrees with the true labels, {np.degrees(result.null.mean()):.1f} "
        f"on average with shuffled ones. Nearly isolated patterns: {percent(result.isolated)}, and "
        f"{percent(float(result.isolated_null.mean()))}."
    )
    caption = (
        "Grey: what shuffled labels give. Orange: the true labels. Nearly isolated patterns are at least 6.3 "
        "times as strong in one class as in any other."
    )
    if curve is not None:
        caption += " Right: as a growing share of the labels is shuffled, the tie fades."
    chart = story.figures.chart(AssociationDisplay(result, curve).plot(), "association", alt, caption)
    blocks: list[Block] = [Text((f"{result.finding()} {_isolated(result)}",), "lead")]
    if result.caveat():
        blocks.append(Text((result.caveat(),)))
    return [*blocks, chart, Text((how,), "note")]


def _isolated(result: AssociationResult) -> str:
    if result.isolated == 0 and not result.isolated_null.any():
        return "No pattern is nearly isolated, neither with the true labels nor with shuffled ones."
    chance = percent(float(result.isolated_null.mean()))
    return (
        f"Nearly isolated are {percent(result.isolated)} of the patterns, where shuffled labels give {chance} "
        f"(p = {result.isolated_pvalue:.2g})."
    )


def _score(story: Story, score: HeldOutScore) -> list[Block]:
    told = score.confusion / np.maximum(score.confusion.sum(axis=1, keepdims=True), 1)
    order = np.argsort(np.diag(told), kind="stable")[:_classes_in_table]
    rows = []
    for i in map(int, sorted(order)):
        others = told[i].copy()
        others[i] = -1
        rival = int(others.argmax())
        mixed = f"{story.names[rival]} ({percent(float(others[rival]))})" if others[rival] > 0 else "none"
        rows.append((story.names[i], f"{score.confusion[i].sum():,}", percent(float(told[i, i])), mixed))
    caption = "What was told of held-out images."
    if len(rows) < len(told):
        caption += f" Shown are the {len(rows)} of {len(told)} classes told least often."
    header = ("Class", "Images", "Told rightly", "Most often taken for")
    return [
        Heading("held-out", "Images held out"),
        Text((score.in_words(),)),
        Table(header, tuple(rows), caption),
    ]


def summarize_association(
    association: AssociationResult | None,
    association_curve: AssociationCurve | None,
    held_out: HeldOutScore | None,
) -> dict[str, Any]:
    """Return entries for the summary, ready for JSON; only of what was computed.

    Parameters
    ----------
    association : AssociationResult or None
    association_curve : AssociationCurve or None
    held_out : HeldOutScore or None

    Returns
    -------
    dict
    """
    result, curve, score = association, association_curve, held_out
    summary: dict[str, Any] = {}
    if result is not None:
        summary["association"] = {
            "n_permutations": result.n_permutations,
            "n_groups": result.n_groups,
            "statistic": result.statistic,
            "null_mean": float(result.null.mean()),
            "null_sd": float(result.null.std(ddof=1)) if result.n_permutations > 1 else None,
            "pvalue": result.pvalue,
            "effect_size": result.effect_size if np.isfinite(result.effect_size) else None,
            "difference": result.difference,
            "isolated": result.isolated,
            "isolated_null_mean": float(result.isolated_null.mean()),
            "isolated_pvalue": result.isolated_pvalue,
            "in_words": result.in_words(),
        }
        if curve is not None:
            summary["association"]["curve"] = [
                {"share_shuffled": float(share), "statistic": float(values.mean())}
                for share, values in zip(curve.shares, curve.statistic, strict=True)
            ]
    if score is not None:
        summary["held_out"] = {
            "n_splits": score.n_splits,
            "n_groups": score.n_groups,
            "accuracy": [float(each) for each in score.accuracy],
            "balanced_accuracy": [float(each) for each in score.balanced_accuracy],
            "mean_accuracy": float(score.accuracy.mean()),
            "mean_balanced_accuracy": float(score.balanced_accuracy.mean()),
            "chance": score.chance,
            "training_accuracy": float(score.training_accuracy.mean()),
            "confusion": score.confusion.tolist(),
            "in_words": score.in_words(),
        }
    return summary
