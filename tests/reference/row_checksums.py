"""Checksums of rows of bytes, word by word in Python's integers."""

from __future__ import annotations

import numpy as np

_ODD, _GOLDEN, _MASK = 0xD6E8FEB86659FD93, 0x9E3779B97F4A7C15, 2**64 - 1


def _step(h: int, word: int) -> int:
    h = ((h ^ word) * _ODD) & _MASK
    return h ^ (h >> 32)


def checksum(row: bytes) -> int:
    """Return the checksum of one row."""
    lanes = [_step((_GOLDEN * (lane + 1)) & _MASK, len(row)) for lane in range(4)]
    words = [int.from_bytes(row[i : i + 8], "little") for i in range(0, len(row), 8)]
    for i, word in enumerate(words):
        lanes[i % 4] = _step(lanes[i % 4], word)
    whole = 0
    for lane in lanes:
        whole = _step(whole, lane)
    return _step(whole, _GOLDEN)


def row_checksums(rows: np.ndarray) -> np.ndarray:
    """Return the checksum of each row of uint8."""
    return np.array([checksum(row.tobytes()) for row in rows], dtype=np.uint64)
