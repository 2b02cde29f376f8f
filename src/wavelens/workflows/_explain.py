"""``wavelens explain`` as a function: images and a classifier in, the parts that decided out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import wavelens
from wavelens import models, report
from wavelens.explain import Evaluation, ExplanationPath
from wavelens.models import ClassNames, Model, Preprocessing
from wavelens.workflows._argument_names import argument_names
from wavelens.workflows._explain_images import find_files, find_target, first_predictions, read_images
from wavelens.workflows._explain_search import SearchOptions, evaluate_explanations, explain_images
from wavelens.workflows._image_options import source_name
from wavelens.workflows._progress import WorkflowProgress, as_progress
from wavelens.workflows._result_folder import result_folder, summary_numbers
from wavelens.workflows._text import findings_text

__all__ = ["ExplanationReport", "explain"]


@dataclass(frozen=True, eq=False, repr=False)
class ExplanationReport:
    """Which part of each image made a classifier decide, from `explain`.

    Attributes
    ----------
    source : str
        The classifier as it was given.
    model : Model
        The classifier.
    image_names : tuple of str
    paths : tuple of ExplanationPath
        One for each method, over all λ.
    evaluation : Evaluation or None
        How far to trust the explanations, beside other methods.
    predictions : str
        What the classifier predicts for each image, as text.
    notes : tuple of str
        What was left out or looks wrong, each one sentence.
    seed : int
        Of all random choices.
    """

    source: str
    model: Model
    image_names: tuple[str, ...]
    paths: tuple[ExplanationPath, ...]
    evaluation: Evaluation | None
    predictions: str
    notes: tuple[str, ...] = ()
    seed: int = 0

    def summary(self, width: int = 100) -> str:
        """Return the findings as text.

        Parameters
        ----------
        width : int, default 100
            Of a line, in characters.

        Returns
        -------
        str
            The classifier is asked about each explanation the first time.
        """
        findings, remarks = self._sentences
        n = len(self.image_names)
        title = f"{n:,} {'image' if n == 1 else 'images'} explained, by {self.model.name}"
        return findings_text(title, findings, (*remarks, *self.notes), width)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of the report, ready for JSON.

        Returns
        -------
        dict
            As in the file ``summary.json``.
        """
        rule = self.model.preprocessing
        numbers: dict[str, Any] = {"wavelens": wavelens.__version__, "model": self.source}
        numbers["preprocessing"] = None if rule is None else json.loads(json.dumps(rule.to_dict()))
        numbers |= report.summarize_explanations(
            self.paths,
            image_names=self.image_names,
            class_names=self._class_names,
            evaluation=self.evaluation,
        )
        return numbers | {"notes": list(self.notes)}

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        force: bool = False,
        command: str | None = None,
        progress: WorkflowProgress | bool | None = None,
    ) -> Path:
        """Write everything that ``wavelens explain`` writes into a folder.

        Parameters
        ----------
        folder : path
            Appears whole or not at all. Files: ``report.html``, ``figures/``, ``cartoonx.npz``, ``pixel_rde.npz`` and
            ``summary.json``.
        force : bool, default False
            Replace an earlier result in `folder`; a folder that holds anything else is never replaced.
        command : str or None, default None
            The command that made the result, for the page and ``summary.json``.
        progress : WorkflowProgress, bool or None, default None
            As in `explain`.

        Returns
        -------
        Path
            Of ``report.html``.

        Raises
        ------
        WavelensError
            If `folder` exists and may not be replaced, or cannot be written.
        """
        receiver = as_progress(progress)
        folder = Path(folder).expanduser()
        receiver.step("writing the results")
        names = self.model.class_names
        with result_folder(folder, force) as out:
            for path in self.paths:
                usual = report.usual_explanations(path)
                usual.save(out / f"{usual.method}.npz")
            with receiver.share("Writing") as share:
                report.write_explain_report(
                    out,
                    self.paths,
                    self.model,
                    image_names=self.image_names,
                    class_names=self._class_names,
                    full_class_names=None if names is None else names.full_names,
                    evaluation=self.evaluation,
                    random_state=self.seed,
                    notes=self.notes,
                    command=command,
                    progress=lambda done, _: share(done),
                )
            report.write_summary(out / "summary.json", summary_numbers(self.to_dict(), command))
        return folder / "report.html"

    def __repr__(self) -> str:
        methods = ", ".join(path.explanations[0].method for path in self.paths)
        n = len(self.image_names)
        return f"<ExplanationReport {self.model.name!r}: {n:,} {'image' if n == 1 else 'images'}, {methods}>"

    @property
    def _class_names(self) -> tuple[str, ...] | None:
        names = self.model.class_names
        return None if names is None else names.names

    @cached_property
    def _sentences(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return report.explanations_in_words(
            self.paths,
            self.model,
            image_names=self.image_names,
            class_names=self._class_names,
            evaluation=self.evaluation,
            random_state=self.seed,
        )


def explain(
    model: object,
    images: object,
    *,
    trust_pickle: bool = False,
    labels: ClassNames | str | os.PathLike[str] | Sequence[str] | None = None,
    target: str | int | None = None,
    method: Sequence[Literal["cartoonx", "pixel"]] = ("cartoonx", "pixel"),
    lambdas: Sequence[float] = (0.5, 2.0, 5.0, 20.0, 50.0),
    pixel_lambdas: Sequence[float] | None = None,
    preset: Literal["default", "published"] = "default",
    steps: int | None = None,
    samples: int | None = None,
    noise: Literal["gaussian", "global", "zero", "blur", "mean"] = "gaussian",
    distortion: Literal["relative", "probability", "l2", "kl", "maximize"] | None = None,
    wavelet: str = "db3",
    evaluate: bool = True,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    limit: int | None = None,
    batch: int | None = None,
    memory: int | str | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: WorkflowProgress | bool | None = None,
) -> ExplanationReport:
    """Find the smallest part of each image that keeps a classifier's answer, in wavelets and in pixels.

    Parameters
    ----------
    model : path, object or callable
        A classifier, as `wavelens.models.open_model` takes it.
    images : path, sequence of paths, or array
        Image files or folders of them, or an array (n, height, width[, channels]): uint8, or floats from 0 to 1.
    trust_pickle : bool, default False
        Open a ``.pt2`` file even if that can run code from it.
    labels : ClassNames, path, sequence of str or None, default None
        Names of the classes by index; None: numbers.
    target : str, int or None, default None
        Class to explain, by name or index; None: the predicted class of each image.
    method : sequence of {"cartoonx", "pixel"}, default ("cartoonx", "pixel")
        Wavelets, pixels, or both.
    lambdas : sequence of float, default (0.5, 2, 5, 20, 50)
        Prices of what is retained: the larger, the less is retained.
    pixel_lambdas : sequence of float or None, default None
        The same for pixels, as many; None: a fifth of `lambdas`.
    preset : {"default", "published"}, default "default"
        "published" searches with the schedule of the articles, which takes a hundred times longer.
    steps, samples : int or None, default None
        Steps of a search, and draws of noise in a step; None: those of the preset.
    noise : {"gaussian", "global", "zero", "blur", "mean"}, default "gaussian"
        What replaces what is left out.
    distortion : {"relative", "probability", "l2", "kl", "maximize"} or None, default None
        What has to be preserved; None: "relative", with the preset "published" "probability".
    wavelet : str, default "db3"
        As PyWavelets names it.
    evaluate : bool, default True
        Measure how far to trust the explanations, beside other methods.
    preprocessing : Preprocessing, mapping or None, default None
        What is done to each image before the network, or those attributes of it that are known; the rest is recognized.
    limit : int or None, default None
        At most this many images of each folder.
    batch : int or None, default None
        Images at a time; None: 8 photos, or 32 small images.
    memory : int, str or None, default None
        Memory limit of a search, such as "2GB"; None: 512 MB.
    seed : int, default 0
        Of all random choices.
    threads : int or None, default None
        Of the network; None: `wavelens.num_threads`.
    progress : WorkflowProgress, bool or None, default None
        Receives steps, notes, and the predictions as a preview before anything takes time. True shows progress bars,
        False none, None only on a terminal.

    Returns
    -------
    ExplanationReport

    Raises
    ------
    ImportError
        If a library is missing.
    ModelError
        If the network cannot be read or run.
    DataError
        If no image can be read or explained.
    WavelensError
        If there is no class `target`.
    ValueError, TypeError
        If an argument is not possible.

    See Also
    --------
    wavelens.explain.CartoonX, wavelens.explain.PixelRDE : The methods alone.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from wavelens.workflows import explain
    >>> digits = load_digits()
    >>> classifier = LogisticRegression(max_iter=500).fit(digits.data / 16, digits.target)
    >>> found = explain(classifier, digits.images[:2] / 16, method=["pixel"], lambdas=[2], evaluate=False)
    >>> found
    <ExplanationReport 'LogisticRegression': 2 images, pixel_rde>
    >>> found.paths[0].explanations[0].rates.shape
    (2,)
    >>> found.save("why")  # doctest: +SKIP
    """
    receiver = as_progress(progress)
    options = SearchOptions(
        method=method,
        lambdas=lambdas,
        pixel_lambdas=pixel_lambdas,
        preset=preset,
        steps=steps,
        samples=samples,
        noise=noise,
        distortion=distortion,
        wavelet=wavelet,
        memory=memory,
        seed=seed,
    )
    files = find_files(images, limit)
    receiver.step(f"opening {source_name(model, 'the classifier')}")
    opened = _open(model, labels, preprocessing, batch, threads, trust_pickle)
    code = find_target(target, opened)
    if not opened.has_gradient:
        receiver.note(
            "the network gives predictions but no gradient: masks are searched by trials on blocks, which takes longer "
            "and is coarser"
        )
    n = len(images) if files is None else len(files)  # type: ignore[arg-type]
    receiver.step(f"reading {n:,} {'image' if n == 1 else 'images'}")
    found = read_images(images, files, opened, receiver)
    predictions, suspicion = first_predictions(opened, found)
    receiver.preview(predictions)
    notes = [f"{name} was left out: {reason}." for name, reason in found.skipped]
    notes += [suspicion] if suspicion else []
    paths = explain_images(options, opened, found, code, receiver, notes)
    evaluation = evaluate_explanations(options, opened, paths, receiver, notes) if evaluate else None
    return ExplanationReport(
        source_name(model, opened.name),
        opened,
        found.names,
        tuple(paths),
        evaluation,
        predictions,
        tuple(notes),
        seed,
    )


def _open(
    model: object,
    labels: ClassNames | str | os.PathLike[str] | Sequence[str] | None,
    preprocessing: Preprocessing | Mapping[str, Any] | None,
    batch: int | None,
    threads: int | None,
    trust_pickle: bool,
) -> Model:
    named = f"`labels={os.fspath(labels)}`" if isinstance(labels, str | os.PathLike) else "`labels`"
    with argument_names(class_names=named, batch_size="`batch`"):
        return models.open_model(
            model,
            preprocessing=preprocessing or None,
            class_names=labels,
            batch_size=batch,
            threads=threads,
            trust_pickle=trust_pickle,
        )
