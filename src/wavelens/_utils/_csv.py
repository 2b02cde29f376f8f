"""CSV files that no spreadsheet takes for formulas.

Spreadsheets run a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return. Names of files and
classes come from outside, so such texts get a single quote in front (OWASP, "CSV Injection"). Numbers are written
as numbers. Texts that hold a separator of any locale are quoted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import IO

from wavelens._utils._atomic_write import atomic_write

__all__ = ["CsvWriter", "escape_formula", "open_csv"]

# With the full-width forms, which spreadsheets of East Asian locales take for the same, and a byte-order mark before.
_formula = re.compile("\ufeff*[=+\\-@\t\r\n＝＋－＠]")
_needs_quotes = re.compile('[,;|\t\r\n"]|^ | $')


class CsvWriter:
    """Writes rows of texts and numbers to a binary file: UTF-8, separated by commas, lines ended by CR LF.

    Parameters
    ----------
    file : binary file
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def row(self, cells: Iterable[object]) -> None:
        """Write a row; None is an empty cell, real numbers have six significant digits, integers all."""
        text = ",".join(map(_cell, cells)) + "\r\n"
        self._file.write(text.encode("utf-8", "replace"))  # names of files may hold what UTF-8 cannot

    def rows(self, rows: Iterable[Iterable[object]]) -> None:
        """Write several rows."""
        for each in rows:
            self.row(each)


@contextmanager
def open_csv(path: str | os.PathLike[str]) -> Iterator[CsvWriter]:
    """Open a CSV file that replaces `path` when the block ends; see `atomic_write`."""
    with atomic_write(path) as file:
        yield CsvWriter(file)


def escape_formula(text: str) -> str:
    """Return a text as it is, or with a single quote in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if _formula.match(text) else text


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Real) and not isinstance(value, bool):
        return f"{float(value):.6g}"
    text = escape_formula(str(value))
    if _needs_quotes.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
