"""The result of `analyze`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import wavelens
from wavelens import report
from wavelens.data import ImageData, ImageSource
from wavelens.patterns import (
    AssociationCurve,
    AssociationResult,
    BasisComparison,
    HeldOutScore,
    PatternAnalysis,
)
from wavelens.quality import QualityReport
from wavelens.report import ImageTable
from wavelens.workflows._analysis_fit import resume_note
from wavelens.workflows._progress import WorkflowProgress, as_progress
from wavelens.workflows._result_folder import WORK, result_folder, summary_numbers
from wavelens.workflows._text import findings_text

__all__ = ["AnalysisReport"]


@dataclass(frozen=True, eq=False, repr=False)
class AnalysisReport:
    """The patterns of a labelled image dataset, from `wavelens.analyze`.

    Attributes
    ----------
    source : str
        The dataset as it was given.
    analysis : PatternAnalysis
        Fitted to all images.
    shown : PatternAnalysis
        The analysis restricted to the images that the report shows; `analysis` itself unless the images do not fit
        in memory.
    data : ImageData
        The images that are shown.
    table : ImageTable
        One entry for each of these.
    quality : QualityReport
        Duplicates, doubtful labels and leaks; of images drawn at random where not all fit in memory.
    association : AssociationResult or None
        Permutation test of the association between patterns and classes.
    association_curve : AssociationCurve or None
        The association against the number of patterns.
    held_out : HeldOutScore or None
        Accuracy on held-out images.
    comparison : BasisComparison or None
        Wavelets against pixels.
    images_read : ImageSource or None
        The source of all images where they do not fit in memory.
    """

    source: str
    analysis: PatternAnalysis
    shown: PatternAnalysis
    data: ImageData
    table: ImageTable
    quality: QualityReport
    association: AssociationResult | None = None
    association_curve: AssociationCurve | None = None
    held_out: HeldOutScore | None = None
    comparison: BasisComparison | None = None
    images_read: ImageSource | None = None

    @property
    def is_sample(self) -> bool:
        """Whether the report shows a sample, because the images do not fit in memory."""
        return self.images_read is not None

    def summary(self, width: int = 100) -> str:
        """Return the findings as text.

        Parameters
        ----------
        width : int, default 100
            Of a line, in characters.

        Returns
        -------
        str
        """
        findings = report.patterns_in_words(self.shown, self.data, **self._sections())
        n = len(self.analysis.labels_)
        title = f"{n:,} images of {len(self.data.class_names)} classes in {self.data.name}"
        return findings_text(title, findings, self.data.notes, width)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of the report, ready for JSON.

        Returns
        -------
        dict
            As in the file ``summary.json``.
        """
        numbers: dict[str, Any] = {"wavelens": wavelens.__version__, "source": self.source}
        numbers |= report.summarize(self.shown, self.data, self.table, self.quality)
        numbers |= report.summarize_association(
            association=self.association, association_curve=self.association_curve, held_out=self.held_out
        )
        if self.is_sample:
            facts = asdict(self.analysis.out_of_core_)  # type: ignore[arg-type]
            del facts["work_dir"]
            numbers |= {"n_images_shown": len(self.shown.labels_), "out_of_core": facts}
        return numbers

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        force: bool = False,
        command: str | None = None,
        progress: WorkflowProgress | bool | None = None,
    ) -> Path:
        """Write everything that ``wavelens analyze`` writes into a folder.

        Parameters
        ----------
        folder : path
            Appears whole or not at all. Files: ``report.html``, ``figures/``, ``results.npz``, ``summary.json``,
            ``images.csv``, ``patterns.csv``, and ``all-images.csv`` where the images do not fit in memory.
        force : bool, default False
            Replace an earlier result in `folder`; a folder that holds anything else is never replaced.
        command : str or None, default None
            The command that made the result, for the page and ``summary.json``.
        progress : WorkflowProgress, bool or None, default None
            As in `wavelens.analyze`.

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
        # The run's own folder may lie in the result's, which replaces it.
        work_dir = self._work_dir()
        inside = work_dir is not None and work_dir.resolve() == (folder / WORK).resolve()
        with (
            resume_note(work_dir, receiver),
            result_folder(folder, force, resume=inside) as out,
        ):
            receiver.step("drawing the report")
            report.write_images_csv(out / "images.csv", self.table, self.data, self.quality)
            report.write_patterns_csv(out / "patterns.csv", self.analysis, self.data.class_names)
            self.analysis.save(out / "results.npz")
            with receiver.share("Drawing") as share:
                report.write_patterns_report(
                    out,
                    self.shown,
                    self.data,
                    table=self.table,
                    command=command,
                    progress=lambda done, _: share(done),
                    **self._sections(),
                )
            report.write_summary(out / "summary.json", summary_numbers(self.to_dict(), command))
            if self.images_read is not None:
                receiver.step("writing the numbers of all images")
                report.write_all_images_csv(out / "all-images.csv", self.analysis, self.images_read)
        return folder / "report.html"

    def __repr__(self) -> str:
        n, patterns = self.analysis.labels_.size, self.analysis.sigma_.shape[1]
        return f"<AnalysisReport {self.data.name!r}: {n:,} images, {patterns:,} patterns>"

    def _sections(self) -> dict[str, Any]:
        names = ("quality", "association", "association_curve", "held_out", "comparison")
        return {name: getattr(self, name) for name in names}

    def _work_dir(self) -> Path | None:
        about = self.analysis.out_of_core_
        return None if about is None or about.work_dir is None else Path(about.work_dir)
