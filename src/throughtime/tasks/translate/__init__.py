"""Translating: a sentence in, a sentence of another length out.

translator   Translator: fit, predict, evaluate, save, load
batches      pairs of sentences on their way into a net
network      the net: subwords in, scores of the next subword out
searching    sentences through a net: batches, long ones in pieces, unknown characters copied
translation  Translation: a sentence with what was thought of it
evaluation   TranslationEvaluation: BLEU and chrF with their signatures
parameters   hyper-parameters, checked
stored       the parts of a model folder
exported     what ONNX Runtime gets: `throughtime.tasks.export_onnx`
"""

from throughtime.tasks.translate.evaluation import TranslationEvaluation
from throughtime.tasks.translate.translation import Translation
from throughtime.tasks.translate.translator import Translator

__all__ = ["Translation", "TranslationEvaluation", "Translator"]
