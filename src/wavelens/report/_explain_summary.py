"""Explanations as figures for other programs, and the λ that suits most of their images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wavelens._utils._names import visible
from wavelens.report._explain_findings import findings, remarks
from wavelens.report._explain_story import ExplainStory, class_label

if TYPE_CHECKING:
    from wavelens.explain import Evaluation, ExplanationPath, Explanations

__all__ = ["explanations_in_words", "summarize_explanations", "usual_explanations"]


def usual_explanations(path: ExplanationPath) -> Explanations:
    """Return the explanations at the λ that is recommended for most images.

    Parameters
    ----------
    path : ExplanationPath

    Returns
    -------
    Explanations
        Of several such λ at the smallest, which distorts least.
    """
    places, counts = np.unique(np.asarray(path.recommended), return_counts=True)
    most = places[counts == counts.max()].tolist()
    return path.explanations[min(most, key=lambda place: float(path.lambdas[place]))]


def explanations_in_words(
    paths: Sequence[ExplanationPath],
    model: Any,
    *,
    image_names: Sequence[str],
    class_names: Sequence[str] | None = None,
    evaluation: Evaluation | None = None,
    n_samples: int = 16,
    random_state: int = 0,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the findings of the page and what to beware of, as sentences.

    Parameters
    ----------
    paths, model, image_names, class_names, evaluation, n_samples, random_state
        As in `write_explain_report`.

    Returns
    -------
    findings, remarks : tuple of str
        Shows `n_samples` images to the model for each image, λ and method.
    """
    story = ExplainStory(
        paths,
        model,
        image_names=image_names,
        class_names=class_names,
        full_names=None,
        evaluation=evaluation,
        n_samples=n_samples,
        random_state=random_state,
    )
    story.read(lambda _: None)
    return findings(story), tuple(remarks(story))


def summarize_explanations(
    paths: Sequence[ExplanationPath],
    *,
    image_names: Sequence[str],
    class_names: Sequence[str] | None = None,
    evaluation: Evaluation | None = None,
) -> dict[str, Any]:
    """Return what explanations say as JSON takes it.

    Parameters
    ----------
    paths : sequence of ExplanationPath
        Of the same images.
    image_names : sequence of str
    class_names : sequence of str or None, default None
        Of the model's outputs.
    evaluation : Evaluation or None, default None

    Returns
    -------
    dict
        "images": for each its name, its class, and for each method the recommended λ and the figures at every λ;
        "evaluation". What is not finite is None.
    """
    first = paths[0].explanations[0]
    images = []
    for i, name in enumerate(image_names):
        target = int(first.targets[i])
        methods = {path.explanations[0].method: _of_image(path, i) for path in paths}
        images.append(
            {
                "image": visible(name),
                "target": target,
                "class": class_label(class_names, target),
                "probability": _plain(first.probabilities[i]),
                "methods": methods,
            }
        )
    return {"images": images, "evaluation": None if evaluation is None else evaluation.to_dict()}


def _of_image(path: ExplanationPath, i: int) -> dict[str, Any]:
    return {
        "recommended_lambda": float(path.lambdas[int(path.recommended[i])]),
        "steps": [
            {
                "lambda": float(each.lam),
                "rate": _plain(each.rates[i]),
                "distortion": _plain(each.distortions[i]),
                "distortion_error": _plain(each.distortion_errors[i]),
                "probability": _plain(each.masked_probabilities[i]),
                "objective": _plain(each.objectives[i]),
                "evaluations": int(each.n_evaluations[i]),
                "stopped": str(each.stopped[i]),
            }
            for each in path.explanations
        ],
    }


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
