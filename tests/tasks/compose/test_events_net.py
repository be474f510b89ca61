"""Latches: by a loop in NumPy, across borders, lengths and chunks, and step by step."""

import numpy as np
import torch

from throughtime.tasks.compose.events_net import Latches

T, B, E, K = 7, 4, 3, 2


def given() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn((T, B, E), generator=generator)
    of = (torch.rand((T, B, K), generator=generator) < 0.3).float()
    reset = torch.zeros((T, B), dtype=torch.bool)
    reset[0, 0] = reset[3, 1] = reset[5, 1] = True
    return torch.cat((x, of), -1), torch.randn((1, B, E * K), generator=generator), reset


def by_hand(input: np.ndarray, state: np.ndarray, reset: np.ndarray, lengths: list[int]) -> tuple[np.ndarray, ...]:
    m = state[0].reshape(B, K, E).copy()
    ends, found = m.copy(), np.zeros((T, B, E * (1 + K)), dtype=np.float32)
    for t in range(T):
        for b in range(B):
            m[b] *= not reset[t, b]
            for k in range(K):
                if input[t, b, E + k]:
                    m[b, k] = input[t, b, :E]
            found[t, b] = [*input[t, b, :E], *m[b].ravel()]
            if t < lengths[b]:
                ends[b] = m[b]
    return found, ends.reshape(1, B, -1)


def test_the_last_input_of_each_kind_is_held() -> None:
    layer = Latches(E, K)
    x, state, reset = given()
    lengths = [7, 3, 1, 0]
    wanted, ends = by_hand(x.numpy(), state.numpy(), reset.numpy(), lengths)
    found, after = layer(x, state, reset=reset, lengths=torch.tensor(lengths))
    assert np.array_equal(found.numpy(), wanted)
    assert np.array_equal(after.numpy(), ends)
    assert not np.array_equal(layer(x, state)[0].numpy(), wanted)


def test_chunks_and_steps_give_what_the_whole_gives() -> None:
    layer = Latches(E, K)
    x, state, reset = given()
    whole, end = layer(x, state, reset=reset)
    for size in (1, 3):
        parts, m = [], state
        for t in range(0, T, size):
            y, m = layer(x[t : t + size], m, reset=reset[t : t + size])
            parts.append(y)
        assert torch.equal(torch.cat(parts), whole)
        assert torch.equal(m, end)
    m = torch.zeros((1, B, E * K))
    for t in range(T):
        y, m = layer.step(x[t], m)
        assert torch.equal(y, layer(x[: t + 1])[0][t])
