"""Tagging: which tokens of a text are what.

schemes    tag schemes: detect, convert, pieces and back, what may follow what
scores     precision, recall and F1 of pieces, as conlleval counts
tagger     Tagger: fit, predict, save, load
sentences  tagged sentences as they are given, checked
units      tokens as numbers: words, letters, casing
batches    sentences on their way into a net
network    the net: tokens in, a score of every tag out
decoding   from scores to tags, pieces and how sure they are
entities   Entity: a labelled piece of a text
"""

__all__: list[str] = []
