"""Tagging: which tokens of a text are what.

schemes    tag schemes: detect, convert, pieces and back, what may follow what
"""

__all__: list[str] = []
