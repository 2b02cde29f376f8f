"""What ``wavelens explain`` writes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from wavelens.cli._explain_images import Images
from wavelens.cli._output import command_line
from wavelens.cli._steps import shown_share

if TYPE_CHECKING:
    from wavelens.explain import Evaluation, ExplanationPath
    from wavelens.models import Model

__all__ = ["write_results"]


def write_results(
    folder: Path,
    options: argparse.Namespace,
    model: Model,
    images: Images,
    paths: list[ExplanationPath],
    evaluation: Evaluation | None,
    notes: list[str],
) -> None:
    """Write the page, its figures, the explanations and a summary for programs into a folder."""
    import wavelens
    from wavelens import report

    command = command_line()
    names = model.class_names
    labels = None if names is None else names.names
    for path in paths:
        usual = report.usual_explanations(path)
        usual.save(folder / f"{usual.method}.npz")
    with shown_share("Writing", options.quiet) as share:
        report.write_explain_report(
            folder,
            paths,
            model,
            image_names=images.names,
            class_names=labels,
            full_class_names=None if names is None else names.full_names,
            evaluation=evaluation,
            random_state=options.seed,
            notes=notes,
            command=command,
            progress=lambda done, _: share(done),
        )
    summary = {"wavelens": wavelens.__version__, "command": command, "model": str(options.model)}
    rule = model.preprocessing
    summary["preprocessing"] = None if rule is None else json.loads(json.dumps(rule.to_dict()))
    summary |= report.summarize_explanations(
        paths, image_names=images.names, class_names=labels, evaluation=evaluation
    )
    summary["notes"] = notes
    report.write_summary(folder / "summary.json", summary)
