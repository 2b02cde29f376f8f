"""Reading what `build_hierarchy` analyzes: features, labels, names, and the choice of classes and layers."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wavelens import models
from wavelens.data._labels import check_labels, encode_labels
from wavelens.data._npz_archive import Archive
from wavelens.exceptions import DataError, WavelensError
from wavelens.models import ClassNames, LabelledFeatures

__all__ = ["FeatureSelection", "HierarchyInput", "read_input"]

_outputs = {"logits", "probabilities", "probs", "softmax", "output", "outputs", "predictions", "scores"}
_rows_at_most = 20_000

_Names = ClassNames | str | os.PathLike[str] | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class FeatureSelection:
    """Which arrays, layers and classes are analyzed; see `build_hierarchy`."""

    layer: str | None = None
    layers: Sequence[str] | None = None
    key: str | None = None
    labels_key: str | None = None
    rows_are_classes: bool = False
    class_names: _Names | None = None
    classes: Sequence[str] | None = None
    limit_classes: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class HierarchyInput:
    """What is analyzed.

    Attributes
    ----------
    features : LabelledFeatures
        Of the selected classes.
    labels : array of str, shape (n,)
        Names of classes.
    layer : str
        The hierarchy is of it.
    flow_layers : tuple of str
        Layers that are compared.
    notes : tuple of str
    """

    features: LabelledFeatures
    labels: npt.NDArray[np.str_]
    layer: str
    flow_layers: tuple[str, ...]
    notes: tuple[str, ...]


def read_input(source: object, labels: object, selection: FeatureSelection) -> HierarchyInput:
    """Read the features, and select classes and layers."""
    features, notes = _labelled(source, labels, selection)
    codes = features.labels
    assert codes is not None
    names = _distinct_names(features.class_names)
    chosen = _chosen_classes(selection, names, codes)
    layer, flow_layers, more = _layers(selection, features)
    notes += more
    if len(chosen) < 2:
        one = f"one class, {names[chosen[0]]!r}" if len(chosen) else "none"
        raise DataError(f"{features.source}: at least two classes are needed, got {one}")
    present = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    if len(chosen) < len(present):
        rows = np.flatnonzero(np.isin(codes, chosen))
        kept = {name: np.asarray(features.layers[name])[rows] for name in {layer, *flow_layers}}
        features = LabelledFeatures(layers=kept, source=features.source, notes=features.notes)
        codes = codes[rows]
        notes += (f"{len(chosen):,} of {len(present):,} classes were taken",)
    return HierarchyInput(features, np.array(names)[codes], layer, flow_layers, notes)


def _labelled(
    source: object, labels: object, selection: FeatureSelection
) -> tuple[LabelledFeatures, tuple[str, ...]]:
    if isinstance(source, str | os.PathLike):
        if labels is not None:
            raise ValueError("`labels` must be None for a file, whose labels `labels_key` names")
        found = _read_file(Path(source).expanduser(), selection)
    else:
        found = source if isinstance(source, LabelledFeatures) else _from_arrays(source, labels)
    notes = tuple(found.notes)
    if found.labels is None or selection.rows_are_classes:
        return _rows_as_classes(source, found, selection), notes
    named = selection.class_names
    if named is not None and isinstance(source, str | os.PathLike):
        found = _read_file(Path(source).expanduser(), selection, named)
    elif named is not None:
        found = found.with_class_names(named)
    return found, notes


def _from_arrays(source: object, labels: object) -> LabelledFeatures:
    arrays = source if isinstance(source, Mapping) else {"features": source}
    layers = {str(name): np.asarray(each) for name, each in arrays.items()}
    for name, each in layers.items():
        if each.ndim != 2:
            raise ValueError(f"`source`: {name!r} must have shape (n_images, n_features), got {each.shape}")
    if not layers:
        raise ValueError("`source` must hold at least one layer, got none")
    if labels is None:
        return LabelledFeatures(layers)
    n = len(next(iter(layers.values())))
    codes, names, notes = encode_labels(check_labels(labels, n, "rows"))
    return LabelledFeatures(layers, codes, names, notes=tuple(notes))


def _read_file(
    path: Path, selection: FeatureSelection, class_names: _Names | None = None
) -> LabelledFeatures:
    if path.is_dir():
        raise DataError(
            f"{path} is a folder; `wavelens features --model … --images {path}` makes the file that is needed here"
        )
    if path.suffix.lower() != ".npz" and path.exists():
        raise DataError(f"{path}: expected an .npz file of features and labels")
    key, labels_key = selection.key, selection.labels_key
    if key is None and labels_key is None and {"x_train", "y_train"} <= set(Archive(path).keys):
        key, labels_key = "x_train", "y_train"  # as Keras' datasets have them
    return models.load_features(path, key=key, labels_key=labels_key, class_names=class_names)


def _rows_as_classes(
    source: object, found: LabelledFeatures, selection: FeatureSelection
) -> LabelledFeatures:
    named = selection.class_names
    if named is not None:
        named = (named if isinstance(named, ClassNames) else models.read_class_names(named)).names
    if not selection.rows_are_classes:
        fits = named is not None and len(named) == found.n_images
        if not fits:
            misfit = _misfit(source, found.n_images) if isinstance(source, str | os.PathLike) else ""
            raise DataError(
                f"{found.source}: nothing says which class a row belongs to{misfit}; "
                "name the array with `labels_key`, or pass `rows_are_classes=True` if every row is a class"
            )
    if found.n_images > _rows_at_most:
        raise DataError(
            f"{found.source}: {found.n_images:,} rows as classes are too many ({_rows_at_most:,} are allowed)"
        )
    return found.rows_as_classes(named)


def _misfit(source: str | os.PathLike[str], n_rows: int) -> str:
    """Return which array of labels does not have one for each row, if there is one."""
    archive = Archive(Path(source).expanduser())
    for key in archive.keys:
        if key.lower() in ("labels", "label", "y") and archive.shape(key) != (n_rows,):
            return f" (the array {key!r} has shape {archive.shape(key)}, and there are {n_rows:,} rows)"
    return ""


def _distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names without those that two classes share."""
    shared = (
        {name for name in names if list(names).count(name) > 1} if len(set(names)) < len(names) else set()
    )
    return tuple(f"{name} ({i})" if name in shared else name for i, name in enumerate(names))


