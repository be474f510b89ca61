"""Composing: music that is learnt and written, note by note or frame by frame.

composer      Composer: fit, write, harmonise, evaluate, save, load
reading       what it takes: pieces, rolls, files, folders
wishes        what is to be written, checked; Composition: what was
events        a piece as a row of events, and back
grammar       what may come next: bars that add up
events_net    the net over events, which is told what was said last of every kind
events_view   how it is trained, and how it writes
delays        frames that lie far back
frames        the net over frames, and where its windows come from
frames_view   how it writes: freely, or below a given voice
copies        Passage: the longest that is shared with a training piece
histograms    histograms and overlaps: whether pieces are alike
evaluation    ComposeEvaluation: nats, beside simple counts
fitting       the training
parameters    hyper-parameters, checked
stored        the parts of a model folder
exported      what ONNX Runtime gets: `throughtime.tasks.export_onnx`
"""

from throughtime.tasks.compose.composer import Composer
from throughtime.tasks.compose.copies import Passage
from throughtime.tasks.compose.evaluation import ComposeEvaluation
from throughtime.tasks.compose.histograms import histograms, overlaps
from throughtime.tasks.compose.wishes import Composition

__all__ = ["ComposeEvaluation", "Composer", "Composition", "Passage", "histograms", "overlaps"]
