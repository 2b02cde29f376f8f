"""Reading what `wavelens hierarchy` analyses: features, labels, names, and the choice of classes and layers."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavelens.exceptions import DataError, WavelensError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wavelens.models import LabelledFeatures

__all__ = ["HierarchyInput", "read_input"]

_outputs = {"logits", "probabilities", "probs", "softmax", "output", "outputs", "predictions", "scores"}
_rows_at_most = 20_000


@dataclass
class HierarchyInput:
    """What is analysed."""

    features: LabelledFeatures
    labels: npt.NDArray[np.str_]
    layer: str
    flow_layers: tuple[str, ...]
    notes: tuple[str, ...]


def read_input(options: argparse.Namespace) -> HierarchyInput:
    """Read the features, and choose classes and layers as the options say."""
    import numpy as np

    features, notes = _labelled(options)
    labels = features.labels
    assert labels is not None
    names = _distinct_names(features.class_names)
    chosen = _chosen_classes(options, names, labels)
    layer, flow_layers, more = _layers(options, features)
    notes += more
    if len(chosen) < 2:
        one = f"one class, {names[chosen[0]]!r}" if len(chosen) else "none"
        raise DataError(f"{options.source}: at least two classes are needed, got {one}")
    present = np.flatnonzero(np.bincount(labels, minlength=len(names)))
    if len(chosen) < len(present):
        rows = np.flatnonzero(np.isin(labels, chosen))
        kept = {name: np.asarray(features.layers[name])[rows] for name in {layer, *flow_layers}}
        features = _with_layers(features, kept)
        labels = labels[rows]
        notes += (f"{len(chosen):,} of {len(present):,} classes were taken",)
    return HierarchyInput(features, np.array(names)[labels], layer, flow_layers, notes)


def _labelled(options: argparse.Namespace) -> tuple[LabelledFeatures, tuple[str, ...]]:
    from wavelens.models import load_features

    path = Path(options.source).expanduser()
    if path.is_dir():
        raise DataError(
            f"{path} is a folder; `wavelens features --model … --images {path}` makes the file that is needed here"
        )
    if path.suffix.lower() != ".npz" and path.exists():
        raise DataError(f"{path}: expected an .npz file of features and labels")
    key, labels_key = options.key, options.labels_key
    if key is None and labels_key is None:
        key, labels_key = _usual_pair(path)
    found = load_features(path, key=key, labels_key=labels_key)
    notes = tuple(found.notes)
    if found.labels is None or options.rows_are_classes:
        return _rows_as_classes(options, found), notes
    if options.class_names is not None:
        found = load_features(path, key=key, labels_key=labels_key, class_names=options.class_names)
    return found, notes


def _usual_pair(path: Path) -> tuple[str | None, str | None]:
    """Return the keys of images and labels where a file has them as Keras' datasets do."""
    from wavelens.data._npz_archive import Archive

    keys = set(Archive(path).keys)
    return ("x_train", "y_train") if {"x_train", "y_train"} <= keys else (None, None)


def _rows_as_classes(options: argparse.Namespace, found: LabelledFeatures) -> LabelledFeatures:
    named = options.class_names
    if not options.rows_are_classes:
        from wavelens.models import read_class_names

        fits = named is not None and len(read_class_names(named)) == found.n_images
        if not fits:
            misfit = _misfit(options.source, found.n_images)
            raise DataError(
                f"{options.source}: nothing says which class a row belongs to{misfit}; "
                "name the array with --labels-key, or say --rows-are-classes if every row is a class"
            )
    if found.n_images > _rows_at_most:
        raise DataError(
            f"{options.source}: {found.n_images:,} rows as classes are too many ({_rows_at_most:,} are allowed)"
        )
    return found.rows_as_classes(named)


def _misfit(source: str, n_rows: int) -> str:
    """Say which array of labels has not one for each row, if there is one."""
    from wavelens.data._npz_archive import Archive

    archive = Archive(Path(source).expanduser())
    for key in archive.keys:
        if key.lower() in ("labels", "label", "y") and archive.shape(key) != (n_rows,):
            return f" (the array {key!r} has shape {archive.shape(key)}, and there are {n_rows:,} rows)"
    return ""


def _with_layers(features: LabelledFeatures, layers: dict[str, Any]) -> LabelledFeatures:
    from wavelens.models import LabelledFeatures

    return LabelledFeatures(layers=layers, source=features.source, notes=features.notes)


def _distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names without those that two classes share."""
    shared = (
        {name for name in names if list(names).count(name) > 1} if len(set(names)) < len(names) else set()
    )
    return tuple(f"{name} ({i})" if name in shared else name for i, name in enumerate(names))


def _chosen_classes(
    options: argparse.Namespace, names: Sequence[str], labels: npt.NDArray[np.intp]
) -> list[int]:
    import numpy as np

    present = np.flatnonzero(np.bincount(labels, minlength=len(names))).tolist()
    chosen = present
    if options.classes is not None:
        known = {_folded(names[i]): i for i in present}
        asked = [each.strip() for each in options.classes.split(",") if each.strip()]
        for each in asked:
            if _folded(each) not in known:
                raise WavelensError(
                    f"--classes: there is no class {each!r}{_nearest(each, [names[i] for i in present])}"
                )
        chosen = sorted({known[_folded(each)] for each in asked})
    if options.limit_classes is not None and options.limit_classes < len(chosen):
        rng = np.random.default_rng(options.seed)
        chosen = sorted(rng.choice(chosen, options.limit_classes, replace=False).tolist())
    return chosen


def _layers(
    options: argparse.Namespace, features: LabelledFeatures
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    names = list(features.layers)
    hidden = [name for name in names if name.lower() not in _outputs] or names
    notes: tuple[str, ...] = ()
    layer = hidden[-1] if options.layer is None else _layer(options.layer, names, "--layer")
    if options.layers is None:
        flow = hidden
        if options.layer is None and len(hidden) < len(names):
            left_out = ", ".join(name for name in names if name not in hidden)
            notes = (f"{left_out}: outputs of the network, not looked at; --layer and --layers take them",)
    elif options.layers.strip() == "none":
        flow = []
    else:
        flow = [_layer(each.strip(), names, "--layers") for each in options.layers.split(",") if each.strip()]
        if len(flow) < 2 or len(set(flow)) < len(flow):
            raise WavelensError("--layers: name two or more layers, each once, or 'none'")
    return layer, tuple(flow), notes


def _layer(asked: str, names: Sequence[str], option: str) -> str:
    if asked in names:
        return asked
    raise WavelensError(f"{option}: there is no layer {asked!r}{_nearest(asked, names)}")


def _nearest(asked: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(_folded(asked), [_folded(each) for each in names], 3, 0.5)
    by_folded = {_folded(each): each for each in names}
    if near:
        return f"; did you mean {' or '.join(repr(by_folded[each]) for each in near)}?"
    return f"; there are {', '.join(map(repr, names[:8]))}{', …' if len(names) > 8 else ''}"


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
