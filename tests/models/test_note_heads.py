"""Heads over keys: probabilities that add up, the joint head against its equations in NumPy, draws that follow them."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from throughtime.errors import ArgumentError
from throughtime.models.note_heads import IndependentKeys, JointKeys, note_head

K, F = 5, 3


def heads() -> list[IndependentKeys | JointKeys]:
    torch.manual_seed(0)
    return [IndependentKeys(F, K).double(), JointKeys(F, K, units=4).double()]


@pytest.mark.parametrize("head", heads(), ids=["independent", "joint"])
def test_the_probabilities_of_all_chords_add_up_to_one(head: IndependentKeys | JointKeys) -> None:
    chords = torch.tensor(list(itertools.product((0, 1), repeat=K)), dtype=torch.float64)
    hidden = torch.randn(1, F, dtype=torch.float64).expand(len(chords), F)
    assert head.log_probs(hidden, chords).exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    # Given the two highest keys, what is free adds up, too.
    free = torch.tensor([True] * 3 + [False] * 2).expand(8, K)
    some = torch.tensor([[*low, 1.0, 0.0] for low in itertools.product((0.0, 1.0), repeat=3)], dtype=torch.float64)
    assert head.log_probs(hidden[:8], some, free).exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def test_the_joint_head_is_its_equations() -> None:
    head = heads()[1]
    assert isinstance(head, JointKeys)
    hidden, keys = torch.randn(6, F, dtype=torch.float64), (torch.rand(6, K) < 0.6).double()
    keys[0], keys[1] = 0, 1
    found = head.logits(hidden, keys).detach().numpy()

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    W, b = head.linear.weight.detach().numpy(), head.linear.bias.detach().numpy()
    V, c = head.begin.weight.detach().numpy(), head.begin.bias.detach().numpy()
    after, out = head.after.detach().numpy(), head.out.detach().numpy()
    for n in range(6):
        h, x = hidden[n].numpy(), keys[n].numpy()
        a = V @ h + c
        for place in range(K):
            k = K - 1 - place
            assert found[n, k] == pytest.approx(W[k] @ h + b[k] + out[place] @ sigmoid(a), abs=1e-12)
            a = a + x[k] * after[place]


@pytest.mark.parametrize("head", heads(), ids=["independent", "joint"])
def test_draws_follow_the_probabilities_and_keep_what_is_fixed(head: IndependentKeys | JointKeys) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(1, F, dtype=torch.float64).expand(40_000, F)

    def pick(logits: Tensor, place: int) -> Tensor:
        return logits.softmax(-1).multinomial(1, generator=generator).squeeze(1)

    with torch.no_grad():
        drawn = head.draw(hidden, pick)
        chords, counts = drawn.unique(dim=0, return_counts=True)
        expected = head.log_probs(hidden[: len(chords)], chords).exp()
    # Four standard errors of a share of 40,000.
    assert (counts / len(drawn) - expected).abs().max() < 4 * (0.25 / 40_000) ** 0.5
    fixed = torch.full((40_000, K), -1)
    fixed[:, 4], fixed[:, 3] = 1, 0
    with torch.no_grad():
        kept = head.draw(hidden, pick, fixed)
    assert bool((kept[:, 4] == 1).all())
    assert bool((kept[:, 3] == 0).all())


def test_the_likeliest_chord_is_as_full_as_chords_are() -> None:
    """Three keys share one note evenly: key by key silence is likelier each time, and no chord ever has it."""
    head = JointKeys(1, 3, units=1).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        # In order: σ = 1/3, 1/2 and 1 of what is left; −40 for every key below one that sounds.
        head.linear.bias.copy_(torch.tensor([40.0, 0.0, -np.log(2.0)], dtype=torch.float64))
        head.begin.bias.fill_(-40.0)
        head.after.fill_(80.0)
        head.out.fill_(-80.0)
        drawn = head.draw(torch.zeros(1, 1).double(), lambda logits, place: logits.argmax(-1))
    assert drawn.sum().item() == 1.0


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ArgumentError, match="'rbm'"):
        note_head("rbm", 3, 88)
