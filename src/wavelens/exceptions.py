"""What Wavelens raises and warns of, besides the standard `ValueError` and `TypeError` for arguments."""

from __future__ import annotations

__all__ = ["DataError", "ModelError", "WavelensError", "WavelensWarning"]


class WavelensError(Exception):
    """Base of the errors that are not about an argument but about what was found."""


class DataError(WavelensError):
    """A dataset cannot be read or cannot be analysed: no images, one class, a damaged file."""


class ModelError(WavelensError):
    """A network cannot be read or run, or has no such layer."""


class WavelensWarning(UserWarning):
    """Base of all warnings: a result that means less than it seems to, something left out."""
