"""ONNX: layers and whole modules out, models in.

graph         a graph while it is built
parameters    weights in ONNX's order, and back
operators     a stack of layers in ONNX's RNN, GRU and LSTM
layers        a layer as a file
viterbi       decoding under a CRF as a Scan
modules       a torch module as a file
files         files written whole, and checked before they are believed
operations    ONNX's other operators in torch
nodes         ONNX's RNN, GRU and LSTM as layers
loops         a Loop that is a recurrent layer, as Keras writes it
model         a file as a torch module
stack         a file as one layer
"""

__all__: list[str] = []
