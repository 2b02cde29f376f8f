"""``wavelens analyze`` for images that do not fit in memory, on this machine or on a cluster.

The patterns come from all images, read in chunks; the report shows and compares a sample of them.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.cli import _interrupt
from wavelens.cli._association import measure_association, read_groups
from wavelens.cli._output import WORK, unfinished, whole_folder
from wavelens.cli._steps import Steps, told

if TYPE_CHECKING:
    from wavelens.data import ImageData, ImageSource
    from wavelens.patterns import PatternAnalysis

__all__ = ["analyze_large", "is_large"]

_most_shown = 10_000
_share_of_memory = 8


def is_large(options: argparse.Namespace, out: Path, source: ImageSource) -> bool:
    """Tell whether the images do not fit in the memory allowed, or a run that found so is to be continued."""
    import numpy as np

    from wavelens.cli._analyze import make_analysis
    from wavelens.patterns._memory import fits_in_memory

    if options.resume and unfinished(out):
        return True
    sizes = np.bincount(source.labels)
    analysis = make_analysis(options)
    return not fits_in_memory(analysis, source.n_images, source.image_shape, source.dtype, sizes)


def analyze_large(options: argparse.Namespace, out: Path, source: ImageSource, say: Steps) -> None:
    """Analyse out of core, report on a sample."""
    from wavelens.cli._analyze import compare, write_results
    from wavelens.patterns._sample import seen_through
    from wavelens.quality import check_images
    from wavelens.report import image_table

    analysis = _fit(options, out, source, say)
    for note in source.notes:
        say.note(note)
    for each in source.skipped:
        say.note(f"left out {each}")
    places = _sample(options, analysis, source)
    say(f"reading a sample of {len(places):,} of {len(analysis.labels_):,} images for the report")
    data, places = _read_sample(analysis, source, places)
    seen = seen_through(analysis, places)
    groups = read_groups(options.groups, data)
    tested = _fit_to_sample(analysis, data, say)
    results = measure_association(options, tested, data, groups, say)
    if options.compare_basis:
        results["comparison"] = compare(options, tested, data, say)
    say("checking whether the sample is sound")
    results["quality"] = check_images(
        data, random_state=options.seed, progress=False if options.quiet else None
    )
    say(f"comparing the images of the sample by {analysis.sigma_.shape[1]:,} patterns")
    results["table"] = image_table(seen)
    with whole_folder(out, options.force, resume=True) as folder:
        say("drawing the report")
        more = {
            "n_images": len(analysis.labels_),
            "n_images_shown": len(places),
            "out_of_core": _facts(analysis),
        }
        write_results(folder, options, seen, data, results, whole=analysis, more=more)
        _write_all_images(folder / "all-images.csv", analysis, source)
    say.done(out / "report.html")


def _fit(options: argparse.Namespace, out: Path, source: ImageSource, say: Steps) -> PatternAnalysis:
    from wavelens.cli._analyze import make_analysis
    from wavelens.data._source import check_classes
    from wavelens.exceptions import DataError

    if not source.labelled:
        raise DataError(f"{source.name}: nothing says which class an image belongs to; give --labels")
    check_classes(source)
    continued = unfinished(out)
    if continued and not options.resume:  # --force, or it would have been refused
        shutil.rmtree(out / WORK)
        continued = False
    shape = " x ".join(map(str, source.image_shape))
    classes = len(source.class_names)
    what = "continuing with" if continued else "finding the patterns of"
    where = "in chunks" if options.scheduler is None else f"on the cluster of {options.scheduler}"
    say(f"{what} {source.n_images:,} images ({shape}) in {classes} classes, {where}")
    if not continued:
        say.note(f"what is done is kept in {out / WORK}: if this is stopped, --resume goes on from there")
    analysis = make_analysis(options)
    folder = {"work_dir": out / WORK, "resume": options.resume}
    with told(say):
        if options.scheduler is None:
            analysis.fit(_watched(source), source.labels, **folder)
        else:
            analysis.fit(source, source.labels, **folder, scheduler=options.scheduler)
    about = analysis.out_of_core_
    assert about is not None
    if about.workers:
        say.note(f"workers of the cluster: {about.workers}")
    for name, seconds in about.seconds.items():
        say.note(f"{name.lower()} took {seconds:,.0f} s")
    return analysis


def _watched(source: ImageSource) -> ImageSource:
    """Have a source look for Ctrl-C before each chunk."""
    chunks = source.chunks

    def watched(size: int, start: int = 0) -> Iterator[Any]:
        for chunk in chunks(size, start) if start else chunks(size):
            _interrupt.check()
            yield chunk

    source.chunks = watched  # type: ignore[method-assign]
    return source


def _sample(options: argparse.Namespace, analysis: PatternAnalysis, source: ImageSource) -> Any:
    """Choose places among the images of the analysis: as many as a part of the memory holds."""
    import numpy as np

    from wavelens.data._source import physical_memory
    from wavelens.patterns._memory import parse_bytes
    from wavelens.patterns._sample import sample_places

    memory = physical_memory() if options.memory is None else parse_bytes(options.memory, "--memory")
    # An image as it is and as numbers, all of its coefficients, and its row of UΣ with copies.
    pixels = int(np.prod(source.image_shape))
    each = pixels * (source.dtype.itemsize + 16) + 48 * analysis.sigma_.shape[1] + 1000
    n = int(max(4, min(_most_shown, memory / _share_of_memory / each)))
    return sample_places(analysis.labels_, n, options.seed)


def _read_sample(analysis: PatternAnalysis, source: ImageSource, places: Any) -> tuple[ImageData, Any]:
    """Read the images of the sample; return them and the places of those that can still be read."""
    import numpy as np

    from wavelens.data import ImageData

    positions = analysis.image_positions_[places]
    chunk = source.read(positions)
    places = places[np.isin(positions, chunk.positions)]
    note = (
        f"The choice of coefficients, the patterns and their strengths come from all "
        f"{len(analysis.labels_):,} images, read in chunks. Whatever shows, counts or compares single images, "
        f"tests or scores goes by {len(places):,} of them, drawn at random: half dealt evenly over the classes, half "
        "by their size. What is rare may be missing there. The file all-images.csv holds the complexity of every "
        "image."
    )
    data = ImageData(
        images=chunk.images,
        labels=chunk.labels,
        class_names=source.class_names,
        image_names=tuple(source.image_names[i] for i in chunk.positions),
        name=source.name,
        skipped=tuple(source.skipped),
        notes=(note, *source.notes),
    )
    return data, places


def _fit_to_sample(analysis: PatternAnalysis, data: ImageData, say: Steps) -> PatternAnalysis:
    """Return an analysis of the sample alone, by as many coefficients, for what shuffles labels or holds out."""
    import numpy as np
    from sklearn.base import clone

    smallest = int(np.bincount(data.labels).min())
    m = len(analysis.coefficients_)
    part = clone(analysis).set_params(memory_limit=None, progress=False)
    if analysis.rank == "full" and m > smallest:
        part.set_params(n_coefficients=None)
        say.note(f"in the sample the smallest class has {smallest:,} images: tests go by fewer coefficients")
    else:
        part.set_params(n_coefficients=m)
    with told(say):
        try:
            return part.fit(data.images, data.labels)  # type: ignore[no-any-return]
        except ValueError:
            return part.set_params(n_coefficients=None).fit(data.images, data.labels)  # type: ignore[no-any-return]


def _facts(analysis: PatternAnalysis) -> dict[str, Any]:
    facts = asdict(analysis.out_of_core_)  # type: ignore[arg-type]
    del facts["work_dir"]
    return facts


def _write_all_images(path: Path, analysis: PatternAnalysis, source: ImageSource) -> None:
    """Write name, class and complexity of every image; UTF-8, one header line."""
    complexity = analysis.complexity()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "class", "complexity"])
        for place, position in enumerate(analysis.image_positions_.tolist()):
            name, label = source.image_names[position], source.class_names[source.labels[position]]
            writer.writerow([name, label, f"{complexity[place]:.6g}"])
