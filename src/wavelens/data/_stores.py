"""Images in zarr and HDF5, read a slice at a time (extra ``[io]``)."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens._arguments import check_integer
from wavelens.data._archives import CLASS_NAME_KEYS, FILE_NAME_KEYS, IMAGE_KEYS, LABEL_KEYS, as_strings
from wavelens.data._arrays import CHANNELS, Arrays, ArraySource, first_nonfinite
from wavelens.data._hdf5 import Hdf5File
from wavelens.data._labels import check_labels
from wavelens.data._magnitude import Magnitude
from wavelens.data._npy_header import short_reason
from wavelens.data._resize import convert_images
from wavelens.data._source import Codes, ImageChunk, ImageData, ImageSource, SkippedFile, listed
from wavelens.data._store_access import Access, MissingDataError, Rows, StoreArray
from wavelens.data._zarr import ZarrStore
from wavelens.exceptions import DataError

__all__ = ["StoreSource", "is_store", "read_store"]

_hdf5_endings = (".h5", ".hdf5", ".hdf")


def is_store(path: Path) -> bool:
    """Tell whether a path is a zarr folder or an HDF5 file, by its name and what lies in it."""
    if path.is_dir():
        return path.suffix.lower() == ".zarr" or any(
            (path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup")
        )
    return path.suffix.lower() in _hdf5_endings


class _Stored:
    """An array of a store as `ArraySource` reads arrays: slices and places along the first axis."""

    def __init__(
        self,
        found: StoreArray,
        channels: slice | int | None = None,
        *,
        key: str = "",
        access: Access,
        some: tuple[int, int] | None = None,
    ) -> None:
        self._found, self._array, self._channels, self.key = found, found.array, channels, key
        self._access = access
        shape = tuple(map(int, found.array.shape))
        self._first, last = (0, shape[0]) if some is None else some
        shape = (last - self._first, *shape[1:])
        if isinstance(channels, int):
            shape = shape[:3]
        elif channels is not None:
            shape = (*shape[:3], channels.stop)
        self.shape, self.ndim, self.dtype = shape, len(shape), np.dtype(found.array.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        if isinstance(rows, tuple):
            return _Stored(self._found, rows[-1], key=self.key, access=self._access)  # type: ignore[return-value]
        asked = rows.tolist() if isinstance(rows, np.ndarray) else list(range(*rows.indices(len(self))))
        self._check_there(asked)
        if isinstance(rows, np.ndarray):
            images = np.stack([np.asarray(self._array[self._first + i]) for i in asked])
        else:
            start, stop, step = rows.indices(len(self))
            images = np.asarray(self._array[self._first + start : self._first + stop : step])
        self._check_there(asked)  # a chunk that was lost meanwhile
        return images if self._channels is None else images[..., self._channels]

    def _check_there(self, rows: Sequence[int]) -> None:
        missing = self.missing(rows)
        if missing:
            raise MissingDataError(next(iter(missing.values())))

    def missing(self, rows: Sequence[int]) -> Rows:
        """Return which of some rows have values that are not in the store, and why."""
        if not rows:
            return {}
        found = self._found.missing(self._first + min(rows), self._first + max(rows) + 1)
        return {row: found[self._first + row] for row in rows if self._first + row in found} if found else {}

    def again(self, path: Path, first: int, last: int) -> Callable[[], _Stored]:
        """Return what opens some of the images in another process; made to be pickled."""
        return partial(_stored_part, path.resolve(), self.key, self._channels, first, last, self._access)


def _stored_part(
    path: Path, key: str, channels: slice | int | None, first: int, last: int, access: Access
) -> _Stored:
    opened = _open_store(path, access)
    if key not in opened.keys:
        raise DataError(f"{path}: the array {key!r} is no longer there")
    return _Stored(_open_array(opened, path, key), channels, key=key, access=access, some=(first, last))


def read_store(
    path: Path, key: str | None, labels_key: str | None, access: Access, *, own_labels: bool = True
) -> Arrays:
    """Open images, labels and names of a zarr or HDF5 store; only labels and names are read.

    Raises
    ------
    DataError
        If the library is not installed, the store cannot be read, no array is recognised as the images, or an
        array lies in other files, which are not trusted.
    """
    opened = _open_store(path, access)
    keys = opened.keys
    images_key = key or _first(keys, IMAGE_KEYS)
    if images_key is None and len(keys) == 1:
        images_key = keys[0]
    if images_key is None or images_key not in keys:
        what = "none of the arrays is recognised as the images" if key is None else f"no array {key!r}"
        held = opened.describe() or "nothing"
        raise DataError(f"{path}: {what}; it holds {held}. Name it: key='...' (--key)")
    found = _open_array(opened, path, images_key)
    if len(found.array.shape) not in (3, 4):
        raise DataError(
            f"{path}: {images_key} must hold images (n, height, width[, channels]), got {found.array.shape}"
        )
    images = _Stored(found, key=images_key, access=access)
    if images.dtype.kind not in "fiub" or images.ndim not in (3, 4) or 0 in images.shape:
        raise DataError(
            f"{path}: {images_key} must hold images (n, height, width[, channels]) of real numbers, got "
            f"{images.shape} {images.dtype}"
        )
    if images.ndim == 4 and images.shape[3] not in CHANNELS:
        raise DataError(
            f"{path}: {images_key} must have 1, 3 or 4 channels in its last dimension, got {images.shape}"
        )
    n = len(images)
    labels_key = labels_key or _first(keys, LABEL_KEYS)
    labels = names = None
    if own_labels and labels_key is not None:
        if labels_key not in keys:
            raise DataError(f"{path}: no array {labels_key!r}; it holds {listed(sorted(keys))}")
        values = _values(opened, path, labels_key)
        try:
            labels = check_labels(values, n, name=labels_key)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: {error}") from error
    class_key, name_key = _first(keys, CLASS_NAME_KEYS), _first(keys, FILE_NAME_KEYS)
    class_names = as_strings(_values(opened, path, class_key)) if class_key is not None else None
    if name_key is not None and _open_array(opened, path, name_key).array.shape == (n,):
        names = as_strings(_values(opened, path, name_key))
    return Arrays(images, path.stem, labels, class_names, names)  # type: ignore[arg-type]


class StoreSource(ArraySource):
    """Images in a store. Parts that cannot be read are left out and listed, or refused with `strict`.

    Parameters
    ----------
    arrays, labels, class_names
        As in `ArraySource`.
    path : Path
        Of the store.
    strict : bool
        Whether a part that cannot be read is an error.
    **options
        As in `ArraySource`.
    """

    def __init__(
        self,
        arrays: Arrays,
        labels: Codes,
        class_names: tuple[str, ...],
        *,
        path: Path,
        strict: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(arrays, labels, class_names, from_file=True, **options)
        self.decodes = True
        self._path, self._strict = path, strict
        self._unreadable: set[int] = set()

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Read `size` images at a time, image by image where that fails; see `ImageSource.chunks`."""
        check_integer(size, "size", low=1)
        check_integer(start, "start", low=0)
        magnitude = Magnitude(self.dtype)
        for first in range(start, self.n_images, size):
            index = np.arange(first, min(first + size, self.n_images), dtype=np.intp)
            images, index = self._read(index)
            if not len(index):
                continue
            place = first_nonfinite(images)
            if place is not None:
                name = self.image_names[int(index[place[0]])]
                raise DataError(
                    f"{self.name}: the images must be finite, got {images[place]} in image {name!r}"
                )
            magnitude.add(images)
            self._check_magnitude(magnitude, all_seen=start == 0 and first + size >= self.n_images)
            if self._converts:
                images = convert_images(images, self._target)
            yield ImageChunk(images, self.labels[index], index)

    def read(self, positions: Codes) -> ImageChunk:
        """Read some images by their places; see `ImageSource.read`."""
        images, index = self._one_by_one(positions)
        if self._converts and len(index):
            images = convert_images(images, self._target)
        return ImageChunk(images, self.labels[index], index)

    def load(self, *, progress: bool | None = None) -> ImageData:
        """Read all images into memory; see `ImageSource.load`."""
        return ImageSource.load(self, progress=progress)

    def part(self, first: int, last: int, labels: npt.NDArray[Any]) -> Callable[[], ImageSource]:
        """Name the store and where in it the images lie; see `ImageSource.part`."""
        twin = self._twin(first, last, labels)
        low, high = first, last
        if self._rows is not None:
            low, high = int(self._rows[first]), int(self._rows[last - 1]) + 1
            twin._rows = self._rows[first:last] - low
        stored: Any = self._images
        twin._images, twin._unreadable = None, set()  # type: ignore[assignment]
        return partial(_with_images, twin, stored.again(self._path, low, high))

    def fingerprint(self) -> dict[str, str]:
        """Add sizes and times of the store's files; see `ImageSource.fingerprint`."""
        files = hashlib.sha256()
        paths = [self._path] if self._path.is_file() else sorted(self._path.rglob("*"))
        for each in paths:
            if each.is_file():
                found = each.stat()
                files.update(f"{each.name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
        more = {"files": files.hexdigest()}
        if self._rows is not None:
            more["choice of images"] = hashlib.sha256(self._rows.tobytes()).hexdigest()
        return ImageSource.fingerprint(self) | more

    def _note_changes(self) -> None:
        # Whether colours show is told from some images; parts that cannot be read are no reason to stop yet.
        with suppress(Exception):
            super()._note_changes()

    def _read(self, index: Codes) -> tuple[npt.NDArray[Any], Codes]:
        """Read images; return them with the positions of those that could be read."""
        stored: _Stored = self._images  # type: ignore[assignment]
        rows = index if self._rows is None else self._rows[index]
        missing = stored.missing(rows.tolist())
        if missing and not self._strict:
            for position, row in zip(index.tolist(), rows.tolist(), strict=True):
                if row in missing:
                    self._skip(position, missing[row])
            there = ~np.isin(rows, list(missing))
            index, rows = index[there], rows[there]
            if not len(index):
                return np.empty((0, *stored.shape[1:]), stored.dtype), index
        try:
            runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
            images = [stored[int(run[0]) : int(run[-1]) + 1] for run in runs]
            return images[0] if len(images) == 1 else np.concatenate(images), index
        except Exception as error:
            # Whatever the store's codecs raise: OSError, RuntimeError, ValueError, their own.
            if self._strict:
                name = self.image_names[int(index[0])]
                raise DataError(
                    f"{self.name}: images from {name!r} on cannot be read from {self._path}: "
                    f"{short_reason(error)}"
                ) from error
        return self._one_by_one(index)

    def _one_by_one(self, index: Codes) -> tuple[npt.NDArray[Any], Codes]:
        """Read images each by itself, and list those that cannot be read."""
        rows = index if self._rows is None else self._rows[index]
        images, kept = [], []
        for position, row in zip(index.tolist(), rows.tolist(), strict=True):
            try:
                images.append(self._images[np.array([row])][0])
                kept.append(position)
            except Exception as error:
                self._skip(position, short_reason(error))
        stacked = np.stack(images) if images else np.empty((0, *self._images.shape[1:]), self._images.dtype)
        return stacked, np.array(kept, dtype=np.intp)

    def _skip(self, position: int, reason: str) -> None:
        # A source may be read several times.
        if position not in self._unreadable:
            self._unreadable.add(position)
            file = SkippedFile(self._path / str(self.image_names[position]), reason)
            if file not in self.skipped:  # an earlier process may have listed it
                self.skipped.append(file)


def _with_images(twin: StoreSource, images: Callable[[], Any]) -> StoreSource:
    source = copy.copy(twin)
    source._images, source.skipped, source._unreadable = images(), [], set()
    return source


def _open_store(path: Path, access: Access) -> Hdf5File | ZarrStore:
    library = "zarr" if path.is_dir() else "h5py"
    try:
        return ZarrStore(path, access) if library == "zarr" else Hdf5File(path, access)
    except ImportError as error:
        raise DataError(
            f"{path}: reading it needs {library}, which is not installed: pip install 'wavelens[io]'"
        ) from error
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read by {library}: {short_reason(error)}") from error


def _open_array(opened: Hdf5File | ZarrStore, path: Path, key: str) -> StoreArray:
    try:
        return opened.open(key)
    except DataError:
        raise
    except Exception as error:  # whatever the libraries raise on damaged metadata
        raise DataError(f"{path}: the array {key!r} cannot be opened: {short_reason(error)}") from error


def _values(opened: Hdf5File | ZarrStore, path: Path, key: str) -> npt.NDArray[Any]:
    """Read all of a small array."""
    found = _open_array(opened, path, key)
    missing = found.missing(0, found.array.shape[0]) if found.array.shape else {}
    if missing:
        row, reason = next(iter(missing.items()))
        raise DataError(
            f"{path}: the array {key!r} lacks {len(missing)} entries, entry {row} first: {reason}"
        )
    try:
        values = np.asarray(found.array[...])
    except Exception as error:  # whatever the store's codecs raise
        raise DataError(f"{path}: the array {key!r} cannot be read: {short_reason(error)}") from error
    if values.dtype.kind == "O":
        return np.array(
            [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in values]
        )
    return values


def _first(keys: Sequence[str], names: Sequence[str]) -> str | None:
    lowered = {key.lower(): key for key in keys}
    return next((lowered[name] for name in names if name in lowered), None)
