"""The ``.npz`` file of features: written batch by batch, there whole or not at all; and reading foreign ones.

A file of ours holds an array for each layer under its name, ``labels``, ``class_names``, ``file_names`` and
``header``, a JSON text with the format's version and how the features were made. Nothing is compressed, so that
`wavelens` maps it into memory, and nothing is pickled.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from wavelens._mapped import check_whole
from wavelens._utils._atomic_write import atomic_write, final_path
from wavelens._utils._damaged_files import reading
from wavelens._utils._file_schema import (
    Indices,
    Integer,
    Labels,
    ListOf,
    Record,
    Text,
    check_arrays,
    check_header,
    require,
)
from wavelens._utils._replace_folder import temporary_folder
from wavelens.data._archives import as_strings
from wavelens.data._labels import check_labels, encode_labels
from wavelens.data._npz_archive import Archive
from wavelens.exceptions import DataError
from wavelens.models._class_names import ClassNames, read_class_names
from wavelens.models._labelled_features import LabelledFeatures

__all__ = ["FeaturesWriter", "load_features"]

FORMAT = "wavelens-features"
VERSION = 1
_writer = "wavelens features"
_header_schema = {
    "source": Text(),
    "layers": ListOf(
        item=Record(fields={"name": Text(), "key": Text(), "shape": ListOf(item=Integer(low=1, high=2**40))})
    ),
    "info": Record(),
    "notes": ListOf(item=Text()),
}
_schema = {
    "labels": Indices(("n",), below="n_classes", optional=True),
    "class_names": Labels(("n_classes",), text=True, optional=True),
    "file_names": Labels(("n",), text=True, optional=True),
}
HEADER = "header"
RESERVED = ("labels", "class_names", "file_names", HEADER)
FEATURE_KEYS = ("features", "embeddings", "activations", "representations", "codes", "x", "data")
LABEL_KEYS = ("labels", "label", "y", "target", "targets", "imagenet_index", "class_index", "classes")
FILE_NAME_KEYS = ("file_names", "filenames", "files", "image_names", "paths", "names")
CLASS_NAME_KEYS = ("class_names", "label_names", "target_names", "classes")

Array = npt.NDArray[Any]


@dataclass
class _Column:
    """One layer on its way to the file."""

    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: int = 0


class FeaturesWriter:
    """Takes the layers' values a batch at a time; memory for one batch is all that is needed.

    Each layer grows in a file of its own in a folder beside the target; `finish` packs them into one and puts
    it in its place. Leaving the ``with`` block removes the folder, whatever has happened.

    Parameters
    ----------
    path : Path
        Of the file to be.
    """

    def __init__(self, path: Path) -> None:
        self.path = final_path(path.expanduser().absolute())
        self._columns: dict[str, _Column] = {}
        self._open = ExitStack()

    def __enter__(self) -> FeaturesWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = self._open.enter_context(temporary_folder(self.path))
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._columns.values():
            each.file.close()
        self._open.close()

    def append(self, layer: str, values: Array) -> None:
        """Add the values of some images.

        Parameters
        ----------
        layer : str
            Name.
        values : ndarray of shape (m, ...)
            Of one shape and dtype for all batches of a layer.
        """
        if layer not in self._columns:
            file = (self._folder / str(len(self._columns))).open("w+b")
            self._columns[layer] = _Column(file, values.shape[1:], values.dtype)
        column = self._columns[layer]
        check_whole(values, layer)
        column.file.write(np.ascontiguousarray(values).data)
        column.rows += len(values)

    def finish(
        self,
        labels: Array | None,
        class_names: Sequence[str],
        file_names: Sequence[str],
        source: str,
        info: Mapping[str, Any],
        notes: Sequence[str],
    ) -> None:
        """Write the file.

        Parameters
        ----------
        labels, class_names, file_names, source, info, notes
            As `LabelledFeatures` has them.
        """
        from wavelens import _core

        keys = {name: f"layer_{name}" if name in RESERVED else name for name in self._columns}
        header = {
            "format": FORMAT,
            "format_version": VERSION,
            "wavelens": _core.version,
            "source": source,
            "layers": [
                {"name": name, "key": keys[name], "shape": list(each.shape)}
                for name, each in self._columns.items()
            ],
            "info": dict(info),
            "notes": list(notes),
        }
        with (
            atomic_write(self.path) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        ):
            _add(archive, HEADER, np.array(json.dumps(header, ensure_ascii=False)))
            if labels is not None:
                _add(archive, "labels", np.asarray(labels, np.int64))
                _add(archive, "class_names", np.array(class_names, dtype=str))
            if len(file_names):
                _add(archive, "file_names", np.array(file_names, dtype=str))
            for name, column in self._columns.items():
                self._pack(archive, keys[name], column)

    def _pack(self, archive: zipfile.ZipFile, key: str, column: _Column) -> None:
        shape = (column.rows, math.prod(column.shape))
        about = {
            "descr": np.lib.format.dtype_to_descr(column.dtype),
            "fortran_order": False,
            "shape": shape,
        }
        column.file.flush()
        column.file.seek(0)
        with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, about)
            shutil.copyfileobj(column.file, member, 1 << 20)


def _add(archive: zipfile.ZipFile, key: str, array: Array) -> None:
    with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def load_features(
    path: str | os.PathLike[str],
    *,
    key: str | Sequence[str] | None = None,
    labels_key: str | None = None,
    class_names: ClassNames | str | os.PathLike[str] | Sequence[str] | None = None,
) -> LabelledFeatures:
    """Read features from a ``.npz`` file.

    Parameters
    ----------
    path : path
        Of a file that ``wavelens features`` or `LabelledFeatures.save` has written, or of any other with one
        array of features (n, d) or several with as many rows.
    key : str or sequence of str, optional
        Which arrays are the features. By default all layers of a file of ours; in other files ``features``,
        ``embeddings`` and the like, and all matrices of floats beside them with as many rows.
    labels_key : str, optional
        Which array holds one label (integer or string) for each row; ``labels``, ``y``, ``target``,
        ``imagenet_index`` and the like are recognised.
    class_names : ClassNames, path or sequence of str, optional
        What integer labels mean, or ids such as ``"n01440764"``; see `read_class_names`.

    Returns
    -------
    LabelledFeatures
        Arrays that are not compressed are mapped into memory and not read yet. Without labels in the file,
        `labels` is None; see `LabelledFeatures.rows_as_classes`.

    Raises
    ------
    DataError
        If the file cannot be read, no array is recognised, or rows and labels do not fit; lists what the file
        holds.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from wavelens.models import load_features
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(folder + "/some.npz", features=np.eye(3), y=["cat", "dog", "cat"])
    ...     features = load_features(folder + "/some.npz")
    >>> features
    <LabelledFeatures 'some': 3 images of 2 classes (features: 3)>
    """
    where = Path(os.fsdecode(path)).expanduser()
    archive = Archive(where)
    header = _header(archive)
    if header is not None and key is None and labels_key is None:
        with reading(where, _writer):
            found = _own(archive, check_header(header, _header_schema, where))
    else:
        with reading(where, "numpy.savez"):
            found = _foreign(archive, header, key, labels_key, class_names)
    return found if class_names is None else found.with_class_names(class_names)


def _header(archive: Archive) -> dict[str, Any] | None:
    if HEADER not in archive.keys or archive.shape(HEADER) != ():
        return None
    try:
        header = json.loads(str(archive.read(HEADER)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        return None
    version = check_header(header, {"format_version": Integer(low=1)}, archive.path)["format_version"]
    if version > VERSION:
        raise DataError(
            f"{archive.path}: written by a newer Wavelens (format {version}, {VERSION} is known); update it"
        )
    return header


def _own(archive: Archive, header: Mapping[str, Any]) -> LabelledFeatures:
    listed = header["layers"]
    keys = [each["key"] for each in listed]
    named = [each["name"] for each in listed]
    require(
        (
            (bool(listed), "the header's 'layers' must name at least one layer"),
            (len(set(named)) == len(named), "the header's 'layers' names a layer twice"),
        ),
        archive.path,
    )
    arrays = {each: archive.read(each) for each in dict.fromkeys(keys)}
    beside: dict[str, Array] = {
        each: archive.read(each) for each in ("labels", "class_names", "file_names") if each in archive.keys
    }
    layers, sizes = _checked_layers(arrays, archive.path)
    for each in listed:
        width = layers[each["key"]].shape[1]
        shape = tuple(each["shape"])
        fits = math.prod(shape) == width
        require(
            [(fits, f"the array {each['key']!r} has {width} columns, not those of {shape}")], archive.path
        )
    class_names = _strings(archive, "class_names")
    sizes["n_classes"] = len(class_names)
    found, _ = check_arrays(beside, _schema, archive.path, sizes)
    return LabelledFeatures(
        layers={each["name"]: layers[each["key"]] for each in listed},
        labels=found.get("labels"),
        class_names=class_names,
        file_names=_strings(archive, "file_names"),
        source=header["source"],
        shapes={each["name"]: tuple(each["shape"]) for each in listed},
        info=header["info"],
        notes=tuple(header["notes"]),
    )


def _checked_layers(arrays: Mapping[str, Array], path: Path) -> tuple[dict[str, Array], dict[str, int]]:
    """Check the features but for their values, which are read, and compared with NaN, when they are used."""
    n = None
    for key, array in arrays.items():
        kind = array.dtype.kind == "f" and array.dtype.itemsize in (2, 4, 8)
        if not kind or array.ndim != 2 or 0 in array.shape or len(array) != (n := n or len(array)):
            rows = "n" if n is None else f"n = {n}"
            raise DataError(
                f"{path}: the array {key!r} must hold floating-point numbers of shape ({rows}, d), got {array.dtype} "
                f"of shape {array.shape}"
            )
    return dict(arrays), {"n": n or 0}


def _foreign(
    archive: Archive,
    header: Mapping[str, Any] | None,
    key: str | Sequence[str] | None,
    labels_key: str | None,
    names: ClassNames | str | os.PathLike[str] | Sequence[str] | None,
) -> LabelledFeatures:
    keys = [key] if isinstance(key, str) else list(key or _feature_keys(archive))
    layers = {each: _matrix(archive, each) for each in keys}
    shapes = {each: archive.shape(each)[1:] for each in keys}
    counts = {each: len(values) for each, values in layers.items()}
    n = counts[keys[0]]
    if len(set(counts.values())) > 1:
        raise DataError(f"{archive.path}: the arrays have different numbers of rows: {counts}")
    label_key = labels_key or _recognised(archive, LABEL_KEYS, n, set(keys))
    file_key = _recognised(archive, FILE_NAME_KEYS, n, {*keys, label_key or ""})
    labels: Array | None = None
    class_names: tuple[str, ...] = ()
    if label_key is not None:
        labels, class_names = _labels(archive, label_key, n, names)
    return LabelledFeatures(
        layers=layers,
        labels=labels,
        class_names=class_names,
        file_names=_strings(archive, file_key) if file_key else (),
        source=str(header["source"]) if header else archive.path.stem,
        shapes=shapes,
    )


def _feature_keys(archive: Archive) -> list[str]:
    """Recognise the features, and what lies beside them with as many rows."""
    lowered = {each.lower(): each for each in archive.keys}
    main = next((lowered[each] for each in FEATURE_KEYS if each in lowered), None)
    floats = [
        each for each in archive.keys if len(archive.shape(each)) >= 2 and archive.dtype(each).kind == "f"
    ]
    if main is None and len(floats) == 1:
        main = floats[0]
    if main is None:
        raise DataError(
            f"{archive.path}: none of the arrays is recognised as features: {archive.describe()}. Name them: "
            "key='...', labels_key='...' (--key, --labels-key), or call the array `features`"
        )
    n = archive.shape(main)[:1]
    beside = [each for each in floats if each != main and archive.shape(each)[:1] == n]
    return [main, *beside]


def _matrix(archive: Archive, key: str) -> Array:
    array = archive.read(key)
    if array.dtype.kind not in "fiu" or array.ndim < 2 or 0 in array.shape:
        raise DataError(
            f"{archive.path}: the array {key!r} must be features of shape (n, d), got {array.dtype} of shape "
            f"{array.shape}"
        )
    return array.reshape(len(array), -1)


def _recognised(archive: Archive, names: Sequence[str], n: int, used: set[str]) -> str | None:
    lowered = {each.lower(): each for each in archive.keys if each not in used}
    return next(
        (lowered[each] for each in names if each in lowered and archive.shape(lowered[each]) == (n,)), None
    )


def _labels(
    archive: Archive, key: str, n: int, names: ClassNames | str | os.PathLike[str] | Sequence[str] | None
) -> tuple[Array, tuple[str, ...]]:
    try:
        values = check_labels(archive.read(key), n, "rows", name=key)
        known: Sequence[str] | None = None
        if names is not None and values.dtype.kind in "iu":
            known = (names if isinstance(names, ClassNames) else read_class_names(names)).names
        elif values.dtype.kind in "iu":
            own = next((each for each in CLASS_NAME_KEYS if each in archive.keys and each != key), None)
            known = _strings(archive, own) or None if own else None
        codes, class_names, _ = encode_labels(values, known)
    except (TypeError, ValueError) as error:
        raise DataError(f"{archive.path}: {error}") from error
    return codes, class_names


def _strings(archive: Archive, key: str) -> tuple[str, ...]:
    if key not in archive.keys:
        return ()
    values = archive.read(key)
    if values.ndim != 1:
        raise DataError(f"{archive.path}: {key} must be a list of names, got shape {values.shape}")
    return tuple(as_strings(values))
