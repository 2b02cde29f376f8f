"""Names and sentences from outside on a page: bounded, harmless, and isolated from the text around them.

A page is made of plain text (`_page.py`), so a foreign string carries its marks within the text: Unicode's isolates,
which keep its direction of writing to itself wherever plain text is shown (attributes, titles). In the text of the
page each becomes a `<bdi>` element. No foreign string can hold such marks itself, as `visible` shows them as codes.
"""

from __future__ import annotations

import html
import re

from markupsafe import escape

from wavelens._utils._names import (
    FIRST_STRONG_ISOLATE,
    LEFT_TO_RIGHT_ISOLATE,
    POP_ISOLATE,
    shorten,
    visible,
)

__all__ = ["MOST_IN_TITLE", "MOST_SHOWN", "isolate", "isolate_sentence", "mark_up_isolates"]

MOST_SHOWN = 60
"""Characters of a name that the text of a page shows."""
MOST_IN_TITLE = 256
"""Characters of a name that a page holds at all."""
_most_of_a_sentence = 1500

_text_only = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<title\b.*?</title>|<option\b.*?</option>|<[^>]*>", re.DOTALL
)
_isolate = re.compile(f"([{FIRST_STRONG_ISOLATE}{LEFT_TO_RIGHT_ISOLATE}])([^{POP_ISOLATE}]*){POP_ISOLATE}")


def isolate(name: object) -> str:
    """Return a foreign name for the text of a page."""
    return f"{FIRST_STRONG_ISOLATE}{_bounded(str(name), MOST_IN_TITLE)}{POP_ISOLATE}"


def isolate_sentence(text: object) -> str:
    """Return a command, or a sentence that holds foreign names, for the text of a page."""
    return f"{LEFT_TO_RIGHT_ISOLATE}{_bounded(str(text), _most_of_a_sentence)}{POP_ISOLATE}"


def _bounded(text: str, most: int) -> str:
    # Shortened before, as making 10 MB visible takes long, and after, as this makes text longer.
    return shorten(visible(shorten(text, most)), most)


def mark_up_isolates(page: str) -> str:
    """Turn the isolates in the text of an HTML page into `<bdi>`, of long names only the ends, whole in its title."""
    pieces, end = [], 0
    for found in _text_only.finditer(page):
        pieces += [_isolate.sub(_bdi, page[end : found.start()]), found.group()]
        end = found.end()
    pieces.append(_isolate.sub(_bdi, page[end:]))
    return "".join(pieces)


def _bdi(found: re.Match[str]) -> str:
    mark, text = found.groups()
    if mark == LEFT_TO_RIGHT_ISOLATE:
        return f'<bdi dir="ltr">{text}</bdi>'
    name = html.unescape(text)
    if len(name) <= MOST_SHOWN:
        return f"<bdi>{text}</bdi>"
    return f'<bdi title="{escape(name)}">{escape(shorten(name, MOST_SHOWN))}</bdi>'
