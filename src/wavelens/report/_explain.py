"""The report of explanations."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import wavelens
from wavelens._utils._atomic_write import write_text
from wavelens.report import _explain_sections
from wavelens.report._explain_figures import evaluation_figures, image_figures
from wavelens.report._explain_findings import findings, remarks
from wavelens.report._explain_images import images
from wavelens.report._explain_story import ExplainStory
from wavelens.report._foreign_text import isolate, isolate_sentence
from wavelens.report._page import Page
from wavelens.report._words import count, joined

if TYPE_CHECKING:
    from wavelens.explain import Evaluation, ExplanationPath

__all__ = ["write_explain_report"]


def write_explain_report(
    folder: str | Path,
    paths: ExplanationPath | Sequence[ExplanationPath],
    model: Any,
    *,
    image_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    full_class_names: Sequence[str] | None = None,
    evaluation: Evaluation | None = None,
    n_samples: int = 16,
    random_state: int = 0,
    notes: Sequence[str] = (),
    command: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Path:
    """Write explanations as an HTML page with a slider over λ.

    Parameters
    ----------
    folder : str or Path
        Where `report.html` and the folder `figures` go; made if it is not there. Files of the same names are
        written over.
    paths : ExplanationPath or sequence of them
        From `CartoonX.path` and `PixelRDE.path`, of the same images and targets, with as many λ each. The
        first is the one that the page recommends by.
    model : Model
        The one that was explained; it is asked what it says to each explanation.
    image_names : sequence of str or None, default None
        Of the images; None counts them.
    class_names : sequence of str or None, default None
        Of the model's outputs; None counts them.
    full_class_names : sequence of str or None, default None
        Longer ones, shown when pointed at.
    evaluation : Evaluation or None, default None
        From `evaluate` on the recommended explanations. It gets a section where it is given.
    n_samples : int, default 16
        Draws of noise at which the model is asked about each explanation.
    random_state : int, default 0
        Of this noise.
    notes : sequence of str
        What else is to be known, each one sentence.
    command : str or None, default None
        The command that made it, for the overview.
    progress : callable or None, default None
        Called with the share that is done, from 0 to 1, and what is being done.

    Returns
    -------
    Path
        Of `report.html`. It is one file, opens from disk, and asks for nothing outside.

    Raises
    ------
    ValueError
        If the paths are not of the same images and targets, have another number of λ, or names are missing.

    Notes
    -----
    Shows `n_samples` images to the model for each image, λ and method. Pictures are made smaller where many
    images would make the page large; eight photos of 224 × 224 pixels at seven λ give less than 5 MB.

    Source: S. Kolek et al., *Cartoon Explanations of Image Classifiers*, ECCV 2022.
    """
    listed = _checked(paths)
    first = listed[0].explanations[0]
    n = len(first.images)
    named = (
        [f"image {i + 1}" for i in range(n)] if image_names is None else [str(each) for each in image_names]
    )
    if len(named) != n:
        raise ValueError(f"`image_names` must name the {n} images, got {len(named)} names")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    story = ExplainStory(
        listed,
        model,
        image_names=named,
        class_names=class_names,
        full_names=full_class_names,
        evaluation=evaluation,
        n_samples=n_samples,
        random_state=random_state,
    )
    told = progress or (lambda done, what: None)
    story.read(lambda done: told(0.6 * done, "asking the network"))
    for i in range(story.n):
        told(0.6 + 0.35 * i / story.n, "figures")
        image_figures(folder / "figures", story, i)
    evaluation_figures(folder / "figures", story)
    told(0.95, "the page")
    sections = (
        images(story),
        _explain_sections.trust(story),
        _explain_sections.reading(story),
        _explain_sections.method(story),
    )
    page = Page(
        title=_title(story),
        subtitle=joined([story.label(each) for each in dict.fromkeys(story.targets.tolist())], 8),
        facts=_facts(story),
        classes=(),
        findings=findings(story),
        sections=tuple(each for each in sections if each is not None),
        version=wavelens.__version__,
        remarks=(*remarks(story), *map(isolate_sentence, notes)),
        command=isolate_sentence(command) if command else "",
        made=datetime.date.today().isoformat(),
        about="these images" if n > 1 else "this image",
    )
    path = folder / "report.html"
    write_text(path, page.render())
    told(1.0, "report.html")
    return path


def _checked(paths: Any) -> list[Any]:
    listed = list(paths) if isinstance(paths, list | tuple) else [paths]
    if not listed or not all(len(getattr(path, "explanations", ())) for path in listed):
        raise ValueError("`paths` must hold at least one path with at least one λ")
    first = listed[0].explanations[0]
    for path in listed:
        if len(path.explanations) != len(listed[0].explanations):
            raise ValueError(
                f"`paths` must have as many λ each, got {len(listed[0].explanations)} and {len(path.explanations)}"
            )
        for each in path.explanations:
            same = each.images.shape == first.images.shape and np.array_equal(each.targets, first.targets)
            if not same or not np.array_equal(each.images, first.images):
                raise ValueError("`paths` must be of the same images and targets")
    return listed


def _title(story: ExplainStory) -> str:
    if story.n == 1:
        return f"Why {story.network} said “{story.label(int(story.targets[0]))}”"
    return f"Why {story.network} said so: {story.n:,} images"


def _facts(story: ExplainStory) -> tuple[tuple[str, str], ...]:
    shape = " × ".join(map(str, story.images.shape[1:3]))
    transform = story.transform(0)
    used = tuple(
        (
            f"Shown to it for {story.title(p).lower()}",
            f"{story.evaluations(p) / story.n:,.0f} images for each explained",
        )
        for p in range(story.n_paths)
    )
    return (
        ("Network", isolate(story.model.kind) if hasattr(story.model, "kind") else story.network),
        ("Classes", f"{story.answers.shape[1]:,}"),
        ("Images", f"{count(story.n, 'image')} of {shape} pixels, as the network sees them"),
        *(
            (("Wavelet", f"{transform.wavelet}, {count(transform.level, 'level')}"),)
            if transform is not None
            else ()
        ),
        *used,
        ("Version", f"Wavelens {wavelens.__version__}"),
    )
