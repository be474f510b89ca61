"""Classifying: what a text is.

classifier   Classifier: fit, predict, explain, evaluate, save, load
texts        raw text as tokens for n-grams and ids for the net
labels       one label a text, several, or steps of a scale
grams        which n-grams a text has
ngrams       a linear classifier of n-grams: the baseline, and a part of the model
batches      texts on their way into a net
network      the net: ids in, a score of every label out
model        nets and n-grams together, and probabilities
pretraining  language models that learn from the texts first
fitting      how all of it is trained
explanation  Explanation: what each token adds to a decision
evaluation   ClassEvaluation: a model's figures beside the baselines'
parameters   hyper-parameters, checked
stored       the parts of a model folder
exported     what ONNX Runtime gets: `throughtime.tasks.export_onnx`
"""

from throughtime.tasks.classify.classifier import Classifier
from throughtime.tasks.classify.evaluation import ClassEvaluation
from throughtime.tasks.classify.explanation import Explanation
from throughtime.tasks.classify.pretraining import Languages

__all__ = ["ClassEvaluation", "Classifier", "Explanation", "Languages"]
