"""Tagging: which tokens of a text are what.

tagger      Tagger: fit, predict, evaluate, save, load
sentences   tagged sentences as they are given, checked
schemes     tag schemes: detect, convert, pieces and back, what may follow what
units       tokens as numbers: words, letters, casing
batches     sentences on their way into a net
network     the net: tokens in, a score of every tag out
decoding    from scores to tags, pieces and how sure they are
entities    Entity: a labelled piece of a text
scores      precision, recall and F1 of pieces, as conlleval counts
baselines   the most frequent tag of each token, and a linear classifier of each
evaluation  TagEvaluation: a model's figures beside the baselines'
parameters  hyper-parameters, checked
stored      the parts of a model folder
exported    what ONNX Runtime gets: `throughtime.tasks.export_onnx`
"""

from throughtime.tasks.tag.entities import Entity
from throughtime.tasks.tag.evaluation import TagEvaluation
from throughtime.tasks.tag.tagger import Tagger

__all__ = ["Entity", "TagEvaluation", "Tagger"]
