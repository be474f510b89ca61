"""The frames view: what sounds at each step of a grid, as a net reads and writes it.

Axes in names: T time, B batch, K keys, F features, S shifts, N steps of all rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from throughtime.models.losses import SequenceLoss
from throughtime.models.note_heads import note_head
from throughtime.nn.layers import LAYERS
from throughtime.tasks.compose.delays import Delays
from throughtime.training import StreamSource, fingerprint

KEYS = 88
LOWEST = 21
"""The pitch of the first key, A0."""
Roll = NDArray[np.uint8]
"""(T, K), 1 where a key sounds."""


@dataclass(frozen=True, kw_only=True)
class FrameDesign:
    """The sizes of a `FramesNet`.

    Attributes:
        head: of `throughtime.models.note_heads`.
        cell: of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer.
        num_layers: on top of one another.
        styles: how many there are; 0 for none.
        shifts: transpositions to either side that are told apart.
        given: whether the highest voice is known, from beginning to end.
        lags: how far back the frames lie that stand in the input beside the last one.
        input_dropout: of the notes that are read.
        dropout: between layers and of the last one's outputs.
        weight_dropout: of the recurrent matrices.
    """

    head: str = "independent"
    cell: str = "lstm"
    hidden_size: int = 256
    num_layers: int = 1
    styles: int = 0
    shifts: int = 0
    given: bool = False
    lags: tuple[int, ...] = ()
    input_dropout: float = 0.0
    dropout: float = 0.0
    weight_dropout: float = 0.0


class FrameBatch(NamedTuple):
    """Windows of pieces, padded.

    **Shapes** frames (T, B, K) uint8, lengths (B,), begins (B,) bool: whether the window is the beginning of a piece,
    styles (B,) or None, shifts (B,).
    """

    frames: Tensor
    lengths: Tensor
    begins: Tensor
    styles: Tensor | None
    shifts: Tensor


class FramesNet(nn.Module):
    """What sounds next, from what sounded.

    (1) x̃_t = x_{t−1}, its pitch classes, the style, the transposition, x_{t−l} for each lag l; zeros for x before a
        window
    (2) h_t = recurrent layers over x̃
    (3) p(x_t | x before t) = head(h_t, x̃_t)
    (4) where the highest voice v is given: x̃_t has the outputs of a layer that reads v both ways, too, and the head is
        asked for the keys below v_t alone

    **Shapes** frames (T, B, K); the state is that of each layer.
    """

    def __init__(self, design: FrameDesign) -> None:
        super().__init__()
        self.design = d = design
        inputs = KEYS + 12 + d.styles + (2 * d.shifts + 1 if d.shifts else 0)
        self.ahead: nn.Module | None = None
        if d.given:
            self.ahead = LAYERS[d.cell](KEYS, d.hidden_size // 2, bidirectional=True)
            inputs += d.hidden_size
        self.layers = nn.ModuleList()
        if d.lags:
            delays = Delays(inputs, KEYS, [lag - 1 for lag in d.lags])
            self.layers.append(delays)
            inputs = delays.output_size
        sizes = [inputs, *[d.hidden_size] * d.num_layers]
        self.layers.extend(LAYERS[d.cell](i, o, weight_dropout=d.weight_dropout) for i, o in pairwise(sizes))
        self.head = note_head(d.head, d.hidden_size + inputs, KEYS)
        classes_KC = torch.zeros(KEYS, 12)
        classes_KC[torch.arange(KEYS), (torch.arange(KEYS) + LOWEST) % 12] = 1
        self.register_buffer("pitch_classes", classes_KC, persistent=False)

    pitch_classes: Tensor

    def inputs(
        self, before_TBK: Tensor, styles_BS: Tensor | None, shifts_B: Tensor, ahead_TBF: Tensor | None
    ) -> Tensor:
        """x̃ of (1) and (4), (T, B, inputs)."""
        d = self.design
        T, B, _ = before_TBK.shape
        dtype = self.pitch_classes.dtype
        x_TBK = before_TBK.to(dtype)
        if self.training and d.input_dropout:
            x_TBK = x_TBK * (torch.rand_like(x_TBK) >= d.input_dropout).to(dtype)
        parts = [x_TBK, (x_TBK @ self.pitch_classes).clamp(max=1)]
        if d.styles:
            assert styles_BS is not None
            parts.append(styles_BS.to(dtype).expand(T, B, d.styles))
        if d.shifts:
            told_BS = nn.functional.one_hot(shifts_B + d.shifts, 2 * d.shifts + 1).to(dtype)
            parts.append(told_BS.expand(T, B, -1))
        if ahead_TBF is not None:
            parts.append(ahead_TBF)
        return torch.cat(parts, -1)

    def look_ahead(self, frames_TBK: Tensor, lengths: Tensor) -> Tensor | None:
        """What (4) reads of the highest voice; None where it is not given."""
        if self.ahead is None:
            return None
        found: Tensor = self.ahead(highest(frames_TBK).to(self.pitch_classes.dtype), lengths=lengths)[0]
        return found

    def run(self, x_TBF: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """(2), and the features of the head: (T, B, F)."""
        d = self.design
        h_TBF, found = x_TBF, []
        for i, layer in enumerate(self.layers):
            if i > bool(d.lags) and self.training and d.dropout:
                h_TBF = nn.functional.dropout(h_TBF, d.dropout)
            h_TBF, after = layer(h_TBF, None if state is None else state[i], lengths=lengths)
            found.append(after)
            if isinstance(layer, Delays):
                x_TBF = h_TBF
        if self.training and d.dropout:
            h_TBF = nn.functional.dropout(h_TBF, d.dropout)
        return torch.cat((h_TBF, x_TBF), -1), tuple(found)

    def log_probs(self, batch: FrameBatch) -> tuple[Tensor, Tensor]:
        """log p of each frame given those before it in its window (T, B), and which are counted, (T, B) bool.

        A frame counts within the window's length, the first one of a window where that begins its piece.
        """
        frames_TBK = batch.frames
        T, B, _ = frames_TBK.shape
        before_TBK = torch.cat((torch.zeros_like(frames_TBK[:1]), frames_TBK[:-1]))
        styles_BS = one_hot_styles(batch.styles, self.design.styles)
        x_TBF = self.inputs(before_TBK, styles_BS, batch.shifts, self.look_ahead(frames_TBK, batch.lengths))
        features_TBF, _ = self.run(x_TBF, None, batch.lengths)
        counted_TB = torch.arange(T).unsqueeze(1) < batch.lengths
        counted_TB[0] &= batch.begins
        keys_NK = frames_TBK[counted_TB]
        free_NK = below(keys_NK) if self.design.given else None
        log_p_N = self.head.log_probs(features_TBF[counted_TB], keys_NK, free_NK)
        return features_TBF.new_zeros((T, B)).masked_scatter(counted_TB, log_p_N), counted_TB


def highest(frames_TBK: Tensor) -> Tensor:
    """The highest key alone."""
    above = frames_TBK.flip(-1).long().cumsum(-1).flip(-1)
    return (frames_TBK.bool() & (above == 1)).to(frames_TBK.dtype)


def below(keys_NK: Tensor) -> Tensor:
    """Which keys are below the highest that sounds, bool; all of them where none does."""
    above_NK = keys_NK.flip(-1).long().cumsum(-1).flip(-1)  # keys that sound here or above
    silent_N1 = above_NK[:, :1] == 0
    return (above_NK - keys_NK.long() >= 1) | silent_N1


def one_hot_styles(styles_B: Tensor | None, styles: int) -> Tensor | None:
    """(B, S): 1 at each row's style."""
    return None if styles_B is None or not styles else nn.functional.one_hot(styles_B, styles)


