"""Trained networks: what the systems need to see of one, whatever library it was trained with."""

from __future__ import annotations

__all__: list[str] = []
