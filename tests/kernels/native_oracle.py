"""Forward and backward of every cell in float64 NumPy, one row of the batch at a time, as plainly as can be.

Written apart from csrc and from throughtime.cells: rows are cut to their length, turned round where the direction asks
for it, split at resets into segments, and each segment is a loop over steps.
"""

from typing import NamedTuple

import numpy as np

GATES = {
    "rnn_tanh": 1,
    "rnn_relu": 1,
    "gru": 3,
    "gru_reset_before": 3,
    "lstm": 4,
    "peephole_lstm": 4,
    "previous_peephole_lstm": 4,
}
CELLS = tuple(GATES)


class Result(NamedTuple):
    output: np.ndarray
    h_n: np.ndarray
    c_n: np.ndarray
    c_sequence: np.ndarray


def sigmoid(a):
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def has_cell(cell):
    return cell.endswith("lstm")


def step(cell, x, h, c, w):
    """One step of one row: (h', c', what the backward step needs)."""
    H = h.size
    ax = w["weight_ih"] @ x + w["bias_ih"]
    ah = w["weight_hh"] @ h + w["bias_hh"]
    if cell in ("rnn_tanh", "rnn_relu"):
        a = ax + ah
        out = np.tanh(a) if cell == "rnn_tanh" else np.maximum(a, 0.0)
        return out, c, (x, h, c, out)
    if cell == "gru":
        r, z = sigmoid((ax + ah)[:H]), sigmoid((ax + ah)[H : 2 * H])
        n = np.tanh(ax[2 * H :] + r * ah[2 * H :])
        return (1 - z) * n + z * h, c, (x, h, c, r, z, n, ah[2 * H :])
    if cell == "gru_reset_before":
        r, z = sigmoid((ax + ah)[:H]), sigmoid((ax + ah)[H : 2 * H])
        n = np.tanh(ax[2 * H :] + w["weight_hh"][2 * H :] @ (r * h) + w["bias_hh"][2 * H :])
        return (1 - z) * n + z * h, c, (x, h, c, r, z, n)
    a = (ax + ah).reshape(4, H)
    p = w["weight_ch"].reshape(3, H) if w.get("weight_ch") is not None else np.zeros((3, H))
    i, f, g = sigmoid(a[0] + p[0] * c), sigmoid(a[1] + p[1] * c), np.tanh(a[2])
    c_new = f * c + i * g
    o = sigmoid(a[3] + p[2] * (c if cell == "previous_peephole_lstm" else c_new))
    return o * np.tanh(c_new), c_new, (x, h, c, i, f, g, o, c_new)


def step_backward(cell, kept, dh, dc, w, d):
    """Gradients of one step: (dx, dh, dc) of what came in; the weights' are added to d."""
    x, h, c = kept[:3]
    H = h.size
    direct = np.zeros(H)
    dc_previous = np.zeros(H)
    if cell in ("rnn_tanh", "rnn_relu"):
        out = kept[3]
        da = dh * (1 - out**2) if cell == "rnn_tanh" else dh * (out > 0)
        dax = dah = da
        h_factor = [h]
    elif cell in ("gru", "gru_reset_before"):
        r, z, n = kept[3:6]
        direct = dh * z
        da_n = dh * (1 - z) * (1 - n**2)
        da_z = dh * (h - n) * z * (1 - z)
        if cell == "gru":
            da_r = da_n * kept[6] * r * (1 - r)
            dax, dah = np.concatenate([da_r, da_z, da_n]), np.concatenate([da_r, da_z, da_n * r])
            h_factor = [h, h, h]
        else:
            d_rh = w["weight_hh"][2 * H :].T @ da_n
            da_r = d_rh * h * r * (1 - r)
            direct = direct + d_rh * r
            dax = dah = np.concatenate([da_r, da_z, da_n])
            h_factor = [h, h, r * h]
    else:
        i, f, g, o, c_new = kept[3:]
        p = w["weight_ch"].reshape(3, H) if w.get("weight_ch") is not None else np.zeros((3, H))
        da_o = dh * np.tanh(c_new) * o * (1 - o)
        dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)
        if cell != "previous_peephole_lstm":
            dc = dc + p[2] * da_o
        da_i, da_f, da_g = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2)
        dc_previous = dc * f + p[0] * da_i + p[1] * da_f
        if cell == "previous_peephole_lstm":
            dc_previous = dc_previous + p[2] * da_o
        dax = dah = np.concatenate([da_i, da_f, da_g, da_o])
        h_factor = [h, h, h, h]
        if w.get("weight_ch") is not None:
            seen = c if cell == "previous_peephole_lstm" else c_new
            d["weight_ch"] += np.concatenate([da_i * c, da_f * c, da_o * seen])
    d["weight_ih"] += np.outer(dax, x)
    for gate, factor in enumerate(h_factor):
        rows = slice(gate * H, (gate + 1) * H)
        d["weight_hh"][rows] += np.outer(dah[rows], factor)
    d["bias_ih"] += dax
    d["bias_hh"] += dah
    dh_previous = direct + w["weight_hh"].T @ dah
    if cell == "gru_reset_before":
        dh_previous = direct + w["weight_hh"][: 2 * H].T @ dah[: 2 * H]
    return w["weight_ih"].T @ dax, dh_previous, dc_previous


