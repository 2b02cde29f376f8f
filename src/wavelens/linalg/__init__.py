"""Dense linear algebra of the engine: arrays in, results out."""

from wavelens.linalg._pivoted_qr import PivotedQR, pivoted_qr
from wavelens.linalg._select_columns import select_columns

__all__ = ["PivotedQR", "pivoted_qr", "select_columns"]
