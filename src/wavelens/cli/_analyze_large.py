"""``wavelens analyze`` for images that do not fit in memory, on this machine or on a cluster.

Patterns, and the similarities of images to classes, come from all images, read in chunks; the report shows some of
them, and what it points at among them: the odd ones, those on borders, and those nearest to these.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.cli._association import held_out, read_groups, shuffle_labels, splits_wanted
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
    from wavelens.patterns._options import FitOptions

    if options.resume and unfinished(out):
        return True
    sizes = np.bincount(source.labels)
    analysis = make_analysis(options)
    options_of_fit = FitOptions.checked(analysis.get_params(deep=False))
    return not fits_in_memory(options_of_fit, source.n_images, source.image_shape, source.dtype, sizes)


def analyze_large(options: argparse.Namespace, out: Path, source: ImageSource, say: Steps) -> None:
    """Analyse out of core, report on all images and show some."""
    try:
        _analyze(options, out, source, say)
    except (KeyboardInterrupt, OSError):
        if unfinished(out):
            say.note(f"what is done is kept in {out / WORK}: --resume goes on from there")
        raise


def _analyze(options: argparse.Namespace, out: Path, source: ImageSource, say: Steps) -> None:
    from wavelens._freed import give_back_freed
    from wavelens.cli._analyze import write_results
    from wavelens.report import image_table, write_all_images_csv

    analysis = _fit(options, out, source, say)
    for note in source.notes:
        say.note(note)
    for each in source.skipped:
        say.note(f"left out {each}")
    give_back_freed()
    n = len(analysis.labels_)
    say(f"comparing {n:,} images with the classes by {analysis.sigma_.shape[1]:,} patterns")
    say.note(analysis.class_similarity_.in_words())
    seen = _seen(options, analysis, source, say)
    data, seen = _read_shown(seen, source)
    give_back_freed()
    results = _measured(options, analysis, seen, data, source, say)
    results["table"] = image_table(seen)
    give_back_freed()
    with whole_folder(out, options.force, resume=True) as folder:
        say("drawing the report")
        more = {
            "n_images_shown": len(seen.labels_),
            "out_of_core": _facts(analysis),
        }
        write_results(folder, options, seen, data, results, whole=analysis, more=more)
        say("writing the numbers of all images")
        write_all_images_csv(folder / "all-images.csv", analysis, source)
    say.done(out / "report.html")


def _fit(options: argparse.Namespace, out: Path, source: ImageSource, say: Steps) -> PatternAnalysis:
    from wavelens.cli._analyze import make_analysis
    from wavelens.cli._watched import watched
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
            analysis.fit(watched(source), source.labels, **folder)
        else:
            analysis.fit(source, source.labels, **folder, scheduler=options.scheduler)
    about = analysis.out_of_core_
    assert about is not None
    if about.workers:
        say.note(f"workers of the cluster: {about.workers}")
    for name, seconds in about.seconds.items():
        say.note(f"{name.lower()} took {seconds:,.0f} s")
    return analysis


def _seen(
    options: argparse.Namespace, analysis: PatternAnalysis, source: ImageSource, say: Steps
) -> PatternAnalysis:
    """Choose the images to show: as many as a part of the memory holds."""
    import numpy as np

    from wavelens.data._source import physical_memory
    from wavelens.patterns._memory import parse_bytes
    from wavelens.patterns.fit._plan import PROGRAM
    from wavelens.report._shown_images import seen_for_report

    memory = physical_memory() if options.memory is None else parse_bytes(options.memory, "--memory")
    free = max(memory - PROGRAM, memory / _share_of_memory)
    # An image as it is and as numbers, all of its coefficients, and its row of UΣ with copies.
    pixels = int(np.prod(source.image_shape))
    each = pixels * (source.dtype.itemsize + 16) + 48 * analysis.sigma_.shape[1] + 1000
    n = int(max(4, min(_most_shown, free / 3 / each)))
    say("looking for odd images, images on borders, and those nearest to them")
    return seen_for_report(analysis, n, options.seed)


def _read_shown(seen: PatternAnalysis, source: ImageSource) -> tuple[ImageData, PatternAnalysis]:
    """Read the images to show; return them, and the analysis seen through those that can still be read."""
    import numpy as np

    from wavelens.cli._watched import watched
    from wavelens.data import ImageData
    from wavelens.patterns._sample import seen_through

    sampled = seen.sampled_from_
    assert sampled is not None
    chunk = watched(source).read(seen.image_positions_)
    there = np.isin(seen.image_positions_, chunk.positions)
    if not there.all():
        seen = seen_through(sampled.whole, sampled.places[there], sampled.drawn[there], sampled.nearest)
    drawn = int(np.count_nonzero(sampled.drawn[there]))
    more = len(chunk.positions) - drawn
    note = (
        f"Patterns, their tie to the classes, complexity, similarity and places between classes come from all "
        f"{len(sampled.whole.labels_):,} images, read in chunks. Shown are {len(chunk.positions):,}: {drawn:,} "
        "drawn at random (half of them dealt evenly over the classes, half by their size)"
        + (
            f", and {more:,} that were looked for among all, being odd, on a border or near to such ones"
            if more
            else ""
        )
        + ". Whether the data is sound, a score of held-out images and a comparison with pixels go by those drawn at "
        "random. The file all-images.csv holds the numbers of every image."
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
    return data, seen


def _measured(
    options: argparse.Namespace,
    analysis: PatternAnalysis,
    seen: PatternAnalysis,
    data: ImageData,
    source: ImageSource,
    say: Steps,
) -> dict[str, Any]:
    """Shuffle the labels of all images; check, hold out and take pixels of those drawn at random."""
    import numpy as np

    from wavelens._freed import give_back_freed
    from wavelens.cli._analyze import compare
    from wavelens.exceptions import DataError
    from wavelens.quality import check_images
    from wavelens.quality._among import among

    groups = None
    if options.groups is not None:
        positions = analysis.image_positions_.tolist()
        groups = read_groups(options.groups, [source.image_names[i] for i in positions])
    give_back_freed()
    try:
        results = shuffle_labels(options, analysis, groups, say)
    except DataError as error:  # too little memory for that, which is no reason to throw all else away
        say.note(f"left out: {error}")
        results = {"association": None, "association_curve": None}
    assert seen.sampled_from_ is not None
    drawn = np.flatnonzero(seen.sampled_from_.drawn)
    sample = replace(
        data,
        images=data.images[drawn],
        labels=data.labels[drawn],
        image_names=tuple(data.image_names[i] for i in drawn),
    )
    say(f"checking whether {len(drawn):,} images drawn at random are sound")
    quality = check_images(sample, random_state=options.seed, progress=False if options.quiet else None)
    counts = np.bincount(analysis.labels_, minlength=len(data.class_names))
    results["quality"] = among(quality, drawn, data.image_names, data.labels, counts)
    splits = splits_wanted(options)
    results["held_out"] = None
    if not (splits or options.compare_basis):
        return results
    some = None if groups is None else groups[seen.sampled_from_.places[drawn]]
    tested = _fit_to_sample(seen, sample, say)
    if splits:
        results["held_out"] = held_out(splits, options, tested, sample, some, say)
    if options.compare_basis:
        results["comparison"] = compare(options, tested, sample, say)
    return results


def _fit_to_sample(analysis: PatternAnalysis, data: ImageData, say: Steps) -> PatternAnalysis:
    """Return an analysis of the sample alone, by as many coefficients, for what holds out or takes pixels."""
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
