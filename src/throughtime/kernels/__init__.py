"""Whole sequences of a cell, forward and backward.

reference   the loop over the cell's step: slow and right
dispatch    which kernel runs a layer
"""

__all__: list[str] = []
