"""A folder of results that is there whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavelens.exceptions import WavelensError

__all__ = ["check_output", "whole_folder"]

_marker = "summary.json"


def check_output(out: Path, force: bool) -> None:
    """Refuse early what `whole_folder` would refuse after the work is done."""
    if not out.exists():
        return
    if not out.is_dir():
        raise WavelensError(f"{out} exists and is not a folder; choose another --out")
    if not any(out.iterdir()):
        return
    if not (out / _marker).is_file():
        raise WavelensError(f"{out} is a folder with other things in it; choose another --out")
    if not force:
        raise WavelensError(
            f"{out} holds a result already; say --force to replace it, or choose another --out"
        )


@contextmanager
def whole_folder(out: Path, force: bool) -> Iterator[Path]:
    """Give a folder to write to, which becomes `out` if all goes well and vanishes otherwise."""
    check_output(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-partial-", dir=out.parent))
    try:
        yield partial
        check_output(out, force)
        partial.chmod(0o755)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
            out.rename(old / out.name)
            partial.rename(out)
            shutil.rmtree(old)
        else:
            partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
