"""The equations: one file a cell, each a pure `step` and a `step_backward` written by hand.

    rnn                      h' = tanh(...) or relu(...)
    gru                      reset after the product (cuDNN, torch.nn)
    gru_reset_before         reset before the product (Cho 2014, the lecture notes)
    lstm                     input, forget and output gates
    peephole_lstm            i and f see c, o sees c' (Gers, ONNX)
    previous_peephole_lstm   i, f and o see c (the lecture notes)
    layer_norm               what the cells with layer normalisation share
    layer_norm_rnn, layer_norm_gru, layer_norm_lstm   LN(W_ih x) + LN(W_hh h) in the place of the products
    base                     Cell, Params: what a cell is

Everything faster answers to these. A new cell is one file here and one entry in `CELLS`; those with other parameters
than torch.nn's, which no kernel of another's has, stand in `LAYER_NORM_CELLS`.
"""

from throughtime.cells.base import Cell, Params, State, StepGradients
from throughtime.cells.gru import GRU
from throughtime.cells.gru_reset_before import GRU_RESET_BEFORE
from throughtime.cells.layer_norm import LayerNormParams
from throughtime.cells.layer_norm_gru import LAYER_NORM_GRU
from throughtime.cells.layer_norm_lstm import LAYER_NORM_LSTM
from throughtime.cells.layer_norm_rnn import LAYER_NORM_RNN_RELU, LAYER_NORM_RNN_TANH
from throughtime.cells.lstm import LSTM
from throughtime.cells.peephole_lstm import PEEPHOLE_LSTM
from throughtime.cells.previous_peephole_lstm import PREVIOUS_PEEPHOLE_LSTM
from throughtime.cells.rnn import RNN_RELU, RNN_TANH

__all__ = ["CELLS", "LAYER_NORM_CELLS", "Cell", "LayerNormParams", "Params", "State", "StepGradients"]

CELLS: dict[str, Cell] = {
    cell.name: cell for cell in (RNN_TANH, RNN_RELU, GRU, GRU_RESET_BEFORE, LSTM, PEEPHOLE_LSTM, PREVIOUS_PEEPHOLE_LSTM)
}

LAYER_NORM_CELLS: dict[str, Cell] = {
    cell.name: cell for cell in (LAYER_NORM_RNN_TANH, LAYER_NORM_RNN_RELU, LAYER_NORM_GRU, LAYER_NORM_LSTM)
}
