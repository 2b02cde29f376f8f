"""Names that come from files and users, made fit to be shown: on one line, of bounded length, nothing invisible."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = [
    "FIRST_STRONG_ISOLATE",
    "LEFT_TO_RIGHT_ISOLATE",
    "POP_ISOLATE",
    "shorten",
    "visible",
    "without_isolates",
]

LEFT_TO_RIGHT_ISOLATE, FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2066", "\u2068", "\u2069"
_no_isolates = str.maketrans("", "", LEFT_TO_RIGHT_ISOLATE + FIRST_STRONG_ISOLATE + POP_ISOLATE)

# Persian, the Indic scripts and emoji are not written rightly without these two.
_joiners = frozenset("\u200c\u200d")


def visible(text: str) -> str:
    """Return text in which every control character can be seen and none acts.

    Those that have no width, that change the direction of writing or break a line become their code, ``⟨U+202E⟩``.
    Bytes of a file name that are no UTF-8 become the replacement character.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(map(_visible_character, text))


@lru_cache(maxsize=4096)
def _visible_character(character: str) -> str:
    code = ord(character)
    if character in _joiners or not _is_invisible(character, code):
        return character
    return f"⟨U+{code:04X}⟩"


def _is_invisible(character: str, code: int) -> bool:
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return is_noncharacter or unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")


def shorten(name: object, most: int = 24) -> str:
    """Cut the middle out of a long name; the marks of an isolate around it stay."""
    text = str(name)
    if len(text) <= most:
        return text
    if text[0] in (FIRST_STRONG_ISOLATE, LEFT_TO_RIGHT_ISOLATE) and text[-1] == POP_ISOLATE:
        return text[0] + shorten(text[1:-1], most) + text[-1]
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def without_isolates(text: str) -> str:
    """Return text without the marks of isolates, for figures and scripts."""
    return text.translate(_no_isolates)
