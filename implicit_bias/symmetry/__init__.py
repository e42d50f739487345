"""Exact rewritings: which runs have one (`base`), and the chart that carries their weights (`row_space`)."""

from .base import DiagonalLeastSquares, Rewriting, RowSpace, RowSpaceLinear, Split, rewrite

__all__ = ["DiagonalLeastSquares", "Rewriting", "RowSpace", "RowSpaceLinear", "Split", "rewrite"]
