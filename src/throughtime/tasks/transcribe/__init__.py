"""Transcribing: from sound to text, of whole clips and while somebody speaks.

transcriber   Transcriber: fit, predict, transcribe, stream, evaluate, save, load
examples      clips with what is said in them, as users have them
hearing       files, arrays and matrices, as utterances of features
alphabet      the symbols that a net tells
perturb       clips as they might have been, to train on
network       the net: features in, log-probabilities of symbols out
fitting       how it learns
recognition   clips through a net that has learned
decoding      Decoding: from log-probabilities to words, their times, how sure they are
streaming     TranscriptStream: words while somebody speaks
evaluation    SpeechEvaluation: error rates beside a baseline's
parameters    hyper-parameters, checked
stored        the parts of a model folder
exported      what ONNX Runtime gets: `throughtime.tasks.export_onnx`
"""

from throughtime.tasks.transcribe.decoding import Alternative, Decoding, Utterance, Word
from throughtime.tasks.transcribe.evaluation import SpeechEvaluation
from throughtime.tasks.transcribe.recognition import Transcript
from throughtime.tasks.transcribe.streaming import TranscriptStream
from throughtime.tasks.transcribe.transcriber import Transcriber

__all__ = [
    "Alternative",
    "Decoding",
    "SpeechEvaluation",
    "Transcriber",
    "Transcript",
    "TranscriptStream",
    "Utterance",
    "Word",
]
