"""The `wavelens` command."""

from __future__ import annotations

from wavelens.cli._main import main

__all__ = ["main"]
