"""Mutations of files: of their bytes, of the arrays and headers inside, of JSON and of text; each from one seed."""

from __future__ import annotations

import io
import json
import math
import random
import struct
import zipfile

import numpy as np

SPECIAL_NUMBERS = (0, -1, 1, 2, 255, 2**31 - 1, 2**31, 2**32, 2**63 - 1, -(2**63), 2**63, 10**30, 10**400)
SPECIAL_FLOATS = (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-320, 1e308, -1e308, 0.5, 3.7)
TEXTS = (
    "",
    "x",
    "\x00",
    "\u202e",
    "é" * 50,
    "0",
    "nan",
    "../..",
    "=1+1",
    "None",
    "db3",
    "\ud800",
    "a" * 5000,
)
HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': 3, }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (9999999999,), }",
    "{'descr': '<f8,<f8', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '(9999,9999)f8', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<V999999999', 'fortran_order': False, 'shape': (0,), }",
    "{'descr': 'M8[us]', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }",
    "{'descr': '<f8', 'fortran_order': 0, 'shape': (3,), 'more': 1}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "(" * 500 + ")" * 500 + ",), }",
    "{" * 3000,
    "'" * 7,
    "\\d + '''",
    "5or 3",
    "",
    "\xff\xfe\x00",
)


def mutated_bytes(dice: random.Random, data: bytes, other: bytes) -> bytes:
    """Return the bytes of a file after one to three accidents; `other` is a file that blocks are taken from."""
    found = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        n = len(found)
        if n < 2:
            break
        at, length = dice.randrange(n), min(1 << dice.randrange(12), n)
        kind = dice.randrange(9)
        if kind == 0:
            found[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            for _ in range(dice.randrange(1, 9)):
                found[dice.randrange(n)] = dice.randrange(256)
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            found[at : at + length] = bytes(len(found[at : at + length]))
        elif kind == 4:
            begin = dice.randrange(n)
            first, second = bytes(found[at : at + length]), bytes(found[begin : begin + length])
            found[at : at + len(second)] = second
            found[begin : begin + len(first)] = first
        elif kind == 5:
            begin = dice.randrange(max(1, len(other)))
            found[at : at + length] = other[begin : begin + length]
        elif kind == 6:
            found[at:at] = found[at : at + length]
        elif kind == 7:
            found += dice.randbytes(length)
        else:
            number = dice.choice(SPECIAL_NUMBERS[:-2]) & 0xFFFFFFFF
            found[at : at + 4] = struct.pack("<I", number)
    return bytes(found)


def mutated_json(dice: random.Random, value: object) -> object:
    """Return JSON values with one of them exchanged, removed, or nested too deeply."""
    paths = list(_paths(value))
    path = dice.choice(paths)
    if not path:
        return strange_value(dice)
    copy = json.loads(json.dumps(value))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    if dice.random() < 0.15:
        del parent[path[-1]]
    elif dice.random() < 0.1:
        parent[path[-1]] = [parent[path[-1]]]
    else:
        parent[path[-1]] = strange_value(dice, parent[path[-1]])
    return copy


def strange_value(dice: random.Random, old: object = None) -> object:
    """Return some value of JSON, often of another type than `old`."""
    if isinstance(old, int | float) and dice.random() < 0.5:
        return dice.choice((old + 1, old - 1, -old, old * 1000, float(old), str(old), old + 0.5))
    kind = dice.randrange(7)
    if kind == 0:
        return dice.choice(SPECIAL_NUMBERS)
    if kind == 1:
        return dice.choice(SPECIAL_FLOATS)
    if kind == 2:
        return dice.choice(TEXTS)
    return dice.choice((None, True, False, [], {}, [[]], [1, "a", None], {"a": 1}, [0.5] * 50))


def json_text(dice: random.Random, value: object) -> str:
    """Return JSON text, sometimes of a kind that parsers stumble over."""
    if dice.random() < 0.04:
        return dice.choice(("[" * 100_000, '{"a":' * 50_000, "1" * 10_000, '"\\ud800"', "NaN", "", "nul"))
    return json.dumps(value)


def mutated_array(dice: random.Random, array: np.ndarray) -> np.ndarray:
    """Return an array of another shape, dtype or with other values."""
    kind = dice.randrange(8)
    if kind == 0 and array.ndim:
        return array[: dice.randrange(len(array) + 1)]
    if kind == 1:
        return array.reshape(dice.choice(((-1,), (1, *array.shape), (*array.shape, 1))))
    if kind == 2:
        return np.ascontiguousarray(array.T) if dice.random() < 0.5 else array[:0] if array.ndim else array
    if kind == 3:
        dtype = dice.choice(("i1", "u1", "i4", "u8", "f2", "f4", "f8", ">f8", ">i8", "c16", "?", "U3", "S2"))
        with np.errstate(all="ignore"):
            return (
                array.astype(dtype) if array.dtype.kind != "U" or dtype in ("U3", "S2") else np.ones(3, dtype)
            )
    if kind == 4 and array.ndim:
        return np.concatenate([array, array[: dice.randrange(len(array) + 1)]])
    return _other_values(dice, array)


def _other_values(dice: random.Random, array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    if not copy.size:
        return np.zeros(3)
    flat = copy.reshape(-1)
    if dice.random() < 0.3:  # any bytes
        raw = flat.view(np.uint8)
        raw[dice.randrange(raw.size)] = dice.randrange(256)
        return copy
    if dice.random() < 0.2:
        np.random.default_rng(dice.randrange(2**32)).shuffle(flat)
        return copy
    at = dice.randrange(flat.size)
    if copy.dtype.kind == "f":
        with np.errstate(all="ignore"):
            flat[at] = dice.choice(SPECIAL_FLOATS)
    elif copy.dtype.kind in "iu":
        limits = np.iinfo(copy.dtype)
        value = dice.choice((*SPECIAL_NUMBERS, int(flat[at]) + 1, int(flat[at]) - 1, len(flat)))
        flat[at] = min(max(value, limits.min), limits.max)
    elif copy.dtype.kind == "b":
        flat.view(np.uint8)[at] = dice.choice((0, 1, 2, 255))
    elif copy.dtype.kind == "U":
        flat[at] = dice.choice(TEXTS)
    return copy


def npz_bytes(arrays: dict[str, np.ndarray], raw: dict[str, bytes] | None = None) -> bytes:
    """Return an npz file; `raw` are members that are written as they are."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            for name, data in (raw or {}).items():
                archive.writestr(f"{name}.npy", data)
        return file.getvalue()


def with_header(dice: random.Random, array: np.ndarray) -> bytes:
    """Return an npy file whose header says something else than its values."""
    text = dice.choice(HEADERS).encode("latin-1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    version = dice.choice(((1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (9, 9)))
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + np.ascontiguousarray(array).tobytes()


def mutated_npz(dice: random.Random, arrays: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bytes:
    """Return an npz file with valid checksums whose arrays or JSON header are not what they should be."""
    found, raw = dict(arrays), {}
    for _ in range(dice.choice((1, 1, 1, 2))):
        names = list(found)
        if not names:
            break
        name, kind = dice.choice(names), dice.random()
        if "header" in found and kind < 0.3:
            try:
                changed = mutated_json(dice, json.loads(str(found["header"])))
            except Exception:  # it has been mutated before
                continue
            found["header"] = np.array(json_text(dice, changed))
        elif kind < 0.35:
            del found[name]
        elif kind < 0.4:
            second = dice.choice(names)
            found[name], found[second] = found[second], found[name]
        elif kind < 0.45:
            found[name] = dice.choice(list(other.values()))
        elif kind < 0.5:
            found[dice.choice(list(other))] = dice.choice(list(other.values()))
        elif kind < 0.58:
            raw[name] = with_header(dice, found.pop(name))
        else:
            found[name] = mutated_array(dice, found[name])
    return npz_bytes(found, raw)


def _paths(value: object, path: tuple[object, ...] = ()) -> object:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from _paths(each, (*path, key))
