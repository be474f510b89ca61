"""Run by another interpreter, which has Keras or Flax: weights and an input in, the output out.

Usage: python peers.py SPECIFICATION.json ARRAYS.npz OUT.npz
"""

import json
import os
import sys

import numpy as np


def keras_layer(keras, spec):
    """A stack of Keras layers that give every step."""
    kinds = {"RNN": keras.layers.SimpleRNN, "GRU": keras.layers.GRU, "LSTM": keras.layers.LSTM}
    layers = []
    for _ in range(spec["layers"]):
        layer = kinds[spec["kind"]](spec["units"], return_sequences=True, **spec["options"])
        layers.append(keras.layers.Bidirectional(layer) if spec["bidirectional"] else layer)
    return keras.Sequential(layers)


def run_keras(spec, arrays):
    """Set the weights, run, and give the output and the weights as Keras gives them."""
    os.environ.setdefault("KERAS_BACKEND", spec.get("backend", "jax"))
    import keras

    model = keras_layer(keras, spec)
    x = arrays["x"]
    model(x)
    for number, layer in enumerate(model.layers):
        layer.set_weights([arrays[f"{number}_{i}"] for i in range(len(layer.get_weights()))])
    found = {"y": np.asarray(model(x))}
    for number, layer in enumerate(model.layers):
        found |= {f"{number}_{i}": w for i, w in enumerate(layer.get_weights())}
    return found


def run_keras_onnx(spec, arrays):
    """Export a model of Keras's own weights to the file named in the specification, by TensorFlow and tf2onnx."""
    os.environ["KERAS_BACKEND"], os.environ["TF_CPP_MIN_LOG_LEVEL"] = "tensorflow", "3"
    import keras

    model = keras.Sequential([keras.Input((None, arrays["x"].shape[-1])), *keras_layer(keras, spec).layers])
    model.add(keras.layers.Dense(2))
    found = {"y": np.asarray(model(arrays["x"]))}
    model.export(spec["file"], format="onnx", verbose=False)
    return found


def tree_of(arrays):
    """Arrays named 'a/b' as a dict of dicts."""
    tree = {}
    for name, value in arrays.items():
        if "/" in name:
            cell, _, leaf = name.partition("/")
            tree.setdefault(cell, {})[leaf] = value
    return tree


def run_linen(spec, arrays):
    """The cell over the input (B, T, I) by `nn.RNN`."""
    from flax import linen as nn

    cell = getattr(nn, spec["kind"])(features=spec["units"])
    y = nn.RNN(cell).apply({"params": {"cell": tree_of(arrays)}}, arrays["x"])
    return {"y": np.asarray(y)}


def run_nnx(spec, arrays):
    """The same in nnx."""
    from flax import nnx

    cell = getattr(nnx, spec["kind"])(arrays["x"].shape[-1], spec["units"], rngs=nnx.Rngs(0))
    for name, leaves in tree_of(arrays).items():
        for leaf, value in leaves.items():
            own = getattr(getattr(cell, name), leaf)
            assert own.shape == value.shape, (name, leaf)
            own.value = value
    return {"y": np.asarray(nnx.RNN(cell)(arrays["x"]))}


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        given = json.load(file)
    with np.load(sys.argv[2]) as loaded:
        inputs = dict(loaded)
    runs = {"keras": run_keras, "keras-onnx": run_keras_onnx, "linen": run_linen, "nnx": run_nnx}
    made = runs[given["library"]](given, inputs)
    np.savez(sys.argv[3], **made)
