"""Recurrent layers to and from other libraries: ONNX, Keras, Flax, haste.

write_onnx               a layer as an ONNX file, in ONNX's own operators
read_onnx                an ONNX file as a torch module, its recurrent operators as layers to be trained
read_onnx_layer          an ONNX file that is nothing but a stack of recurrent layers as one layer
OnnxModule               what `read_onnx` gives
write_onnx_module        a torch module with layers of this library in it as an ONNX file
to_keras, from_keras     weights of Keras's SimpleRNN, GRU and LSTM
to_flax, from_flax       weights of Flax's cells, of linen and nnx
to_haste, from_haste     weights of haste's LSTM and GRU

Weights need none of these packages; ONNX files need the extra `onnx`. Whole models: `throughtime.tasks.export_onnx`.
"""

from throughtime.exchange.flax import from_flax, to_flax
from throughtime.exchange.haste import from_haste, to_haste
from throughtime.exchange.keras import from_keras, to_keras
from throughtime.exchange.onnx.layers import write_onnx
from throughtime.exchange.onnx.model import OnnxModule, read_onnx
from throughtime.exchange.onnx.modules import write_onnx_module
from throughtime.exchange.onnx.stack import read_onnx_layer

__all__ = [
    "OnnxModule",
    "from_flax",
    "from_haste",
    "from_keras",
    "read_onnx",
    "read_onnx_layer",
    "to_flax",
    "to_haste",
    "to_keras",
    "write_onnx",
    "write_onnx_module",
]
