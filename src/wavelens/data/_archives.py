"""Images in ``.npy`` and ``.npz`` files, mapped into memory where the file allows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from wavelens._utils._labels import join_labels
from wavelens.data._arrays import Arrays, check_images
from wavelens.data._labels import check_labels
from wavelens.data._npy_header import open_npy
from wavelens.data._npz_archive import Archive, StoredMember
from wavelens.data._source import listed, printable
from wavelens.exceptions import DataError

__all__ = ["read_npy", "read_npz"]

SPLITS = ("train", "val", "test")
# Names that people give to images and to labels, in the order in which they are tried.
IMAGE_KEYS = ("images", "x", "data", "imgs")
LABEL_KEYS = ("labels", "y", "target", "targets", "label")
CLASS_NAME_KEYS = ("class_names", "classes", "label_names", "target_names")
FILE_NAME_KEYS = ("file_names", "filenames", "files", "image_names", "names")


@dataclass(frozen=True)
class Entries:
    """Which arrays of an archive belong together."""

    images: str
    labels: str | None
    file_names: str | None
    split: str | None


def read_npy(path: Path) -> Arrays:
    """Map the array of a ``.npy`` file into memory.

    Raises
    ------
    DataError
        If it is damaged, has another size than its header says, holds pickled objects, or holds no images.
    """
    return Arrays(_checked(path, open_npy(path), "images"), printable(path.stem))


def read_npz(
    path: Path, key: str | None, labels_key: str | None, split: str | None, *, own_labels: bool = True
) -> Arrays:
    """Read images, labels and names from a ``.npz`` file.

    Parameters
    ----------
    path : Path
        Of the file.
    key, labels_key, split
        As in `wavelens.data.load`.
    own_labels : bool
        Whether the labels in the file are wanted.
    """
    archive = Archive(path)
    found = find_entries(archive, key, labels_key, split)
    opened = [archive.open(each.images) for each in found]
    member = opened[0][1] if len(found) == 1 else None
    if len(found) > 1:
        _verify_all([each for _, each in opened])
    parts = [_checked(path, array, each.images) for (array, _), each in zip(opened, found, strict=True)]
    shapes = {each.shape[1:] for each in parts}
    if len(shapes) > 1:
        raise DataError(f"{path}: the parts hold images of different shapes, {listed(sorted(shapes))}")
    notes = []
    if found[0].split is not None and split is None and key is None:
        notes.append(f"The part {found[0].split!r} of the file was taken ({found[0].images}).")
    labels = None
    if own_labels and all(each.labels for each in found):
        own = [_labels(archive, each, len(part)) for each, part in zip(found, parts, strict=True)]
        try:
            labels = join_labels(own)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from error
    return Arrays(
        images=parts[0] if len(parts) == 1 else np.concatenate(parts),
        name=printable(path.stem),
        labels=labels,
        class_names=class_names_of(archive),
        image_names=_image_names(archive, found, [len(part) for part in parts]),
        notes=notes,
        again=partial(_read_again, path.resolve(), tuple(each.images for each in found)),
        member=member,
    )


def _verify_all(members: Sequence[StoredMember | None]) -> None:
    for each in members:
        if each is not None:
            each.verify()


def _read_again(path: Path, keys: tuple[str, ...]) -> npt.NDArray[Any]:
    archive = Archive(path)
    parts = [archive.read(key) for key in keys]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _labels(archive: Archive, entries: Entries, n: int) -> npt.NDArray[Any]:
    key = str(entries.labels)
    try:
        return check_labels(archive.read(key), n, name=key)
    except (TypeError, ValueError) as error:
        raise DataError(f"{archive.path}: {error}") from error


def _image_names(archive: Archive, found: Sequence[Entries], lengths: Sequence[int]) -> Sequence[str] | None:
    names: list[str] = []
    for entries, n in zip(found, lengths, strict=True):
        if entries.file_names is not None and archive.shape(entries.file_names) == (n,):
            names += as_strings(archive.read(entries.file_names))
        elif len(found) == 1:
            return None
        else:
            names += [f"{entries.split}/{i}" for i in range(n)]
    return names


def _checked(path: Path, array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    try:
        return check_images(array, name)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def find_entries(
    archive: Archive, key: str | None, labels_key: str | None, split: str | None
) -> list[Entries]:
    """Find images and labels by their names; several where all splits are asked for.

    Raises
    ------
    DataError
        If no name is recognised, or the split is not there; lists what there is.
    """
    if key is not None:
        if key not in archive.keys:
            raise DataError(f"{archive.path}: no array {key!r}; it holds {archive.describe()}")
        part = next((each for each in SPLITS if _split_of(key, each)), None)
        beside = [
            _partner(archive.keys, names, part) or _partner(archive.keys, names, None)
            for names in (LABEL_KEYS, FILE_NAME_KEYS)
        ]
        return [Entries(key, labels_key or beside[0], beside[1], part)]
    divided = [each for each in SPLITS if _partner(archive.keys, IMAGE_KEYS, each)]
    plain = _partner(archive.keys, IMAGE_KEYS, None)
    if split is None and plain is None and divided:
        split = "train" if "train" in divided else divided[0]
    if split is None or (split == "all" and plain is not None and not divided):
        wanted: Sequence[str | None] = [None] if plain else []
    else:
        wanted = divided if split == "all" else [each for each in divided if each == split]
        if not wanted:
            there = f"; it has {', '.join(divided)}" if divided else ", it is not divided"
            raise DataError(f"{archive.path}: no split {split!r}{there}. It holds {archive.describe()}")
    if not wanted:
        raise DataError(
            f"{archive.path}: none of the arrays is recognised as the images: {archive.describe()}. "
            "Name them: key='...', labels_key='...' (--key, --labels-key), or use the names images and "
            "labels, x_train and y_train, or train_images and train_labels"
        )
    found = []
    for part in wanted:
        images = cast(str, _partner(archive.keys, IMAGE_KEYS, part))
        labels = labels_key or _partner(archive.keys, LABEL_KEYS, part)
        found.append(Entries(images, labels, _partner(archive.keys, FILE_NAME_KEYS, part), part))
    return found


def class_names_of(archive: Archive) -> list[str] | None:
    """Names of the classes, if the archive has them."""
    key = _partner(archive.keys, CLASS_NAME_KEYS, None)
    if key is None or len(archive.shape(key)) != 1:
        return None
    return as_strings(archive.read(key))


def as_strings(names: npt.NDArray[Any]) -> list[str]:
    """Return names, which may be stored as bytes, as strings."""
    if names.dtype.kind == "S":
        return [each.decode("utf-8", "replace") for each in names.tolist()]
    return [str(each) for each in names.tolist()]


def _partner(keys: Sequence[str], names: Sequence[str], split: str | None) -> str | None:
    lowered = {key.lower(): key for key in reversed(keys)}
    for name in names:
        if split is None:
            candidates = [name]
        else:
            candidates = [f"{name}_{split}", f"{split}_{name}", f"{name}{split}", f"{split}{name}"]
        for candidate in candidates:
            if candidate in lowered:
                return lowered[candidate]
    return None


def _split_of(key: str, split: str) -> bool:
    return re.fullmatch(rf"{split}[_]?.+|.+[_]?{split}", key.lower()) is not None
