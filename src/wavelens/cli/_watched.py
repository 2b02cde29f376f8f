"""A source that looks for Ctrl-C before each chunk that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wavelens.cli import _interrupt
from wavelens.data import ImageChunk, ImageSource

__all__ = ["watched"]


class _Watched(ImageSource):
    """Another source in all that it is and says."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self.decodes = source.decodes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def chunks(self, size: int, start: int = 0) -> Iterator[ImageChunk]:
        """Give the other source's chunks; see `ImageSource.chunks`."""
        # A kind of source that knows of no `start` can still be read from the beginning.
        for chunk in self._source.chunks(size, start) if start else self._source.chunks(size):
            _interrupt.check()
            yield chunk

    def fingerprint(self) -> dict[str, str]:
        """Return the other source's; see `ImageSource.fingerprint`."""
        return self._source.fingerprint()

    def read(self, positions: Any) -> ImageChunk:
        """Read by the other source; see `ImageSource.read`."""
        _interrupt.check()
        return self._source.read(positions)


def watched(source: ImageSource) -> ImageSource:
    """Have a source look for Ctrl-C before each chunk."""
    return _Watched(source)
