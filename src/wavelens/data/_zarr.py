"""Zarr stores in folders: arrays by name, links out of the store, codecs that run code, and lost chunks."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavelens.data._npy_header import short_reason
from wavelens.data._source import printable
from wavelens.data._store_access import Access, Rows, StoreArray, refuse_external
from wavelens.exceptions import DataError

__all__ = ["ZarrStore"]

_metadata_files = (".zarray", ".zgroup", ".zmetadata", "zarr.json")
# Codecs that make Python objects of bytes. Unpickling runs code; no image needs any of them.
_object_codecs = ("pickle", "json2", "msgpack2", "categorize", "vlen-array")
_text_codecs = ("vlen-utf8", "vlen-bytes")
_largest_metadata = 64_000_000


class ZarrStore:
    """A zarr store, open for reading.

    Parameters
    ----------
    path : Path
        Of the folder.
    access : Access
        Whether symbolic links out of the folder are followed, and whether absent chunks are the fill value.

    Raises
    ------
    DataError
        If a link leads out of the folder, or an array holds Python objects.
    Exception
        Whatever zarr raises if this is no store.
    """

    def __init__(self, path: Path, access: Access) -> None:
        import zarr  # type: ignore[import-not-found, unused-ignore]

        self._path, self._access = path, access
        links: list[str] = []
        for each in list(_metadata_in(path, os.path.realpath(path), links)):
            _check_codecs(path, each)
        if links and not access.trust_external:
            raise refuse_external(path, "", links, "symbolic links")
        store = zarr.storage.LocalStore(path, read_only=True)
        opened = zarr.open(store=store, mode="r")
        self._arrays: dict[str, Any] = (
            {"images": opened} if hasattr(opened, "shape") else dict(opened.arrays())
        )

    @property
    def keys(self) -> list[str]:
        """Names of the arrays."""
        return list(self._arrays)

    def describe(self) -> str:
        """Name the arrays with their shapes and dtypes."""
        return ", ".join(
            f"{key} {tuple(each.shape)} {each.dtype}" for key, each in sorted(self._arrays.items())
        )

    def open(self, key: str) -> StoreArray:
        """Return an array."""
        array = self._arrays[key]
        if self._access.fill_missing or not array.ndim:
            return StoreArray(array, lambda first, last: {})
        return StoreArray(array, _Chunks(self._path, array).missing)


class _Chunks:
    """The files of an array's chunks.

    Zarr reads an absent chunk as the fill value. Whether it was lost, or left out because it held nothing else
    (zarr's default when it writes), nothing in the store says.
    """

    def __init__(self, path: Path, array: Any) -> None:
        self._folder = path / array.path if array.path else path
        self._key = array.metadata.encode_chunk_key
        self._length = (getattr(array, "shards", None) or array.chunks)[0]
        chunks = getattr(array, "shards", None) or array.chunks
        self._others = [range(-(-n // chunk)) for n, chunk in zip(array.shape[1:], chunks[1:], strict=True)]

    def missing(self, first: int, last: int) -> Rows:
        rows: Rows = {}
        for chunk in range(first // self._length, -(-last // self._length)):
            absent = self._absent(chunk)
            if absent is not None:
                reason = (
                    f"its chunk {absent} is not in the store: lost, or never written because all of it was the "
                    "fill value, which fill_missing=True (--fill-missing) accepts"
                )
                begin, end = chunk * self._length, (chunk + 1) * self._length
                rows |= dict.fromkeys(range(max(first, begin), min(last, end)), reason)
        return rows

    def _absent(self, chunk: int) -> str | None:
        for others in itertools.product(*self._others):
            key = self._key((chunk, *others))
            if not os.path.isfile(self._folder / key):
                return str(key)
        return None


def _metadata_in(folder: Path | str, root: str, links: list[str]) -> Iterator[Path]:
    """Give the metadata files below a folder; collect where links lead that leave the store."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                if os.path.commonpath([root, target]) != root:
                    links.append(f"{entry.path} → {target}")
                    continue
            if entry.is_dir(follow_symlinks=False):
                yield from _metadata_in(entry.path, root, links)
            elif entry.name in _metadata_files:
                yield Path(entry.path)


def _check_codecs(path: Path, metadata: Path) -> None:
    """Refuse arrays whose values are Python objects, before zarr reads them."""
    try:
        if metadata.stat().st_size > _largest_metadata:
            raise ValueError(f"it has more than {_largest_metadata:,} bytes")
        content = json.loads(metadata.read_bytes())
    except (ValueError, RecursionError, MemoryError) as error:
        raise DataError(
            f"{printable(str(metadata))}: not readable as metadata of zarr: {short_reason(error)}"
        ) from error
    for each in _mappings(content):
        names = [name for name in (each.get("id"), each.get("name")) if isinstance(name, str)]
        wrong = next((name for name in names if name.removeprefix("numcodecs.") in _object_codecs), None)
        filters = each.get("filters")
        if wrong is None and _holds_objects(each.get("dtype")):
            listed = filters if isinstance(filters, list) else []
            ids = [one.get("id") for one in listed if isinstance(one, dict)]
            if not any(one in _text_codecs for one in ids):
                wrong = "no codec of texts"
        if wrong is not None:
            raise DataError(
                f"{printable(str(path))}: {printable(os.path.relpath(metadata, path))} describes an array of Python "
                f"objects ({wrong}), which are never loaded: reading them can run code; save numbers or texts"
            )


def _holds_objects(dtype: Any) -> bool:
    if isinstance(dtype, str):
        return "O" in dtype and dtype.lstrip("<>|=").startswith("O")
    if isinstance(dtype, list):
        return any(_holds_objects(each) for each in dtype)
    return False


def _mappings(content: Any) -> Iterator[dict[str, Any]]:
    """Give all mappings within a JSON value."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