class FrameSource(StreamSource):
    """Windows of pieces, those of like length beside one another, transposed at random.

    With a generator each piece is cut at another place in each epoch, and moved by up to `transpose` keys; without one,
    whole windows from its beginning, as they are.

    Args:
        rolls: (T, K) each.
        styles: of each; None for none.
        window: frames, at most; None: whole pieces.
        batch_size: how many lie beside one another.
        transpose: keys to either side.
    """

    def __init__(
        self, rolls: Sequence[Roll], styles: Sequence[int] | None, *, window: int | None, batch_size: int,
        transpose: int = 0,
    ) -> None:  # fmt: skip
        self.rolls = list(rolls)
        self.styles = styles
        self.window = window
        self.batch_size = batch_size
        self.transpose = transpose
        super().__init__(self._in_order, self._batch, examples=len(self._windows(None)), buffer=1)

    def _in_order(self) -> Iterator[tuple[int, int, int, int]]:
        return iter(self._windows(None))

    def read(self, generator: torch.Generator | None = None) -> Iterator[Any]:
        """Piece, begin, end and shift of every window."""
        if generator is None:
            yield from self._windows(None)
            return
        windows = self._windows(generator)
        order = torch.randperm(len(windows), generator=generator).tolist()
        # Sorted within eight batches, so that little is padded and the batches still differ from epoch to epoch.
        block = 8 * self.batch_size
        batches: list[list[tuple[int, int, int, int]]] = []
        for at in range(0, len(order), block):
            near = sorted((windows[i] for i in order[at : at + block]), key=lambda w: w[2] - w[1])
            batches += [near[i : i + self.batch_size] for i in range(0, len(near), self.batch_size)]
        short = [batch for batch in batches if len(batch) < self.batch_size]
        whole = [batch for batch in batches if len(batch) == self.batch_size]
        for i in torch.randperm(len(whole), generator=generator).tolist():
            yield from whole[i]
        for batch in short:
            yield from batch

    def fingerprint(self) -> str:
        """Of every roll."""
        return fingerprint(self.window, self.transpose, self.rolls)

    def _windows(self, generator: torch.Generator | None) -> list[tuple[int, int, int, int]]:
        found = []
        moves = None if generator is None else torch.rand((2, len(self.rolls)), generator=generator).tolist()
        for i, roll in enumerate(self.rolls):
            T, shift = len(roll), 0
            size = T if self.window is None else self.window
            count = -(-T // size)
            if moves is not None and self.transpose:
                low, high = room(roll, self.transpose)
                shift = low + min(int(moves[1][i] * (high - low + 1)), high - low)
            cuts = [min(j * size, T) for j in range(count + 1)]
            if moves is not None and count > 1:
                # The first window is shorter by a random part, and what it lacks is added to none: all windows fit.
                cuts = [0, *(min(int(T * (j + moves[0][i] - 0.5) / count), T) for j in range(1, count)), T]
                cuts = [c if j in (0, count) else max(c, T - (count - j) * size) for j, c in enumerate(cuts)]
                cuts = [c if j in (0, count) else min(c, j * size) for j, c in enumerate(cuts)]
            found += [(i, a, b, shift) for a, b in pairwise(cuts)]
        return found

    def _batch(self, windows: list[tuple[int, int, int, int]]) -> FrameBatch:
        lengths = torch.tensor([end - begin for _, begin, end, _ in windows])
        frames_TBK = np.zeros((int(lengths.max()), len(windows), KEYS), dtype=np.uint8)
        for b, (i, begin, end, shift) in enumerate(windows):
            frames_TBK[: end - begin, b] = moved(self.rolls[i][begin:end], shift)
        return FrameBatch(
            torch.from_numpy(frames_TBK),
            lengths,
            torch.tensor([begin == 0 for _, begin, _, _ in windows]),
            None if self.styles is None else torch.tensor([self.styles[i] for i, *_ in windows]),
            torch.tensor([shift for *_, shift in windows]),
        )


def room(roll: Roll, most: int) -> tuple[int, int]:
    """How far a roll can go down and up without losing a note, at most `most` keys."""
    used = np.flatnonzero(roll.any(0))
    return (0, 0) if not len(used) else (-min(most, int(used[0])), min(most, KEYS - 1 - int(used[-1])))


def moved(roll: Roll, keys: int) -> Roll:
    """A roll transposed; no note may leave the keyboard."""
    return roll if not keys else np.roll(roll, keys, axis=1)


def frames_loss(net: nn.Module, batch: FrameBatch) -> SequenceLoss:
    """What `train` asks for: −log p of a frame, in nats."""
    log_p_TB, counted_TB = net.log_probs(batch)  # type: ignore[operator]
    count = int(counted_TB.sum())
    return SequenceLoss(-log_p_TB.float().sum() / max(count, 1), max(count, 1))
