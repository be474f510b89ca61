"""Tagging: which tokens of a text are what.

schemes    tag schemes: detect, convert, pieces and back, what may follow what
scores     precision, recall and F1 of pieces, as conlleval counts
"""

__all__: list[str] = []
