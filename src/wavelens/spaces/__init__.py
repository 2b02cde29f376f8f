"""Spaces of a trained layer: what it keeps, what it rejects, and which input it wants."""

from __future__ import annotations

__all__: list[str] = []
