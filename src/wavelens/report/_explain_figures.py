"""Pictures of explanations as files beside the page."""

from __future__ import annotations

import re
from pathlib import Path

from wavelens.plotting import EvaluationDisplay, ExplanationDisplay, MaskPathDisplay
from wavelens.report._embed import FigureFolder
from wavelens.report._explain_story import ExplainStory

__all__ = ["evaluation_figures", "image_figures"]


def image_figures(folder: Path, story: ExplainStory, i: int) -> None:
    """Save an image beside its explanations, and each way of explaining over λ."""
    figures = FigureFolder(folder)
    stem = f"{i + 1:0{len(str(story.n))}d}-{_stem(story.image_names[i])}"
    recommended = [story.found(p, story.recommended(p, i)) for p in range(story.n_paths)]
    display = ExplanationDisplay.from_explanations(*recommended, indices=[i], class_names=story.class_names)
    figures.save(display.plot(), stem)
    if story.n_steps > 1:
        for path in story.paths:
            strip = MaskPathDisplay.from_path(path, i, class_names=story.class_names)
            figures.save(strip.plot(), f"{stem}-{path.explanations[0].method}-lambdas")


def evaluation_figures(folder: Path, story: ExplainStory) -> None:
    """Save the curves and the table of the evaluation."""
    if story.evaluation is not None:
        FigureFolder(folder).save(EvaluationDisplay.from_evaluation(story.evaluation).plot(), "evaluation")


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.")[:60] or "image"
