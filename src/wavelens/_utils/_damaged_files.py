"""What reading a damaged file can raise, as one `DataError` that names the file."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from wavelens.exceptions import DataError

__all__ = ["DAMAGES", "reading"]

DAMAGES: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,  # of zipfile, for encrypted members
    SyntaxError,
    TypeError,
    ValueError,  # of JSON and UTF-8 as well
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions with which readers of files answer bytes that they do not expect."""


@contextmanager
def reading(path: object, writer: str) -> Iterator[None]:
    """Raise a `DataError` for whatever a damaged file makes readers raise; for use around reading and restoring.

    Parameters
    ----------
    path : object
        Of the file, for the message.
    writer : str
        What writes such files: "MMF.save".

    Raises
    ------
    FileNotFoundError
        As it came.
    DataError
        For all else; one that is raised inside stays as it is.
    """
    try:
        yield
    except (DataError, FileNotFoundError):
        raise
    except (PermissionError, IsADirectoryError) as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise DataError(
            f"{path} does not fit in memory, is damaged, or was not written by {writer}"
        ) from error
    except DAMAGES as error:
        raise DataError(f"{path} is damaged or was not written by {writer}: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    """Say what was wrong in one line, at most a few hundred characters of it."""
    if isinstance(error, RecursionError):
        return "its header is nested too deeply"
    if isinstance(error, KeyError):
        return f"{error.args[0]!r:.100} is missing" if error.args else "an entry is missing"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"
