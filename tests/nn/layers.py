"""The six layers beside torch's, and the oracle's answer for a whole layer.

Legend: T time, B batch, I input, H hidden, L layers, D directions.
"""

import torch
from torch import Tensor

from tests.helpers import as_arrays
from tests.oracles import batch, deep
from throughtime import nn

TORCH = {
    "RNN": (nn.RNN, torch.nn.RNN, {}),
    "RNN-relu": (nn.RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
    "GRU": (nn.GRU, torch.nn.GRU, {}),
    "LSTM": (nn.LSTM, torch.nn.LSTM, {}),
}

# Every layer with the oracle's name of its cell.
LAYERS = {
    "RNN": (nn.RNN, {}, "rnn_tanh"),
    "RNN-relu": (nn.RNN, {"nonlinearity": "relu"}, "rnn_relu"),
    "GRU": (nn.GRU, {}, "gru"),
    "GRUResetBefore": (nn.GRUResetBefore, {}, "gru_reset_before"),
    "LSTM": (nn.LSTM, {}, "lstm"),
    "PeepholeLSTM": (nn.PeepholeLSTM, {}, "peephole_lstm"),
    "PreviousPeepholeLSTM": (nn.PreviousPeepholeLSTM, {}, "previous_peephole_lstm"),
}
NO_TORCH = ("GRUResetBefore", "PeepholeLSTM", "PreviousPeepholeLSTM")


def build(kind: str, *args, seed: int = 0, dtype=torch.float64, **options) -> nn.Recurrent:
    """A layer with seeded parameters, none of them near zero by design of U(±1/√H)."""
    layer_class, fixed, _ = LAYERS[kind]
    torch.manual_seed(seed)
    return layer_class(*args, **fixed, **options, dtype=dtype)


def state_tensors(state) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else tuple(state)


def as_hx(tensors: tuple[Tensor, ...]):
    """What a layer takes: one tensor, or a tuple of two."""
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


def random_state(layer, B: int, seed: int = 1, dtype=torch.float64) -> tuple[Tensor, ...]:
    """Distinct, non-zero initial states."""
    g = torch.Generator().manual_seed(seed)
    shape = (layer.num_layers * layer.num_directions, B, layer.hidden_size)
    return tuple(torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) * 0.5 for _ in layer.cell.state_fields)


def answer(layer, x: Tensor, hx: tuple[Tensor, ...], **options):
    """Output, final state and every gradient, for gradients of ones times a fixed pattern at every output."""
    inputs = [t.detach().clone().requires_grad_() for t in (x, *hx)]
    output, state = layer(inputs[0], as_hx(tuple(inputs[1:])), **options)
    state = state_tensors(state)
    d_outputs = [pattern(t) for t in (output, *state)]
    parameters = dict(layer.named_parameters())
    found = torch.autograd.grad((output, *state), [*inputs, *parameters.values()], d_outputs)
    n = len(inputs)
    return {
        "output": output.detach(),
        "state": tuple(s.detach() for s in state),
        "dx": found[0],
        "dhx": found[1:n],
        "parameters": dict(zip(parameters, found[n:], strict=True)),
    }


def pattern(like: Tensor) -> Tensor:
    """A gradient that is different at every element, whatever the layout."""
    return torch.sin(torch.arange(like.numel(), dtype=torch.float64) * 0.7 + 0.3).reshape(like.shape).to(like.dtype)


def oracle_answer(kind: str, layer, x_TBI: Tensor, hx: tuple[Tensor, ...], lengths=None, reset=None):
    """The same from the oracle, for a time-first layer."""
    run = deep.scan(
        LAYERS[kind][2],
        as_arrays(x_TBI),
        as_arrays(hx),
        as_arrays(dict(layer.named_parameters())),
        num_layers=layer.num_layers,
        bidirectional=layer.bidirectional,
        lengths=as_arrays(lengths),
        reset=as_arrays(reset),
    )
    d_output = as_arrays(pattern(torch.from_numpy(run.output_TBH)))
    d_final = tuple(as_arrays(pattern(torch.from_numpy(s))) for s in run.final_state)
    gradients: batch.Gradients = deep.bptt(run, d_output, d_final)
    return {
        "output": run.output_TBH,
        "state": run.final_state,
        "dx": gradients.x_TBI,
        "dhx": gradients.state,
        "parameters": gradients.params,
    }
