"""How classes relate inside a deep representation: multiresolution matrix factorization and its graph."""

from __future__ import annotations

__all__: list[str] = []
