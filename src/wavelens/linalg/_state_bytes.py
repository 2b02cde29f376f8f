"""States as bytes: a few arrays under a JSON header, with a checksum. No pickle: reading runs no code.

Layout, all little-endian: 8 bytes ``WVLSTATE``, format version (u32), length of the header (u32), header (JSON:
kind, fields, and name, dtype and shape of each array), the arrays in C order, CRC-32 of everything before (u32).
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from wavelens import _core
from wavelens.exceptions import DataError

__all__ = ["from_state_bytes", "to_state_bytes"]

_magic = b"WVLSTATE"
_format_version = 1
_prefix = struct.Struct("<8sII")
_checksum = struct.Struct("<I")
_dtypes = ("<f4", "<f8", "<i8")

Arrays = dict[str, npt.NDArray[Any]]


def to_state_bytes(kind: str, fields: dict[str, Any], arrays: Arrays) -> bytes:
    """Return a state of a kind as bytes; `fields` are what JSON holds, `arrays` float32, float64 or int64."""
    little = {
        name: np.ascontiguousarray(a, dtype=a.dtype.newbyteorder("<")).reshape(a.shape)
        for name, a in arrays.items()
    }
    header = {
        "kind": kind,
        "wavelens_version": _core.version,
        "fields": fields,
        "arrays": [[name, a.dtype.str, list(a.shape)] for name, a in little.items()],
    }
    text = json.dumps(header).encode()
    parts: list[Any] = [_prefix.pack(_magic, _format_version, len(text)), text]
    parts += [a.reshape(-1).view(np.uint8).data for a in little.values()]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([*parts, _checksum.pack(checksum)])


def from_state_bytes(data: object, kind: str) -> tuple[dict[str, Any], Arrays]:
    """Return fields and arrays (copies, native byte order) of a state of the kind.

    Raises
    ------
    TypeError
        If `data` is not bytes.
    DataError
        If `data` is cut short, damaged, of another kind, or from a later version.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"`data` must be bytes, got {type(data).__name__}")
    view = memoryview(data).cast("B")
    if len(view) < _prefix.size + _checksum.size or bytes(view[:8]) != _magic:
        raise DataError(f"`data` is not a {kind} that to_bytes wrote ({len(view)} bytes)")
    _, version, length = _prefix.unpack_from(view)
    if version > _format_version:
        raise DataError(
            f"`data` has format version {version}; this wavelens {_core.version} reads up to version "
            f"{_format_version}"
        )
    body = view[: -_checksum.size]
    if zlib.crc32(body) != _checksum.unpack(view[-_checksum.size :])[0]:
        raise DataError(f"`data` is damaged or cut short: its checksum does not agree ({len(view)} bytes)")
    try:
        header = json.loads(bytes(body[_prefix.size : _prefix.size + length]))
        found, fields, listed = header["kind"], header["fields"], header["arrays"]
        arrays: Arrays = {}
        at = _prefix.size + length
        for name, dtype, shape in listed:
            if dtype not in _dtypes or not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError(f"array {name} of dtype {dtype} and shape {shape}")
            count = math.prod(shape)
            if count * np.dtype(dtype).itemsize > len(body) - at:
                raise ValueError(f"array {name} of shape {shape} is longer than the data")
            entries = np.frombuffer(body, np.dtype(dtype), count, at).reshape(shape)
            arrays[name] = entries.astype(entries.dtype.newbyteorder("="), copy=True)
            at += entries.nbytes
        if at != len(body):
            raise ValueError(f"{len(body) - at} bytes too many")
        if not isinstance(fields, dict):
            raise TypeError(f"fields of type {type(fields).__name__}")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"`data` is not a {kind} that to_bytes wrote: {error}") from error
    if found != kind:
        raise DataError(f"`data` holds a {found}, expected a {kind}")
    return fields, arrays
