"""Recurrent layers with torch.nn's names, parameters and states.

RNN, GRU, LSTM           torch.nn's, computed here
GRUResetBefore           the GRU of the paper and of the lecture notes
PeepholeLSTM             i and f see c, o sees c'
PreviousPeepholeLSTM     i, f and o see c
LSTMState                (h, c)
Stepper                  one time step at a time, weights packed once
TimeDistributed          any module at every time step
"""

from throughtime.nn.layers import GRU, LSTM, RNN, GRUResetBefore, PeepholeLSTM, PreviousPeepholeLSTM
from throughtime.nn.recurrent import LSTMState, Recurrent
from throughtime.nn.stepper import Stepper
from throughtime.nn.time_distributed import TimeDistributed

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUResetBefore",
    "LSTMState",
    "PeepholeLSTM",
    "PreviousPeepholeLSTM",
    "Recurrent",
    "Stepper",
    "TimeDistributed",
]
