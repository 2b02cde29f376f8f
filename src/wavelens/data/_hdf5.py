"""HDF5 files: arrays by name, what lies in other files, and chunks that were never written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens.data._source import printable
from wavelens.data._store_access import Access, Rows, StoreArray, refuse_external
from wavelens.exceptions import DataError

__all__ = ["Hdf5File"]

_deepest = 16  # links and virtual datasets within one another

Mask = npt.NDArray[np.bool_]


class Hdf5File:
    """An HDF5 file, open for reading.

    Parameters
    ----------
    path : Path
    access : Access
        Whether external storage, external links and virtual datasets of other files are read, and whether
        chunks that were never written are their fill value.

    Raises
    ------
    Exception
        Whatever h5py raises if this is no HDF5 file.
    """

    def __init__(self, path: Path, access: Access) -> None:
        import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]

        self._path, self._access = path, access
        self._file = h5py.File(path, "r")
        # Name of each array, and the other files by which it is reached.
        self._found: dict[str, tuple[str, ...]] = {}
        self._walk(self._file, "", set(), 0)

    @property
    def keys(self) -> list[str]:
        """Names of the arrays, those included that lie in other files."""
        return list(self._found)

    def describe(self) -> str:
        """Name the arrays with their shapes and dtypes."""
        told = []
        for key, outside in sorted(self._found.items()):
            if outside:
                told.append(f"{key} (an external link)")
            else:
                told.append(f"{key} {tuple(self._file[key].shape or ())} {self._file[key].dtype}")
        return ", ".join(told)

    def open(self, key: str) -> StoreArray:
        """Return an array.

        Raises
        ------
        DataError
            If it lies in other files, which are not trusted, or is a virtual dataset whose sources are unknown.
        """
        outside = self._found[key]
        if outside and not self._access.trust_external:
            raise refuse_external(self._path, key, outside, "an external link")
        try:
            dataset = self._file[key]
        except KeyError as error:
            raise DataError(
                f"{printable(str(self._path))}: the array {key!r} is a link to {', '.join(outside)}, which leads "
                "nowhere"
            ) from error
        if not hasattr(dataset, "shape") or dataset.shape is None:
            raise DataError(f"{printable(str(self._path))}: {key!r} is not an array with values")
        files = list(_external_files(dataset, 0))
        if files and not self._access.trust_external:
            raise refuse_external(self._path, key, files, "external storage or virtual datasets")
        if not dataset.ndim:
            return StoreArray(dataset, lambda first, last: {})
        missing, reason = _missing_rows(dataset, 0, fill=self._access.fill_missing)
        return StoreArray(dataset, _reported(missing, reason))

    def _walk(self, group: Any, prefix: str, above: set[Any], depth: int) -> None:
        """Find the arrays below a group; links to other files are not followed unless they are trusted."""
        import h5py

        here = h5py.h5o.get_info(group.id)
        mark = (here.fileno, here.addr)
        if mark in above or depth > _deepest:
            return
        for name in group:
            key = f"{prefix}{name}"
            outside = _leads_outside(self._file, group, name)
            if outside and not self._access.trust_external:
                self._found[key] = outside
                continue
            try:
                inside = group[name]
            except KeyError:
                if outside:
                    self._found[key] = outside
                continue
            if isinstance(inside, h5py.Dataset):
                self._found[key] = outside
            elif isinstance(inside, h5py.Group):
                self._walk(inside, f"{key}/", above | {mark}, depth + 1)


def _leads_outside(file: Any, group: Any, name: str, depth: int = 0) -> tuple[str, ...]:
    """Return the other file that a link leads to, also through soft links, without opening it."""
    import h5py

    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return (str(link.filename),)
    if not isinstance(link, h5py.SoftLink) or depth > _deepest:
        return ()
    here = file if link.path.startswith("/") else group
    for part in (each for each in link.path.split("/") if each not in ("", ".")):
        outside = _leads_outside(file, here, part, depth + 1) if part in here else ()
        if outside:
            return outside
        try:
            here = here[part]
        except KeyError:
            return ()
        if not isinstance(here, h5py.Group):
            return ()
    return ()


def _external_files(dataset: Any, depth: int) -> Iterator[str]:
    """Name the other files that a dataset's values come from."""
    for name, _, _ in dataset.external or ():
        yield str(name)
    if not dataset.is_virtual or depth > _deepest:
        return
    for source in dataset.virtual_sources():
        if not _is_same_file(dataset, source.file_name):
            yield str(source.file_name)
            continue
        with suppress(KeyError):
            outside = _leads_outside_of(dataset.file, source.dset_name)
            if outside:
                yield from outside
            else:
                yield from _external_files(dataset.file[source.dset_name], depth + 1)


