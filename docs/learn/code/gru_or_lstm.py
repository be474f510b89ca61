"""GRU or LSTM: parameters, time, and a task that needs memory."""

import time

import torch
from was_or_were import WasOrWere, fit

from throughtime.nn import GRU, LSTM

DISTANCE = 20
rows = {}
for name, kind in (("gru", GRU), ("lstm", LSTM)):
    layer = kind(64, 64)
    x = torch.randn(100, 32, 64)
    times = []
    for _ in range(5):
        began = time.process_time()
        layer(x)[0].sum().backward()
        times.append(time.process_time() - began)
    torch.manual_seed(0)
    right = fit(WasOrWere(name, open_for=DISTANCE), DISTANCE, n=3000)
    rows[name] = sum(p.numel() for p in layer.parameters()), min(times), right
    print(
        f"{name:5s} {rows[name][0]:6,d} parameters, "
        f"{1000 * rows[name][1]:5.1f} ms forward and backward, {right:.3f} right"
    )
assert rows["gru"][0] * 4 == rows["lstm"][0] * 3  # three blocks of weights against four
assert min(row[2] for row in rows.values()) > 0.95
