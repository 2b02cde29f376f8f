"""Pivoted QR, higher-order GSVD and pairwise distances: arrays in, results out."""

from wavelens.linalg._ho_gsvd import HOGSVD, TriangularFactor, ho_gsvd

__all__ = ["HOGSVD", "TriangularFactor", "ho_gsvd"]
