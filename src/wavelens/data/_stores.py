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
from wavelens.data._labels import check_labels
from wavelens.data._resize import convert_images
from wavelens.data._source import Codes, ImageChunk, ImageData, ImageSource, SkippedFile, listed
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
        array: Any,
        channels: slice | int | None = None,
        *,
        key: str = "",
        some: tuple[int, int] | None = None,
    ) -> None:
        self._array, self._channels, self.key = array, channels, key
        shape = tuple(map(int, array.shape))
        self._first, last = (0, shape[0]) if some is None else some
        shape = (last - self._first, *shape[1:])
        if isinstance(channels, int):
            shape = shape[:3]
        elif channels is not None:
            shape = (*shape[:3], channels.stop)
        self.shape, self.ndim, self.dtype = shape, len(shape), np.dtype(array.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        if isinstance(rows, tuple):
            return _Stored(self._array, rows[-1], key=self.key)  # type: ignore[return-value]
        if isinstance(rows, np.ndarray):
            images = np.stack([np.asarray(self._array[self._first + int(i)]) for i in rows])
        else:
            start, stop, step = rows.indices(len(self))
            images = np.asarray(self._array[self._first + start : self._first + stop : step])
        return images if self._channels is None else images[..., self._channels]

    def again(self, path: Path, first: int, last: int) -> Callable[[], _Stored]:
        """Return what opens some of the images in another process; made to be pickled."""
        return partial(_stored_part, path.resolve(), self.key, self._channels, first, last)


def _stored_part(path: Path, key: str, channels: slice | int | None, first: int, last: int) -> _Stored:
    arrays = _arrays_of(path)
    if key not in arrays:
        raise DataError(f"{path}: the array {key!r} is no longer there")
    return _Stored(arrays[key], channels, key=key, some=(first, last))


def read_store(path: Path, key: str | None, labels_key: str | None, *, own_labels: bool = True) -> Arrays:
    """Open images, labels and names of a zarr or HDF5 store; only labels and names are read.

    Raises
    ------
    DataError
        If the library is not installed, the store cannot be read, or no array is recognised as the images.
    """
    arrays = _arrays_of(path)
    images_key = key or _first(arrays, IMAGE_KEYS)
    if images_key is None and len(arrays) == 1:
        images_key = next(iter(arrays))
    if images_key is None or images_key not in arrays:
        what = "none of the arrays is recognised as the images" if key is None else f"no array {key!r}"
        held = ", ".join(f"{name} {tuple(each.shape)} {each.dtype}" for name, each in sorted(arrays.items()))
        raise DataError(f"{path}: {what}; it holds {held or 'nothing'}. Name it: key='...' (--key)")
    images = _Stored(arrays[images_key], key=images_key)
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
    labels_key = labels_key or _first(arrays, LABEL_KEYS)
    labels = names = None
    try:
        if own_labels and labels_key is not None:
            if labels_key not in arrays:
                raise DataError(f"{path}: no array {labels_key!r}; it holds {listed(sorted(arrays))}")
            labels = check_labels(_values(arrays[labels_key]), n, name=labels_key)
        class_key, name_key = _first(arrays, CLASS_NAME_KEYS), _first(arrays, FILE_NAME_KEYS)
        class_names = as_strings(_values(arrays[class_key])) if class_key is not None else None
        if name_key is not None and arrays[name_key].shape == (n,):
            names = as_strings(_values(arrays[name_key]))
    except (TypeError, ValueError, OSError) as error:
        raise DataError(f"{path}: {error}") from error
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
        rows = index if self._rows is None else self._rows[index]
        try:
            if self._rows is None:
                return self._images[int(rows[0]) : int(rows[-1]) + 1], index
            return self._images[rows], index
        except Exception as error:
            # Whatever the store's codecs raise: OSError, RuntimeError, ValueError, their own.
            if self._strict:
                name = self.image_names[int(index[0])]
                raise DataError(
                    f"{self.name}: images from {name!r} on cannot be read from {self._path}: {error}"
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
                if position not in self._unreadable:
                    self._unreadable.add(position)
                    self.skipped.append(SkippedFile(self._path / str(self.image_names[position]), str(error)))
        stacked = np.stack(images) if images else np.empty((0, *self._images.shape[1:]), self._images.dtype)
        return stacked, np.array(kept, dtype=np.intp)


def _with_images(twin: StoreSource, images: Callable[[], Any]) -> StoreSource:
    source = copy.copy(twin)
    source._images, source.skipped, source._unreadable = images(), [], set()
    return source


def _arrays_of(path: Path) -> dict[str, Any]:
    """Open a store and return its arrays by name."""
    library = "zarr" if path.is_dir() else "h5py"
    try:
        if library == "zarr":
            import zarr  # type: ignore[import-not-found, unused-ignore]

            opened = zarr.open(str(path), mode="r")
            if hasattr(opened, "shape"):
                return {"images": opened}
            return dict(opened.arrays())
        import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]

        file = h5py.File(path, "r")
        found: dict[str, Any] = {}
        file.visititems(
            lambda name, each: found.update({name: each}) if isinstance(each, h5py.Dataset) else None
        )
        return found
    except ImportError as error:
        raise DataError(
            f"{path}: reading it needs {library}, which is not installed: pip install 'wavelens[io]'"
        ) from error
    except Exception as error:
        raise DataError(f"{path}: cannot be read by {library}: {error}") from error


def _values(array: Any) -> npt.NDArray[Any]:
    values = np.asarray(array[...])
    if values.dtype.kind == "O":
        return np.array(
            [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in values]
        )
    return values


def _first(arrays: dict[str, Any], names: Sequence[str]) -> str | None:
    lowered = {name.lower(): name for name in arrays}
    return next((lowered[name] for name in names if name in lowered), None)
