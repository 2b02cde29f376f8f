"""How many examples a fuzz test runs: few by default, many in a campaign.

A campaign runs when the environment variable ``WAVELENS_CAMPAIGN`` holds a positive number, by which the long
count is multiplied: 1 for the full campaign, 0.1 for a tenth of it, 10 for ten times as much.
"""

from __future__ import annotations

import math
import os

VARIABLE = "WAVELENS_CAMPAIGN"


def factor() -> float | None:
    """Return the factor of this campaign, or None if none was asked for."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{VARIABLE} must be a positive number, got {text!r}")
    return value


def examples(short: int, long: int) -> int:
    """Return the number of examples: `short` by default, `long` times the factor in a campaign."""
    by = factor()
    return short if by is None else max(1, round(long * by))
