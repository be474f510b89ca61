"""The equations: one file a cell, each a pure `step` and a `step_backward` written by hand.

    rnn                      h' = tanh(...) or relu(...)
    gru                      reset after the product (cuDNN, torch.nn)
    gru_reset_before         reset before the product (Cho 2014, the lecture notes)
    lstm                     input, forget and output gates
    peephole_lstm            i and f see c, o sees c' (Gers, ONNX)
    previous_peephole_lstm   i, f and o see c (the lecture notes)
    base                     Cell, Params: what a cell is

Everything faster answers to these. A new cell is one file here and one entry in `CELLS`.
"""

from throughtime.cells.base import Cell, Params, State, StepGradients
from throughtime.cells.gru import GRU
from throughtime.cells.gru_reset_before import GRU_RESET_BEFORE
from throughtime.cells.lstm import LSTM
from throughtime.cells.peephole_lstm import PEEPHOLE_LSTM
from throughtime.cells.previous_peephole_lstm import PREVIOUS_PEEPHOLE_LSTM
from throughtime.cells.rnn import RNN_RELU, RNN_TANH

__all__ = ["CELLS", "Cell", "Params", "State", "StepGradients"]

CELLS: dict[str, Cell] = {
    cell.name: cell for cell in (RNN_TANH, RNN_RELU, GRU, GRU_RESET_BEFORE, LSTM, PEEPHOLE_LSTM, PREVIOUS_PEEPHOLE_LSTM)
}
