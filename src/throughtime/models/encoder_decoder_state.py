"""What an encoder-decoder hands from its encoder to its decoder, and from step to step.

Axes in names: B batch, R rows of a decoding step, L layers, H features.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from throughtime.nn import LSTMState
from throughtime.nn.attention import AttentionMemory


class EncodedSource(NamedTuple):
    """What a decoder needs of its sources, made once."""

    memory: AttentionMemory | None
    """What the attention looks at; None without attention."""
    state: Any
    """The state in which the decoder starts."""
    rows: int
    """B, the number of sources."""

    def of_rows(self, rows_B: Tensor) -> "EncodedSource":
        """Some of the sources."""
        memory = self.memory
        if memory is not None:
            keys, values = memory.keys.index_select(0, rows_B), memory.values
            values = keys if values is memory.keys else values.index_select(0, rows_B)
            memory = AttentionMemory(keys, values, memory.mask.index_select(0, rows_B))
        return EncodedSource(memory, _rows(self.state, rows_B), len(rows_B))


class DecoderState(NamedTuple):
    """What a decoder hands from one step to the next."""

    state: Any
    """Of the recurrent layer: tensors (L, R, H)."""
    feed: Tensor | None
    """The last attentional vector (R, H), where it is fed to the next step."""
    upper: Any = None
    """Of the layer above the attention, where there is one."""


class DecodingStep:
    """(ids (R,), state) to logits (R, V), the next state and weights (R, S) or None, over sources that can be let go.

    Args:
        run: the same, given the sources, too.
        encoded: the sources.
    """

    def __init__(
        self,
        run: Callable[[Tensor, DecoderState, EncodedSource], tuple[Tensor, DecoderState, Tensor | None]],
        encoded: EncodedSource,
    ) -> None:
        self._run = run
        self.encoded = encoded

    def __call__(self, ids_R: Tensor, live: DecoderState) -> tuple[Tensor, DecoderState, Tensor | None]:
        """One step of the sources that are left."""
        return self._run(ids_R, live, self.encoded)

    def narrow(self, rows_B: Tensor) -> None:
        """Go on with these sources alone."""
        self.encoded = self.encoded.of_rows(rows_B)


def select_rows(live: DecoderState, rows_R: Tensor) -> DecoderState:
    """The state of these rows."""
    feed = None if live.feed is None else live.feed.index_select(0, rows_R)
    return DecoderState(_rows(live.state, rows_R), feed, _rows(live.upper, rows_R))


def _rows(state: Any, rows_R: Tensor) -> Any:
    """A recurrent layer's state of these rows."""
    if state is None or isinstance(state, Tensor):
        return None if state is None else state.index_select(1, rows_R)
    return LSTMState(*(s.index_select(1, rows_R) for s in state))
