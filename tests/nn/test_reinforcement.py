"""A recurrent policy: the update pass over a whole rollout gives the log-probabilities that acting gave, bit for bit.

Legend: T time, B environments.
"""

import pytest
import torch

from tests.nn.layers import build, state_tensors
from throughtime.nn import Recurrent, detach_state

KINDS = ["RNN", "GRU", "GRUResetBefore", "LSTM", "PeepholeLSTM", "PreviousPeepholeLSTM"]


class Policy(torch.nn.Module):
    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.memory = layer
        self.head = torch.nn.Linear(layer.hidden_size, 3)

    def logp(self, output_BH):
        # torch's linear may sum in another order for another number of rows, or for rows that begin elsewhere in
        # memory: the layer's own bits are one thing, the head's another. A copy begins where memory is aligned.
        return self.head(output_BH.clone()).log_softmax(-1)

    def step(self, seen, state, reset):
        output, state = self.memory.step(seen, state, reset=reset)
        return self.logp(output), state

    def whole(self, seen, state, reset):
        output, _ = self.memory(seen, state, reset=reset)
        return torch.stack([self.logp(row) for row in output])


def rollout(policy, step, T=60, B=5, seed=0):
    """Acting in environments that end at random: what was seen, done, begun anew, and its log-probability."""
    g = torch.Generator().manual_seed(seed)
    state, begun, kept = None, torch.ones(B, dtype=torch.bool), []
    for _ in range(T):
        seen = torch.randn(B, 4, generator=g)
        with torch.no_grad():
            logp, state = step(seen, state, begun)
        action = torch.multinomial(logp.exp(), 1, generator=g)
        kept.append((seen, action, begun, logp.gather(-1, action), detach_state(state)))
        begun = torch.rand(B, generator=g) < 0.15
    return [torch.stack(field) for field in list(zip(*kept, strict=True))[:4]] + [[k[4] for k in kept]]


@pytest.mark.parametrize("reset_state", ["zero", "learned"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_ratio_is_one(kind, num_layers, reset_state):
    layer = build(kind, 4, 17, num_layers, dtype=torch.float32, reset_state=reset_state)
    for p in layer._own_reset_state() or ():
        torch.nn.init.uniform_(p, -0.9, 0.9)
    policy = Policy(layer)
    stepper = layer.stepper()

    def fast(seen, state, reset):
        output, state = stepper(seen, state, reset)
        return policy.logp(output), state

    for step in (policy.step, fast):
        seen, action, begun, logp, states = rollout(policy, step)
        assert begun[1:].any()
        now = policy.whole(seen, None, begun).gather(-1, action)
        assert bool(((now - logp).exp() == 1).all())
        # From a stored state in the middle, and after a burn-in that brings the state up to date.
        again = policy.whole(seen[20:], states[19], begun[20:]).gather(-1, action[20:])
        assert bool(((again - logp[20:]).exp() == 1).all())
        with torch.no_grad():
            _, warm = layer(seen[20:40], states[19], reset=begun[20:40])
        assert all(map(torch.equal, state_tensors(warm), state_tensors(states[39])))
        # One environment's row alone, as a minibatch would have it.
        alone, _ = layer(seen[:, 2:3], None, reset=begun[:, 2:3])
        assert torch.equal(alone[:, 0], layer(seen, None, reset=begun)[0][:, 2])


def test_a_border_that_is_forgotten_shows():
    """The comparison can fail: without the resets the ratio is not one."""
    policy = Policy(build("GRU", 4, 17, dtype=torch.float32))
    seen, action, begun, logp, _ = rollout(policy, policy.step)
    assert begun[1:].any()
    now = policy.whole(seen, None, torch.zeros_like(begun)).gather(-1, action)
    assert (now - logp).exp().sub(1).abs().max() > 1e-3
