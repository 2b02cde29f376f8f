"""What a long command prints while it works."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from wavelens.cli import _interrupt
from wavelens.cli._option_names import in_options
from wavelens.cli._output import print_text
from wavelens.workflows import WorkflowProgress

__all__ = [
    "Steps",
    "as_json",
    "print_findings",
    "set_threads",
    "terminal_width",
    "warnings_as_notes",
]


class Steps(WorkflowProgress):
    """One line on stderr for each step, with the time since the start; first results on stdout."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(False if options.quiet else None)
        self._options = options
        self.quiet: bool = options.quiet
        self._start = time.perf_counter()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came."""
        _interrupt.check()

    def step(self, text: str) -> None:
        """Print the description of a step that begins."""
        _interrupt.check()
        if not self.quiet:
            text = in_options(text, self._options)
            print(f"[{time.perf_counter() - self._start:6.1f} s] {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Print a sentence that is worth knowing."""
        if not self.quiet:
            text = in_options(text, self._options)
            print(f"           note: {text}", file=sys.stderr, flush=True)

    def preview(self, text: str) -> None:
        """Print a first result."""
        if not self.quiet:
            print_text(text)

    def done(self, page: Path) -> None:
        """Print where the report is."""
        if not self.quiet:
            print(f"[{time.perf_counter() - self._start:6.1f} s] done", file=sys.stderr, flush=True)
            print(f"The report is at {page.resolve()}", flush=True)


@contextmanager
def warnings_as_notes(progress: WorkflowProgress) -> Iterator[None]:
    """Report Wavelens' warnings as notes; others are shown as ever."""
    from wavelens.exceptions import WavelensWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", WavelensWarning)
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *where: object) -> None:
            if issubclass(category, WavelensWarning):
                progress.note(str(message))
            else:
                show(message, category, *where)  # type: ignore[arg-type]

        warnings.showwarning = note  # type: ignore[assignment]
        yield


def set_threads(count: int | None) -> None:
    """Set the threads of the engine, if the option was given."""
    if count is not None:
        import wavelens

        wavelens.set_num_threads(count)


def as_json(summary: dict[str, Any]) -> str:
    """Return a summary as the option `--json` prints it."""
    return json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)


def terminal_width() -> int:
    """Return the width of text on this terminal, at most 100 characters."""
    return min(100, shutil.get_terminal_size((100, 24)).columns)


class _Report(Protocol):
    def summary(self, width: int = ...) -> str: ...


def print_findings(options: argparse.Namespace, report: _Report, page: Path, steps: Steps) -> None:
    """Print the findings in words, or with `--json` what is in ``summary.json``, and where the page is."""
    if options.json:
        print_text((page.parent / "summary.json").read_text(encoding="utf-8").rstrip())
        return
    if not options.quiet:
        print_text(report.summary(terminal_width()))
    steps.done(page)
