"""``wavelens check`` as a function: whether an image dataset is sound."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wavelens
from wavelens._utils._csv import open_csv
from wavelens._utils._names import visible
from wavelens.data import ImageData
from wavelens.quality import QualityReport, check_images
from wavelens.report import write_summary
from wavelens.workflows._image_options import ImageOptions, open_images, source_name
from wavelens.workflows._progress import WorkflowProgress, as_progress
from wavelens.workflows._result_folder import result_folder, summary_numbers
from wavelens.workflows._text import bullets

__all__ = ["CheckReport", "check"]


@dataclass(frozen=True, eq=False, repr=False)
class CheckReport:
    """Whether an image dataset is sound, from `wavelens.check`.

    Attributes
    ----------
    source : str
        The dataset as it was given.
    data : ImageData
        Its images.
    quality : QualityReport
        What was found.
    """

    source: str
    data: ImageData
    quality: QualityReport

    @property
    def is_sound(self) -> bool:
        """Whether there is no warning."""
        return self.quality.is_sound

    @property
    def names_images(self) -> bool:
        """Whether findings are about single images, which `to_csv` lists."""
        return any(each.kind not in ("imbalance", "leak") for each in self.quality.findings())

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
        return "\n".join(self._lines(width))

    def to_dict(self) -> dict[str, Any]:
        """Return everything that was found, ready for JSON.

        Returns
        -------
        dict
        """
        skipped = [{"file": str(each.path), "reason": each.reason} for each in self.data.skipped]
        about = {"wavelens": wavelens.__version__, "source": self.source, "skipped": skipped}
        return about | self.quality.to_dict()

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a line for each image concerned; the file appears whole.

        Parameters
        ----------
        path : path
            Of the file; an existing one is replaced. The columns are the finding, the image and its class, the other
            image and its class, and a value.
        """
        with open_csv(Path(path).expanduser()) as table:
            table.row(["finding", "image", "class", "other_image", "other_class", "value"])
            table.rows(self._rows())

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        force: bool = False,
        command: str | None = None,
        progress: WorkflowProgress | bool | None = None,
    ) -> Path:
        """Write what ``wavelens check`` writes with ``--csv`` and ``--json`` into a folder.

        Parameters
        ----------
        folder : path
            Appears whole or not at all, with ``images.csv`` as `to_csv` writes it, and ``summary.json``.
        force : bool, default False
            Replace an earlier result in `folder`; a folder that holds anything else is never replaced.
        command : str or None, default None
            The command that made the result, for ``summary.json``.
        progress : WorkflowProgress, bool or None, default None
            Receives the step.

        Returns
        -------
        Path
            Of ``summary.json``.

        Raises
        ------
        WavelensError
            If `folder` exists and may not be replaced, or cannot be written.
        """
        folder = Path(folder).expanduser()
        as_progress(progress).step("writing the results")
        with result_folder(folder, force) as out:
            self.to_csv(out / "images.csv")
            write_summary(out / "summary.json", summary_numbers(self.to_dict(), command))
        return folder / "summary.json"

    def __repr__(self) -> str:
        n = len(self.quality.findings())
        return (
            f"<CheckReport {self.data.name!r}: {self.data.n_images:,} images, "
            f"{n} {'finding' if n == 1 else 'findings'}>"
        )

    def _lines(self, width: int) -> Iterator[str]:
        data, quality = self.data, self.quality
        counts = ", ".join(f"{name}: {count:,}" for name, count in list(data.class_counts.items())[:10])
        more = ", …" if len(data.class_names) > 10 else ""
        shape = " × ".join(map(str, data.image_shape))
        title = f"{data.name}: {data.n_images:,} images of {shape} ({counts}{more})"
        yield from textwrap.wrap(visible(title), width)
        yield ""
        findings = quality.findings()
        if not findings:
            yield "Nothing found."
        for each in findings:
            yield from bullets("!" if each.severity == "warning" else "-", [visible(each.text)], width)
        unchecked = quality.unchecked()
        if unchecked:
            yield ""
            yield "Not checked:"
            yield from bullets("-", unchecked, width)

    def _rows(self) -> Iterator[list[object]]:
        found = self.quality
        names, classes, labels = found.image_names, found.class_names, found.labels

        def row(
            finding: str, i: int, other: int = -1, other_class: str = "", value: float | None = None
        ) -> list[object]:
            if other >= 0:
                return [finding, names[i], classes[labels[i]], names[other], classes[labels[other]], value]
            return [finding, names[i], classes[labels[i]], "", other_class, value]

        for group in found.duplicate_groups:
            for i in group[1:]:
                yield row("duplicate", i, group[0])
        for (i, j), distance in zip(found.near_pairs, found.near_distances, strict=True):
            yield row("near-duplicate", i, j, value=float(distance))
        for i, code in zip(found.label_doubts, found.suspected_classes, strict=True):
            yield row("label", i, other_class=classes[code])
        flags = (
            ("constant", found.constant),
            ("nearly constant", found.nearly_constant),
            ("saturated", found.saturated),
        )
        for finding, flag in flags:
            for i in map(int, flag.nonzero()[0]):
                share = max(found.black_share[i], found.white_share[i])
                yield row(finding, i, value=float(share) if finding == "saturated" else None)


def check(
    source: object,
    labels: object = None,
    *,
    image_options: ImageOptions | None = None,
    near: float = 0.4,
    seed: int = 0,
    progress: WorkflowProgress | bool | None = None,
) -> CheckReport:
    """Look for what is wrong with an image dataset: duplicates, doubtful labels, empty images, leaks.

    Parameters
    ----------
    source : array, path, name or ImageSource
        The images, as `wavelens.data.open_source` takes them, labeled or not.
    labels : array or path, optional
        One label for each image; by default the source's.
    image_options : ImageOptions, optional
        How the images are read.
    near : float, default 0.4
        Near-duplicates are nearer than this share of the distance to the fifth nearest image.
    seed : int, default 0
        Of all random choices.
    progress : WorkflowProgress, bool or None, default None
        Receives steps and notes. True shows progress bars, False none, None only on a terminal.

    Returns
    -------
    CheckReport

    Raises
    ------
    ValueError, TypeError
        If an argument is not possible.
    DataError
        If the images cannot be read.

    See Also
    --------
    wavelens.quality.check_images : The checks alone, of images in memory.

    Examples
    --------
    >>> import wavelens
    >>> report = wavelens.check("digits")
    >>> report.is_sound
    False
    >>> print(report.summary().splitlines()[0][:38])
    digits: 1,797 images of 8 × 8 (0: 178,
    """
    receiver = as_progress(progress)
    receiver.step(f"reading {source_name(source)}")
    data = open_images(source, labels, image_options, seed, receiver).load(progress=receiver.bars)
    for note in (*data.notes, *(f"left out {each}" for each in data.skipped)):
        receiver.note(note)
    receiver.step(f"checking {data.n_images:,} images")
    found = check_images(data, near=near, random_state=seed, progress=receiver.bars)
    return CheckReport(source_name(source, data.name), data, found)
