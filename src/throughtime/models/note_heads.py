"""Which keys sound together: heads that turn an output into the probability of a set of keys.

Axes in names: N steps of all rows, B batch, F features, K keys, M units of the joint head, G keys that sound, and one.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError

NOTE_HEADS = ("independent", "joint")


class IndependentKeys(nn.Module):
    """Each key by itself: a Bernoulli.

    (1) log p(x | h) = Σ_k log σ((2 x_k − 1) z_k), z = W h + b

    **Shapes** hidden (N, F), keys (N, K) of 0 and 1, free (N, K) bool or None.

    >>> head = IndependentKeys(4, 88)
    >>> tuple(head.log_probs(torch.zeros(3, 4), torch.zeros(3, 88)).shape)
    (3,)
    """

    def __init__(self, features: int, keys: int) -> None:
        super().__init__()
        self.keys = keys
        self.linear = nn.Linear(features, keys)

    def log_probs(self, hidden: Tensor, keys: Tensor, free: Tensor | None = None) -> Tensor:
        """The log-probability of each row's keys, (N,), in nats.

        Args:
            hidden: what is known.
            keys: which sound.
            free: which keys are counted; None: all. The others are given.
        """
        return _counted(self.linear(hidden), keys, free)

    def draw(self, hidden: Tensor, pick: "Pick", fixed: Tensor | None = None) -> Tensor:
        """Keys of one step, (B, K).

        Args:
            hidden: (B, F).
            pick: asked once a key, from logits (B, 2) of silence and sound.
            fixed: (B, K) of 0, 1, and −1 where a key is free; None: all are.
        """
        z_BK2 = torch.stack((torch.zeros_like(z_BK := self.linear(hidden)), z_BK), -1)
        drawn_BK = torch.stack([pick(z_BK2[:, k], k) for k in range(self.keys)], 1).to(z_BK.dtype)
        return drawn_BK if fixed is None else torch.where(fixed < 0, drawn_BK, fixed.to(drawn_BK.dtype))


class JointKeys(nn.Module):
    """Chords: each key given all keys above it.

    (1) a_k = c + V h + Σ_{j above k} x_j w_j
    (2) z_k = b_k + u_k · h + v_k · σ(a_k)
    (3) log p(x | h) = Σ_k log σ((2 x_k − 1) z_k)

    The highest key comes first, so that a melody is known before what accompanies it. a changes at keys that sound
    alone, of which there are few: it is computed once for each of these, and gives the same numbers.

    **Shapes** as `IndependentKeys`.

    **Source** [Larochelle2011]; differs by (2)'s u_k · h and by the order of the keys.
    """

    def __init__(self, features: int, keys: int, units: int = 128) -> None:
        super().__init__()
        self.keys = keys
        self.units = units
        self.linear = nn.Linear(features, keys)
        self.begin = nn.Linear(features, units)
        bound = units**-0.5
        self.after = nn.Parameter(torch.empty(keys, units).uniform_(-bound, bound))
        self.out = nn.Parameter(torch.empty(keys, units).uniform_(-bound, bound))

    def logits(self, hidden: Tensor, keys: Tensor) -> Tensor:
        """z of (2) for every key, (N, K)."""
        x_NK = keys.flip(-1).to(hidden.dtype)
        base_NK, a_NM = self.linear(hidden).flip(-1), self.begin(hidden)
        above_NK = x_NK.long().cumsum(1) - x_NK.long()  # keys that sound above each
        G = int(above_NK[:, -1].max() + x_NK[:, -1].max()) + 1 if len(x_NK) else 1
        n, k = x_NK.nonzero(as_tuple=True)
        added_NGM = a_NM.new_zeros((len(x_NK), G, self.units))
        added_NGM = added_NGM.index_put((n, above_NK[n, k] + 1), self.after[k])
        known_NGM = (a_NM.unsqueeze(1) + added_NGM.cumsum(1)).sigmoid()
        joint_NGK = known_NGM @ self.out.T
        joint_NK = joint_NGK.gather(1, above_NK.unsqueeze(1)).squeeze(1)
        z_NK: Tensor = (base_NK + joint_NK).flip(-1)
        return z_NK

    def log_probs(self, hidden: Tensor, keys: Tensor, free: Tensor | None = None) -> Tensor:
        """As `IndependentKeys.log_probs`."""
        return _counted(self.logits(hidden, keys), keys, free)

    def draw(self, hidden: Tensor, pick: "Pick", fixed: Tensor | None = None) -> Tensor:
        """As `IndependentKeys.draw`, a note after another from the highest down.

        (4) log p(the next key that sounds is k) = log σ(z_k) + Σ_{j between} log σ(−z_j); that none follows is the rest

        `pick` is asked once a note, from (4) and at the end of each row that none follows, (B, K + 1): so that a
        temperature makes the likeliest chord likelier, and not chords thinner, as it would key by key.
        """
        base_BK, a_BM = self.linear(hidden).flip(-1), self.begin(hidden)
        given_BK = None if fixed is None else fixed.flip(-1)
        places_K = torch.arange(self.keys, device=hidden.device)
        drawn_BK = torch.zeros_like(base_BK)
        first_B1 = places_K.new_zeros((len(hidden), 1))
        for note in range(self.keys):
            z_BK = base_BK + a_BM.sigmoid() @ self.out.T
            on_BK, off_BK = nn.functional.logsigmoid(z_BK), nn.functional.logsigmoid(-z_BK)
            if given_BK is not None:
                on_BK = on_BK.masked_fill(given_BK == 0, -torch.inf).masked_fill(given_BK == 1, 0.0)
                off_BK = off_BK.masked_fill(given_BK == 0, 0.0).masked_fill(given_BK == 1, -torch.inf)
            passed_BK = places_K < first_B1
            on_BK, off_BK = on_BK.masked_fill(passed_BK, -torch.inf), off_BK.masked_fill(passed_BK, 0.0)
            until_BK = torch.cat((torch.zeros_like(off_BK[:, :1]), off_BK.cumsum(1)), 1)
            next_B = pick(torch.cat((until_BK[:, :-1] + on_BK, until_BK[:, -1:]), 1), note)
            (rows,) = (next_B < self.keys).nonzero(as_tuple=True)
            if not len(rows):
                break
            drawn_BK[rows, next_B[rows]] = 1
            a_BM = a_BM.index_add(0, rows, self.after[next_B[rows]])
            first_B1 = (next_B + 1).unsqueeze(1)
        return drawn_BK.flip(-1)


Pick = Callable[[Tensor, int], Tensor]
"""How one of several is chosen: from logits (B, C), and how often was asked before, to numbers (B,)."""


def note_head(name: str, features: int, keys: int) -> Any:
    """A head by its name: "independent" or "joint".

    Raises:
        ArgumentError: no such head.
    """
    if name not in NOTE_HEADS:
        raise ArgumentError(
            f"note_head: expected one of {', '.join(map(repr, NOTE_HEADS))}, got {name!r}; pass one of these"
        )
    return (IndependentKeys if name == "independent" else JointKeys)(features, keys)


def _counted(z_NK: Tensor, keys_NK: Tensor, free_NK: Tensor | None) -> Tensor:
    log_p_NK = -nn.functional.binary_cross_entropy_with_logits(z_NK, keys_NK.to(z_NK.dtype), reduction="none")
    counted_NK: Tensor = log_p_NK if free_NK is None else log_p_NK.masked_fill(~free_NK, 0.0)
    return counted_NK.sum(1)
