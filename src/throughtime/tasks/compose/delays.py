"""Frames that lie far back, beside each one: what a repeated phrase is copied from.

Axes in names: T time, B rows, F features, K of them delayed, D steps that are remembered, N both one after another.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Delays(nn.Module):
    """Each input, and the first K numbers of some earlier ones; nothing is learnt.

    (1) y_t = [x_t, x_{t−d}[:K] for each delay d]; zeros before the first

    **Shapes** input (T, B, F), output (T, B, F + K · delays), state (1, B, D K), D the largest delay.
    """

    def __init__(self, features: int, size: int, delays: Sequence[int]) -> None:
        super().__init__()
        self.size = size
        self.delays = list(delays)
        self.most = max(delays)
        self.output_size = features + size * len(self.delays)

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        return (self.most * self.size,)

    @property
    def _state_fields(self) -> tuple[str, ...]:
        return ("past",)

    def forward(self, input: Tensor, state: Tensor | None = None, *, lengths: Any = None) -> tuple[Tensor, Tensor]:
        """(1), and what is remembered at each row's length."""
        T, B, _ = input.shape
        D, K = self.most, self.size
        x_TBK = input[..., :K]
        past_BDK = input.new_zeros((B, D, K)) if state is None else state.to(input.dtype).view(B, D, K)
        all_NBK = torch.cat((past_BDK.transpose(0, 1), x_TBK))
        found_TBF = torch.cat((input, *(all_NBK[D - d : D - d + T] for d in self.delays)), -1)
        if lengths is None:
            after_BDK = all_NBK[T:].transpose(0, 1)
        else:
            places_BD = torch.as_tensor(lengths, device=input.device).unsqueeze(1) + torch.arange(
                D, device=input.device
            )
            after_BDK = all_NBK[places_BD, torch.arange(B, device=input.device).unsqueeze(1)]
        return found_TBF, after_BDK.reshape(1, B, D * K)
