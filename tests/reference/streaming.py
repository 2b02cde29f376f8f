"""States of a streamed matrix from their definitions: Ω written out, R of all rows at once."""

from __future__ import annotations

import numpy as np


def mix(x):
    """Return the splitmix64 hash of unsigned integers."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def omega(seed, rows, n_rows):
    """Return the columns of Ω for rows of these numbers, (n_rows, len(rows)): eight ±1/√8 in each."""
    rows = np.asarray(rows, dtype=np.uint64)
    out = np.zeros((n_rows, len(rows)))
    eighth = n_rows // 8
    for e in range(8):
        bits = mix(mix(np.array([seed], dtype=np.uint64)) + rows * np.uint64(8) + np.uint64(e))
        place = e * eighth + ((bits >> np.uint64(1)) % np.uint64(eighth)).astype(np.int64)
        out[place, np.arange(len(rows))] = np.where(bits & np.uint64(1), 1, -1)
    return out / np.sqrt(8)


def triangle(a):
    """Return R of a = QR, (m, m), with a diagonal that is not negative."""
    a = np.vstack([a, np.zeros((a.shape[1], a.shape[1]))]).astype(np.float64)
    r = np.asarray(np.linalg.qr(a, mode="r"))
    return r * np.where(np.diag(r) < 0, -1, 1)[:, None]
