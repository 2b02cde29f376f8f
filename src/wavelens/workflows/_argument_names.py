"""Errors that name the arguments of the workflow that was called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from wavelens.exceptions import DataError, ModelError, WavelensError

__all__ = ["argument_names"]

_renamed = (ValueError, TypeError, WavelensError, DataError, ModelError)


@contextmanager
def argument_names(**names: str) -> Iterator[None]:
    """Rename backquoted arguments in the messages of errors raised within.

    Parameters
    ----------
    **names : str
        Argument of the function that is called within, and how the caller of the workflow knows it.
    """
    try:
        yield
    except _renamed as error:
        if type(error) in _renamed and error.args and isinstance(error.args[0], str):
            text = re.sub(r"`(\w+)`", lambda found: names.get(found[1], found[0]), error.args[0])
            error.args = (text, *error.args[1:])
        raise
