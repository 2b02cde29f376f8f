"""A folder of results that appears whole or not at all, for the `save` of a result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wavelens.exceptions import WavelensError

__all__ = ["WORK", "result_folder", "summary_numbers"]

WORK = "work"
"""Folder inside a result's folder where `wavelens analyze` keeps an unfinished run."""

_arguments = {"--out": "`folder`", "--force": "`force=True`", "--resume": "`resume=True`"}


@contextmanager
def result_folder(folder: str | os.PathLike[str], force: bool, *, resume: bool = False) -> Iterator[Path]:
    """Yield a folder to write to, which becomes `folder` on success and vanishes otherwise.

    With `resume`, `folder` may hold the work folder of the run whose result is saved.
    """
    # The commands check their folder before they begin, with the same function.
    from wavelens.cli._output import whole_folder

    try:
        with whole_folder(Path(folder).expanduser(), force, resume=resume) as partial:
            yield partial
    except WavelensError as error:
        if type(error) is WavelensError and error.args:
            text = str(error.args[0])
            for option, argument in _arguments.items():
                text = text.replace(option, argument)
            error.args = (text, *error.args[1:])
        raise


def summary_numbers(numbers: dict[str, Any], command: str | None) -> dict[str, Any]:
    """Return the numbers of a result with the command that made it, for ``summary.json``."""
    return {"wavelens": numbers["wavelens"], "command": command} | numbers
