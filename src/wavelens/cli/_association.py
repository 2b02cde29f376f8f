"""Options of ``wavelens analyze`` that ask whether patterns are tied to classes, and the work behind them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wavelens.data import ImageData
    from wavelens.patterns import PatternAnalysis

__all__ = [
    "add_association_options",
    "held_out",
    "measure_association",
    "read_groups",
    "shuffle_labels",
    "splits_wanted",
]

_default_splits = 5


def add_association_options(group: Any) -> None:
    """Add the options to the parser."""
    add = group.add_argument
    add(
        "--permutations",
        metavar="N",
        type=_count,
        default=50,
        help="shuffle the labels N times to see whether patterns are tied to classes; 0 leaves it out. One takes "
        "about 0.2 s for 1,200 patterns, 5 s for a million images (default: %(default)s)",
    )
    add(
        "--groups",
        metavar="SPEC",
        help="images that belong together, such as those of a patient: FILE.csv or FILE.csv:COLUMN, or a "
        "regular expression on file names whose first parentheses hold the group (default: none)",
    )
    add(
        "--held-out",
        metavar="K",
        type=_splits,
        help="score held-out images in K splits, each a fit of its own; no group is on both sides of one; 0 "
        f"leaves it out (default: {_default_splits} with --groups, else 0)",
    )


def read_groups(spec: str | None, image_names: Sequence[str]) -> npt.NDArray[Any] | None:
    """Return the group of each image, if the option was given."""
    if spec is None:
        return None
    import numpy as np

    from wavelens.data import image_groups
    from wavelens.exceptions import WavelensError

    groups = image_groups(spec, image_names)
    if len(np.unique(groups)) < 2:
        raise WavelensError(f"--groups {spec!r} puts all images into one group, {str(groups[0])!r}")
    return groups


def measure_association(
    options: argparse.Namespace,
    analysis: PatternAnalysis,
    data: ImageData,
    groups: npt.NDArray[Any] | None,
    say: Any,
) -> dict[str, Any]:
    """Return what `write_patterns_report` and `summarize_association` take: test, curve and score."""
    found = shuffle_labels(options, analysis, groups, say)
    splits = splits_wanted(options)
    score = held_out(splits, options, analysis, data, groups, say) if splits else None
    return {**found, "held_out": score}


def shuffle_labels(
    options: argparse.Namespace, analysis: PatternAnalysis, groups: npt.NDArray[Any] | None, say: Any
) -> dict[str, Any]:
    """Return test and curve."""
    if not options.permutations:
        return {"association": None, "association_curve": None}
    say(f"shuffling the labels {options.permutations:,} times")
    blocks = groups if groups is not None and _pure(groups, analysis.labels_) else None
    if groups is not None and blocks is None:
        say.note("groups have images of several classes: labels are shuffled image by image")
    return {
        "association": analysis.association_test(options.permutations, options.seed, groups=blocks),
        "association_curve": analysis.association_curve(n_repeats=2, random_state=options.seed),
    }


def splits_wanted(options: argparse.Namespace) -> int:
    """Return in how many splits held-out images are to be scored."""
    if options.held_out is not None:
        return int(options.held_out)
    return _default_splits if options.groups is not None else 0


def held_out(
    wanted: int,
    options: argparse.Namespace,
    analysis: PatternAnalysis,
    data: ImageData,
    groups: npt.NDArray[Any] | None,
    say: Any,
) -> Any:
    """Return the score of held-out images in `wanted` splits, or in as many as there can be."""
    import numpy as np

    unit = "images" if groups is None else "groups"
    units = np.arange(len(data.labels)) if groups is None else groups
    most = min(len(np.unique(units[data.labels == i])) for i in range(len(data.class_names)))
    if most < 2:
        say.note(f"a class has fewer than two {unit}: held-out images cannot be scored")
        return None
    if most < wanted:
        say.note(f"a class has only {most} {unit}: {most} splits in place of {wanted}")
    splits = min(wanted, most)
    say(f"scoring held-out images in {splits} splits")
    if groups is None:
        say.note(
            "without --groups, images nearly the same as held-out ones may be learnt from: the score may be too "
            "high"
        )
    return analysis.held_out_score(data.images, data.labels, groups, splits, options.seed)


def _pure(groups: npt.NDArray[Any], labels: npt.NDArray[np.intp]) -> bool:
    pairs = set(zip(groups.tolist(), labels.tolist(), strict=True))
    return len(pairs) == len({group for group, _ in pairs})


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, got {text!r}")
    return int(text)


def _splits(text: str) -> int:
    if not text.isdecimal() or int(text) == 1:
        raise argparse.ArgumentTypeError(f"expected 0, or a whole number from 2 on, got {text!r}")
    return int(text)