def row_times(t_count, length, reset, reverse):
    """The times of one row in running order, each with whether the state before it starts anew."""
    times = list(range(length))
    if reverse:
        times.reverse()
    fresh = []
    for k, t in enumerate(times):
        if reset is None:
            fresh.append(False)
        elif reverse:
            fresh.append(k > 0 and bool(reset[t + 1]))
        else:
            fresh.append(bool(reset[t]))
    return list(zip(times, fresh, strict=True))


def forward(cell, x, w, h0, c0, lengths=None, reset=None, reverse=False):
    T, B, _ = x.shape
    H = h0.shape[1]
    output, c_sequence = np.zeros((T, B, H)), np.zeros((T, B, H))
    h_n, c_n = h0.copy(), c0.copy()
    for b in range(B):
        length = T if lengths is None else int(lengths[b])
        h, c = h0[b], c0[b]
        for t, fresh in row_times(T, length, None if reset is None else reset[:, b], reverse):
            if fresh:
                h, c = np.zeros(H), np.zeros(H)
            h, c, _ = step(cell, x[t, b], h, c, w)
            output[t, b], c_sequence[t, b] = h, c
        h_n[b], c_n[b] = h, c
    return Result(output, h_n, c_n, c_sequence)


def backward(cell, x, w, h0, c0, dy, dh_n, dc_n, dc_sequence, lengths=None, reset=None, reverse=False):
    """dict of dx, dh0, dc0 and the weights' gradients."""
    T, B, _ = x.shape
    H = h0.shape[1]
    d = {name: np.zeros_like(value) for name, value in w.items() if value is not None}
    dx, dh0, dc0 = np.zeros(x.shape), np.zeros((B, H)), np.zeros((B, H))
    for b in range(B):
        length = T if lengths is None else int(lengths[b])
        times = row_times(T, length, None if reset is None else reset[:, b], reverse)
        h, c = h0[b], c0[b]
        kept = []
        for t, fresh in times:
            if fresh:
                h, c = np.zeros(H), np.zeros(H)
            h, c, values = step(cell, x[t, b], h, c, w)
            kept.append(values)
        dh, dc = dh_n[b], dc_n[b]
        for (t, fresh), values in zip(reversed(times), reversed(kept), strict=True):
            dx[t, b], dh, dc = step_backward(cell, values, dh + dy[t, b], dc + dc_sequence[t, b], w, d)
            if fresh:
                dh, dc = np.zeros(H), np.zeros(H)
        dh0[b], dc0[b] = dh, dc
    return {"dx": dx, "dh0": dh0, "dc0": dc0, **d}
