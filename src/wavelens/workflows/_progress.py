"""What a workflow reports while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wavelens._progress import progress_share

__all__ = ["WorkflowProgress", "as_progress"]


class WorkflowProgress:
    """Receive the steps and notes of a workflow.

    This class ignores them and shows progress bars. Derive from it to log, print or display them.

    Parameters
    ----------
    bars : bool or None, default None
        Whether to show progress bars on stderr; None: on a terminal, for work that takes over a second.

    Examples
    --------
    >>> from wavelens.workflows import ImageOptions, WorkflowProgress, check
    >>> class Log(WorkflowProgress):
    ...     def step(self, text):
    ...         print(text)
    >>> report = check("digits", image_options=ImageOptions(limit=5), progress=Log(bars=False))
    reading digits
    checking 50 images
    """

    def __init__(self, bars: bool | None = None) -> None:
        self.bars = bars

    def step(self, text: str) -> None:
        """Receive the description of a step that begins.

        Parameters
        ----------
        text : str
        """

    def note(self, text: str) -> None:
        """Receive a sentence that is worth knowing, such as that a file was left out.

        Parameters
        ----------
        text : str
        """

    def preview(self, text: str) -> None:
        """Receive a first result while the rest is still being computed.

        Parameters
        ----------
        text : str
            One or more lines.
        """

    def check(self) -> None:
        """Return at once; called many times within each step. An exception raised here stops the workflow."""

    @contextmanager
    def share(self, what: str) -> Iterator[Callable[[float], None]]:
        """Show the progress of one step as a bar.

        Parameters
        ----------
        what : str
            Title of the bar.

        Yields
        ------
        callable
            Takes the share that is done, in [0, 1], and calls `check`.
        """
        with progress_share(what, self.bars) as show:

            def update(done: float) -> None:
                self.check()
                if show is not None:
                    show(done)

            yield update


def as_progress(progress: WorkflowProgress | bool | None) -> WorkflowProgress:
    """Return the receiver that the argument `progress` of a workflow describes."""
    if isinstance(progress, WorkflowProgress):
        return progress
    if progress is None or isinstance(progress, bool):
        return WorkflowProgress(progress)
    raise TypeError(f"`progress` must be True, False, None or a WorkflowProgress, got {progress!r}")
