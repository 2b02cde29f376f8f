"""What the spaces of a network say as tables, a summary, and sentences for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavelens._utils._csv import open_csv
from wavelens.report._spaces import make_story
from wavelens.report._spaces_findings import findings, remarks
from wavelens.report._spaces_story import LayerFacts, SpacesStory
from wavelens.spaces import EnergyFlow, IdealInputs, NetworkSpaces

__all__ = ["summarize_spaces", "write_energy_csv", "write_spaces_csv"]


def summarize_spaces(
    network: NetworkSpaces,
    *,
    flow: EnergyFlow | None = None,
    ideal: IdealInputs | None = None,
    layers: Sequence[str] = (),
    facts: Sequence[LayerFacts] | None = None,
    random_state: int = 0,
) -> dict[str, Any]:
    """Return the summary as plain numbers and strings, ready for JSON.

    Parameters
    ----------
    network : NetworkSpaces
        Of any size.
    flow : EnergyFlow or None, default None
    ideal : IdealInputs or None, default None
    layers : sequence of str
        As in `write_spaces_report`.
    facts : sequence, optional
        From `measure_layers`, where that has been done before.
    random_state : int, default 0
        Seed of the random matrices.

    Returns
    -------
    dict
        Layers with rank, condition and chance, what they reject, ideal inputs in numbers, findings and remarks.
    """
    story = make_story(network, flow=flow, ideal=ideal, layers=layers, facts=facts, random_state=random_state)
    summary: dict[str, Any] = {
        "network": network.name,
        "kind": network.weights.kind,
        "n_layers": len(network),
        "is_chain": network.weights.is_chain,
        "why_not_chain": network.weights.why_not_chain,
        "n_images": None if flow is None else len(flow.labels),
        "layers": [_of_layer(story, each) for each in story.facts],
        "findings": list(findings(story)),
        "remarks": list(remarks(story)),
    }
    if flow is not None:
        summary["energy"] = flow.to_dict()
    if ideal is not None:
        summary["ideal_inputs"] = {
            "classes": list(ideal.class_names),
            "chosen": list(ideal.chosen),
            "reached": ideal.reached.tolist(),
            "answers": [ideal.class_names[i] for i in ideal.predicted.tolist()],
            "distances": {name: np.asarray(each).tolist() for name, each in ideal.distances.items()},
            "ideal_length": np.linalg.norm(ideal.ideal, axis=1).tolist(),
            "notes": list(ideal.notes),
        }
    return summary


def _of_layer(story: SpacesStory, each: LayerFacts) -> dict[str, Any]:
    layer, found = each.spaces.layer, each.found
    told: dict[str, Any] = {
        "layer": layer.name,
        "kind": each.spaces.kind,
        "weights": list(layer.weights.shape),
        "activation": layer.activation,
        "input": layer.input_name,
        "n_out": each.matrix[0],
        "n_in": each.matrix[1],
        "rank": each.rank,
        "condition": None,
        "chance_condition": None,
        "chance_condition_low": None,
        "chance_condition_high": None,
        "share_outside": None,
        "like_chance": None,
    }
    if found is not None:
        low, high = found.chance_condition_interval
        told["condition"] = _plain(found.condition)
        if each.comparable:
            told |= {
                "chance_condition": _plain(found.chance_condition),
                "chance_condition_low": _plain(low),
                "chance_condition_high": _plain(high),
                "share_outside": found.share_outside,
                "like_chance": bool(found.like_chance),
            }
    rejected = story.rejected(each)
    if story.flow is not None:
        told |= dict(
            zip(("rejected", "chance_rejected", "chance_deviation"), rejected or (None,) * 3, strict=True)
        )
        told["beyond_chance"] = _plain(story.beyond(each)) if rejected else None
    return told


def write_spaces_csv(path: Path, summary: dict[str, Any]) -> None:
    """Write a line for each layer; UTF-8, one header line.

    Parameters
    ----------
    path : Path
    summary : dict
        From `summarize_spaces`.

    Returns
    -------
    None
    """
    rows = summary["layers"]
    with open_csv(path) as table:
        table.row(rows[0])
        table.rows(map(_cell, row.values()) for row in rows)


def write_energy_csv(path: Path, flow: EnergyFlow) -> None:
    """Write a line for each layer and class; UTF-8, one header line.

    Parameters
    ----------
    path : Path
    flow : EnergyFlow
        From `NetworkSpaces.energy_flow`.

    Returns
    -------
    None
    """
    with open_csv(path) as table:
        table.row(["layer", "class", "images", "rejected", "low", "high", "chance", "chance_deviation"])
        for i, layer in enumerate(flow.layers):
            for c, name in enumerate(flow.classes):
                numbers = (
                    flow.rejected[i, c],
                    *flow.interval[i, c],
                    flow.chance[i],
                    flow.chance_spread[i],
                )
                table.row([layer, name, int(flow.counts[c]), *(_cell(float(each)) for each in numbers)])


def _cell(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return "x".join(map(str, value)) if isinstance(value, list) else value


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
