"""The topologies, built from nn and knowing nothing of any task: tensors in, tensors out, time first.

OneToOne                  a single input in, a single output out
ManyToOne                 a sequence in, one output
MeanPooling, MaxPooling   from all steps to one vector a row
AttentionPooling          the same, weighted by a learnt query
Aligned                   an output at every step; streams where it has no backward direction
AlignedStream             a sequence in pieces, outputs as they come
FrameEncoder              an image to a vector
ResidualStack             recurrent layers that add to one another; streams one way
OneToMany                 a sequence from a class, a vector or a prefix
Sampler                   from logits to an id: greedy, temperature, top-k, nucleus
Draws                     uniform draws by seed and step
decode, decode_vectors    the loop over steps that decoders share
Decoded, DecodedVectors   what it wrote
DecodingState             which rows are finished, and how long they are
EncoderDecoder            a sequence to one of another length, with attention
EncoderDecoderEnsemble    several of them that write as one
EncodedSource             what its decoder needs of the sources
DecoderState              what its decoder hands from step to step
LinearBridge, CopyBridge  from the encoder's last state to the decoder's first
beam_search               the n best continuations, for any step function
Hypotheses                what it found
length_penalty            what a hypothesis' log-probability is divided by
ctc_greedy, ctc_beam_search   the sequence that log-probabilities of every step stand for
CTCBeam, CTCScorer        the same while the steps come; what is known of sequences beside them
CTCHypothesis             what both find
ctc_align                 when each symbol of a sequence was said
ctc_least_steps           the least steps that a sequence takes
sequence_cross_entropy    losses under lengths
sequence_mse              losses under lengths
SequenceLoss              their mean, and over how many steps
"""

from throughtime.models.aligned import Aligned, AlignedStream
from throughtime.models.beam import Hypotheses, beam_search, length_penalty
from throughtime.models.bridge import CopyBridge, LinearBridge
from throughtime.models.ctc import (
    CTCBeam,
    CTCHypothesis,
    CTCScorer,
    ctc_align,
    ctc_beam_search,
    ctc_greedy,
    ctc_least_steps,
)
from throughtime.models.decoding import Decoded, DecodedVectors, DecodingState, decode, decode_vectors
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.encoder_decoder_ensemble import EncoderDecoderEnsemble
from throughtime.models.encoder_decoder_state import DecoderState, EncodedSource
from throughtime.models.frames import FrameEncoder
from throughtime.models.losses import SequenceLoss, sequence_cross_entropy, sequence_mse
from throughtime.models.many_to_one import ManyToOne
from throughtime.models.one_to_many import OneToMany
from throughtime.models.one_to_one import OneToOne
from throughtime.models.pooling import AttentionPooling, MaxPooling, MeanPooling
from throughtime.models.residual import ResidualStack
from throughtime.models.sampling import Draws, Sampler

__all__ = [
    "Aligned",
    "AlignedStream",
    "AttentionPooling",
    "CTCBeam",
    "CTCHypothesis",
    "CTCScorer",
    "CopyBridge",
    "Decoded",
    "DecodedVectors",
    "DecoderState",
    "DecodingState",
    "Draws",
    "EncodedSource",
    "EncoderDecoder",
    "EncoderDecoderEnsemble",
    "FrameEncoder",
    "Hypotheses",
    "LinearBridge",
    "ManyToOne",
    "MaxPooling",
    "MeanPooling",
    "OneToMany",
    "OneToOne",
    "ResidualStack",
    "Sampler",
    "SequenceLoss",
    "beam_search",
    "ctc_align",
    "ctc_beam_search",
    "ctc_greedy",
    "ctc_least_steps",
    "decode",
    "decode_vectors",
    "length_penalty",
    "sequence_cross_entropy",
    "sequence_mse",
]