def _chosen_classes(
    selection: FeatureSelection, names: Sequence[str], labels: npt.NDArray[np.intp]
) -> list[int]:
    present = np.flatnonzero(np.bincount(labels, minlength=len(names))).tolist()
    chosen = present
    if selection.classes is not None:
        known = {_folded(names[i]): i for i in present}
        for each in selection.classes:
            if _folded(each) not in known:
                raise WavelensError(
                    f"`classes`: there is no class {each!r}{_nearest(each, [names[i] for i in present])}"
                )
        chosen = sorted({known[_folded(each)] for each in selection.classes})
    if selection.limit_classes is not None and selection.limit_classes < len(chosen):
        rng = np.random.default_rng(selection.seed)
        chosen = sorted(rng.choice(chosen, selection.limit_classes, replace=False).tolist())
    return chosen


def _layers(
    selection: FeatureSelection, features: LabelledFeatures
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    names = list(features.layers)
    hidden = [name for name in names if name.lower() not in _outputs] or names
    notes: tuple[str, ...] = ()
    layer = hidden[-1] if selection.layer is None else _layer(selection.layer, names, "layer")
    if selection.layers is None:
        flow = hidden
        if selection.layer is None and len(hidden) < len(names):
            left_out = ", ".join(name for name in names if name not in hidden)
            notes = (f"{left_out}: outputs of the network, not looked at; `layer` and `layers` take them",)
    else:
        flow = [_layer(each, names, "layers") for each in selection.layers]
        if len(flow) == 1 or len(set(flow)) < len(flow):
            raise WavelensError("`layers` must be two or more layers, each once, or none")
    return layer, tuple(flow), notes


def _layer(asked: str, names: Sequence[str], argument: str) -> str:
    if asked in names:
        return asked
    raise WavelensError(f"`{argument}`: there is no layer {asked!r}{_nearest(asked, names)}")


def _nearest(asked: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(_folded(asked), [_folded(each) for each in names], 3, 0.5)
    by_folded = {_folded(each): each for each in names}
    if near:
        return f"; did you mean {' or '.join(repr(by_folded[each]) for each in near)}?"
    return f"; there are {', '.join(map(repr, names[:8]))}{', …' if len(names) > 8 else ''}"


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
