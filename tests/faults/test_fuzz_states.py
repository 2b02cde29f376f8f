"""Sketches and factors from damaged or forged bytes: a state that can be used, or a `DataError`."""

from __future__ import annotations

import json
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from campaign import examples

from wavelens.exceptions import DataError
from wavelens.linalg import RowSketch, TriangularFactor

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((300, 5))
VALUES = [
    -1,
    0,
    1,
    2,
    8,
    2**31,
    2**62,
    2**70,
    1.5,
    float("nan"),
    None,
    "x",
    "float32",
    True,
    [],
    {},
    [3],
    [-1, 5],
]


def sketch(n: int) -> RowSketch:
    return RowSketch(5, n_rows=16).partial_fit(ROWS[:n])


def factor(n: int) -> TriangularFactor:
    return TriangularFactor.empty(5).partial_fit(ROWS[:n])


STATES = [sketch(0), sketch(9), sketch(200), factor(0), factor(9), factor(300)]


def use(state: Any) -> None:
    state.partial_fit(ROWS[:20])
    if isinstance(state, RowSketch):
        assert state.matrix.shape[1] == 5
        assert np.isfinite(state.matrix).all()
    else:
        assert state.r.shape[1] == 5
        assert np.isfinite(state.r).all()
    assert type(state).from_bytes(state.to_bytes()).to_bytes() == state.to_bytes()


def with_checksum(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def read_and_use(kind: type, data: bytes) -> bool:
    """Return whether the bytes gave a state; every error but a sentence about the data is one too many."""
    try:
        state = kind.from_bytes(data)
    except DataError as error:
        assert "`data`" in str(error)  # noqa: PT017
        return False
    with np.errstate(all="ignore"):
        try:
            use(state)
        except ValueError as error:  # other columns than these, or numbers beyond the range
            assert "`" in str(error)  # noqa: PT017
    return True


def forged(draw: random.Random, data: bytes) -> bytes:
    """Return the bytes with a valid checksum and header, and with one thing in it that is wrong."""
    magic, version, length = struct.unpack_from("<8sII", data)
    header = json.loads(data[16 : 16 + length])
    body = bytearray(data[16 + length : -4])
    kind = draw.randrange(5)
    if kind == 0:
        header["fields"][draw.choice(list(header["fields"]))] = draw.choice(VALUES)
    elif kind == 1:
        each = draw.choice(header["arrays"])
        each[draw.randrange(3)] = draw.choice([*VALUES, "<f4", "<f8", "<i8"])
    elif kind == 2:
        each = draw.choice(header["arrays"])
        if each[2]:
            each[2][draw.randrange(len(each[2]))] = draw.choice(VALUES)
    elif kind == 3 and body:
        at = draw.randrange(len(body) // 8) * 8
        value = draw.choice([np.nan, np.inf, -1.0, 1e300, 5e-324])
        body[at : at + 8] = (
            struct.pack("<d", value) if draw.randrange(2) else struct.pack("<q", draw.choice([-1, 2**62]))
        )
    else:
        header[draw.choice(list(header))] = draw.choice(VALUES)
    text = json.dumps(header).encode()
    return with_checksum(struct.pack("<8sII", magic, version, len(text)) + text + bytes(body))


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Return the bytes cut, or with some of them changed."""
    changed = bytearray(data[: draw.randrange(len(data) + 1)] if draw.randrange(4) == 0 else data)
    for _ in range(draw.randrange(4)):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed) if draw.randrange(2) else with_checksum(bytes(changed[:-4]))


@pytest.mark.parametrize("spoil", [forged, damaged])
def test_spoiled_bytes_give_a_state_or_a_data_error(spoil: Any) -> None:
    first = random.SystemRandom().randrange(2**40)
    for seed in range(first, first + examples(300, 50_000)):
        draw = random.Random(seed)
        state = draw.choice(STATES)
        try:
            read_and_use(type(state), spoil(draw, state.to_bytes()))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


def test_bytes_as_they_were_written_give_the_state() -> None:
    for state in STATES:
        assert read_and_use(type(state), state.to_bytes())
