"""What a hierarchy says as tables, a summary, and sentences for a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wavelens._utils._csv import open_csv
from wavelens.hierarchy import ClassHierarchy, CompositionStability, LayerFlow
from wavelens.report._hierarchy_findings import findings, remarks
from wavelens.report._hierarchy_story import HierarchyStory

__all__ = ["hierarchy_in_words", "summarize_hierarchy", "write_classes_csv", "write_levels_csv"]


def hierarchy_in_words(
    hierarchy: ClassHierarchy,
    flow: LayerFlow | None = None,
    stability: CompositionStability | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the findings and what to beware of, as sentences.

    Parameters
    ----------
    hierarchy : ClassHierarchy
        Fitted.
    flow : LayerFlow or None, default None
    stability : CompositionStability or None, default None

    Returns
    -------
    findings, remarks : tuple of str
    """
    story = _story(hierarchy, flow, stability)
    return findings(story), tuple(remarks(story))


def summarize_hierarchy(
    hierarchy: ClassHierarchy,
    *,
    layer: str = "",
    flow: LayerFlow | None = None,
    stability: CompositionStability | None = None,
) -> dict[str, Any]:
    """Return the summary as plain numbers and strings, ready for JSON.

    Parameters
    ----------
    hierarchy : ClassHierarchy
        Fitted.
    layer : str, default ""
    flow : LayerFlow or None, default None
    stability : CompositionStability or None, default None

    Returns
    -------
    dict
        Counts, options, errors, bytes, the first compositions, each class's place and shares, findings, and what
        layers and resamples say.
    """
    story = _story(hierarchy, flow, stability)
    factors = story.factors
    order, shares = story.apart
    summary: dict[str, Any] = {
        "layer": layer,
        "n_classes": story.m,
        "n_images": None if story.single_images else int(story.counts.sum()),
        "n_features": int(hierarchy.n_features_in_),
        "order": factors.order,
        "method": factors.method,
        "rotation": factors.rotation,
        "center": hierarchy.covariance_.center,
        "correlation": hierarchy.covariance_.correlation,
        "n_levels": factors.n_levels,
        "relative_error": factors.relative_error,
        "common_share": story.common,
        "relative_error_of_rest": story.error_of_rest,
        "nbytes": factors.nbytes,
        "nbytes_of_matrix": 8 * story.m**2,
        "low_rank_error_at_same_bytes": story.low_rank_error(factors.nbytes),
        "agreement_with_tree": story.agreement_with_tree,
        "first_compositions": [_level(story, level) for level in range(1, min(factors.n_levels, 10) + 1)],
        "stands_apart_most": [
            {"class": story.names[i], "share": float(shares[i])} for i in map(int, order[:10])
        ],
        "findings": list(findings(story)),
        "remarks": list(remarks(story)),
    }
    if flow is not None:
        summary["layers"] = {
            "names": list(flow.layers),
            "verdicts": list(flow.verdicts),
            "settled_at": flow.saturates_at,
            "transfer": flow.transfer.tolist(),
            "in_words": list(flow.words()),
        }
    if stability is not None:
        summary["stability"] = _of_stability(stability)
    return summary


def _of_stability(found: CompositionStability) -> dict[str, Any]:
    drawn = bool(found.n_resamples)
    return {
        "n_resamples": found.n_resamples,
        "is_steady": found.is_steady,
        "first_composition_again": float(found.first_overlap.mean()) if drawn else None,
        "by_chance": found.chance,
        "order_of_meeting": float(np.median(found.joining)) if drawn else None,
        "transfer": float(np.median(found.transfer)) if drawn else None,
        "transfer_shuffled": float(np.median(found.transfer_chance)) if drawn else None,
        "orders": [
            {
                "order": k,
                "relative_error": float(error),
                "nbytes": int(nbytes),
                "first_composition_shared": float(first),
                "by_chance": float(chance),
                "order_of_meeting": float(joining),
            }
            for k, error, nbytes, first, chance, joining in zip(
                found.orders,
                found.order_errors,
                found.order_nbytes,
                found.order_first,
                found.order_chance,
                found.order_joining,
                strict=True,
            )
        ],
    }


def _level(story: HierarchyStory, level: int) -> dict[str, Any]:
    members, weights = story.members(level)
    return {
        "level": level,
        "classes": [story.names[i] for i in members],
        "weights": [float(w) for w in weights],
        "wavelet": story.names[int(story.graph.wavelets[level - 1])],
        "enter": [story.names[i] for i in story.graph.entering(level)],
    }


def write_levels_csv(path: Path, hierarchy: ClassHierarchy) -> None:
    """Write a line for each class of each level; UTF-8, one header line.

    Parameters
    ----------
    path : Path
    hierarchy : ClassHierarchy
        Fitted.

    Returns
    -------
    None
    """
    graph = hierarchy.graph()
    names = [str(name) for name in graph.names]
    with open_csv(path) as table:
        table.row(
            ["level", "class", "weight", "enters", "hangs_on", "wavelet", "level_error_share", "frequency"]
        )
        for at, level in enumerate(graph.levels.tolist()):
            for node, weight, earlier in zip(
                graph.tuples[at].tolist(), graph.weights[at], graph.hangs_on[at].tolist(), strict=True
            ):
                table.row(
                    [
                        level,
                        names[node],
                        weight,
                        "" if earlier else "yes",
                        earlier or "",
                        "yes" if node == graph.wavelets[at] else "",
                        graph.error_shares[at],
                        graph.frequencies[at],
                    ]
                )


def write_classes_csv(path: Path, hierarchy: ClassHierarchy) -> None:
    """Write a line for each class; UTF-8, one header line.

    Parameters
    ----------
    path : Path
    hierarchy : ClassHierarchy
        Fitted.

    Returns
    -------
    None
    """
    story = _story(hierarchy, None, None)
    found = story.companions
    with open_csv(path) as table:
        table.row(
            [
                "class",
                "images",
                "enters_at",
                "weight_there",
                "best_composed_of",
                "they_leave",
                "all_others_leave",
            ]
        )
        for i, name in enumerate(hierarchy.classes_.tolist()):
            others = [
                f"{w:.4g} {hierarchy.classes_[j]}"
                for j, w in zip(found.indices[i], found.weights[i], strict=True)
                if j >= 0
            ]
            table.row(
                [
                    name,
                    int(story.counts[i]),
                    int(story.graph.entry_levels[i]) or "",
                    story.entry_weights[i],
                    " + ".join(others),
                    found.left[i],
                    None if story.shares is None else story.shares[i],
                ]
            )


def _story(
    hierarchy: ClassHierarchy, flow: LayerFlow | None, stability: CompositionStability | None
) -> HierarchyStory:
    return HierarchyStory(None, hierarchy, flow=flow, stability=stability)
