"""A source that lets a workflow be stopped before each chunk of images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wavelens.data import ImageChunk, ImageSource
from wavelens.workflows._progress import WorkflowProgress

__all__ = ["watched"]


class _WatchedSource(ImageSource):
    """Another source, with a check before each chunk."""

    def __init__(self, source: ImageSource, progress: WorkflowProgress) -> None:
        self._source = source
        self._progress = progress
        self.decodes, self.strict, self.random_access = source.decodes, source.strict, source.random_access

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Yield the other source's chunks; see `ImageSource.chunks`."""
        # A kind of source that knows of no `start` can still be read from the beginning.
        for chunk in self._source.chunks(size, start) if start else self._source.chunks(size):
            self._progress.check()
            yield chunk

    def fingerprint(self) -> dict[str, str]:
        """Return the other source's fingerprint; see `ImageSource.fingerprint`."""
        return self._source.fingerprint()

    def read(self, positions: Any) -> ImageChunk:
        """Read from the other source; see `ImageSource.read`."""
        self._progress.check()
        return self._source.read(positions)


def watched(source: ImageSource, progress: WorkflowProgress) -> ImageSource:
    """Return a source that calls `progress.check` before each chunk."""
    return _WatchedSource(source, progress)
