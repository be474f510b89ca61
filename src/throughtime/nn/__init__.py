"""Recurrent layers with torch.nn's names, parameters and states.

RNN, GRU, LSTM           torch.nn's, computed here
GRUResetBefore           the GRU of the paper and of the lecture notes
PeepholeLSTM             i and f see c, o sees c'
PreviousPeepholeLSTM     i, f and o see c
LayerNormRNN, LayerNormGRU, LayerNormLSTM   layer normalisation of both products
RNNCell, GRUCell, LSTMCell, GRUResetBeforeCell, PeepholeLSTMCell, PreviousPeepholeLSTMCell  one time step each
CustomRecurrent          a cell of your own over whole sequences
LSTMState                (h, c)
Stepper                  one time step at a time, weights packed once
Trace                    every gate and cell value of every step: what `layer.trace` returns
truncated                a long sequence in chunks, the gradient cut between them
Chunk                    one of these chunks
checkpointed             a long sequence with the memory of its square root, the gradient whole
detach_state             a state without its history
TimeDistributed          any module at every time step
AdditiveAttention        a source's steps weighed by a small network of query and key
MultiplicativeAttention  the same by a product through a matrix
DotAttention             the same by the plain product
Attention                what they share; subclass it for another score
AttentionMemory          a source made ready for queries
masked_softmax           a softmax over the valid places, zeros for a row without any
CRF                      the probability of whole tag sequences: loss, Viterbi, n-best, marginals
TagPaths                 what `CRF.decode` returns
TagConstraints           which tags may begin, follow one another and end; greedy decoding under them
"""

from throughtime.nn.attention import (
    AdditiveAttention,
    Attention,
    AttentionMemory,
    DotAttention,
    MultiplicativeAttention,
    masked_softmax,
)
from throughtime.nn.cell_modules import (
    GRUCell,
    GRUResetBeforeCell,
    LSTMCell,
    PeepholeLSTMCell,
    PreviousPeepholeLSTMCell,
    RNNCell,
)
from throughtime.nn.crf import CRF, TagPaths
from throughtime.nn.custom import CustomRecurrent
from throughtime.nn.layers import (
    GRU,
    LSTM,
    RNN,
    GRUResetBefore,
    LayerNormGRU,
    LayerNormLSTM,
    LayerNormRNN,
    PeepholeLSTM,
    PreviousPeepholeLSTM,
)
from throughtime.nn.long_sequences import Chunk, checkpointed, detach_state, truncated
from throughtime.nn.recurrent import Recurrent
from throughtime.nn.state import LSTMState
from throughtime.nn.stepper import Stepper
from throughtime.nn.tag_constraints import TagConstraints
from throughtime.nn.time_distributed import TimeDistributed
from throughtime.nn.trace import Trace

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "Attention",
    "AttentionMemory",
    "Chunk",
    "CustomRecurrent",
    "DotAttention",
    "GRUCell",
    "GRUResetBefore",
    "GRUResetBeforeCell",
    "LSTMCell",
    "LSTMState",
    "LayerNormGRU",
    "LayerNormLSTM",
    "LayerNormRNN",
    "MultiplicativeAttention",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "PreviousPeepholeLSTM",
    "PreviousPeepholeLSTMCell",
    "RNNCell",
    "Recurrent",
    "Stepper",
    "TagConstraints",
    "TagPaths",
    "TimeDistributed",
    "Trace",
    "checkpointed",
    "detach_state",
    "masked_softmax",
    "truncated",
]
