"""Dense linear algebra of the engine: arrays in, results out."""

from wavelens.linalg._pivoted_qr import PivotedQR, pivoted_qr

__all__ = ["PivotedQR", "pivoted_qr"]
