"""How classes relate inside a deep representation: multiresolution matrix factorization and its graph."""

from __future__ import annotations

from wavelens.hierarchy._mmf import MMF, mmf

__all__ = ["MMF", "mmf"]
