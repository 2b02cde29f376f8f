"""A folder of results that is there whole or not at all."""

from __future__ import annotations

import json
import os
import shlex
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wavelens._utils._replace_folder import replace_folder, restore_folder, temporary_folder
from wavelens.cli import _interrupt
from wavelens.exceptions import WavelensError

__all__ = ["WORK", "check_output", "command_line", "item", "print_text", "unfinished", "whole_folder"]

_results = {"report.html", "figures", "results.npz", "summary.json", "images.csv", "patterns.csv"} | {
    "all-images.csv",
    "hierarchy.npz",
    "covariance.npz",
    "graph.json",
    "graph.dot",
    "levels.csv",
    "classes.csv",
    "cartoonx.npz",
    "pixel_rde.npz",
    "layers.csv",
    "energy.csv",
}


WORK = "work"


def unfinished(out: Path) -> bool:
    """Tell whether a folder holds a run out of core that has not come to its end."""
    return (out / WORK / "run.json").is_file()


def check_output(out: Path, force: bool, *, resume: bool = False) -> None:
    """Refuse early what `whole_folder` would refuse after the work is done.

    With `resume`, a folder that holds an unfinished run is accepted.
    """
    _check_parent(out)
    restore_folder(out.resolve())
    if not out.exists():
        return
    if not out.is_dir():
        raise WavelensError(f"{out} exists and is not a folder; choose another --out")
    found = {each.name for each in out.iterdir()}
    if unfinished(out):
        if not resume and not force:
            raise WavelensError(
                f"{out} holds an unfinished run; say --resume to continue it, --force to begin anew, or choose "
                "another --out"
            )
        found.discard(WORK)
    if not found:
        return
    if not _is_result(out) or found - _results:
        others = ", ".join(sorted(found - _results)[:3]) or "files"
        raise WavelensError(f"{out} holds other things ({others}); choose another --out")
    if not force:
        raise WavelensError(
            f"{out} holds a result already; say --force to replace it, or choose another --out"
        )


@contextmanager
def whole_folder(out: Path, force: bool, *, resume: bool = False) -> Iterator[Path]:
    """Yield a folder to write to, which becomes `out` on success and vanishes otherwise.

    It is a hidden folder beside `out` until then. Killed at any moment, the process leaves at `out` the old result
    or the new one; where the system cannot exchange two folders in one step, the next start puts the old one back.
    """
    out = out.resolve()  # where `out` is a link, what it points to is replaced
    check_output(out, force, resume=resume)
    out.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(out) as partial:
        yield partial
        check_output(out, force, resume=resume)
        _interrupt.ignore()
        replace_folder(partial, out)


def _is_result(folder: Path) -> bool:
    try:
        return "wavelens" in json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _check_parent(out: Path) -> None:
    above = next(each for each in out.resolve().parents if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise WavelensError(f"--out {out} cannot be made: {above} is not a folder that may be written to")


def command_line() -> str | None:
    """Return the command as it was given, for the report; None where Python called it."""
    return shlex.join(["wavelens", *sys.argv[1:]]) if sys.argv[1:] else None


def print_text(text: str) -> None:
    """Print; names of files may hold what a terminal cannot show, or would obey."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    print(shown.encode(encoding, "replace").decode(encoding), flush=True)


def item(mark: str, text: str, width: int) -> list[str]:
    """Return a point of a list as lines."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"  {mark} ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
