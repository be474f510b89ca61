"""Keras's answers on JAX: forward and gradients as one compiled function, alone in a process of its own.

Keras's gate order: LSTM i f g o, GRU z r n; kernels are transposed; batch comes first; an LSTM and an RNN have one
bias. Its state runs as it is by default: a scan compiled for the shape at hand. Compilation is not timed.
"""

import os
from typing import Any

import jax
import keras
import numpy as np

from benchmarks.speed.cases import Case
from benchmarks.speed.job import Arrays, Job, Jobs, Unavailable

LAYERS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def versions() -> dict[str, str]:
    return {"keras": keras.__version__, "jax": jax.__version__}


def jobs(case: Case, arrays: Arrays, threads: int) -> Jobs:
    """The number of threads is XLA's own choice, a thread a core: other numbers are not offered."""
    if case.mode != "train" or threads != len(os.sched_getaffinity(0)):
        raise Unavailable(f"keras-jax has nothing for {case.mode} on {threads} threads")
    layers = [LAYERS[case.cell](case.H, return_sequences=True) for _ in range(case.L)]
    features = case.I
    for k, layer in enumerate(layers):
        layer.build((case.B, case.T, features))
        layer.set_weights(_weights(case, arrays, k))
        features = case.H
    values = [[variable.value for variable in layer.trainable_variables] for layer in layers]
    others = [[variable.value for variable in layer.non_trainable_variables] for layer in layers]
    # Time-major arrays turned once, not in the timed call.
    x_BTI, dy_BTH = (jax.numpy.asarray(np.swapaxes(arrays[name], 0, 1)) for name in ("x", "dy"))

    def forward(values: Any, x_BTI: Any) -> Any:
        for layer, trained, other in zip(layers, values, others, strict=True):
            x_BTI, _ = layer.stateless_call(trained, other, x_BTI)
        return x_BTI

    @jax.jit
    def both(values: Any, x_BTI: Any, dy_BTH: Any) -> Any:
        y_BTH, back = jax.vjp(forward, values, x_BTI)
        return y_BTH, back(dy_BTH)

    def run() -> None:
        jax.block_until_ready(both(values, x_BTI, dy_BTH))

    def results() -> dict[str, Any]:
        y_BTH, (dvalues, dx_BTI) = both(values, x_BTI, dy_BTH)
        found = {"y": np.swapaxes(y_BTH, 0, 1), "dx": np.swapaxes(dx_BTI, 0, 1)}
        for k, (dkernel, drecurrent, _) in enumerate(dvalues):
            found[f"dweight_ih_l{k}"] = _rows(case, np.asarray(dkernel).T)
            found[f"dweight_hh_l{k}"] = _rows(case, np.asarray(drecurrent).T)
        return found

    return {"keras-jax": Job(run, results)}


def _weights(case: Case, arrays: Arrays, k: int) -> list[Any]:
    kernels = [_rows(case, arrays[f"weight_{name}_l{k}"]).T for name in ("ih", "hh")]
    biases = [_rows(case, arrays[f"bias_{name}_l{k}"]) for name in ("ih", "hh")]
    return [*kernels, np.stack(biases) if case.cell == "gru" else biases[0] + biases[1]]


def _rows(case: Case, array: Any) -> Any:
    """From torch's gate order to Keras's, or back: only the GRU's differs, by a swap."""
    if case.cell != "gru":
        return array
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])
