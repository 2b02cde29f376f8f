"""Images in ``.npy`` and ``.npz`` files, mapped into memory where the file allows it."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from wavelens.data._arrays import Arrays, check_images
from wavelens.data._labels import check_labels
from wavelens.data._source import listed, printable
from wavelens.exceptions import DataError

__all__ = ["Archive", "read_npy", "read_npz"]

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


class Archive:
    """A ``.npz`` file whose arrays are read one by one.

    Arrays stored without compression (``np.savez``) are mapped into memory; compressed ones are loaded.
    Pickled objects are refused.

    Parameters
    ----------
    path : Path
        Of the file.

    Raises
    ------
    DataError
        If it is no archive of arrays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
                self._members = {each.filename.removesuffix(".npy"): each for each in members}
                self._headers = {key: _header(archive, each) for key, each in self._members.items()}
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(f"{path}: not a readable .npz archive: {error}") from error
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
        if not self._members:
            raise DataError(f"{path}: the archive holds no arrays")

    @property
    def keys(self) -> list[str]:
        """Names of the arrays."""
        return list(self._members)

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of an array, without reading it."""
        return self._headers[key][0]

    def dtype(self, key: str) -> np.dtype[Any]:
        """Dtype of an array, without reading it."""
        return self._headers[key][2]

    def describe(self) -> str:
        """Name the arrays with their shapes and dtypes."""
        return ", ".join(
            f"{key} {shape} {dtype}" for key, (shape, _, dtype, _) in sorted(self._headers.items())
        )

    def read(self, key: str) -> npt.NDArray[Any]:
        """Map or load one array."""
        if key not in self._members:
            raise DataError(f"{self.path}: no array {key!r}; it holds {self.describe()}")
        member, (shape, fortran, dtype, start) = self._members[key], self._headers[key]
        if dtype.hasobject:
            raise DataError(
                f"{self.path}: the array {key!r} holds pickled Python objects, which are never loaded; "
                "save it with a numeric or string dtype"
            )
        try:
            if (
                member.compress_type == zipfile.ZIP_STORED
                and not member.flag_bits & 1
                and 0 not in shape
                and shape
            ):
                offset = _data_offset(self.path, member) + start
                return cast(
                    npt.NDArray[Any],
                    np.memmap(self.path, dtype, "r", offset, shape, "F" if fortran else "C"),
                )
            with np.load(self.path, allow_pickle=False) as archive:
                return cast(npt.NDArray[Any], archive[key])
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
            raise DataError(f"{self.path}: the array {key!r} is damaged: {error}") from error
        except MemoryError as error:
            raise DataError(
                f"{self.path}: the array {key!r} of shape {shape} does not fit in memory; "
                "save it with np.save or np.savez (without compression) and it will be mapped"
            ) from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror or error}") from error


def read_npy(path: Path) -> Arrays:
    """Map the array of a ``.npy`` file into memory.

    Raises
    ------
    DataError
        If it is damaged, holds pickled objects, or holds no images.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        text = str(error)
        if "Python objects" in text or "Object arrays" in text:
            text = "it holds pickled Python objects, which are never loaded; save a numeric array"
        elif path.stat().st_size == 0:
            text = "the file is empty"
        elif "pickle" in text:
            text = "it is not a file written by np.save"
        raise DataError(f"{path}: cannot be read: {text}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path}: a .npz archive under the name of a .npy file; rename it")
    return Arrays(_checked(path, array, "images"), printable(path.stem))


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
    parts = [_checked(path, archive.read(each.images), each.images) for each in found]
    shapes = {each.shape[1:] for each in parts}
    if len(shapes) > 1:
        raise DataError(f"{path}: the parts hold images of different shapes, {listed(sorted(shapes))}")
    notes = []
    if found[0].split is not None and split is None and key is None:
        notes.append(f"The part {found[0].split!r} of the file was taken ({found[0].images}).")
    labels = None
    if own_labels and all(each.labels for each in found):
        labels = np.concatenate(
            [_labels(archive, each, len(part)) for each, part in zip(found, parts, strict=True)]
        )
    return Arrays(
        images=parts[0] if len(parts) == 1 else np.concatenate(parts),
        name=printable(path.stem),
        labels=labels,
        class_names=class_names_of(archive),
        image_names=_image_names(archive, found, [len(part) for part in parts]),
        notes=notes,
        again=partial(_read_again, path.resolve(), tuple(each.images for each in found)),
    )


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


_Header = tuple[tuple[int, ...], bool, np.dtype[Any], int]


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Header:
    """Shape, order, dtype of a member, and where its data begin within it."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        return shape, fortran, dtype, file.tell()


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin in the file: behind its local header, whose length varies."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("its local header is missing")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    return int(member.header_offset + 30 + name_length + extra_length)