def _leads_outside_of(file: Any, name: str) -> tuple[str, ...]:
    here = file
    for part in (each for each in name.split("/") if each):
        outside = _leads_outside(file, here, part)
        if outside:
            return outside
        here = here[part]
    return ()


def _is_same_file(dataset: Any, name: str) -> bool:
    if name == ".":
        return True
    own = dataset.file.filename
    candidate = os.path.join(os.path.dirname(os.path.abspath(own)), name)
    return os.path.exists(candidate) and os.path.samefile(candidate, own)


def _missing_rows(dataset: Any, depth: int, *, fill: bool) -> tuple[Mask, str]:
    """Return which rows have values that are not in the file, and why.

    A fill value that was set when the dataset was created is meant; the library's own is not. Chunks that cannot
    be what they should be count as missing.
    """
    import h5py

    n = dataset.shape[0]
    none = np.zeros(n, dtype=bool)
    plist = dataset.id.get_create_plist()
    if 0 in dataset.shape:
        return none, ""
    if dataset.is_virtual:
        return _missing_virtual(dataset, plist, depth, fill=fill), (
            "a source of the virtual dataset is missing or lacks it, or none covers it"
        )
    if dataset.external:
        if fill:
            return none, ""
        return _missing_external(dataset), "a file of the external storage is missing or too short"
    is_meant = fill or plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    why = (
        "it was never written to the file, and the dataset has no fill value of its own; fill_missing=True "
        "(--fill-missing) accepts it"
    )
    if dataset.chunks is None:
        absent = dataset.id.get_space_status() == h5py.h5d.SPACE_STATUS_NOT_ALLOCATED and not is_meant
        return np.full(n, absent), why
    counts = [-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True)]
    present = np.zeros(counts[0], dtype=np.int64)
    damaged = np.zeros(counts[0], dtype=bool)
    for row, is_good in _chunk_rows(dataset, plist):
        if row < len(present):
            present[row] += 1
            damaged[row] |= not is_good
    if damaged.any():
        why = (
            "its chunk is damaged: it has not the size that its kind has, or lies beyond the end of the file"
        )
    absent_chunks = damaged if is_meant else damaged | (present != math.prod(counts[1:]))
    return np.repeat(absent_chunks, dataset.chunks[0])[:n], why


