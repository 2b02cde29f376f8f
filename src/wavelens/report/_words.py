"""Numbers in words."""

from __future__ import annotations

from collections.abc import Sequence

from wavelens._utils._names import without_isolates

__all__ = ["count", "joined", "number", "percent", "pvalue", "said", "signed", "times"]


def count(n: int, noun: str, plural: str = "") -> str:
    """Return "1 image", "2,481 images"; no images for 0."""
    if n == 0:
        return f"no {plural or noun + 's'}"
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """Return a share as a percentage with two meaningful digits: "0.32%", "6.1%", "48%"."""
    if share <= 5e-5:
        return "0%"
    if share < 0.095:
        return f"{100 * share:.2g}%"
    return f"{100 * share:.0f}%"


def number(value: float) -> str:
    """Return a number between −1 and 1 or so with two decimals and a true minus sign."""
    text = f"{value:.2f}"
    return "0.00" if text in ("-0.00", "0.00") else text.replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, a true minus, and no minus before zero: "+0.12", "−0.30", "+0.00"."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def times(ratio: float) -> str:
    """Return how many times as strong: "0.87 ×", "2.4 ×", "31 ×"."""
    digits = 2 if ratio < 1 else 1 if ratio < 9.95 else 0
    return f"{ratio:,.{digits}f} ×"


def said(name: str) -> str:
    """Return a name as a sentence says it: in quotation marks where it would be taken for something else."""
    bare = without_isolates(name)
    return name if len(bare) > 2 and bare.replace("-", "").replace("_", "").isalpha() else f"“{name}”"


def pvalue(p: float) -> str:
    """Return "p < 0.001" or "p = 0.04"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def joined(parts: Sequence[str], most: int = 0) -> str:
    """Return "a, b and c"; beyond `most`, "a, b and 7 more"."""
    if most and len(parts) > most:
        return f"{', '.join(parts[:most])} and {len(parts) - most} more"
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
