"""Which tags may begin, follow one another and end: for a CRF, and for decoding without one.

Axes in names: T time, B batch, K tags.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn.lengths import read_lengths


class TagConstraints(nn.Module):
    """The tag sequences that are possible.

    A module, so that the masks move with the model; it has no parameters and nothing in a `state_dict`.

    Args:
        follows: bool (K, K); `follows[i, j]`: tag j may come right after tag i.
        begins: bool (K,): tags that a sequence may begin with.
        ends: bool (K,): tags that a sequence may end with.

    **Raises** ArgumentTypeError where a mask is not bool; ArgumentError where shapes differ or where some length has no
    possible sequence at all (looked for up to 2K + 1 steps).

    >>> outside_inside = TagConstraints([[True, False], [True, True]], [True, True], [True, True])
    >>> outside_inside.possible(torch.tensor([[1, 1, 0], [0, 1, 0]]).T).tolist()
    [True, False]
    """

    follows: Tensor
    begins: Tensor
    ends: Tensor

    def __init__(self, follows: Any, begins: Any, ends: Any) -> None:
        super().__init__()
        masks = {"follows": follows, "begins": begins, "ends": ends}
        for name, given in masks.items():
            mask: Tensor = torch.as_tensor(given)
            if mask.dtype != torch.bool:
                raise ArgumentTypeError(
                    f"TagConstraints: expected {name} of dtype torch.bool, got {mask.dtype}; convert it with .bool()"
                )
            self.register_buffer(name, mask.clone(), persistent=False)
        K = len(self.begins) if self.begins.dim() == 1 else 0
        for name, shape in (("begins", (K,)), ("follows", (K, K)), ("ends", (K,))):
            got = tuple(getattr(self, name).shape)
            if not K or got != shape:
                raise ArgumentError(
                    f"TagConstraints: expected {name} of shape {'(K,)' if not K else shape}, got {got}; "
                    "pass one flag for each tag, and for each pair of tags"
                )
        self.mixing = _mixing(self.follows)
        reached = self.begins
        for steps in range(1, 2 * K + 2):
            if not bool((reached & self.ends).any()):
                raise ArgumentError(
                    f"TagConstraints: expected a possible sequence of every length, got none of {steps} tags; "
                    "allow a tag that may begin, follow itself and end"
                )
            reached = (reached.unsqueeze(1) & self.follows).any(0)

    mixing: float
    """So many steps lead from any tag to any other; inf where no number does."""

    @property
    def num_tags(self) -> int:
        """K."""
        return len(self.begins)

    def possible(self, tags: Tensor, lengths: Any = None) -> Tensor:
        """Whether each row of tags (T, B) is possible: bool (B,). An empty row is."""
        T, B = tags.shape
        valid = read_lengths("TagConstraints.possible", lengths, T, B, tags.device)
        if valid is None:
            valid = torch.full((B,), T, dtype=torch.int64, device=tags.device)
        if T == 0:
            return valid == 0
        steps = torch.arange(T, device=tags.device).unsqueeze(1)
        # What stands past a length is no tag.
        tags = tags.masked_fill(steps >= valid, 0)
        last = tags.gather(0, (valid - 1).clamp(min=0).unsqueeze(0)).squeeze(0)
        follows = (self.follows[tags[:-1], tags[1:]] | (steps[1:] >= valid)).all(0)
        return (self.begins[tags[0]] & follows & self.ends[last]) | (valid == 0)

    def greedy(self, scores: Tensor, lengths: Any = None) -> Tensor:
        """The best possible tag at every step given the one before, from left to right: int64 (T, B), −1 past a length.

        A tag from which no possible ending of the right length is left is not taken, so that the whole is possible.

        **Shapes** scores (T, B, K), any numbers of which more is better.
        """
        T, B, K = scores.shape
        valid = read_lengths("TagConstraints.greedy", lengths, T, B, scores.device)
        if valid is None:
            valid = torch.full((B,), T, dtype=torch.int64, device=scores.device)
        chosen = torch.full((T, B), -1, dtype=torch.int64, device=scores.device)
        # can_end[n, k]: from tag k, n more steps can end possibly.
        can_end = [self.ends]
        for _ in range(T - 1):
            can_end.append((self.follows & can_end[-1]).any(1))
        can_end_TK = torch.stack(can_end)
        allowed_BK = self.begins.expand(B, K)
        for t in range(T):
            left_B = (valid - 1 - t).clamp(min=0)
            open_BK = allowed_BK & can_end_TK[left_B]
            best_B = scores[t].masked_fill(~open_BK, -torch.inf).argmax(-1)
            chosen[t] = torch.where(t < valid, best_B, chosen[t])
            allowed_BK = self.follows[best_B]
        return chosen


def _mixing(follows_KK: Tensor) -> float:
    """The least n ≤ 8 by which every tag leads to every other in n steps; more are not looked for."""
    step_KK = follows_KK.float()
    reached_KK = step_KK
    for n in range(1, 9):
        if bool((reached_KK > 0).all()):
            return n
        reached_KK = ((reached_KK @ step_KK) > 0).float()
    return float("inf")
