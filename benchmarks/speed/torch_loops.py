"""Loops over time steps for the cells that torch.nn lacks, as people write them: compiled by TorchScript.

The products of the input with its weights are taken out of the loop. Axes: T time, B batch, G gates, H hidden units.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.speed.job import Arrays


def _gru_reset_before(a_TBG: Tensor, weight_hh: Tensor, bias_hh: Tensor, weight_ch: Tensor) -> Tensor:
    H = weight_hh.shape[1]
    h = torch.zeros(a_TBG.shape[1], H)
    w_rz, w_n = weight_hh[: 2 * H].t(), weight_hh[2 * H :].t()
    b_rz, b_n = bias_hh[: 2 * H], bias_hh[2 * H :]
    outputs = []
    for a_BG in a_TBG.unbind(0):
        r, z = torch.sigmoid(a_BG[:, : 2 * H] + torch.addmm(b_rz, h, w_rz)).chunk(2, 1)
        n = torch.tanh(a_BG[:, 2 * H :] + torch.addmm(b_n, r * h, w_n))
        h = (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs)


def _peephole_lstm(a_TBG: Tensor, weight_hh: Tensor, bias_hh: Tensor, weight_ch: Tensor) -> Tensor:
    H = weight_hh.shape[1]
    h = torch.zeros(a_TBG.shape[1], H)
    c = torch.zeros(a_TBG.shape[1], H)
    w = weight_hh.t()
    p_i, p_f, p_o = weight_ch.chunk(3)
    outputs = []
    for a_BG in a_TBG.unbind(0):
        a_i, a_f, a_g, a_o = (a_BG + torch.addmm(bias_hh, h, w)).chunk(4, 1)
        i = torch.sigmoid(a_i + p_i * c)
        f = torch.sigmoid(a_f + p_f * c)
        c = f * c + i * torch.tanh(a_g)
        h = torch.sigmoid(a_o + p_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def _previous_peephole_lstm(a_TBG: Tensor, weight_hh: Tensor, bias_hh: Tensor, weight_ch: Tensor) -> Tensor:
    H = weight_hh.shape[1]
    h = torch.zeros(a_TBG.shape[1], H)
    c = torch.zeros(a_TBG.shape[1], H)
    w = weight_hh.t()
    p_i, p_f, p_o = weight_ch.chunk(3)
    outputs = []
    for a_BG in a_TBG.unbind(0):
        a_i, a_f, a_g, a_o = (a_BG + torch.addmm(bias_hh, h, w)).chunk(4, 1)
        i = torch.sigmoid(a_i + p_i * c)
        f = torch.sigmoid(a_f + p_f * c)
        o = torch.sigmoid(a_o + p_o * c)
        c = f * c + i * torch.tanh(a_g)
        h = o * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


class Loop(nn.Module):
    """One layer of parameters around a scripted loop."""

    def __init__(self, loop: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], arrays: Arrays) -> None:
        super().__init__()
        names = [name for name in arrays if name.startswith(("weight_", "bias_")) and name.endswith("_l0")]
        for name in names:
            setattr(self, name, nn.Parameter(torch.from_numpy(arrays[name].copy())))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.loop = torch.jit.script(loop)

    def forward(self, x_TBI: Tensor) -> tuple[Tensor, None]:
        a_TBG = nn.functional.linear(x_TBI, self.weight_ih_l0, self.bias_ih_l0)
        weight_ch = getattr(self, "weight_ch_l0", None)
        # A scripted function takes no None where it expects a tensor.
        peepholes = self.bias_hh_l0 if weight_ch is None else weight_ch
        return self.loop(a_TBG, self.weight_hh_l0, self.bias_hh_l0, peepholes), None


LOOPS: dict[str, Callable[[Arrays], nn.Module]] = {
    "gru-reset-before": lambda arrays: Loop(_gru_reset_before, arrays),
    "peephole-lstm": lambda arrays: Loop(_peephole_lstm, arrays),
    "previous-peephole-lstm": lambda arrays: Loop(_previous_peephole_lstm, arrays),
}
