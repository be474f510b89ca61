"""The net over events: recurrent layers that are told, beside each event, what was said last of every kind.

The pitch before this one lies three events back or more, the bar a dozen. Layers alone learn to look so far back, but
only after thousands of steps: with pieces moved to any key a net of 1,100 steps knew no more than how often each pitch
occurs (2.99 nats a pitch), and with this 2.5 after a third of them.

Axes in names: T time, B rows, V vocabulary, E embedding, F features, K kinds, N events of a chunk and one before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.models.decoding import step_of
from throughtime.tasks.compose.events import EventVocabulary
from throughtime.tasks.language.net import Dropouts, States, TextEncoder

KINDS = ("bar", "pos", "pitch")
"""What is remembered."""


class Latches(nn.Module):
    """Of each kind the last input of that kind, held until the next; nothing is learnt.

    (1) m_t^k = x_t where x_t is of kind k, else m_{t−1}^k; zeros before the first, and before a border
    (2) y_t = [x_t, m_t^1, ..., m_t^K]

    **Shapes** input (T, B, E + K), the last K of which say of which kinds it is; output (T, B, E (1 + K)), state
    (1, B, E K).
    """

    def __init__(self, size: int, kinds: int) -> None:
        super().__init__()
        self.size = size
        self.kinds = kinds
        self.output_size = size * (1 + kinds)

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        return (self.size * self.kinds,)

    @property
    def _state_fields(self) -> tuple[str, ...]:
        return ("m",)

    def forward(
        self, input: Tensor, state: Tensor | None = None, *, reset: Tensor | None = None, lengths: Any = None
    ) -> tuple[Tensor, Tensor]:
        """(2), and m at each row's length."""
        T, B, _ = input.shape
        E, K = self.size, self.kinds
        if T == 1 and lengths is None:  # what a graph of one step can say: no cumulative maximum
            m_1BF = input.new_zeros((1, B, E * K)) if state is None else state.to(input.dtype)
            y_BF, m_1BF = self.step(input[0], m_1BF if reset is None else m_1BF.masked_fill(reset.unsqueeze(-1), 0.0))
            return y_BF.unsqueeze(0), m_1BF
        x_TBE, of_TBK = input[..., :E], input[..., E:] > 0
        before_BKE = input.new_zeros((B, K, E)) if state is None else state.to(input.dtype).view(B, K, E)
        steps_T1 = torch.arange(1, T + 1, device=input.device).unsqueeze(1)
        last_TBK = torch.where(of_TBK, steps_T1.unsqueeze(2), 0).cummax(0).values if T else of_TBK.long()
        if reset is None:
            kept_TBK = torch.ones_like(of_TBK)
        else:
            border_TB = torch.where(reset, steps_T1, 0).cummax(0).values if T else reset.long()
            kept_TBK = last_TBK >= border_TB.unsqueeze(2)
        rows_B = torch.arange(B, device=input.device)
        parts = [x_TBE]
        for k in range(K):
            all_NBE = torch.cat((before_BKE[None, :, k], x_TBE))
            parts.append(all_NBE[last_TBK[..., k], rows_B].masked_fill(~kept_TBK[..., k, None], 0.0))
        held_NBF = torch.cat((before_BKE.reshape(1, B, K * E), torch.cat(parts[1:], -1)))
        ends_B = torch.as_tensor(T if lengths is None else lengths, device=input.device).expand(B)
        return torch.cat(parts, -1), held_NBF[ends_B, rows_B].unsqueeze(0)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One time step of (2), x (B, E + K)."""
        E, K = self.size, self.kinds
        of_BK1 = x[:, E:, None] > 0
        m_BKE = torch.where(of_BK1, x[:, None, :E], state.view(x.shape[0], K, E))
        return torch.cat((x[:, :E], m_BKE.flatten(1)), 1), m_BKE.reshape(1, x.shape[0], K * E)


class EventEncoder(TextEncoder):
    """A `TextEncoder` of events, whose first layer is `Latches`.

    Args:
        vocabulary: the events.
        cell, classes, dropouts: see `TextEncoder`.
        widths: E, then the units of each layer.
    """

    def __init__(
        self, vocabulary: EventVocabulary, cell: str, widths: Sequence[int], *, classes: int | None, dropouts: Dropouts
    ) -> None:
        E, K = widths[0], len(KINDS)
        super().__init__(len(vocabulary), cell, [E * (1 + K), *widths[1:]], classes=classes, dropouts=dropouts)
        self.embedding = nn.Embedding(len(vocabulary), E)
        self.beginning = nn.Embedding(classes or 1, E)
        self.layers.insert(0, Latches(E, K))
        kinds_VK = torch.zeros((len(vocabulary), K))
        for k, kind in enumerate(KINDS):
            kinds_VK[vocabulary.span(kind), k] = 1
        self.register_buffer("kinds", kinds_VK, persistent=False)

    kinds: Tensor

    def embed(self, ids: Tensor, *, begins: Tensor | None = None, classes: Tensor | None = None) -> Tensor:
        """As of a `TextEncoder`, and of which kinds each event is."""
        of_TBK = self.kinds[ids]
        if begins is not None:
            of_TBK = of_TBK.masked_fill(begins.unsqueeze(-1), 0.0)
        return torch.cat((super().embed(ids, begins=begins, classes=classes), of_TBK), -1)

    def run(
        self, x: Tensor, state: States | None = None, *, begins: Tensor | None = None, lengths: Any = None
    ) -> tuple[Tensor, States]:
        """As of a `TextEncoder`; nothing is dropped behind the latches."""
        given: States = (None,) * len(self.layers) if state is None else state
        x_TBF, found = x, []
        for i, (layer, before) in enumerate(zip(self.layers, given, strict=True)):
            if i > 1:
                x_TBF = self._drop(x_TBF, self.dropouts.between)
            x_TBF, after = layer(x_TBF, before, reset=begins, lengths=lengths)
            found.append(after)
        return x_TBF, tuple(found)

    def steps(self, classes: Tensor | None) -> Callable[[Tensor, States], tuple[Tensor, States]]:
        """As of a `TextEncoder`."""
        runs = [step_of(layer) for layer in self.layers]  # type: ignore[arg-type]
        added_BE = None if classes is None else self.beginning(classes)

        def step(ids_B: Tensor, state: States) -> tuple[Tensor, States]:
            x_BF = self.embedding(ids_B)
            x_BF = torch.cat((x_BF if added_BE is None else x_BF + added_BE, self.kinds[ids_B]), 1)
            found = []
            for run, before in zip(runs, state, strict=True):
                x_BF, after = run(x_BF, before)
                found.append(after)
            return x_BF, tuple(found)

        return step
