"""Memory that was freed and that the allocator keeps for later."""

from __future__ import annotations

import ctypes
import gc

__all__ = ["give_back_freed"]


def give_back_freed() -> None:
    """Return freed memory to the system, where its allocator can be asked to: else a later step comes on top."""
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not the C library of GNU
        return
    trim(0)