def _chunk_rows(dataset: Any, plist: Any) -> list[tuple[int, bool]]:
    """Return for each stored chunk its number along the first axis, and whether it can be what it should be.

    HDF5 crashes on some chunks of impossible sizes.
    """
    import h5py

    end = os.path.getsize(dataset.file.filename)
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    checksum = 4 if h5py.h5z.FILTER_FLETCHER32 in filters else 0
    full = math.prod(dataset.chunks) * dataset.dtype.itemsize
    is_plain = filters <= {h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_SHUFFLE}
    length = dataset.chunks[0]
    found: list[tuple[int, bool]] = []

    def add(chunk: Any) -> None:
        is_good = 0 < chunk.byte_offset <= end - chunk.size and chunk.size > checksum
        if is_plain and chunk.filter_mask == 0:
            is_good = is_good and chunk.size in (full, full + checksum)  # at edges filters may be left out
        found.append((int(chunk.chunk_offset[0]) // length, is_good))

    if hasattr(dataset.id, "chunk_iter"):
        dataset.id.chunk_iter(add)
    else:
        for index in range(dataset.id.get_num_chunks()):
            add(dataset.id.get_chunk_info(index))
    return found


def _missing_external(dataset: Any) -> Mask:
    """Return the rows that are not in the files of a dataset's external storage."""
    row_bytes = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    missing = np.zeros(dataset.shape[0], dtype=bool)
    begin = 0
    total = row_bytes * dataset.shape[0]
    for name, offset, size in dataset.external:
        there = os.path.getsize(name) if os.path.isfile(name) else 0
        end = min(total, begin + size)
        good = max(0, min(end - begin, there - offset))
        if begin + good < end:
            missing[(begin + good) // row_bytes : -(-end // row_bytes)] = True
        begin = end
    missing[begin // row_bytes :] |= begin < total
    return missing


def _missing_virtual(dataset: Any, plist: Any, depth: int, *, fill: bool) -> Mask:
    """Return the rows of a virtual dataset that no source covers, or one that is not there or lacks values."""
    import h5py

    n = dataset.shape[0]
    if depth > _deepest:
        return np.ones(n, dtype=bool)
    missing = np.zeros(n, dtype=bool)
    covered = np.zeros(n, dtype=np.int64)
    for source in dataset.virtual_sources():
        first, last = _selected_rows(source.vspace, n)
        if _lacks(dataset, source, depth, fill=fill):
            missing[first:last] = True
        for low, high in _blocks(source.vspace, n):
            width = math.prod(b - a + 1 for a, b in zip(low[1:], high[1:], strict=True))
            covered[low[0] : high[0] + 1] += width
    if not fill and plist.fill_value_defined() != h5py.h5d.FILL_VALUE_USER_DEFINED:
        missing |= covered < math.prod(dataset.shape[1:])
    return missing


def _lacks(dataset: Any, source: Any, depth: int, *, fill: bool) -> bool:
    """Tell whether the source of a virtual dataset is missing, or rows that are taken from it."""
    import h5py

    if "%" in source.file_name or "%" in source.dset_name:
        raise DataError(
            f"{dataset.file.filename}: the virtual dataset names its sources by the pattern "
            f"{source.file_name!r}, whose missing parts are unknown; list the sources"
        )
    folder = os.path.dirname(os.path.abspath(dataset.file.filename))
    if _is_same_file(dataset, source.file_name):
        return _lacks_in(dataset.file, source, depth, fill=fill)
    for candidate in (os.path.join(folder, source.file_name), os.path.abspath(source.file_name)):
        if os.path.isfile(candidate):
            try:
                with h5py.File(candidate, "r") as file:
                    return _lacks_in(file, source, depth, fill=fill)
            except OSError:
                return True
    return not fill


def _lacks_in(file: Any, source: Any, depth: int, *, fill: bool) -> bool:
    try:
        inside = file[source.dset_name]
    except KeyError:
        return not fill
    if not getattr(inside, "ndim", 0):
        return True
    missing, _ = _missing_rows(inside, depth + 1, fill=fill)
    first, last = _selected_rows(source.src_space, len(missing))
    return last > len(missing) or bool(missing[first:last].any())


def _selected_rows(space: Any, n: int) -> tuple[int, int]:
    """Return the first row that a selection touches and that after the last."""
    import h5py

    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return 0, n
    low, high = space.get_select_bounds()
    return int(low[0]), int(high[0]) + 1


def _blocks(space: Any, n: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Give the first and the last corner of each block of a selection."""
    import h5py

    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        yield (
            (0,) * space.get_simple_extent_ndims(),
            tuple(length - 1 for length in space.get_simple_extent_dims()),
        )
    elif kind == h5py.h5s.SEL_HYPERSLABS:
        for low, high in space.get_select_hyper_blocklist():
            yield tuple(map(int, low)), tuple(map(int, high))


def _reported(missing: Mask, reason: str) -> Callable[[int, int], Rows]:
    def rows(first: int, last: int) -> Rows:
        return {first + int(i): reason for i in np.flatnonzero(missing[first:last])}

    return rows
