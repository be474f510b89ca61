"""Language models: which symbol comes next in text, and text that is written so.

language_model   LanguageModel: fit, write, stream, score, evaluate, save, load
net              TextEncoder and LanguageNet: what reads, and what says which symbol comes next
trainee          the net while it is trained: the state that is carried, the loss
chunks           contiguous text in rows, a chunk of time after another
corpus           texts as one row of ids, in memory or on disk
writing          from a prefix, a label or nothing
evaluation       LanguageEvaluation: exact log-probabilities of whole texts
baseline         Bigram: how often a symbol follows another
parameters       hyper-parameters, checked, and what follows from them
stored           the parts of a model folder
exported         what ONNX Runtime gets: `throughtime.tasks.export_onnx`
"""

from throughtime.tasks.language.evaluation import LanguageEvaluation
from throughtime.tasks.language.language_model import EncoderPart, LanguageModel
from throughtime.tasks.language.net import TextEncoder

__all__ = ["EncoderPart", "LanguageEvaluation", "LanguageModel", "TextEncoder"]
