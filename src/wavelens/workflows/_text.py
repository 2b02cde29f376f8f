"""Sentences as a list that fits a width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from wavelens._utils._names import without_isolates

__all__ = ["bullets", "findings_text"]


def bullets(mark: str, texts: Iterable[str], width: int) -> list[str]:
    """Return the lines of a list, one point for each text; marks that only pages need are left out."""
    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(
            without_isolates(text),
            width,
            initial_indent=f"  {mark} ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def findings_text(title: str, findings: Iterable[str], remarks: Iterable[str], width: int) -> str:
    """Return a title, what was found, and what to beware of."""
    return "\n".join([title, "", *bullets("-", findings, width), *bullets("!", remarks, width)])
