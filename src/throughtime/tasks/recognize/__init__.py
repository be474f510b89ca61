"""Recognising activity: what is happening, from samples of sensors or frames of a camera.

recognizer   Recognizer: fit, predict, segments, evaluate, save, load
inputs       arrays, paths and recordings, all as recordings
labels       labels as numbers
reading      recordings as a net reads them: at one rate, without gaps, scaled
augment      what is changed at random while training
splits       grouped_folds: whole groups held out; what leaks
batches      clips on their way into a net
network      the net
windows      figures of windows around each step
baseline     a classifier that knows no order
fitting      how all of it is trained
segments     Segment: stretches of one label; smoothing with and without the future
stream       ActivityStream, Moment: labels while samples or frames come
moments      Moments: which moments of a recording made its label
features     FrameFeatures: vectors of frames by an encoder of one's own, kept on disk
evaluation   ActivityEvaluation: a model's figures beside the baselines'
judging      a recognizer judged, and whether it has seen the recordings before
parameters   hyper-parameters, checked
stored       the parts of a model folder
exported     what ONNX Runtime gets: `throughtime.tasks.export_onnx`
"""

from throughtime.tasks.recognize.evaluation import ActivityEvaluation
from throughtime.tasks.recognize.features import FrameFeatures
from throughtime.tasks.recognize.moments import Moments
from throughtime.tasks.recognize.recognizer import Recognizer
from throughtime.tasks.recognize.segments import Segment
from throughtime.tasks.recognize.splits import grouped_folds
from throughtime.tasks.recognize.stream import ActivityStream, Moment

__all__ = [
    "ActivityEvaluation",
    "ActivityStream",
    "FrameFeatures",
    "Moment",
    "Moments",
    "Recognizer",
    "Segment",
    "grouped_folds",
]
